package main

import (
	"net"
	"slices"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/smtptest"
)

// The audience of the demo's mailing is the same on the embedded engine as elsewhere: ten customers owe something, and two of them have
// no address.
func TestAudienceOnTheEmbeddedEngine(t *testing.T) {
	d, pool := embeddedAt(t)
	client, err := openSQL(d.address.String(), "root")
	must(t, err)
	defer client.Close()
	must(t, insertBooks(t.Context(), client))
	path, err := writeConfig(t.TempDir(), &net.TCPAddr{Port: 3306}, 2525, smtptest.New(t).CAPEM(), time.Now())
	must(t, err)
	file, problems := jobfile.Load(path)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := file.Company("acme")
	spool, err := mailing.Read(t.Context(), pool, "acme", mailing.FromJob(c, c.Jobs.Mailing[0]), time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), db.ReadLimits{Time: time.Minute})
	must(t, err)
	defer spool.Close()
	var keys, skipped []string
	must(t, spool.Each(t.Context(), 1, func(_ int64, m db.NewMail) error {
		keys = append(keys, m.Key)
		if m.State == db.Skipped {
			skipped = append(skipped, m.Key)
		}
		if m.Key == "1013" {
			t.Log(m.Params)
		}
		return nil
	}))
	slices.Sort(keys)
	slices.Sort(skipped)
	if !slices.Equal(keys, []string{"1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1012", "1013"}) || !slices.Equal(skipped, []string{"1006", "1007"}) {
		t.Errorf("%q, skipped %q", keys, skipped)
	}
}
