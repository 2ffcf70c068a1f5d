package jobs

import (
	"context"
	"fmt"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// MailingApproveRequest names a run that is to go.
type MailingApproveRequest struct {
	By
	Run string `json:"run"`
}

// MailingStopRequest names a run that is to send nothing more, for now or, with Cancel, for good.
type MailingStopRequest struct {
	By
	Run    string `json:"run"`
	Cancel bool   `json:"cancel,omitempty"`
}

// MailingResumeRequest names a run that is to go on, or to begin where that was asked.
type MailingResumeRequest struct {
	By
	Run string `json:"run"`
}

// MailingApprove lets a held run go.
func (d *Desk) MailingApprove(ctx context.Context, q MailingApproveRequest) (RunInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, r, err := d.run(ctx, q.Run)
	if err != nil {
		return RunInfo{}, err
	}
	if err := d.notFenced(ctx, p); err != nil {
		return RunInfo{}, err
	}
	how := approval{Actor: q.actor(), How: "by command", Reason: q.Reason}
	if err := approve(ctx, d.world, p, r, personOf(p.Company, q.actor()), how); err != nil {
		return RunInfo{}, err
	}
	return d.runNow(ctx, p, r.ID)
}

// MailingStop has a run send nothing more: what is on its way ends, the rest waits for MailingResume; with Cancel the rest is ended.
func (d *Desk) MailingStop(ctx context.Context, q MailingStopRequest) (RunInfo, error) {
	name := "mailing stop"
	if q.Cancel {
		name = "mailing cancel"
	}
	return d.changeRun(ctx, q.By, q.Run, name, func(p *Place, r db.Run, who *jobfile.Person) (db.RunChange, error) {
		switch {
		case q.Cancel && r.State == db.RunAsked: // there is nothing yet that could be ended
			return db.RunChange{State: db.RunSkipped, From: []db.RunState{r.State}, Note: q.runNote("left out", who)}, nil
		case q.Cancel && r.State.Open() && r.State != db.RunCancelling:
			return db.RunChange{State: db.RunCancelling, From: []db.RunState{r.State}, EndsAs: db.RunCancelled, Note: q.runNote("cancelled", who)}, nil
		case q.Cancel:
			return db.RunChange{}, runStateError(p, r, "only a run that has not ended can be cancelled")
		case r.State == db.RunSending || r.State == db.RunRunning:
			return db.RunChange{State: db.RunStopped, From: []db.RunState{r.State}, Note: q.runNote("stopped", who)}, nil
		}
		return db.RunChange{}, runStateError(p, r, "nothing of it is going, so there is nothing to stop")
	})
}

// MailingResume has a stopped run go on, and a run begin that waits for a person to say so.
func (d *Desk) MailingResume(ctx context.Context, q MailingResumeRequest) (RunInfo, error) {
	return d.changeRun(ctx, q.By, q.Run, "mailing resume", func(p *Place, r db.Run, who *jobfile.Person) (db.RunChange, error) {
		if err := d.notFenced(ctx, p); err != nil {
			return db.RunChange{}, err
		}
		change := db.RunChange{From: []db.RunState{r.State}, Note: q.runNote("resumed", who)}
		switch {
		case r.State == db.RunAsked, r.State == db.RunStopped && r.Audience == nil: // its mails were not all made yet
			change.State = db.RunRunning
		case r.State == db.RunStopped:
			change.State = db.RunSending
		default:
			return change, runStateError(p, r, "only a stopped run can be resumed, and one that waits to be told whether to run")
		}
		return change, nil
	})
}

// runNote is the change as it stands in the run's note.
func (b By) runNote(done string, who *jobfile.Person) string {
	text := done + " by " + who.Name
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	return text
}

// changeRun makes a change that people may make who may start or approve: audited first.
func (d *Desk) changeRun(ctx context.Context, by By, name, action string, decide func(*Place, db.Run, *jobfile.Person) (db.RunChange, error)) (RunInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, r, err := d.run(ctx, name)
	if err != nil {
		return RunInfo{}, err
	}
	who := personOf(p.Company, by.actor())
	if !may(who, mayStart) && !may(who, mayApprove) {
		return RunInfo{}, forbidden(p.Company, by.actor(), who, "stop, resume and cancel mailings", mayStart, mayApprove)
	}
	if r.Kind == kindSQL && r.State.Open() && r.State != db.RunAsked {
		return RunInfo{}, &AskError{Text: fmt.Sprintf("the run %s is of a statement, which ends by itself", runName(p, r.ID)), Hint: "to end the statement now, kill it in the database (SHOW PROCESSLIST; KILL QUERY)"}
	}
	change, err := decide(p, r, who)
	if err != nil {
		return RunInfo{}, err
	}
	detail := fmt.Sprintf("as %s; it is %s, then %s", who.Name, r.State, change.State)
	if err := d.world.changeRun(ctx, p, r, by, action, detail, fmt.Sprintf("it was %s a moment ago; look, then ask again", r.State), change); err != nil {
		return RunInfo{}, err
	}
	return d.runNow(ctx, p, r.ID)
}
