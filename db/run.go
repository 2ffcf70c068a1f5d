package db

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// RunState is where a run stands. docs/states.md draws the ways between them.
type RunState string

// The states of a run. A run of a purge or of a statement knows running, done, failed and skipped.
const (
	RunAsked      RunState = "asked"      // its time was missed, and a person is asked whether it is made up for
	RunRunning    RunState = "running"    // at work under a lease; a mailing enqueues its mails
	RunHeld       RunState = "held"       // all mails are enqueued and wait for approval
	RunSending    RunState = "sending"    // its mails are let go
	RunStopped    RunState = "stopped"    // its mails are held again
	RunCancelling RunState = "cancelling" // its mails are being cancelled; then it ends as ends_as
	RunDone       RunState = "done"
	RunCancelled  RunState = "cancelled"
	RunFailed     RunState = "failed"
	RunSkipped    RunState = "skipped" // not run, and not made up for
)

// openStates are those of a run that has not ended.
var openStates = []RunState{RunAsked, RunRunning, RunHeld, RunSending, RunStopped, RunCancelling}

// Open tells whether the run has not ended.
func (s RunState) Open() bool { return slices.Contains(openStates, s) }

// The kinds of runs that the store tells apart from others.
const (
	purgeKind = "purge"
	sqlKind   = "sql"
)

// BySchedule stands in Run.StartedBy where otherwise the person stands who started it.
const BySchedule = "schedule"

// RunCounts is how the mails of a run have ended.
type RunCounts struct {
	Sent       int64 `db:"sent" json:"sent"`
	Partial    int64 `db:"partial" json:"partial"`
	Failed     int64 `db:"failed" json:"failed"`
	Skipped    int64 `db:"skipped" json:"skipped"`
	Suppressed int64 `db:"suppressed" json:"suppressed"`
	Cancelled  int64 `db:"cancelled" json:"cancelled"`
	Expired    int64 `db:"expired" json:"expired"`
	Gone       int64 `db:"gone" json:"gone"` // deleted by hand before they ended
}

// Sum is how many have ended.
func (c RunCounts) Sum() int64 {
	return c.Sent + c.Partial + c.Failed + c.Skipped + c.Suppressed + c.Cancelled + c.Expired + c.Gone
}

// Run is what a job does at one of its times. The job and the time name it: there is one, whatever number of daemons.
type Run struct {
	ID        uint64     `db:"id" json:"id"`
	Job       string     `db:"job" json:"job"`
	Kind      string     `db:"kind" json:"kind"`
	Scheduled time.Time  `db:"scheduled_at" json:"scheduled_at"` // what clocks show in the company's zone, as a time in UTC
	State     RunState   `db:"state" json:"state"`
	Token     string     `db:"lease_token" json:"-"`
	Contents  int64      `db:"contents" json:"contents"` // mails whose content a purge has removed
	Removed   int64      `db:"removed" json:"removed"`   // rows that a purge has removed
	LastError string     `db:"last_error" json:"last_error,omitempty"`
	StartedAt time.Time  `db:"started_at" json:"started_at"`
	EndedAt   *time.Time `db:"finished_at" json:"finished_at,omitempty"`
	Free      bool       `db:"free" json:"-"` // it is running, and nobody has it

	Spec       string     `db:"spec" json:"-"`                  // the job as it was when the run began: mailing.Spec
	Period     string     `db:"period" json:"period,omitempty"` // in which a key is mailed once; "" for a key that counts in this run alone
	StartedBy  string     `db:"started_by" json:"started_by,omitempty"`
	Audience   *int64     `db:"audience" json:"audience,omitempty"` // rows; nil until they were read to the end
	Enqueued   int64      `db:"enqueued" json:"enqueued"`           // mails that are there
	Templates  string     `db:"templates" json:"-"`                 // what Pin returned
	Allowed    *int64     `db:"allowed" json:"allowed,omitempty"`   // mails that may go; nil for all
	Released   int64      `db:"released" json:"released"`           // mails that were let go and are not held again
	ReleasedAt *time.Time `db:"released_at" json:"released_at,omitempty"`
	RunCounts
	DecideUntil *time.Time `db:"decide_until" json:"decide_until,omitempty"` // a held run waits for its approval until then; nil: for ever
	ApprovedBy  string     `db:"approved_by" json:"approved_by,omitempty"`   // counts once ApprovedAt is there
	ApprovedAt  *time.Time `db:"approved_at" json:"approved_at,omitempty"`
	ChangedAt   *time.Time `db:"changed_at" json:"changed_at,omitempty"`
	EndsAs      RunState   `db:"ends_as" json:"ends_as,omitempty"` // of a run that is being cancelled
	Note        string     `db:"note" json:"note,omitempty"`
	LinkKey     []byte     `db:"link_key" json:"-"` // what personal links are signed with
}

// runSpec is what the store reads of Run.Spec.
type runSpec struct {
	Was      string `json:"was"`
	OnSent   string `json:"on_sent"`
	OnFailed string `json:"on_failed"`
}

// names are the job's: as the run has it, then the one before.
func (r Run) names() []string {
	if was := r.spec().Was; was != "" {
		return []string{r.Job, was}
	}
	return []string{r.Job}
}

// spec says nothing of what is no spec.
func (r Run) spec() (s runSpec) {
	if json.Unmarshal([]byte(r.Spec), &s) != nil {
		return runSpec{}
	}
	return s
}

// NewRun is a run to begin. A purge, or a statement, begins with a lease: whoever begins it works. Any other is free: whoever
// takes it works.
type NewRun struct {
	Job, Kind string
	Was       []string // earlier names of the job: their open runs keep it from beginning too
	Scheduled time.Time
	State     RunState // RunRunning, RunAsked, or RunSkipped: it is noted and not run
	Spec      string
	Period    string
	StartedBy string
	Note      string
}

// NoRunError says that there is no run with this number.
type NoRunError struct {
	Database string
	ID       uint64
}

// Error names the run and the database.
func (e *NoRunError) Error() string {
	return fmt.Sprintf("no run %d in %s (outboxd mailing list shows those that there are)", e.ID, e.Database)
}

// RunOpenError says that a job has a run that has not ended, so that no other can begin.
type RunOpenError struct{ Run Run }

// Error names the run that is there.
func (e *RunOpenError) Error() string {
	return fmt.Sprintf("the run %d of job %s of %s is %s: another one begins when it has ended", e.Run.ID, e.Run.Job, e.Run.Scheduled.Format("2006-01-02 15:04"), e.Run.State)
}

// RunLostError says that another daemon has the run by now, or that it has ended.
type RunLostError struct{ Run Run }

// Error names the run.
func (e *RunLostError) Error() string {
	return fmt.Sprintf("the run %d of job %s is another daemon's by now", e.Run.ID, e.Run.Job)
}

// needNewest is a *SchemaError on tables one step older, which know of purges alone.
func (s *Store) needNewest(ctx context.Context) error {
	if err := s.lookForStep(ctx); err != nil {
		return err
	}
	if s.sql.older.Load() {
		newest := s.pool.shapes.newest(CompanyPart)
		return &SchemaError{s.database, CompanyPart, newest - 1, newest}
	}
	return nil
}

// runs reads runs by the end of a statement whose head is run-head.
func (s *Store) runs(ctx context.Context, q sqlx.QueryerContext, rest string, args ...any) ([]Run, error) {
	all, err := selectAll[Run](ctx, q, s.sql.text("run-head")+rest, args...)
	for i := range all {
		all[i].Kind = cmp.Or(all[i].Kind, purgeKind) // tables one step older know no other
	}
	return all, err
}

// Run reads a run. A missing one is a *NoRunError.
func (s *Store) Run(ctx context.Context, id uint64) (Run, error) {
	err := s.needNewest(ctx)
	if err == nil {
		var all []Run
		if all, err = s.runs(ctx, s.pool.db, "WHERE id = ?", id); len(all) > 0 {
			return all[0], nil
		}
	}
	if err == nil {
		return Run{}, &NoRunError{s.database, id}
	}
	return Run{}, fmt.Errorf("read run %d of %s: %w", id, s.database, err)
}

// LastRun returns the run with the latest scheduled time of a job, which may have had other names, or nil when it never ran.
func (s *Store) LastRun(ctx context.Context, jobs ...string) (*Run, error) {
	return s.latest(ctx, "WHERE job = ? ORDER BY scheduled_at DESC LIMIT 1", jobs)
}

// LastScheduled returns the run with the latest scheduled time that the job's schedule has begun or left out, or nil. Runs that people
// have started stand for no time of the schedule, but for those that TakenTimes returns.
func (s *Store) LastScheduled(ctx context.Context, jobs ...string) (*Run, error) {
	if err := s.lookForStep(ctx); err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", s.database, err)
	}
	return s.latest(ctx, s.sql.text("run-scheduled"), jobs)
}

// TakenTimes returns the wall times after one for which people have started runs of a job: a time has one run, whoever starts it.
func (s *Store) TakenTimes(ctx context.Context, after time.Time, jobs ...string) (all []time.Time, err error) {
	if err = s.lookForStep(ctx); err != nil || s.sql.older.Load() {
		return nil, wrap(err, "read runs of "+s.database)
	}
	for _, job := range jobs {
		times, err := selectAll[time.Time](ctx, s.pool.db, s.sql.text("run-taken"), job, after, BySchedule)
		if err != nil {
			return nil, fmt.Errorf("read for which times people have started %s in %s: %w", job, s.database, err)
		}
		all = append(all, times...)
	}
	return all, nil
}

// PreviousRun returns the last run that was done of another one's job before it, or nil.
func (s *Store) PreviousRun(ctx context.Context, r Run) (*Run, error) {
	return s.latest(ctx, "WHERE job = ? AND scheduled_at < ? AND state = 'done' ORDER BY scheduled_at DESC LIMIT 1", r.names(), r.Scheduled)
}

// latest looks for the latest run of several names, one name after the other: so each look reads one row.
func (s *Store) latest(ctx context.Context, rest string, jobs []string, args ...any) (last *Run, err error) {
	if err = s.lookForStep(ctx); err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", s.database, err)
	}
	for _, job := range jobs {
		found, err := s.runs(ctx, s.pool.db, rest, append([]any{job}, args...)...)
		if err != nil {
			return nil, fmt.Errorf("read the last run of %s in %s: %w", job, s.database, err)
		}
		if len(found) > 0 && (last == nil || found[0].Scheduled.After(last.Scheduled)) {
			last = &found[0]
		}
	}
	return last, nil
}

// OpenRuns lists the runs that have not ended, but for those of a purge, the oldest first.
func (s *Store) OpenRuns(ctx context.Context) ([]Run, error) {
	err := s.needNewest(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for open runs of %s: %w", s.database, err)
	}
	all, err := s.runs(ctx, s.pool.db, "WHERE state IN ("+repeat("?", len(openStates))+") AND kind <> 'purge' ORDER BY id", stateArgs(openStates)...)
	return all, wrap(err, "look for open runs of "+s.database)
}

func stateArgs(states []RunState) []any {
	args := make([]any, len(states))
	for i, state := range states {
		args[i] = state
	}
	return args
}

// RunFilter says which runs to list. Zero values do not filter, but that runs of purges are left out unless their job is named.
type RunFilter struct {
	Job    string
	States []RunState
	Before uint64 // numbers below this one: the next page
	Limit  int    // 0 means 50, at most 1000
}

// Runs lists runs, the newest first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	err := s.needNewest(ctx)
	if err != nil {
		return nil, fmt.Errorf("list runs of %s: %w", s.database, err)
	}
	where, args := []string{"kind <> 'purge'"}, []any{}
	if f.Job != "" {
		where, args = []string{"job = ?"}, append(args, f.Job)
	}
	if len(f.States) > 0 {
		where, args = append(where, "state IN ("+repeat("?", len(f.States))+")"), append(args, stateArgs(f.States)...)
	}
	if f.Before > 0 {
		where, args = append(where, "id < ?"), append(args, f.Before)
	}
	all, err := s.runs(ctx, s.pool.db, "WHERE "+strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, min(cmp.Or(max(f.Limit, 0), defaultLimit), maxLimit))...)
	return all, wrap(err, "list runs of "+s.database)
}

// Clock is the database's time.
func (s *Store) Clock(ctx context.Context) (now time.Time, err error) {
	err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &now, s.sql.text("clock")) })
	return now, wrap(err, "read the clock of "+s.database)
}
