package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// mailedTable is the company's own table that a run writes back into.
const mailedTable = `CREATE TABLE {db}.invoice (id BIGINT PRIMARY KEY, mailed_at DATETIME(6) NULL, mailed_ts TIMESTAMP(6) NULL, outcome TEXT NULL) CHARACTER SET utf8mb4`

// TestWhatIsWrittenBack: of each end, with the row's values, what became of it, and times as the company's clocks show them.
func TestWhatIsWrittenBack(t *testing.T) {
	s := newSite(t)
	s.smtp.On(rcpt("gone@kunde.example", "550 5.1.1 no such user"))
	s.db.Exec(t, mailedTable)
	s.db.Exec(t, `INSERT INTO {db}.invoice (id) VALUES (9007199254740993), (2), (3), (4), (5), (6)`)
	dir := folder(t, map[string]string{"letter/subject.txt": "x", "letter/body.txt": "{{.n}}"})
	text := s.with("  main: "+s.account(unlimited+", connections: 1"), "", "templates: "+dir, "timezone: Asia/Kathmandu", reader)
	_, place := s.world(text)
	spec := letterSpec()
	spec.Recheck = "SELECT 1 FROM invoice WHERE id = :id AND id <> 5"
	spec.OnSent = `UPDATE invoice SET mailed_at = :sent_at, mailed_ts = :sent_at, outcome = CONCAT_WS(' ', :state, :reference, :account, :smtp_code, :message_id, COALESCE(:error, 'no error'), :period, DATE(:scheduled_at)) WHERE id = :id`
	spec.OnFailed = `UPDATE invoice SET outcome = CONCAT_WS('|', :state, COALESCE(:sent_at, 'never'), :smtp_code, :smtp_enhanced, :error, :template) WHERE id = :id`
	run := s.sendingRun(place, spec)
	s.runMail(run, "eva@kunde.example", "letter", `{"id": 9007199254740993, "n": 1}`, "reference|'invoice:1'")
	s.runMail(run, "gone@kunde.example", "letter", `{"id": 2, "n": 1}`, "")
	s.runMail(run, "eva@kunde.example, gone@kunde.example", "letter", `{"id": 3, "n": 1}`, "")
	s.runMail(run, "eva@kunde.example", "letter", `{"id": 4, "m": 1}`, "")
	s.runMail(run, "eva@kunde.example", "letter", `{"id": 5, "n": 1}`, "")
	s.runMail(run, "eva@kunde.example", "letter", `{"id": 6, "n": 1}`, "expires_at|'2026-01-01'")
	s.start(text, "one")
	s.awaitRows("1 sent 1", "2 failed 1", "3 partial 1", "4 failed 1", "5 skipped 1", "6 expired 1")
	outcome := func(id any) string { return s.db.Read(t, `SELECT outcome FROM {db}.invoice WHERE id = ?`, id) }
	id := s.db.Read(t, `SELECT message_id FROM {db}.outbox WHERE id = 1`)
	if want := "sent invoice:1 main 250 " + id + " no error 2026-12 2026-12-01"; outcome("9007199254740993") != want {
		t.Errorf("%q, want %q", outcome("9007199254740993"), want)
	}
	wantParts(t, outcome(2), "failed|never|550|5.1.1|permanent at rcpt: 550 5.1.1 no such user", "|letter")
	wantParts(t, outcome(3), "partial  main 250 ")
	wantParts(t, outcome(4), "failed|never|template: letter/body.txt")
	if got := s.db.Read(t, `SELECT CONCAT(COUNT(*), ' ', COUNT(outcome)) FROM {db}.invoice WHERE id = 5`); got != "1 0" {
		t.Errorf("of a mail that was skipped: %s", got)
	}
	wantParts(t, outcome(6), "expired|never|")
	wantParts(t, s.lastError(5), "recheck: ", "not sent")
	// Kathmandu is 5:45 ahead, whatever zone the database's server is in; a TIMESTAMP has the moment.
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.invoice i JOIN {db}.outbox o ON o.id IN (1, 3) AND i.id = IF(o.id = 1, 9007199254740993, 3)
		WHERE i.mailed_at = CONVERT_TZ(o.sent_at, @@session.time_zone, '+05:45') AND i.mailed_ts = o.sent_at`); got != "2" {
		t.Errorf("%s of 2 have their time: %s", got, s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', i.id, i.mailed_at, i.mailed_ts) SEPARATOR '; ') FROM {db}.invoice i`))
	}
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run_mail WHERE written = 1`); got != "5" {
		t.Errorf("%s of 5 are noted as written", got)
	}
}

// TestAWriteBackThatIsLeftIsMadeAnew: from the row, with the time at which it was sent.
func TestAWriteBackThatIsLeftIsMadeAnew(t *testing.T) {
	s := newSite(t)
	dir := folder(t, map[string]string{"letter/subject.txt": "x", "letter/body.txt": "{{.n}}"})
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+dir, "timezone: Europe/Bratislava")
	_, place := s.world(text)
	spec := letterSpec()
	spec.OnSent = "UPDATE invoice SET mailed_at = :sent_at WHERE id = :invoice_id"
	run := s.sendingRun(place, spec)
	sent := s.runMail(run, "eva@kunde.example", "letter", `{"invoice_id": 0.10, "n": 1, "state": "CA"}`, "state, sent_at, sent_via, smtp_code, message_id|'sent', '2026-07-01 10:00:00.25', 'main', 250, '<a@b>'")
	failed := s.runMail(run, "eva@kunde.example", "letter", `{}`, "state|'failed'")
	w, err := jobs.WriteBackOf(t.Context(), place, run.ID, uint64(sent))
	if err != nil || w == nil {
		t.Fatal(w, err)
	}
	if w.Run != run.ID || w.Event != "sent" || w.Statement != spec.OnSent || w.Zone != place.Company.Timezone {
		t.Errorf("%+v", w)
	}
	for name, want := range map[string]any{"scheduled_at": "2026-12-01 08:00:00", "state": "sent", "account": "main", "smtp_code": 250, "message_id": "<a@b>", "error": nil, "smtp_enhanced": nil} {
		if w.Args[name] != want {
			t.Errorf("%s is %v, want %v", name, w.Args[name], want)
		}
	}
	if at, ok := w.Args["sent_at"].(time.Time); !ok || !at.Equal(time.Date(2026, 7, 1, 10, 0, 0, 250_000_000, time.UTC)) {
		t.Errorf("sent_at is %v", w.Args["sent_at"])
	}
	if w, err := jobs.WriteBackOf(t.Context(), place, run.ID, uint64(failed)); w != nil || err != nil {
		t.Errorf("nothing is to be written of a failed one: %+v %v", w, err)
	}
	if _, err := jobs.WriteBackOf(t.Context(), place, run.ID, 999); err == nil || !strings.Contains(err.Error(), "no row 999") {
		t.Errorf("a row that is gone: %v", err)
	}
}

// TestAWriteBackThatCannotBeMadeKeepsNoOtherBack: it is noted with the reason, and those behind it are done.
func TestAWriteBackThatCannotBeMadeKeepsNoOtherBack(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, mailedTable)
	s.db.Exec(t, `INSERT INTO {db}.invoice (id) VALUES (1), (2)`)
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+folder(t, map[string]string{"letter/subject.txt": "x", "letter/body.txt": "x"}))
	_, place := s.world(text)
	spec := letterSpec()
	spec.OnSent = "UPDATE invoice SET mailed_at = :sent_at WHERE id = :id"
	run := s.sendingRun(place, spec)
	purged := s.runMail(run, "eva@kunde.example", "letter", `{"id": 1}`, "state, sent_at|'sent', UTC_TIMESTAMP(6)")
	fine := s.runMail(run, "jan@kunde.example", "letter", `{"id": 2}`, "state, sent_at|'sent', UTC_TIMESTAMP(6)")
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, purged_hash) VALUES (?, 'a.pdf', REPEAT('a', 64))`, purged)
	s.db.Exec(t, `INSERT INTO {db}.outbox_writeback (outbox_id, run_id, event, next_at) VALUES (?, ?, 'sent', '2026-01-01'), (?, ?, 'sent', '2026-01-02')`, purged, run.ID, fine, run.ID)
	s.db.Exec(t, `UPDATE {db}.outbox_run_mail SET written = 1`)
	s.start(text, "one")
	s.await("1", `SELECT COUNT(*) FROM {db}.invoice WHERE id = 2 AND mailed_at IS NOT NULL`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_writeback WHERE tries > 0 AND next_at > UTC_TIMESTAMP(6) AND last_error LIKE '%purged%'`)
}
