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
			there := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run`)
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

// manyAtOneRun has a keeper and a sender at each store, and people at the first one.
func manyAtOneRun(t *testing.T, d *dbtest.Database, stores []*db.Store, disturb func(keeper int, dice *rand.Rand)) {
	t.Helper()
	ctx := deadline(t)
	const n = 200
	r := mailing(t, d, n, db.RunSending)
	first, err := strconv.ParseUint(d.Read(t, `SELECT MIN(id) FROM {db}.outbox WHERE run_id = ?`, r.ID), 10, 64)
	must(t, err)
	step, err := strconv.ParseUint(d.Read(t, `SELECT @@auto_increment_increment`), 10, 64)
	must(t, err)
	done := func() bool { return ctx.Err() != nil || run(t, d.Store, r.ID).Sum() == n }
	var all sync.WaitGroup
	for i, s := range stores {
		dice := rand.New(rand.NewPCG(7, uint64(i)))
		all.Go(func() { // a keeper
			for after := uint64(0); !done(); {
				disturb(i, dice)
				_, _, _ = s.ReleaseRun(ctx, r.ID, 7) // what fails is made again
				_, _, _ = s.HoldRun(ctx, r.ID, 20)
				after, _, _ = s.ReconcileRun(ctx, r.ID, after, 50)
			}
		})
		all.Go(func() { // a sender
			dice := rand.New(rand.NewPCG(8, uint64(i)))
			for !done() {
				for _, row := range claimAll(t, stores[i], 5) {
					out := accepted(row.Lease)
					switch dice.IntN(4) {
					case 1:
						out.Change, out.Attempt = db.Change{State: db.Failed, Verdict: true, LastError: "no"}, nil
					case 2:
						out.Change, out.Attempt = db.Change{State: db.Queued, GivenBack: true}, nil
					}
					if err := s.Settle(ctx, out); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Go(func() { // people
		dice := rand.New(rand.NewPCG(7, 99))
		for range 150 {
			id := first + step*uint64(dice.IntN(n))
			switch dice.IntN(4) {
			case 0:
				_ = d.Store.Retry(ctx, id) // refused where the row's state does not allow it
			case 1:
				_ = d.Store.Hold(ctx, id, "look")
			default:
				_ = d.Store.Release(ctx, id)
			}
			if dice.IntN(20) == 0 {
				_, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunStopped, From: []db.RunState{db.RunSending}})
				if err == nil {
					_, err = d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
				}
				if err != nil {
					t.Error(err)
				}
			}
		}
		for id := range uint64(n) {
			_ = d.Store.Release(ctx, first+step*id)
		}
	})
	all.Wait()
	reconcile(t, d.Store, r.ID)
	got := run(t, d.Store, r.ID)
	truth := d.Read(t, `SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'failed'), COUNT(*)) FROM {db}.outbox`)
	if counted := fmt.Sprintf("%d %d %d", got.Sent, got.Failed, n); counted != truth {
		t.Errorf("counted %s, there are %s", counted, truth)
	}
	if keys := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_key`); keys != strconv.FormatInt(got.Sent, 10) {
		t.Errorf("%s keys of %d mails that were sent", keys, got.Sent)
	}
	if wrong := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run_mail m JOIN {db}.outbox o ON o.id = m.outbox_id WHERE m.state <> o.state OR m.state IS NULL`); wrong != "0" {
		t.Errorf("%s mails are counted as something else", wrong)
	}
}
