package db_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// P7: where the reply to a COMMIT gets lost, there is one run all the same, and whoever began it is told.
func TestP7_RunBegunWithALostReply(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	for _, lose := range losses {
		for _, n := range []db.NewRun{purgeAt(scheduled), statements(scheduled)} {
			d.Exec(t, "DELETE FROM {db}.outbox_run")
			c.arm(commit, lose)
			r, err := far.Store.BeginRun(ctx, n, me)
			if !c.spent() {
				t.Fatal("the connection was not cut")
			}
			there := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run FOR UPDATE`) // waits for a COMMIT that the server may still hold
			if lose == replyLost && (err != nil || r == nil) || (r != nil) != (err == nil) || r != nil && there != "1" || lose == statementLost && there != "0" {
				t.Errorf("%s, %s: %+v, %v, %s runs", lose, n.Kind, r, err, there)
			}
			if again, err := far.Store.BeginRun(ctx, n, me); err != nil || (again == nil) != (there == "1") {
				t.Errorf("%s, %s: again %+v, %v", lose, n.Kind, again, err)
			}
		}
	}
}

// A change comes with its mails or not at all, and with them once.
func TestChangeOfARunWithALostReply(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	proof := db.NewMail{Recipients: "eva@acme.example", Subject: "Proof", Text: "Text", Account: "system", Attachments: []db.NewAttachment{{Name: "1.eml", Content: []byte("mail")}}}
	for i, lose := range losses {
		r := mailing(t, d, 0, db.RunHeld)
		c.arm(commit, lose)
		changed, err := far.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: "jan"}, proof, proof)
		state := run(t, d.Store, r.ID).State
		if !c.spent() || changed != (err == nil) || changed && state != db.RunSending || lose == replyLost && !changed || lose == statementLost && state != db.RunHeld {
			t.Errorf("%s: changed %v, %v, it is %s", lose, changed, err, state)
		}
		again, err := far.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: "jan"}, proof, proof)
		if err != nil || again != (state == db.RunHeld) {
			t.Errorf("%s: again %v, %v", lose, again, err)
		}
		if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), SUM(state = 'queued' AND held = 0 AND account = 'system' AND run_id IS NULL), (SELECT COUNT(*) FROM {db}.outbox_attachment)) FROM {db}.outbox`); got != fmt.Sprintf("%d %[1]d %[1]d", 2*(i+1)) {
			t.Errorf("%s: mails %s", lose, got)
		}
		change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	}
	r := mailing(t, d, 0, db.RunHeld)
	if changed, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunHeld, Note: "x"}, proof); err != nil || changed {
		t.Errorf("mails of a change that changes no state: %v, %v", changed, err)
	}
	if _, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{Note: "x"}, proof); err == nil {
		t.Error("mails of a change without a state")
	}
}

// Each step of a run, cut off at its COMMIT in each way and made again, does its work once.
func TestStepsOfARunWithLostReplies(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	// cut makes a step until it is at its end; each one that writes is cut off first.
	cut := func(lose loss, step func() (bool, error)) {
		t.Helper()
		for {
			c.arm(commit, lose)
			end, err := step()
			if err != nil {
				end, err = step()
			}
			must(t, err)
			if end {
				c.disarm()
				return
			}
		}
	}
	for _, lose := range losses {
		r := mailing(t, d, 25, db.RunHeld)
		few, all := int64(12), int64(db.AllMails)
		change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, Allowed: &few})
		release := func() (bool, error) { _, end, err := far.Store.ReleaseRun(ctx, r.ID, 4); return end, err }
		count := func() (bool, error) {
			next, _, err := far.Store.ReconcileRun(ctx, r.ID, 0, 100)
			return next == 0, err
		}
		cut(lose, release)
		if got := runCounts(t, d.Store, r.ID); !strings.HasPrefix(got, "12 ") {
			t.Errorf("%s: released %s", lose, got)
		}
		if n := sendAll(t, d.Store); n != 12 {
			t.Errorf("%s: %d sent", lose, n)
		}
		change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, Allowed: &all})
		cut(lose, release)
		change(t, d.Store, r.ID, db.RunChange{State: db.RunStopped})
		cut(lose, func() (bool, error) { _, end, err := far.Store.HoldRun(ctx, r.ID, 4); return end, err })
		cut(lose, count)
		if got := runCounts(t, d.Store, r.ID); got != "12 12/0/0/0/0/0/0/0" {
			t.Errorf("%s: %s", lose, got)
		}
		change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
		cut(lose, func() (bool, error) { _, end, err := far.Store.CancelRun(ctx, r.ID, "no", 4); return end, err })
		cut(lose, count)
		change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelled})
		if got := runCounts(t, d.Store, r.ID); got != "12 12/0/0/0/0/13/0/0" {
			t.Errorf("%s: %s", lose, got)
		}
	}
}

// disarm forgets a cut that was not made.
func (c *cutter) disarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.says = nil, nil
}

// Several keepers, senders and people at one run, over connections that break: every mail ends, and is counted once.
func TestP7_ManyAtOneRun(t *testing.T) {
	d := dbtest.New(t)
	var cutters []*cutter
	var stores []*db.Store
	for range 3 {
		c, far := through(t, d)
		cutters, stores = append(cutters, c), append(stores, far.Store)
	}
	manyAtOneRun(t, d, stores, func(keeper int, dice *rand.Rand) {
		if dice.IntN(3) == 0 {
			cutters[keeper].arm(commit, losses[dice.IntN(len(losses))])
		}
	})
}

// A cluster, and a deadlock, may end a transaction at any of its statements: the others of it do nothing then, and it is made again.
func TestStepsOfARunThatAreRolledBack(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	conflict := answer{1213, "40001", false}
	for _, at := range []string{" FOR UPDATE", "SELECT released_id", "m.state IS NULL AND", "SET held = 0", "SET released = released", commit} {
		r := mailing(t, d, 6, db.RunSending)
		c.answerTo(at, conflict)
		if n, _, err := far.Store.ReleaseRun(ctx, r.ID, 100); n != 6 || err != nil || !c.spent() {
			t.Errorf("let go, rolled back at %q: %d, %v", at, n, err)
		}
		if got := runCounts(t, d.Store, r.ID); !strings.HasPrefix(got, "6 ") {
			t.Errorf("rolled back at %q: %s", at, got)
		}
		d.Exec(t, `UPDATE {db}.outbox SET state = 'failed' WHERE run_id = ?`, r.ID)
		reconcile(t, d.Store, r.ID)
		change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	}
	for _, at := range []string{" FOR UPDATE", "outbox_run_mail SET state = 'failed'", "SET sent = sent +", "DELETE FROM", "outbox_writeback", "SET written = 1", commit} {
		r := mailing(t, d, 6, db.RunSending)
		d.Exec(t, `UPDATE {db}.outbox SET state = 'failed' WHERE run_id = ?`, r.ID)
		c.answerTo(at, conflict)
		if _, n, err := far.Store.ReconcileRun(ctx, r.ID, 0, 100); n != 6 || err != nil || !c.spent() {
			t.Errorf("counted, rolled back at %q: %d, %v", at, n, err)
		}
		if got := runCounts(t, d.Store, r.ID); got != "0 0/0/6/0/0/0/0/0" {
			t.Errorf("rolled back at %q: %s", at, got)
		}
		change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	}
	r := mailing(t, d, 6, db.RunSending)
	d.Exec(t, `UPDATE {db}.outbox SET state = 'failed' WHERE run_id = ?`, r.ID)
	reconcile(t, d.Store, r.ID)
	first := rows(t, d.Store, r.ID)[0].ID
	for i, at := range []string{"SELECT COALESCE(run_id, 0)", " FOR UPDATE", "SELECT outbox_id AS id, COALESCE(business_key", "INTO " + "`" + d.Name + "`.outbox_key", "SET sent = sent -", "outbox_purged", commit} {
		c.answerTo(at, conflict)
		must(t, far.Store.Retry(ctx, first))
		if got := run(t, d.Store, r.ID); !c.spent() || got.Failed != 5 {
			t.Errorf("%d: retried, rolled back at %q: %+v", i, at, got.RunCounts)
		}
		d.Exec(t, `UPDATE {db}.outbox SET state = 'failed' WHERE id = ?`, first)
		reconcile(t, d.Store, r.ID)
	}
}

// crowd is at one run.
type crowd struct {
	t     *testing.T
	d     *dbtest.Database
	run   uint64
	mails int
	first uint64 // number of a mail
	step  uint64 // between two
}

// done tells whether all mails have ended.
func (c *crowd) done() bool {
	return run(c.t, c.d.Store, c.run).Sum() == int64(c.mails)
}

// keeper lets go, holds and counts; what fails is made again.
func (c *crowd) keeper(s *db.Store, disturb func()) {
	ctx := deadline(c.t)
	for after := uint64(0); ctx.Err() == nil && !c.done(); {
		disturb()
		_, _, _ = s.ReleaseRun(ctx, c.run, 7)
		_, _, _ = s.HoldRun(ctx, c.run, 20)
		after, _, _ = s.ReconcileRun(ctx, c.run, after, 50)
	}
}

// sender sends some mails, fails others, and gives some back.
func (c *crowd) sender(s *db.Store, dice *rand.Rand) {
	ctx := deadline(c.t)
	for ctx.Err() == nil && !c.done() {
		for _, row := range claimAll(c.t, s, 5) {
			out := accepted(row.Lease)
			switch dice.IntN(4) {
			case 1:
				out.Change, out.Attempt = db.Change{State: db.Failed, Verdict: true, LastError: "no"}, nil
			case 2:
				out.Change, out.Attempt = db.Change{State: db.Queued, GivenBack: true}, nil
			}
			if err := s.Settle(ctx, out); err != nil {
				c.t.Error(err)
			}
		}
	}
}

// people retry, hold and release, which is refused where a mail's state does not allow it, and stop and resume the run.
func (c *crowd) people(dice *rand.Rand) {
	ctx, s := deadline(c.t), c.d.Store
	for range 150 {
		id := c.first + c.step*uint64(dice.IntN(c.mails))
		switch dice.IntN(4) {
		case 0:
			_ = s.Retry(ctx, id)
		case 1:
			_ = s.Hold(ctx, id, "look")
		default:
			_ = s.Release(ctx, id)
		}
		if dice.IntN(20) == 0 {
			_, err := s.ChangeRun(ctx, c.run, db.RunChange{State: db.RunStopped, From: []db.RunState{db.RunSending}})
			if err == nil {
				_, err = s.ChangeRun(ctx, c.run, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
			}
			if err != nil {
				c.t.Error(err)
			}
		}
	}
	for k := range uint64(c.mails) {
		_ = s.Release(ctx, c.first+c.step*k)
	}
}

// manyAtOneRun has a keeper and a sender at each store, and people at the first one.
func manyAtOneRun(t *testing.T, d *dbtest.Database, stores []*db.Store, disturb func(keeper int, dice *rand.Rand)) {
	t.Helper()
	c := &crowd{t: t, d: d, mails: 200}
	c.run = mailing(t, d, c.mails, db.RunSending).ID
	for to, query := range map[*uint64]string{&c.first: `SELECT MIN(id) FROM {db}.outbox`, &c.step: `SELECT @@auto_increment_increment`} {
		n, err := strconv.ParseUint(d.Read(t, query), 10, 64)
		must(t, err)
		*to = n
	}
	var all sync.WaitGroup
	for i, s := range stores {
		dice := rand.New(rand.NewPCG(7, uint64(i)))
		all.Go(func() { c.keeper(s, func() { disturb(i, dice) }) })
		all.Go(func() { c.sender(s, rand.New(rand.NewPCG(8, uint64(i)))) })
	}
	all.Go(func() { c.people(rand.New(rand.NewPCG(9, 0))) })
	all.Wait()
	reconcile(t, d.Store, c.run)
	got := run(t, d.Store, c.run)
	truth := d.Read(t, `SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'failed'), COUNT(*)) FROM {db}.outbox`)
	if counted := fmt.Sprintf("%d %d %d", got.Sent, got.Failed, c.mails); counted != truth {
		t.Errorf("counted %s, there are %s", counted, truth)
	}
	if keys := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_key`); keys != strconv.FormatInt(got.Sent, 10) {
		t.Errorf("%s keys of %d mails that were sent", keys, got.Sent)
	}
	if wrong := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run_mail m JOIN {db}.outbox o ON o.id = m.outbox_id WHERE m.state <> o.state OR m.state IS NULL`); wrong != "0" {
		t.Errorf("%s mails are counted as something else", wrong)
	}
}
