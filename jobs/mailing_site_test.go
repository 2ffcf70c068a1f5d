package jobs_test

import (
	"strconv"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/mailing"
)

// world opens a jobs.yaml without an engine, and returns its company.
func (s *site) world(text string) (*jobs.World, *jobs.Place) {
	s.t.Helper()
	w, err := jobs.Open(s.write(text))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := w.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return w, w.Place("acme")
}

// sendingRun inserts a run that sends, with what it has kept of its templates as they are now, and returns it.
func (s *site) sendingRun(p *jobs.Place, spec mailing.Spec) db.Run {
	s.t.Helper()
	hash, err := jobs.PinTemplates(s.t.Context(), p, spec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_run (daemon, job, scheduled_at, state, kind, spec, period, templates) VALUES ('here', ?, '2026-12-01 08:00:00', 'sending', ?, ?, '2026-12', NULLIF(?, ''))`,
		spec.Job, spec.Kind, spec.JSON(), hash)
	id, err := strconv.ParseUint(s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox_run`), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := p.Store.Run(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// runMail inserts a mail of a run; more are further columns and their values, as in "language|'sk'". It returns the number.
func (s *site) runMail(run db.Run, to, template, params, more string) int {
	s.t.Helper()
	columns, values, found := strings.Cut(more, "|")
	if found {
		columns, values = ", "+columns, ", "+values
	}
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, template, params, run_id`+columns+`) VALUES (?, NULLIF(?, ''), ?, ?`+values+`)`, to, template, params, run.ID)
	id, err := strconv.Atoi(s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox`))
	if err != nil {
		s.t.Fatal(err)
	}
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity) VALUES (?, ?, UNHEX(LPAD(HEX(?), 32, '0')))`, run.ID, id, id)
	return id
}

// identity is that of runMail.
func identity(id int) (i [16]byte) {
	for n := 15; id > 0; n, id = n-1, id>>8 {
		i[n] = byte(id)
	}
	return i
}

// letterSpec is a mailing of the template letter.
func letterSpec() mailing.Spec {
	return mailing.Spec{Kind: mailing.KindMailing, Job: "letters", Template: "letter", OncePer: "month"}
}

func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}
}
