package main

import (
	"context"
	"fmt"
	"strings"

	"outboxd/jobs"
	"outboxd/mail/sendercheck"
)

// lookAtContent tells whether a company's templates in the database compile, and whether its reader can read.
func lookAtContent(ctx context.Context, world *jobs.World, p *jobs.Place) (all []finding) {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	about := fmt.Sprintf("company %s, database %s", p.Company.Name, p.Company.Database)
	add := func(id string, level sendercheck.Level, text, remedy string) {
		all = append(all, found(id, level, about, text, remedy))
	}
	n, wrong, err := p.CheckTemplateRows(ctx)
	switch {
	case err != nil: // the look at the database tells
	case len(wrong) > 0:
		for _, err := range wrong {
			add("templates", levelFail, err.Error(), "mend it in outbox_template; mails of this template fail until then")
		}
	case n > 0:
		add("templates", levelOK, counted(n, "template")+" in outbox_template", "")
	}
	if p.Reader == nil {
		return all
	}
	others, err := world.CheckReader(ctx, p)
	switch {
	case err != nil:
		add("reader", levelFail, fmt.Sprintf("reader %s: %v", p.Company.Reader.Username, err), "a DBA lets the user in from this computer, and grants it SELECT on what the queries need")
	case len(others) > 0:
		add("reader", levelWarn, fmt.Sprintf("reader %s sees the databases of other companies: %s", p.Company.Reader.Username, strings.Join(others, ", ")), "a user of its own for each company, with rights on that company's database alone")
	default:
		add("reader", levelOK, "reader "+p.Company.Reader.Username, "")
	}
	return all
}
