package main

import (
	"fmt"
	"io"
	"strings"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

type migrateCommand struct {
	Print bool `help:"Only print the statements, with those for the rights of two users; needs no secrets and no network."`
}

// Run makes or updates the tables. Companies that are left out make the exit status 2, but keep nobody else back.
func (c migrateCommand) Run(i *invocation) error {
	file, problems := jobfile.Load(i.config)
	if err := printProblems(i.stderr, problems); err != nil {
		return err
	}
	if file == nil {
		return exitError(exitWrong)
	}
	var err error
	if c.Print {
		err = printSchemas(i.stdout, file)
	} else {
		err = c.apply(i, file)
	}
	if err == nil && len(file.LeftOut) > 0 {
		return exitError(exitWrong)
	}
	return err
}

func (c migrateCommand) apply(i *invocation, file *jobfile.File) error {
	world, err := jobs.Open(file)
	if err != nil {
		return &jobs.AskError{Text: err.Error(), Hint: "run this as a user who may read the secrets (sudo -u outboxd outboxd migrate), or give a DBA the output of outboxd migrate --print", Err: err}
	}
	defer world.Close() // every statement has ended; what remains are idle connections
	w := &errorWriter{w: i.stdout}
	err = world.Migrate(i.ctx, func(database string, applied int) {
		if applied == 0 {
			fmt.Fprintf(w, "%s: up to date\n", clean(database))
			return
		}
		fmt.Fprintf(w, "%s: %s applied\n", clean(database), counted(applied, "step"))
	})
	if err == nil {
		return w.err
	}
	hint := jobs.DatabaseHint(err)
	if db.Kind(err) == db.KindSetup {
		hint = "the database must exist (CREATE DATABASE), and this user needs CREATE, ALTER, INDEX, CREATE VIEW, DROP, SELECT, INSERT and UPDATE in it; or a DBA runs what outboxd migrate --print shows"
	}
	return &jobs.AskError{Text: err.Error(), Hint: hint, Err: err}
}

func printSchemas(to io.Writer, file *jobfile.File) error {
	w, triggers := &errorWriter{w: to}, ""
	for _, s := range jobs.Schemas(file) {
		where := strings.Join(s.Server.Addresses(), ", ")
		fmt.Fprintf(w, "-- %s\n-- %s: database %s on server %s (%s)\n-- %s\n", strings.Repeat("=", 76), s.For, s.Database, s.Server.Name, clean(where), strings.Repeat("=", 76))
		fmt.Fprintf(w, "-- CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4;\n\n", s.Database)
		text, err := db.Schema(s.Database, s.Parts...)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, text)
		grants, err := db.Grants(s.Database, s.Username, s.Needs, s.Parts...)
		if err != nil {
			grants = fmt.Sprintf("-- The rights of the user are left to you: %s\n", clean(err.Error()))
		}
		fmt.Fprintln(w, grants)
		if s.Approves {
			text, err := db.ApproverTrigger(s.Database)
			if err != nil {
				return err
			}
			triggers += text
		}
	}
	if triggers != "" { // last: a server that allows no triggers stops nothing else
		fmt.Fprintf(w, "-- %s\n-- So that nobody approves a run by SQL in another's name. The rights of who makes a trigger must last.\n-- %[1]s\n%s", strings.Repeat("=", 76), triggers)
	}
	return w.err
}
