package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// held waits for a person: one who has approved by SQL is asked for here, and the time that they have ends here.
func (h *hand) held(stop context.Context) error {
	if h.run.ApprovedBy != "" {
		return h.approvedBySQL(stop)
	}
	until, a := h.run.DecideUntil, h.spec.Approval
	if until == nil || a == nil {
		return nil
	}
	now, err := h.k.store.Clock(stop)
	if err != nil || now.Before(*until) {
		return err
	}
	change := db.RunChange{State: db.RunCancelling, From: []db.RunState{db.RunHeld}, EndsAs: db.RunCancelled,
		Note: fmt.Sprintf("cancelled: not approved within %s by %s", lengthText(a.Within), approvers(a, h.run.StartedBy))}
	if a.Else == jobfile.Go {
		change = db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, Allowed: h.canary(), ApprovedBy: approvedByNobody,
			Note: fmt.Sprintf("went without an approval: none came within %s from %s", lengthText(a.Within), approvers(a, h.run.StartedBy))}
	}
	changed, err := h.change(stop, change)
	if err != nil || !changed {
		return err
	}
	h.log.Warn(eventRunDecided, zap.String("state", string(change.State)), zap.String("note", change.Note))
	h.news("was not approved in time", change.Note, "outboxd mailing report "+h.name())
	return nil
}

// approvedByNobody stands in a run with an approval that goes without one: nobody answered in time, or no mail of it can be sent.
const approvedByNobody = "outboxd"

// within is how long a run waits for its approval; nil: for ever.
func within(a *mailing.Approval) *time.Duration {
	if a.Within == 0 {
		return nil
	}
	return &a.Within
}

// canary is how many rows of a run may go first: all where it has none.
func (h *hand) canary() *int64 {
	if h.spec.Canary == nil {
		return allMails()
	}
	return &h.spec.Canary.First
}

// approvedBySQL lets the run go if the database's user who has approved it is a person with the right; else the approval is taken
// back, and a person is told.
func (h *hand) approvedBySQL(stop context.Context) error {
	c := h.k.c
	who := personOfDatabase(c.place.Company, h.run.ApprovedBy)
	err := error(&AskError{Text: fmt.Sprintf("%s is the database user of none of the people of %s", h.run.ApprovedBy, c.name),
		Hint: "companies: " + c.name + ": people: NAME: {database_user: USER} in jobs.yaml says who is who"})
	if who != nil {
		err = approve(context.WithoutCancel(stop), c.e.currentWorld(), c.place, h.run, who, approval{Actor: h.run.ApprovedBy, How: "by SQL"})
	}
	ask, isAsk := errors.AsType[*AskError](err)
	switch {
	case err == nil:
		h.log.Info(eventRunApproved, zap.String("by", h.run.ApprovedBy), zap.String("how", "SQL"))
		h.k.poke()
		return nil
	case !isAsk || ask.Err != nil:
		return err
	}
	note := joinNotes(fmt.Sprintf("the approval of %s does not count: %s", h.run.ApprovedBy, ask.Text), waitsForApproval(h.spec.Approval, h.run.StartedBy))
	changed, err := h.change(stop, db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunHeld}, Unapprove: true, Note: note})
	if err != nil || !changed {
		return err
	}
	h.log.Warn(eventApprovalRefused, zap.String("by", h.run.ApprovedBy), zap.String("reason", ask.Text))
	h.news("was approved by somebody who may not", note+"\n\n"+ask.Hint, "outboxd mailing approve "+h.name())
	return nil
}

// send lets rows go, as many as may.
func (h *hand) send(stop context.Context) error {
	if h.run.Audience == nil { // it was stopped while its rows were made, and resumed
		_, err := h.change(stop, db.RunChange{State: db.RunRunning, From: []db.RunState{db.RunSending}})
		return err
	}
	if h.spec.Approval != nil && h.run.ApprovedAt == nil { // it was stopped while it waited, and resumed
		_, err := h.change(stop, db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunSending}, Note: waitsForApproval(h.spec.Approval, h.run.StartedBy), DecideUntil: within(h.spec.Approval)})
		return err
	}
	if h.run.Allowed != nil && h.run.Released >= *h.run.Allowed {
		return h.judge(stop)
	}
	return h.release(stop)
}

// release lets go as many rows as may.
func (h *hand) release(stop context.Context) error {
	before := h.run.Released
	err := h.inSteps(stop, func(ctx context.Context) (bool, error) {
		n, end, err := h.k.store.ReleaseRun(ctx, h.run.ID, stepRows)
		h.run.Released += int64(n)
		return end, err
	})
	if n := h.run.Released - before; n > 0 {
		h.log.Info(eventRunReleased, zap.Int64("rows", n), zap.Int64("in_all", h.run.Released))
		h.k.c.stir()
	}
	return err
}

// judge looks how the first rows did that went alone: the others follow, or the run is stopped. Rows of them that wait for a server, or for a
// person, are waited for.
func (h *hand) judge(stop context.Context) error {
	c := h.spec.Canary
	if c == nil { // a person has set how many may go
		return nil
	}
	begun := time.Now()
	first, err := h.first(stop)
	h.rest = min(sweepShare*time.Since(begun), lookAgain)
	if err != nil || first.Open > 0 || first.Rest < c.Wait {
		return err
	}
	text := fmt.Sprintf("of the first %d mails %s", first.Ended, badText(first))
	if !c.Stops(first.Ended, first.Refused+first.Bounced) {
		changed, err := h.change(stop, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunSending}, Allowed: allMails(), Note: text + ": the others follow"})
		if changed {
			h.log.Info(eventRunCanary, zap.Int64("mails", first.Ended), zap.Int64("refused", first.Refused), zap.Int64("bounced", first.Bounced))
			h.k.poke()
		}
		return err
	}
	note := fmt.Sprintf("stopped: %s, more than %g %% (canary)", text, c.StopAbove)
	changed, err := h.change(stop, db.RunChange{State: db.RunStopped, From: []db.RunState{db.RunSending}, Allowed: allMails(), Note: note})
	if err != nil || !changed {
		return err
	}
	h.log.Warn(eventRunStopped, zap.Int64("mails", first.Ended), zap.Int64("refused", first.Refused), zap.Int64("bounced", first.Bounced), zap.String("note", note))
	h.news("is stopped", note+".\n\nThe others wait.", fmt.Sprintf("outboxd mailing report %[1]s --failed shows what was refused or came back, and why; then outboxd mailing resume %[1]s lets the others go, or outboxd mailing stop --cancel %[1]s ends it", h.name()))
	return nil
}

// badText says how many of the first mails did not do well.
func badText(first db.RunFirst) string {
	refused, back := fmt.Sprintf("%d were refused", first.Refused), fmt.Sprintf("%d came back", first.Bounced)
	if first.Refused == 1 {
		refused = "1 was refused"
	}
	switch {
	case first.Bounced == 0:
		return refused
	case first.Refused == 0:
		return back
	}
	return refused + " and " + back
}

// first tells how the mails did that went first. After a stop and a resume the run does not know any more which ones those are: it
// looks for the next one that may not go yet, as if it let some go.
func (h *hand) first(stop context.Context) (db.RunFirst, error) {
	first, err := h.k.store.RunFirst(stop, h.run.ID)
	if err != nil || first.Open+first.Ended > 0 {
		return first, err
	}
	if err := h.release(stop); err != nil {
		return first, err
	}
	return h.k.store.RunFirst(stop, h.run.ID)
}

func allMails() *int64 {
	all := int64(db.AllMails)
	return &all
}
