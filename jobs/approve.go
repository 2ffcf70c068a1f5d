package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// approval is how a person has said that a run may go.
type approval struct {
	Actor  string // as the audit and outbox_run.approved_by have it: jan(1001) of a command, jan@10.0.0.5 of SQL, jan of a link
	How    string // for the audit: "by command", bySQL, "by link"
	Reason string
}

// bySQL is an approval that the database's own user has written into outbox_run.
const bySQL = "by SQL"

// approve lets a held run go, or its canary: exactly its rows, as they were pinned. Whether the person may is judged by the run, which
// names who may, and by jobs.yaml as it is now, which says who still has the right. It stands in the audit before it is done. An *AskError
// says why it is not done.
func approve(ctx context.Context, w *World, p *Place, r db.Run, who *jobfile.Person, how approval) error {
	if r.State != db.RunHeld {
		return runStateError(p, r, "only a held run can be approved")
	}
	spec, err := mailing.Parse(r.Spec)
	if err != nil {
		return &AskError{Text: fmt.Sprintf("the run %s cannot be understood: %v", runName(p, r.ID), err), Hint: "stop it with outboxd mailing stop --cancel, and start it anew", Err: err}
	}
	if err := mayApproveRun(p.Company, r, spec, who, how.Actor); err != nil {
		return err
	}
	change := db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: approvedBy(who, how),
		Note: joinNotes(againNote(r.Note), By{Reason: how.Reason}.runNote("approved", who))}
	detail := how.How + " as " + who.Name
	if spec.Canary != nil {
		change.Allowed = &spec.Canary.First
		detail += fmt.Sprintf("; the first %d go, the others after them", spec.Canary.First)
	}
	return w.changeRun(ctx, p, r, By{Actor: how.Actor, Reason: how.Reason}, "mailing approve", detail, "only a held run can be approved", change)
}

// changeRun makes a person's change of a run: audited first, and where somebody was faster that stands in the audit too. needs says then what
// the change would have wanted.
func (w *World) changeRun(ctx context.Context, p *Place, r db.Run, by By, action, detail, needs string, change db.RunChange) error {
	name := runName(p, r.ID)
	if err := w.audit(ctx, by, action, name, detail); err != nil {
		return err
	}
	changed, err := p.Store.ChangeRun(ctx, r.ID, change)
	switch {
	case err == nil && changed:
		return nil
	case err != nil:
		err = runError(p, r.ID, err)
	default:
		err = runMoved(ctx, p, r.ID, needs)
	}
	// The entry above promises more than was done. Without this second one it is still true that it was asked.
	return errors.Join(err, w.audit(ctx, by, action, name, "not done: "+err.Error()))
}

// approvedBy is what the run says of who approved it: the person, or the database's own user as it stands there already.
func approvedBy(who *jobfile.Person, how approval) string {
	if how.How == bySQL {
		return how.Actor
	}
	return who.Name
}

// mayApproveRun tells whether a person may approve a run.
func mayApproveRun(c *jobfile.Company, r db.Run, spec mailing.Spec, who *jobfile.Person, actor string) error {
	if !may(who, mayApprove) {
		return forbidden(c, actor, who, "approve mailings", mayApprove)
	}
	if spec.Approval == nil {
		return nil
	}
	others := ""
	if named := spec.Approval.Names(r.StartedBy); len(named) > 0 {
		others = strings.Join(whoMay(c, mayApprove, named), ", ")
	}
	if others == "" {
		others = "nobody; name somebody in approval: {by: [...]} of " + r.Job + " in jobs.yaml, who has the right approve, cancel the run and start it anew"
	}
	switch {
	case !slices.Contains(spec.Approval.By, who.Name):
		return &AskError{Text: fmt.Sprintf("%s may approve mailings of %s, but is not named for this run", who.Name, c.Name), Hint: "who may: " + others}
	case r.StartedBy == who.Name && !spec.Approval.Starter:
		return &AskError{Text: fmt.Sprintf("%s has started this run, and whoever starts one may not approve it", who.Name),
			Hint: "who may: " + others + " (approval: {starter: yes} in jobs.yaml lets the starter, from the next run on)"}
	}
	return nil
}

// approvers are those who may let a run go that somebody has started.
func approvers(a *mailing.Approval, startedBy string) string {
	return cmp.Or(orList(a.Names(startedBy)), "nobody (whoever starts a run may not approve it)")
}

// otherwise is what becomes of a run whose time for an approval is over.
func otherwise(a *mailing.Approval) string {
	if a.Else == jobfile.Go {
		return "it goes all the same"
	}
	return "it is cancelled"
}

// waitsForApproval is what a held run waits for.
func waitsForApproval(a *mailing.Approval, startedBy string) string {
	if a == nil {
		return "waits for an approval"
	}
	text := "waits for the approval of " + approvers(a, startedBy)
	if a.Within == 0 {
		return text
	}
	return text + ", for " + lengthText(a.Within) + "; then " + otherwise(a)
}
