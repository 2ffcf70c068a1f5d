//go:build !unix

package main

import "io"

// toJournal is false: there is no journal on this system.
func toJournal(string, io.Writer) bool { return false }
