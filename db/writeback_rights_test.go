package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// The rights that the DBAs' page shows are enough for a write-back, beside those that migrate --print gives; a right that is missing
// holds up no mail.
func TestWriteBackNeedsTheRightsOfThePageAndNoMore(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 3)
	user := d.Name + "_daemon"
	grants, err := db.Grants(d.Name, user, db.Needs{Mailings: true}, db.CompanyPart)
	must(t, err)
	t.Cleanup(func() { d.Exec(t, "DROP USER "+user+", "+db.SenderUser(d.Name)) })
	for statement := range strings.SplitSeq(grants, ";\n") {
		if lines := strings.TrimSpace(regexp.MustCompile(`(?m)^--.*\n?`).ReplaceAllString(statement, "")); lines != "" {
			d.Exec(t, lines)
		}
	}
	d.Exec(t, "ALTER USER "+user+" IDENTIFIED BY 'secret' ACCOUNT UNLOCK")
	daemon := byWay(t, d, func(s *db.Server) { s.Username, s.Password = user, "secret" })
	store, err := daemon.Pool.Store(d.Name)
	must(t, err)
	const statement = `UPDATE invoice SET mailed_at = :sent_at WHERE id = :invoice_id`
	must(t, store.Settle(deadline(t), told(r, rows[0], statement)))
	if got := d.Read(t, `SELECT CONCAT_WS(' ', state, (SELECT last_error FROM {db}.outbox_writeback)) FROM {db}.outbox WHERE id = ?`, rows[0].ID); !strings.HasPrefix(got, "sent error 1142: ") || !strings.Contains(got, "GRANT it to outboxd's user") {
		t.Error(got)
	}
	page, err := os.ReadFile("../docs/for-dbas.md")
	must(t, err)
	grant := regexp.MustCompile(`GRANT SELECT \(id\), UPDATE \(mailed_at\) ON acme.invoice TO '[^;]*;`).FindString(string(page))
	if grant == "" {
		t.Fatal("the page shows no right")
	}
	d.Exec(t, strings.NewReplacer("acme.", d.Name+".", "outboxd", user, ";", "").Replace(grant))
	must(t, store.Settle(deadline(t), told(r, rows[1], statement)))
	must(t, store.Settle(deadline(t), told(r, rows[2], `UPDATE invoice SET times = 1 WHERE id = :invoice_id`)))
	if got := d.Read(t, `SELECT CONCAT_WS(' ', GROUP_CONCAT(mailed_at IS NOT NULL ORDER BY id), SUM(times)) FROM {db}.invoice`); got != "0,1,0 0" {
		t.Error(got)
	}
	due, err := store.DueWriteBacks(deadline(t), 10)
	must(t, err)
	if len(due) > 0 {
		t.Errorf("due at once: %+v", due)
	}
	soon(t, d)
	due, err = store.DueWriteBacks(deadline(t), 10)
	must(t, err)
	for _, p := range due {
		if err := store.RetryWriteBack(deadline(t), p, *told(r, db.Row{Lease: db.Lease{ID: p.ID}}, statement).WriteBack); err != nil {
			t.Error(err)
		}
	}
	if got := d.Read(t, `SELECT SUM(mailed_at IS NOT NULL) FROM {db}.invoice`); got != "3" {
		t.Error(got)
	}
}
