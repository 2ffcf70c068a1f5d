package jobs

import (
	"context"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// readAudience asks for the audience of a run, as the company's reader. An *mailing.AudienceError needs a person; any other error passes by
// itself. The spool is to be closed.
func readAudience(ctx context.Context, p *Place, spec mailing.Spec, scheduled time.Time) (*mailing.Spool, error) {
	if p.Reader == nil {
		return nil, noReader(spec)
	}
	return mailing.Read(ctx, p.Reader, p.Company.Database, spec, scheduled, db.ReadLimits{Time: p.Company.Reader.Time})
}

func noReader(spec mailing.Spec) error {
	return &mailing.AudienceError{Audience: spec.Audience, Kind: mailing.NoReader, Text: "the company has no database user that audiences may be read with",
		Remedy: "give the company a reader, or a login of its own, in jobs.yaml"}
}

// figures say who of an audience would get what, and when the last mail would have gone if the first went at start. Of a run that is there its
// own keys are no mails that went before; of a plan r has no number. The lines are those that show what goes: so many samples, among them the
// first of each language. Nothing is changed.
func (w *World) figures(ctx context.Context, p *Place, sp *mailing.Spool, spec mailing.Spec, r db.Run, samples int, start, now time.Time) (mailing.Figures, []int64, error) {
	counting := mailing.Counting{Account: senders(w.File, p.Company), Samples: samples, Nobody: p.list.nobody}
	if r.Period != "" {
		counting.Used = func(ctx context.Context, keys []string) (map[string]uint64, error) {
			return p.Store.KeysUsed(ctx, r, keys)
		}
	}
	f, lines, err := mailing.Count(ctx, sp, counting)
	if err != nil {
		return f, nil, err
	}
	before, err := p.Store.PreviousRun(ctx, r)
	if err != nil {
		return f, nil, err
	}
	if before != nil {
		f.Previous = before.Audience
	}
	f.Finish, f.FinishNote = w.estimate(ctx, p, f.Accounts, spec.Priority, start, now)
	return f, lines, nil
}

// senders tells which account sends a mail of the company.
func senders(file *jobfile.File, c *jobfile.Company) func(m db.NewMail) (string, error) {
	type sender struct{ account, from string }
	type answer struct {
		account string
		err     error
	}
	resolver, known := newResolver(file, c), map[sender]answer{}
	return func(m db.NewMail) (string, error) {
		key := sender{m.Account, m.From}
		a, found := known[key]
		if !found {
			way, err := resolver.resolve(m.Account, m.From)
			if a.err = err; err == nil {
				a.account = way.account.Name
			}
			if len(known) < 10_000 { // an audience may have a sender for each row
				known[key] = a
			}
		}
		return a.account, a.err
	}
}
