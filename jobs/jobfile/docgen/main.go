// Docgen writes the reference of jobs.yaml into the file named by its argument.
package main

import (
	"fmt"
	"os"

	"outboxd/jobs/jobfile"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docgen FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], jobfile.Reference(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}
