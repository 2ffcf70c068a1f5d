package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"outboxd/db"
	"outboxd/jobs/mailing"
)

// runSpecs remembers what the runs of a company are to do, for those who make their mails and write what became of them. What a run is to
// do never changes once it has begun, so what is known of it stays true.
type runSpecs struct {
	fetch func(ctx context.Context, id uint64) (db.Run, error)

	mu    sync.Mutex
	known map[uint64]*knownRun
	order []uint64 // the one that was fetched first comes first
}

// knownRun is a run, and what it does.
type knownRun struct {
	db.Run
	spec    mailing.Spec
	planned *pinned // the templates of a run that there is not: a plan's
}

const (
	// runsKept is how many runs of a company are remembered.
	runsKept = 64
	// strangeWait is how long a row waits whose run another version of outboxd has begun.
	strangeWait = time.Minute
)

// of returns a run. One that is gone fails its rows: a *rowError. One that this version does not understand lets them wait, for one that does:
// a *waitError.
func (s *runSpecs) of(ctx context.Context, id uint64) (*knownRun, error) {
	s.mu.Lock()
	found := s.known[id]
	s.mu.Unlock()
	if found != nil {
		return found, nil
	}
	r, err := s.fetch(ctx, id)
	var none *db.NoRunError
	if errors.As(err, &none) {
		return nil, &rowError{fmt.Sprintf("the run %d that it belongs to is gone from outbox_run, and with it what the mail is made of: start the mailing anew", id)}
	}
	if err != nil {
		return nil, err
	}
	found, err = known(r)
	if err != nil {
		return nil, &waitError{fmt.Sprintf("this version of outboxd does not understand its run %d: %v. A newer one sends it", id, err), strangeWait}
	}
	if r.Templates != "" || r.State != db.RunRunning && r.State != db.RunAsked { // else its templates are still to be kept
		s.keep(found)
	}
	return found, nil
}

// known reads what a run does.
func known(r db.Run) (*knownRun, error) {
	spec, err := mailing.Parse(r.Spec)
	if err == nil && spec.Kind != mailing.KindMailing && spec.Kind != mailing.KindReport {
		err = fmt.Errorf("its kind is %q", spec.Kind)
	}
	return &knownRun{Run: r, spec: spec}, err
}

func (s *runSpecs) keep(r *knownRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[r.ID] == nil {
		if len(s.order) == runsKept {
			delete(s.known, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, r.ID)
	}
	s.known[r.ID] = r
}

// values are what every query of the run knows, beside the row's own.
func (r *knownRun) values() map[string]any {
	return map[string]any{"scheduled_at": r.Scheduled, "period": r.Period}
}

// fill puts the run's dates and a row's values into a text of the spec; what says which text that is.
func (r *knownRun) fill(what, text string, row map[string]any) (string, error) {
	made, err := mailing.FillAt(text, r.spec.Stands(r.Scheduled), row)
	if err != nil {
		return "", &rowError{what + ": " + err.Error()}
	}
	return made, nil
}

// dates are the values that the run's time gives to a report's template and queries: the time that it stands for, where a holiday has moved it.
func (r *knownRun) dates() map[string]any {
	return mailing.Dates(r.spec.Stands(r.Scheduled))
}

// templates are what the run has kept of them.
func (r *knownRun) templates(ctx context.Context, p *Place) (*pinned, error) {
	if r.planned != nil {
		return r.planned, nil
	}
	if r.Templates == "" {
		return nil, &waitError{fmt.Sprintf("its run %d has not kept its templates yet", r.ID), readerWait}
	}
	return p.pins.get(ctx, r.Templates)
}

// recheck asks the run's query again whether the mail is still to go, right before it is made.
func (k *packer) recheck(ctx context.Context, l *letter) error {
	if l.run == nil || l.run.spec.Recheck == "" {
		return nil
	}
	r, err := k.query(ctx, l, l.run.spec.Recheck)
	if err != nil {
		return fmt.Errorf("recheck: %w", err)
	}
	if len(r.Rows) == 0 {
		return &skipError{"recheck: the query finds nothing for this row any more, so the mail is not sent"}
	}
	return nil
}
