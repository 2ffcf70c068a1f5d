package db_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// runCounts are those of a run, as "released sent/partial/failed/skipped/suppressed/cancelled/expired/gone".
func runCounts(t testing.TB, s *db.Store, id uint64) string {
	t.Helper()
	r := run(t, s, id)
	return fmt.Sprintf("%d %d/%d/%d/%d/%d/%d/%d/%d", r.Released, r.Sent, r.Partial, r.Failed, r.Skipped, r.Suppressed, r.Cancelled, r.Expired, r.Gone)
}

func TestFirstMailsOfARunGoAlone(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 20, db.RunHeld)
	d.Exec(t, `UPDATE {db}.outbox SET held = 0, state = 'skipped' WHERE id <= 7`) // as bad addresses are
	d.Exec(t, `UPDATE {db}.outbox SET send_after = NOW() + INTERVAL 1 DAY, available_at = NOW() + INTERVAL 1 DAY WHERE id = 9`)
	few, all := int64(4), int64(db.AllMails)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, Allowed: &few})
	if n := release(t, d.Store, r.ID); n != 4 {
		t.Errorf("%d released", n)
	}
	if got := columns(t, d, "held"); got != strings.Repeat("0,", 11)+"2,2,2,2,2,2,2,2,2" {
		t.Errorf("held: %s", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', SUM(send_after > NOW() + INTERVAL 23 HOUR AND available_at = send_after), SUM(send_after <= UTC_TIMESTAMP(6) AND available_at >= send_after)) FROM {db}.outbox WHERE state = 'queued' AND held = 0`); got != "1 3" {
		t.Errorf("dated, and due: %s", got)
	}
	if n, end, err := d.Store.ReleaseRun(ctx, r.ID, 100); n != 0 || !end || err != nil {
		t.Errorf("%d more, %v, %v", n, end, err)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunSending}, Allowed: &all})
	if got := run(t, d.Store, r.ID); got.Allowed != nil || got.ReleasedAt == nil {
		t.Errorf("%+v", got)
	}
	if n := release(t, d.Store, r.ID); n != 9 {
		t.Errorf("%d released", n)
	}
	if n := sendAll(t, d.Store); n != 12 {
		t.Errorf("%d sent", n)
	}
	reconcile(t, d.Store, r.ID)
	if got := runCounts(t, d.Store, r.ID); got != "13 12/0/0/7/0/0/0/0" {
		t.Error(got)
	}
}

// A run that is stopped sends nothing more, whatever was in hand, and goes on where it was.
func TestStoppedRunHoldsWhatComesBack(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 10, db.RunSending)
	few, all := int64(8), int64(db.AllMails)
	change(t, d.Store, r.ID, db.RunChange{Allowed: &few})
	release(t, d.Store, r.ID)
	taken := claimAll(t, d.Store, 4)
	must(t, d.Store.Settle(ctx, accepted(taken[0].Lease)))
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: taken[1].Lease, Change: db.Change{State: db.Uncertain, Verdict: true}}))
	change(t, d.Store, r.ID, db.RunChange{State: db.RunStopped, Note: "wrong text"})
	if n := hold(t, d.Store, r.ID); n != 7 {
		t.Errorf("%d held", n)
	}
	must(t, d.Store.Settle(ctx, accepted(taken[2].Lease)))
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: taken[3].Lease, Change: db.Change{State: db.Queued, Verdict: true, Wait: time.Hour}}))
	if rows := claimAll(t, d.Store, 10); len(rows) != 0 {
		t.Errorf("%d were taken", len(rows))
	}
	if got := columns(t, d, "state, held"); got != "sent 0,uncertain 2,sent 2,queued 2,queued 2,queued 2,queued 2,queued 2,queued 2,queued 2" {
		t.Error(got)
	}
	reconcile(t, d.Store, r.ID)
	if got := runCounts(t, d.Store, r.ID); got != "1 2/0/0/0/0/0/0/0" {
		t.Error(got)
	}
	if n := hold(t, d.Store, r.ID); n != 0 {
		t.Errorf("%d held again", n)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, Allowed: &all})
	if n := release(t, d.Store, r.ID); n != 8 {
		t.Errorf("%d released", n)
	}
	if n := sendAll(t, d.Store); n != 6 { // one waits for its next try
		t.Errorf("%d sent", n)
	}
	if got := columns(t, d, "state, held"); got != "sent 0,uncertain 0,sent 2,queued 0,sent 0,sent 0,sent 0,sent 0,sent 0,sent 0" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT available_at > NOW() + INTERVAL 50 MINUTE FROM {db}.outbox WHERE id = 4`); got != "1" {
		t.Error("a resumed run does not wait for the next try")
	}
}

func TestCancelledRunEndsAllItsMails(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 10, db.RunSending)
	few := int64(6)
	change(t, d.Store, r.ID, db.RunChange{Allowed: &few})
	release(t, d.Store, r.ID)
	taken := claimAll(t, d.Store, 3)
	must(t, d.Store.Settle(ctx, accepted(taken[0].Lease)))
	must(t, d.Store.Hold(ctx, 9, "look"))
	change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
	if n := cancel(t, d.Store, r.ID); n != 7 {
		t.Errorf("%d cancelled", n)
	}
	if got := runCounts(t, d.Store, r.ID); got != "6 1/0/0/0/0/7/0/0" { // counted at once
		t.Error(got)
	}
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: taken[1].Lease, Change: db.Change{State: db.Queued, Verdict: true}}))
	if rows := claimAll(t, d.Store, 10); len(rows) != 0 {
		t.Errorf("%d were taken", len(rows))
	}
	if n := cancel(t, d.Store, r.ID); n != 1 {
		t.Errorf("%d cancelled that came back", n)
	}
	if n := cancel(t, d.Store, r.ID); n != 0 {
		t.Errorf("%d cancelled twice", n)
	}
	must(t, d.Store.Settle(ctx, accepted(taken[2].Lease)))
	reconcile(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelled})
	if got := runCounts(t, d.Store, r.ID); got != "6 2/0/0/0/0/8/0/0" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), SUM(held), MIN(last_error)) FROM {db}.outbox WHERE state = 'cancelled'`); got != "8 0 eva has stopped it" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(outbox_id ORDER BY outbox_id) FROM {db}.outbox_key`); got != "1,3" {
		t.Errorf("keys are used up by %s", got)
	}
}

// Each end is counted in its column, once; what was not mailed frees its key; what nobody has told the company's tables is to be told.
func TestEveryEndIsCounted(t *testing.T) {
	d := dbtest.New(t)
	r := mailing(t, d, 12, db.RunSending)
	for i, state := range []string{"sent", "partial", "failed", "skipped", "suppressed", "cancelled", "expired", "uncertain", "queued"} {
		d.Exec(t, `UPDATE {db}.outbox SET state = ?, last_error = 'why', sent_at = IF(state = 'sent', NOW(), NULL) WHERE id = ?`, state, i+1)
	}
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id = 10`)
	d.Exec(t, `UPDATE {db}.outbox SET state = 'sent' WHERE id > 10`)
	d.Exec(t, `UPDATE {db}.outbox_run_mail SET written = 1 WHERE outbox_id = 11`) // told with the outcome
	d.Exec(t, `UPDATE {db}.outbox_key SET outbox_id = 99 WHERE value = '3'`)      // another mail has used it up
	for _, want := range []int{10, 0} {
		if n := reconcile(t, d.Store, r.ID); n != want {
			t.Errorf("%d counted, want %d", n, want)
		}
	}
	if got := runCounts(t, d.Store, r.ID); got != "0 3/1/1/1/1/1/1/1" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(value ORDER BY CAST(value AS UNSIGNED)) FROM {db}.outbox_key`); got != "1,2,3,8,9,11,12" {
		t.Errorf("keys: %s", got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', outbox_id, run_id, event) ORDER BY outbox_id) FROM {db}.outbox_writeback`); got != "1 1 sent,2 1 sent,3 1 failed,7 1 failed,12 1 sent" {
		t.Errorf("to be told: %s", got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(outbox_id ORDER BY outbox_id) FROM {db}.outbox_run_mail WHERE written = 1`); got != "1,2,3,7,11,12" {
		t.Errorf("told: %s", got)
	}
	d.Exec(t, `UPDATE {db}.outbox_writeback SET last_error = 'locked' WHERE outbox_id = 1`)
	d.Exec(t, `DELETE FROM {db}.outbox_writeback WHERE outbox_id = 2`)
	var got []string
	list, err := d.Store.RunMails(deadline(t), r.ID, db.RunMailFilter{})
	must(t, err)
	for _, m := range list {
		got = append(got, fmt.Sprintf("%d %s %s %v %q", m.ID, m.Key, m.State, m.Held, m.WriteBack))
	}
	want := `1 1 sent false "waits: locked",2 2 partial false "done",3 3 failed false "waits: not tried yet",4 4 skipped false "",5 5 suppressed false "",6 6 cancelled false "",` +
		`7 7 expired false "waits: not tried yet",8 8 uncertain false "",9 9 queued true "",10 10 gone false "",11 11 sent false "done",12 12 sent false "waits: not tried yet"`
	if strings.Join(got, ",") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
	}
	failed, err := d.Store.RunMails(deadline(t), r.ID, db.RunMailFilter{Failed: true, After: 2, Limit: 3})
	must(t, err)
	if len(failed) != 3 || failed[0].ID != 3 || failed[2].ID != 5 || failed[0].LastError != "why" || failed[0].Recipients == "" || failed[0].Reference != "customer:3" {
		t.Errorf("%+v", failed)
	}
}

// A period's key is used up by a mail that was mailed, and by that alone.
func TestP7_RetriedMailOfARun(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 3, db.RunSending)
	release(t, d.Store, r.ID)
	for i, row := range claimAll(t, d.Store, 3) {
		s := accepted(row.Lease)
		if i > 0 {
			s.Change, s.Attempt = db.Change{State: db.Failed, Verdict: true, LastError: "no such user"}, nil
		}
		must(t, d.Store.Settle(ctx, s))
	}
	must(t, d.Store.Retry(ctx, 2)) // before it was counted
	reconcile(t, d.Store, r.ID)
	if got := runCounts(t, d.Store, r.ID); got != "3 1/0/1/0/0/0/0/0" {
		t.Error(got)
	}
	sendAll(t, d.Store)
	reconcile(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	if got := runCounts(t, d.Store, r.ID); got != "3 2/0/1/0/0/0/0/0" {
		t.Error(got)
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET scheduled_at = scheduled_at`)
	must(t, d.Store.Retry(ctx, 3)) // the run goes on with it
	if got := run(t, d.Store, r.ID); got.State != db.RunSending || got.EndedAt != nil || got.Failed != 0 || got.Note != "mail 3 goes again" {
		t.Errorf("%+v", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox_key WHERE value = '3' AND outbox_id = 3), (SELECT COUNT(*) FROM {db}.outbox_writeback WHERE outbox_id = 3),
		(SELECT written FROM {db}.outbox_run_mail WHERE outbox_id = 3))`); got != "1 0 0" {
		t.Errorf("key, to be told, told: %s", got)
	}
	row := one(t, d.Store)
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Failed, Verdict: true}}))
	reconcile(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	d.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('statements', '3', '2026-03', 99, NOW())`) // a later run has mailed it
	var state *db.StateError
	if err := d.Store.Retry(ctx, 3); !errors.As(err, &state) || !strings.Contains(err.Error(), "its key 3 was mailed in 2026-03 by mail 99") {
		t.Errorf("retried: %v", err)
	}
	if got := run(t, d.Store, r.ID); got.State != db.RunDone || got.Failed != 1 {
		t.Errorf("%+v", got)
	}
	if err := d.Store.Retry(ctx, 1); !errors.As(err, &state) {
		t.Errorf("a sent one: %v", err)
	}
	if got := runCounts(t, d.Store, r.ID); got != "3 2/0/1/0/0/0/0/0" {
		t.Error(got)
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET state = 'cancelled'`)
	if err := d.Store.Retry(ctx, 3); !errors.As(err, &state) || !strings.Contains(err.Error(), "its run 1 is cancelled") {
		t.Errorf("of a cancelled run: %v", err)
	}
}

// What a run holds a person does not release beside it; what a person holds stays held when the run goes.
func TestPeopleAndARunHoldTheSameMails(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 6, db.RunHeld)
	for _, c := range []struct {
		state db.RunState
		says  string
	}{{db.RunHeld, "its run 1 waits for approval: outboxd mailing approve 1"}, {db.RunStopped, "its run 1 was stopped: outboxd mailing resume 1"},
		{db.RunCancelling, "its run 1 is being cancelled"}, {db.RunSending, "its run 1 lets its mails go by itself"}} {
		d.Exec(t, `UPDATE {db}.outbox_run SET state = ?`, c.state)
		for name, do := range map[string]func(context.Context, uint64) error{"release": d.Store.Release, "retry": d.Store.Retry} {
			var state *db.StateError
			if err := do(ctx, 1); !errors.As(err, &state) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s in %s: %v", name, c.state, err)
			}
		}
	}
	must(t, d.Store.Hold(ctx, 2, "look")) // held by the run before
	must(t, d.Store.Hold(ctx, 5, "look"))
	release(t, d.Store, r.ID)
	must(t, d.Store.Hold(ctx, 3, "look")) // it was let go
	if got := columns(t, d, "held"); got != "0,1,1,0,1,0" {
		t.Errorf("held: %s", got)
	}
	must(t, d.Store.Release(ctx, 2)) // the run has gone by it
	if got := runCounts(t, d.Store, r.ID); !strings.HasPrefix(got, "4 ") {
		t.Error(got)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunStopped})
	must(t, d.Store.Release(ctx, 3)) // to the run, which is stopped
	if got := columns(t, d, "held"); got != "0,0,2,0,1,0" {
		t.Errorf("held: %s", got)
	}
	hold(t, d.Store, r.ID)
	insert(t, d, 1, "kunde.example")
	newest, err := strconv.ParseUint(d.Read(t, `SELECT MAX(id) FROM {db}.outbox`), 10, 64)
	must(t, err)
	must(t, d.Store.Hold(ctx, newest, "look"))
	if last, n, err := d.Store.ReleaseHeld(ctx, db.HeldRows{Limit: 100}); last != newest || n != 2 || err != nil {
		t.Errorf("%d %d %v", last, n, err)
	}
	if got := columns(t, d, "held"); got != "2,2,2,2,2,2,0" {
		t.Errorf("held: %s", got)
	}
	if got := runCounts(t, d.Store, r.ID); !strings.HasPrefix(got, "0 ") {
		t.Error(got)
	}
	must(t, d.Store.Hold(ctx, 4, "look"))
	if _, n, err := d.Store.CancelHeld(ctx, db.HeldRows{Limit: 100}, "no"); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	must(t, d.Store.Cancel(ctx, 5, "no"))
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending})
	if n := release(t, d.Store, r.ID); n != 4 {
		t.Errorf("%d released", n)
	}
}

func TestPeopleSeeOfWhichRunAMailIs(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	mailing(t, d, 1, db.RunHeld)
	shown, err := d.Store.Show(ctx, 1)
	must(t, err)
	insert(t, d, 1, "kunde.example")
	found, err := d.Store.Find(ctx, db.Filter{})
	must(t, err)
	if len(found) != 2 || found[1].Run != 1 || !found[1].Held || found[0].Run != 0 || shown.Run != 1 || !shown.HeldByRun || !shown.Held {
		t.Errorf("%+v, %+v", found, shown)
	}
}

// A run whose row was deleted by hand holds nobody's mail back for ever.
func TestMailOfARunThatIsGone(t *testing.T) {
	d := dbtest.New(t)
	mailing(t, d, 1, db.RunHeld)
	d.Exec(t, `DELETE FROM {db}.outbox_run`)
	must(t, d.Store.Release(deadline(t), 1))
	one(t, d.Store)
}

// P8: what an adoption holds of a run goes with the run, not before.
func TestP8_AdoptionHoldsForTheRun(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := mailing(t, d, 4, db.RunSending)
	insert(t, d, 1, "kunde.example")
	few := int64(2)
	change(t, d.Store, r.ID, db.RunChange{Allowed: &few})
	release(t, d.Store, r.ID)
	open, err := d.Store.AdoptOpen(ctx)
	must(t, err)
	must(t, d.Store.Adopt(ctx, open, func(rows []db.AdoptedRow) (all []db.Adoption) {
		for _, row := range rows {
			all = append(all, db.Adoption{ID: row.ID, State: db.Queued, Held: true, LastError: "adopted"})
		}
		return all
	}))
	if got := columns(t, d, "held, COALESCE(last_error, '-')"); got != "2 -,2 -,2 -,2 -,1 adopted" {
		t.Error(got)
	}
	if n, err := d.Store.AdoptRelease(ctx, "adopted"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunStopped})
	hold(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending})
	if n := release(t, d.Store, r.ID); n != 2 {
		t.Errorf("%d released", n)
	}
}
