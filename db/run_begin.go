package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

const duplicateKey = 1062

func duplicate(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == duplicateKey
}

// BeginRun begins or notes the run of a scheduled wall time. It returns nil when there is one already; but one that was left out becomes
// the run that a person starts for its time. A *RunOpenError says that the job has another run that has not ended; a mailing that a
// person starts is a job of its own, and never meets one.
func (s *Store) BeginRun(ctx context.Context, n NewRun, i Instance) (*Run, error) {
	err := s.lookForStep(ctx)
	if err == nil && n.Kind != purgeKind {
		err = s.needNewest(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("begin a run of %s in %s: %w", n.Job, s.database, err)
	}
	token := i.token()
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.beginIn(ctx, tx, n, i, token) })
	if errors.Is(err, errRunThere) {
		return nil, nil
	}
	if err != nil && Kind(err) != KindLost && !duplicate(err) {
		return nil, fmt.Errorf("begin a run of %s in %s: %w", n.Job, s.database, err)
	}
	lost := err != nil && !duplicate(err)
	// A lost connection leaves it open whether there is a run: the read tells.
	found, readErr := s.runs(ctx, s.pool.db, "WHERE job = ? AND scheduled_at = ?", n.Job, n.Scheduled)
	if readErr != nil {
		return nil, fmt.Errorf("begin a run of %s in %s: %w", n.Job, s.database, errors.Join(err, readErr))
	}
	switch {
	case len(found) == 0 && err == nil: // deleted by hand
		return nil, nil
	case len(found) == 0, lost && found[0].State == RunSkipped && n.byPerson(): // it was not begun
		return nil, fmt.Errorf("begin a run of %s in %s: %w", n.Job, s.database, err)
	case found[0].Token != token && !n.taken(found[0], err):
		return nil, nil
	}
	return &found[0], nil
}

// taken tells whether the run that is there is the one that was to be begun, though somebody has it by now: so where the reply
// was lost, a keeper was faster, and it begins in all with the same person and the same job.
func (n NewRun) taken(there Run, err error) bool {
	return n.free() && !duplicate(err) && (err == nil || there.StartedBy == n.StartedBy && there.Spec == n.Spec)
}

// free tells whether the run begins without a lease.
func (n NewRun) free() bool { return n.State != RunRunning || n.Kind != purgeKind && n.Kind != sqlKind }

// byPerson tells whether a person has started it.
func (n NewRun) byPerson() bool {
	return n.State != RunSkipped && n.StartedBy != "" && n.StartedBy != BySchedule
}

// errRunThere says that the time has a run, of the job's name of before.
var errRunThere = errors.New("the time has a run already")

// beginIn inserts the run, or makes it of one that was left out. The unique key lets one daemon have it.
func (s *Store) beginIn(ctx context.Context, tx *sqlx.Tx, n NewRun, i Instance, token string) error {
	if n.Kind != purgeKind && n.State != RunSkipped && !strings.HasPrefix(n.Job, "@") {
		if err := s.noOpenRun(ctx, tx, n); err != nil {
			return err
		}
	}
	if n.byPerson() {
		if done, err := s.beginSkipped(ctx, tx, n, i, token); done || err != nil {
			return err
		}
	}
	args := []any{n.Job, n.Scheduled, n.State, cut(i.Host, maxDaemon), token, n.free(), int(leaseTime / time.Second), n.State.Open()}
	if !s.sql.older.Load() {
		args = append(args, n.Kind, null(n.Spec), n.Period, null(cut(n.StartedBy, 255)), null(cut(n.Note, maxError)))
	}
	_, err := tx.ExecContext(ctx, s.sql.text("run-begin"), args...)
	return err
}

// beginSkipped makes the run of one that was left out, if there is one.
func (s *Store) beginSkipped(ctx context.Context, tx *sqlx.Tx, n NewRun, i Instance, token string) (done bool, err error) {
	for _, job := range n.Was {
		there, err := s.runs(ctx, tx, "WHERE job = ? AND scheduled_at = ? AND state <> 'skipped'", job, n.Scheduled)
		if err != nil {
			return false, err
		}
		if len(there) > 0 {
			return false, errRunThere
		}
	}
	r, err := tx.ExecContext(ctx, s.sql.text("run-begin-skipped"), n.State, cut(i.Host, maxDaemon), token, n.free(), int(leaseTime/time.Second),
		n.Kind, null(n.Spec), n.Period, cut(n.StartedBy, 255), null(cut(n.Note, maxError)), n.Job, n.Scheduled)
	if err != nil {
		return false, err
	}
	changed, err := r.RowsAffected()
	return changed > 0, err
}

// noOpenRun makes sure that none of the job's other runs is open. The latest one's row lets one daemon after the other look.
func (s *Store) noOpenRun(ctx context.Context, tx *sqlx.Tx, n NewRun) error {
	for _, job := range append([]string{n.Job}, n.Was...) {
		var last uint64
		err := tx.GetContext(ctx, &last, s.sql.text("run-lock-last"), job)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		open, err := s.runs(ctx, tx, "WHERE job = ? AND scheduled_at <> ? AND state IN ("+repeat("?", len(openStates))+") LIMIT 1", append([]any{job, n.Scheduled}, stateArgs(openStates)...)...)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return &RunOpenError{open[0]}
		}
	}
	return nil
}

// TakeRun goes on with a run that nobody has. It returns nil when another daemon was faster.
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

// BeatRun prolongs the lease of a run that is running. A *RunLostError says that it is another daemon's by now.
func (s *Store) BeatRun(ctx context.Context, r Run) error {
	n, err := s.pool.write(ctx, s.sql.text("run-beat"), int(leaseTime/time.Second), r.ID, r.Token)
	if err == nil && n == 0 {
		return &RunLostError{r}
	}
	return wrap(err, fmt.Sprintf("prolong the lease of run %d in %s", r.ID, s.database))
}

// LayDownRun gives a run up before its end: whoever comes next goes on with it.
func (s *Store) LayDownRun(ctx context.Context, r Run) error {
	_, err := s.pool.write(ctx, s.sql.text("run-lay-down"), r.ID, r.Token)
	return wrap(err, fmt.Sprintf("lay down the run %d in %s", r.ID, s.database))
}

// LayDownRuns gives up the runs that an earlier life of this daemon had, so that they go on at once.
func (s *Store) LayDownRuns(ctx context.Context, i Instance) error {
	_, err := s.pool.write(ctx, s.sql.text("run-lay-down-all"), i.ID+"-%")
	return wrap(err, "lay down the runs of an earlier life in "+s.database)
}

// EndRun ends a run of a purge or of a statement; why is the reason of a failure.
func (s *Store) EndRun(ctx context.Context, r Run, state RunState, why string) error {
	err := s.lookForStep(ctx)
	if err == nil {
		_, err = s.pool.write(ctx, s.sql.text("run-end"), state, null(cut(why, maxError)), r.ID, r.Token)
	}
	return wrap(err, fmt.Sprintf("end the run %d in %s", r.ID, s.database))
}
