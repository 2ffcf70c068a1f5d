package db_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// A bounce counts of a mail that was sent, and of no other; it does not begin the wait after the last end anew.
func TestBouncesOfARun(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 7, db.RunSending)
	release(t, d.Store, r.ID)
	d.Exec(t, `UPDATE {db}.outbox SET state = ELT(id, 'sent', 'sent', 'partial', 'failed', 'expired', 'sent', 'skipped'), sent_at = IF(id IN (1, 2, 3, 6), NOW(6) - INTERVAL 1 HOUR, NULL), updated_at = NOW(6) - INTERVAL 1 HOUR`)
	reached(t, d, 3, "accepted", "failed")
	want := func(what string, ended, refused, bounced int64) {
		t.Helper()
		first, err := d.Store.RunFirst(ctx, r.ID)
		must(t, err)
		if first.Open != 0 || first.Ended != ended || first.Refused != refused || first.Bounced != bounced || first.Rest < 59*time.Minute {
			t.Errorf("%s: %+v", what, first)
		}
	}
	want("before", 6, 3, 0)
	d.Exec(t, `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = CONCAT('550 5.1.1 ', REPEAT('x', 60000)) WHERE id IN (2, 3)`)
	want("one that was sent, one that was sent in part", 6, 3, 1)
	d.Exec(t, `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = 'no', updated_at = NOW(6) - INTERVAL 1 HOUR WHERE id IN (4, 5, 7)`)
	want("those that nobody has got", 6, 3, 1)
	var shown, failed []uint64
	all, err := d.Store.RunMails(ctx, r.ID, db.RunMailFilter{})
	must(t, err)
	for _, m := range all {
		if m.BouncedAt != nil && len(m.Bounce) == 1000 {
			shown = append(shown, m.ID)
		} else if m.BouncedAt != nil || m.Bounce != "" {
			t.Errorf("%d is %s: %v, %d octets", m.ID, m.State, m.BouncedAt, len(m.Bounce))
		}
	}
	bad, err := d.Store.RunMails(ctx, r.ID, db.RunMailFilter{Failed: true})
	must(t, err)
	for _, m := range bad {
		failed = append(failed, m.ID)
	}
	if !slices.Equal(shown, []uint64{2, 3}) || !slices.Equal(failed, []uint64{2, 3, 4, 5, 7}) {
		t.Errorf("came back: %d; not to everybody: %d", shown, failed)
	}
	rows, err := d.Store.Find(ctx, db.Filter{})
	must(t, err)
	for _, s := range rows {
		if (s.BouncedAt != nil) != (s.ID == 2 || s.ID == 3) || (s.BouncedAt != nil) != (s.Bounce != "") {
			t.Errorf("row %d is listed with %v, %.20q", s.ID, s.BouncedAt, s.Bounce)
		}
	}
}

// A row that a person sends again has not come back yet. Of one that some recipients have, their bounce stays.
func TestRetryForgetsABounce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	id := uncertain(t, d, db.RecipientAccepted, db.RecipientUncertain)
	const bounce = `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = 'no', state = ?, lease_until = NULL WHERE id = ?`
	each := func() string {
		return d.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(bounced_at) + COUNT(bounce) FROM {db}.outbox), (SELECT GROUP_CONCAT(bounced_at IS NOT NULL AND bounce IS NOT NULL ORDER BY position) FROM {db}.outbox_recipient))`)
	}
	d.Exec(t, `UPDATE {db}.outbox_recipient SET bounced_at = NOW(6), bounce = 'no'`)
	d.Exec(t, bounce, "partial", id)
	show, err := d.Store.Show(ctx, id)
	must(t, err)
	if show.Bounce != "no" || show.BouncedAt == nil || len(show.Each) != 2 || show.Each[0].BouncedAt == nil || show.Each[1].Bounce != "no" {
		t.Errorf("%+v", show)
	}
	for range 2 { // also once more while it waits
		must(t, d.Store.Retry(ctx, id))
		if got := each(); got != "2 1,0" {
			t.Errorf("of a row that one recipient has: %s", got)
		}
	}
	d.Exec(t, bounce, "uncertain", id)
	must(t, d.Store.Retry(ctx, id))
	if got := each(); got != "0 1,0" {
		t.Errorf("of a row of which nobody knows: %s", got)
	}
}

// The rights that docs/for-dbas.md gives to whoever writes bounces, and the way it finds the row: by the number in the Message-ID.
func TestWhoeverWritesBounces(t *testing.T) {
	root := dbtest.New(t)
	insert(t, root, 2, "kunde.example")
	sent := claimAll(t, root.Store, 1)[0]
	must(t, root.Store.Settle(deadline(t), accepted(sent.Lease)))
	if parts := strings.Split(sent.MessageID, "."); len(parts) < 4 || parts[2] != "1" {
		t.Fatalf("the number is not the third part of %s", sent.MessageID)
	}
	user := root.Name + "_bounces"
	root.Exec(t, "CREATE USER `"+user+"`@`%` IDENTIFIED BY 'secret'")
	t.Cleanup(func() { root.Exec(t, "DROP USER `"+user+"`@`%`") })
	root.Exec(t, "GRANT SELECT (id, message_id), UPDATE (bounced_at, bounce) ON {db}.outbox TO `"+user+"`@`%`")
	root.Exec(t, "GRANT SELECT (outbox_id, address), UPDATE (bounced_at, bounce) ON {db}.outbox_recipient TO `"+user+"`@`%`")
	d := as(t, root, user)
	d.Exec(t, "UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = '550 5.1.1 no such user' WHERE id = 1 AND message_id = ?", sent.MessageID)
	d.Exec(t, "UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = 'no' WHERE id = 2 AND message_id = ?", sent.MessageID)
	d.Exec(t, "UPDATE {db}.outbox_recipient SET bounced_at = NOW(6), bounce = 'no' WHERE outbox_id = 1 AND address = 'a@b.example'")
	if got := columns(t, root, "state, COALESCE(bounce, '-')"); got != "sent 550 5.1.1 no such user,queued -" {
		t.Errorf("rows are %q", got)
	}
	for _, statement := range []string{"UPDATE {db}.outbox SET state = 'cancelled'", "SELECT recipients FROM {db}.outbox", "DELETE FROM {db}.outbox", "UPDATE {db}.outbox_recipient SET state = 'failed'"} {
		if err := d.Pool.Exec(deadline(t), strings.ReplaceAll(statement, "{db}", d.Name)); db.Kind(err) != db.KindSetup {
			t.Errorf("%s: %v, not refused as a missing right", statement, err)
		}
	}
}
