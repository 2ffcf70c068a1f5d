package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
)

// RunState is where a run of a scheduled job stands.
type RunState string

// The states of a run.
const (
	RunRunning RunState = "running"
	RunDone    RunState = "done"
	RunFailed  RunState = "failed"
	RunSkipped RunState = "skipped" // not run, and not made up for
)

// Run is what a job does at one of its times. The job and the time name it: there is one, whatever number of daemons.
type Run struct {
	ID        uint64     `db:"id" json:"id"`
	Job       string     `db:"job" json:"job"`
	Scheduled time.Time  `db:"scheduled_at" json:"scheduled_at"` // what clocks show in the company's zone, as a time in UTC
	State     RunState   `db:"state" json:"state"`
	Token     string     `db:"lease_token" json:"-"`
	Contents  int64      `db:"contents" json:"contents"` // removed by a purge
	Removed   int64      `db:"removed" json:"removed"`   // rows removed by a purge
	LastError string     `db:"last_error" json:"last_error,omitempty"`
	StartedAt time.Time  `db:"started_at" json:"started_at"`
	EndedAt   *time.Time `db:"finished_at" json:"finished_at,omitempty"`
	Free      bool       `db:"free" json:"-"` // it is running, and nobody has it
}

// RunLostError says that another daemon has the run by now, or that it has ended.
type RunLostError struct{ Run Run }

// Error names the run.
func (e *RunLostError) Error() string {
	return fmt.Sprintf("the run %d of job %s is another daemon's by now", e.Run.ID, e.Run.Job)
}

// LastRun returns the latest run of a job, or nil when it never ran.
func (s *Store) LastRun(ctx context.Context, job string) (*Run, error) {
	var r Run
	err := retry(ctx, func() error { return s.pool.db.GetContext(ctx, &r, s.sql.text("run-last"), job) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last run of %s in %s: %w", job, s.database, err)
	}
	return &r, nil
}

// BeginRun begins the run of a scheduled wall time, under a lease that each step prolongs. It returns nil when another
// daemon was faster.
func (s *Store) BeginRun(ctx context.Context, job string, scheduled time.Time, i Instance) (*Run, error) {
	token := i.token()
	_, err := s.pool.write(ctx, s.sql.text("run-begin"), job, scheduled, cut(i.Host, maxDaemon), token, int(leaseTime/time.Second))
	var my *mysql.MySQLError
	if err != nil && Kind(err) != KindLost && !(errors.As(err, &my) && my.Number == duplicateKey) {
		return nil, fmt.Errorf("begin a run of %s in %s: %w", job, s.database, err)
	}
	// A lost connection leaves it open whether there is a run: the read tells.
	last, lastErr := s.LastRun(ctx, job)
	if lastErr != nil {
		return nil, errors.Join(err, lastErr)
	}
	if last == nil || last.Token != token {
		return nil, nil
	}
	return last, nil
}

const duplicateKey = 1062

// SkipRun notes that what a job had to do up to a wall time is not made up for.
func (s *Store) SkipRun(ctx context.Context, job string, until time.Time, i Instance) error {
	_, err := s.pool.write(ctx, s.sql.text("run-skip"), job, until, cut(i.Host, maxDaemon))
	return wrap(err, fmt.Sprintf("skip runs of %s in %s", job, s.database))
}

// TakeRun goes on with a run whose daemon is gone. It returns nil when another daemon was faster.
func (s *Store) TakeRun(ctx context.Context, r Run, i Instance) (*Run, error) {
	token := i.token()
	n, err := s.pool.write(ctx, s.sql.text("run-take"), cut(i.Host, maxDaemon), token, int(leaseTime/time.Second), r.ID, r.Token)
	if err != nil {
		return nil, fmt.Errorf("take the run %d of %s in %s: %w", r.ID, r.Job, s.database, err)
	}
	if n == 0 {
		return nil, nil
	}
	r.Token, r.Free = token, false
	return &r, nil
}

// LayDownRun gives a run up before its end: whoever comes next goes on with it.
func (s *Store) LayDownRun(ctx context.Context, r Run) error {
	_, err := s.pool.write(ctx, s.sql.text("run-lay-down"), r.ID, r.Token)
	return wrap(err, fmt.Sprintf("lay down the run %d in %s", r.ID, s.database))
}

// EndRun ends a run; why is the reason of a failure.
func (s *Store) EndRun(ctx context.Context, r Run, state RunState, why string) error {
	_, err := s.pool.write(ctx, s.sql.text("run-end"), state, null(cut(why, maxError)), r.ID, r.Token)
	return wrap(err, fmt.Sprintf("end the run %d in %s", r.ID, s.database))
}

// Clock is the database's time.
func (s *Store) Clock(ctx context.Context) (now time.Time, err error) {
	err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &now, s.sql.text("clock")) })
	return now, wrap(err, "read the clock of "+s.database)
}
