package jobs

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// MailingListRequest filters runs; zero fields do not filter.
type MailingListRequest struct {
	Company string `json:"company,omitempty"` // "" means all
	Job     string `json:"job,omitempty"`     // as acme/statements, or acme/@staff of those to an audience
	Run     string `json:"run,omitempty"`     // this one alone
	Open    bool   `json:"open,omitempty"`    // only those that have not ended
	Before  uint64 `json:"before,omitempty"`  // numbers below this one: the next page of one company
	Limit   int    `json:"limit,omitempty"`   // 0 means 50, at most 1000
}

// MailingListReply has the newest run first.
type MailingListReply struct {
	Runs    []RunInfo `json:"runs"`
	More    bool      `json:"more"`    // there may be more: ask for older ones
	Missing []Missing `json:"missing"` // companies that could not be asked
}

// RunInfo is a run of a company: where it stands, what it waits for and what a person can do.
type RunInfo struct {
	RunName  string `json:"run"` // acme/12
	Company  string `json:"company"`
	Timezone string `json:"timezone"`
	db.Run
	Account    string     `json:"account,omitempty"`   // that sends it, where it is one
	Left       int64      `json:"left"`                // mails that have not ended; before all are made, those that there are
	Rate       int        `json:"per_hour,omitempty"`  // mails that were tried to the end an hour, since it was let go
	Finish     *time.Time `json:"finish,omitempty"`    // when the last mail may have gone
	Waits      string     `json:"waits_for,omitempty"` // in a sentence; "" where nothing is to be said
	Next       string     `json:"next,omitempty"`      // what a person can do about it
	Uncertain  int        `json:"uncertain,omitempty"` // mails of which nobody knows whether they went: the run ends when somebody has said
	WriteBacks int64      `json:"write_backs"`         // that are still tried
	WriteError string     `json:"write_back_error,omitempty"`
}

// MailingList lists runs of one company or of all. A company that cannot be asked does not keep back the others.
func (d *Desk) MailingList(ctx context.Context, q MailingListRequest) (MailingListReply, error) {
	if q.Run != "" {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		p, r, err := d.run(ctx, q.Run)
		if err != nil {
			return MailingListReply{}, err
		}
		return MailingListReply{Runs: []RunInfo{d.runInfo(ctx, p, r)}, Missing: []Missing{}}, nil
	}
	places, filter, err := d.runsAsked(q)
	if err != nil {
		return MailingListReply{}, err
	}
	found, failed := make([][]RunInfo, len(places)), make([]error, len(places))
	each(len(places), func(i int) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		counts, _ := places[i].Store.WriteBackCounts(ctx) // an error of the database shows in the runs
		found[i], failed[i] = d.runsOf(ctx, places[i], filter, counts)
	})
	reply := MailingListReply{Runs: []RunInfo{}, Missing: []Missing{}}
	for i, p := range places {
		if failed[i] != nil {
			reply.Missing = append(reply.Missing, Missing{p.Company.Name, failed[i].Error(), DatabaseHint(failed[i])})
		}
		reply.More = reply.More || len(found[i]) == filter.Limit
		reply.Runs = append(reply.Runs, found[i]...)
	}
	if len(places) > 1 {
		slices.SortStableFunc(reply.Runs, func(a, b RunInfo) int { return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.ID, a.ID)) })
	}
	if len(reply.Runs) > filter.Limit {
		reply.Runs, reply.More = reply.Runs[:filter.Limit], true
	}
	return reply, nil
}

// runsAsked are the companies and the filter that a request means.
func (d *Desk) runsAsked(q MailingListRequest) ([]*Place, db.RunFilter, error) {
	filter := db.RunFilter{Before: q.Before, Limit: limitOf(q.Limit)}
	if q.Open {
		filter.States = openStates
	}
	places := d.world.Companies
	if q.Job != "" {
		p, job, err := d.named(q.Job)
		if err != nil {
			return nil, filter, err
		}
		filter.Job, places = job, []*Place{p}
	}
	if q.Company != "" {
		p, err := d.place(q.Company)
		if err != nil {
			return nil, filter, err
		}
		if q.Job != "" && places[0] != p {
			return nil, filter, &AskError{Text: "the job is another company's", Hint: "name the company or the job", Usage: true}
		}
		places = []*Place{p}
	}
	if q.Before > 0 && len(places) != 1 {
		return nil, filter, &AskError{Text: "runs before a number are those of one company", Hint: "name the company", Usage: true}
	}
	return places, filter, nil
}

// openStates are those of runs that have not ended.
var openStates = []db.RunState{db.RunAsked, db.RunRunning, db.RunHeld, db.RunSending, db.RunStopped, db.RunCancelling}

func (d *Desk) runsOf(ctx context.Context, p *Place, f db.RunFilter, writeBacks map[uint64]db.WriteBackCount) (all []RunInfo, err error) {
	runs, err := p.Store.Runs(ctx, f)
	for _, r := range runs {
		all = append(all, d.runWith(ctx, p, r, writeBacks))
	}
	return all, err
}

// runNow tells how a run is after it was changed, and has the engine go on with it at once.
func (d *Desk) runNow(ctx context.Context, p *Place, id uint64) (RunInfo, error) {
	d.wake(p.Company.Name)
	r, err := p.Store.Run(ctx, id)
	if err != nil {
		return RunInfo{}, runError(p, id, err)
	}
	return d.runInfo(ctx, p, r), nil
}

// runInfo tells how a run stands. What cannot be asked is left out.
func (d *Desk) runInfo(ctx context.Context, p *Place, r db.Run) RunInfo {
	writeBacks, _ := p.Store.WriteBackCounts(ctx)
	return d.runWith(ctx, p, r, writeBacks)
}

// runWith is runInfo for whoever knows which write-backs are left for later.
func (d *Desk) runWith(ctx context.Context, p *Place, r db.Run, writeBacks map[uint64]db.WriteBackCount) RunInfo {
	i := RunInfo{RunName: runName(p, r.ID), Company: p.Company.Name, Timezone: p.Company.Timezone.String(), Run: r}
	spec, _ := mailing.Parse(r.Spec) // one that cannot be read has no account and no limits to tell of
	i.Spec = ""                      // long, and not for listings
	total := r.Enqueued
	if r.Audience != nil {
		total = *r.Audience
	}
	i.Left = max(0, total-r.Sum())
	i.WriteBacks, i.WriteError = writeBacks[r.ID].Waiting, writeBacks[r.ID].LastError
	if r.State == db.RunSending {
		i.Rate = rateOf(r, d.now())
		i.Account, i.Finish = d.finish(ctx, p, spec, i)
	}
	if i.Left > 0 && (r.State == db.RunSending || r.State == db.RunCancelling) {
		i.Uncertain, _ = p.Store.CountRunUncertain(ctx, r.ID)
	}
	i.Waits, i.Next = runWaits(p, i, spec)
	return i
}

// rateOf is how many mails of a run went to servers and ended an hour since it was let go: not those that ended without, in no time.
func rateOf(r db.Run, now time.Time) int {
	began := r.StartedAt
	if r.ApprovedAt != nil {
		began = *r.ApprovedAt
	}
	return int(math.Round(float64(r.Sent+r.Partial+r.Failed) / max(now.Sub(began), time.Second).Hours()))
}

// finish tells by which account a run goes, and when its last mail may have gone by the limits and windows; by what has gone so far where
// there is no limit. nil: nobody can tell, or not in years.
func (d *Desk) finish(ctx context.Context, p *Place, spec mailing.Spec, i RunInfo) (account string, end *time.Time) {
	way, err := newResolver(d.world.File, p.Company).resolve(spec.Account, "")
	if err != nil {
		return "", nil
	}
	a, now := way.account, d.now()
	job, _ := jobFor(p.Company, a.Name, spec.Priority)
	if job == nil {
		job = &jobfile.Deliver{}
	}
	_, windows, err := d.pace(ctx, p, a, job)
	if err != nil || i.Left == 0 {
		return a.Name, nil
	}
	var last time.Time
	switch {
	case len(windows) > 0:
		last = mailing.Finish(now, i.Left, windows, a.Window, p.Company.Holidays, p.Company.Timezone)
	case i.Rate > 0:
		last = now.Add(time.Duration(float64(i.Left) / float64(i.Rate) * float64(time.Hour)))
	}
	if last.IsZero() {
		return a.Name, nil
	}
	last = last.UTC().Truncate(time.Second)
	return a.Name, &last
}
