package jobs

import (
	"context"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// checkedSamples are as many mails as are made before any of a run goes: the first one of each language, and others from its first to its last.
const checkedSamples = 3

// pinTemplates keeps what the run's mails are made of, before the first of them is enqueued. A run that is gone on with has that already.
func (f *filler) pinTemplates(ctx context.Context) error {
	if f.run.Templates != "" || f.spec.Kind == mailing.KindReport {
		return nil
	}
	hash, err := pinTemplates(ctx, f.k.c.place, f.spec)
	if err != nil {
		return err
	}
	changed, err := f.k.store.ChangeRun(ctx, f.run.ID, db.RunChange{From: []db.RunState{db.RunRunning}, Token: f.run.Token, Templates: &hash})
	if err == nil && !changed {
		err = &db.RunLostError{Run: f.run}
	}
	f.run.Templates = hash
	return err
}

// reportRow makes the one mail of a report.
func (f *filler) reportRow(ctx context.Context) error {
	m, err := reportMail(ctx, f.world.File, f.k.c.place, f.run, f.spec, f.k.c.sources)
	if err == nil {
		err = f.put(ctx, []db.NewMail{m})
	}
	if err != nil {
		return err
	}
	f.shown = []db.NewMail{m}
	return f.ready(ctx, 1)
}

// count says who would get what, as a plan does, and chooses the mails that are to show whether any can be made.
func (f *filler) count(ctx context.Context) (err error) {
	samples, now := checkedSamples, f.k.now()
	if f.spec.Proof != nil {
		samples = max(samples, f.spec.Proof.Samples)
	}
	var lines []int64
	f.figures, lines, err = f.world.figures(ctx, f.k.c.place, f.spool, f.spec, f.run, samples, later(now, jobfile.At(f.run.Scheduled, f.k.c.place.Company.Timezone)), now)
	if err == nil {
		f.shown, err = f.spool.Lines(ctx, lines)
	}
	return err
}

// proofs makes mails of some rows by the code that sends them: where one cannot be made the run fails. It returns the proof's mails.
func (f *filler) proofs(ctx context.Context) ([]db.NewMail, error) {
	made, err := sampleMails(ctx, f.world.File, f.k.c.place, f.k.now, f.run, f.spec, f.shown)
	if err != nil || f.spec.Kind == mailing.KindReport || f.spec.Proof == nil && f.spec.Approval == nil || f.figures.Sendable == 0 {
		return nil, err // of a run with nothing to send the summary tells
	}
	if f.spec.Proof != nil {
		made = someOf(made, f.spec.Proof.Samples)
	}
	p := &proof{file: f.world.File, place: f.k.c.place, run: f.run, spec: f.spec, figures: f.figures, samples: made, now: f.k.now()}
	if f.world.File.Public != nil && f.spec.Approval != nil {
		f.link = newLinkKey()
		p.link = func(who *jobfile.Person) string {
			return approvalURL(f.world.File.Public, f.link, f.k.c.name, f.run.ID, who.Name)
		}
	}
	return p.mails()
}

// someOf are as many samples as a proof is to show: the first ones, and the first of each language.
func someOf(made []Sample, n int) (some []Sample) {
	languages := map[string]bool{}
	for _, s := range made {
		if n > 0 && (len(some) < n || !languages[s.Language]) {
			some = append(some, s)
			languages[s.Language] = true
		}
	}
	return some
}

// summaries are the mails that tell how the run has ended.
func (h *hand) summaries(ctx context.Context, r db.Run) ([]db.NewMail, error) {
	return summaryMails(ctx, h.k.c.place, r, h.spec)
}
