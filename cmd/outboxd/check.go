package main

import (
	"fmt"
	"io"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

type checkCommand struct {
	Online   bool   `help:"Also look at every database, log in at every account, without sending, and ask the DNS what receivers will hold against the senders' domains. What needs a secret that cannot be read is left out and said."`
	Resolver string `help:"With --online: the DNS resolver to ask, and no other; the system's when not given." placeholder:"HOST:PORT"`
	JSON     bool   `help:"Print JSON."`
}

// checked is all that a check found.
type checked struct {
	File     string    `json:"file"`
	Problems []problem `json:"problems"` // of jobs.yaml and what it names
	Findings []finding `json:"findings"` // of --online
}

// problem is a problem of jobs.yaml in JSON.
type problem struct {
	Level   string `json:"level"` // fail or warn
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path,omitempty"`
	Value   string `json:"value,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Run reports all problems at once. Errors are exit status 2; with --online what does not work is exit status 1.
func (c checkCommand) Run(i *invocation) error {
	if c.Resolver != "" && !c.Online {
		return &usageError{"--resolver asks nothing without --online", "outboxd check --online --resolver " + c.Resolver}
	}
	look, err := c.resolver(i)
	if err != nil {
		return err
	}
	file, companies, problems := jobfile.Scan(i.config)
	problems = append(problems, jobs.CheckTemplates(companies)...)
	if !c.JSON {
		if err := i.printProblems(problems); err != nil {
			return err
		}
	}
	var findings []finding
	if c.Online && file != nil {
		findings = checkOnline(i, file, look)
	}
	if c.JSON {
		err = printJSON(i.stdout, checkedOf(i.config, problems, findings), "  ")
	} else {
		err = printFindings(i.stdout, findings)
	}
	switch {
	case err != nil:
		return err
	case len(problems.Errors()) > 0:
		return exitError(exitWrong)
	case anyFailed(findings):
		return exitError(exitFailed)
	}
	return nil
}

// printProblems prints the problems and how many there are.
func (i *invocation) printProblems(problems jobfile.Problems) error {
	if err := printProblems(i.stderr, problems); err != nil {
		return err
	}
	_, err := fmt.Fprintf(i.stdout, "%s: %s, %s\n", clean(i.config), counted(len(problems.Errors()), "error"), counted(len(problems.Warnings()), "warning"))
	return err
}

func printProblems(w io.Writer, problems jobfile.Problems) error {
	if len(problems) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, cleanLines(problems.String()))
	return err
}

func checkedOf(config string, problems jobfile.Problems, findings []finding) checked {
	all := checked{File: config, Problems: []problem{}, Findings: append([]finding{}, findings...)}
	for _, p := range problems {
		level := string(levelFail)
		if p.Warning {
			level = string(levelWarn)
		}
		all.Problems = append(all.Problems, problem{level, p.File, p.Line, p.Column, p.Path, p.Value, p.Message, p.Hint})
	}
	return all
}
