package main

import (
	"fmt"
	"io"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

type checkCommand struct {
	Online bool `help:"Also look at every database, at the keys that sign and their records in the DNS, and log in at every account, without sending. Needs the secrets."`
}

// Run reports all problems at once. Errors are exit status 2; with --online what does not work is exit status 1.
func (c checkCommand) Run(i *invocation) error {
	file, companies, problems := jobfile.Scan(i.config)
	problems = append(problems, jobs.CheckTemplates(companies)...)
	if err := printProblems(i.stderr, problems); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(i.stdout, "%s: %s, %s\n", clean(i.config), counted(len(problems.Errors()), "error"), counted(len(problems.Warnings()), "warning")); err != nil {
		return err
	}
	var online error
	if c.Online && file != nil {
		online = checkOnline(i, file)
	}
	if len(problems.Errors()) > 0 {
		return exitError(exitWrong)
	}
	return online
}

func printProblems(w io.Writer, problems jobfile.Problems) error {
	if len(problems) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, cleanLines(problems.String()))
	return err
}
