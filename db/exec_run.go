package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// StatementError says that the statement of a run has failed by itself, and that nothing of it was kept: the run has failed.
type StatementError struct{ Text string }

// Error is the cause with the remedy.
func (e *StatementError) Error() string { return e.Text }

// transactionVerbs are the first words of statements that would end the transaction which the run's end is part of.
var transactionVerbs = []string{"COMMIT", "ROLLBACK", "START", "XA", "LOCK", "UNLOCK", "USE"}

// checkStatement returns a *ReadError unless the text is one statement that can stand in a transaction with the end of its run. What
// a procedure does within is not looked at.
func checkStatement(statement string) error {
	return checkOne(statement, func(t token, word string) error {
		if slices.Contains(transactionVerbs, word) || word == "BEGIN" {
			return refused("it begins with %s: a statement is one of a transaction that outboxd begins and ends; what needs several stands in a procedure: CALL it", cut(t.text, 40))
		}
		return nil
	})
}

// ExecRun does what a job of kind sql does at one of its times: its statement, with the company's database as default, and the end
// of the run in one transaction. What a CALL returns is read and dropped. Meanwhile the run's lease is prolonged.
//
// A *RunLostError says that the run is another daemon's by now, or has ended; a *StatementError that the statement itself has
// failed, or took longer than limit and was ended: in both cases nothing of it was kept. After any other error the run is
// still to be done.
func (s *Store) ExecRun(ctx context.Context, r Run, statement string, limit time.Duration) error {
	if err := checkStatement(statement); err != nil {
		return &StatementError{err.Error()}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		s.beatWhile(ctx, r, cancel)
	}()
	end := time.Now().Add(limit + readGrace) // also when a deadlock has it begin anew
	err := retry(ctx, func() error { return s.execRun(ctx, r, statement, limit, end) })
	var unknown *commitUnknownError
	if errors.As(err, &unknown) {
		err = s.execEnded(ctx, r, err)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	cancel(nil)
	<-beating
	var own *StatementError
	if errors.As(err, &own) {
		return own
	}
	return wrap(err, fmt.Sprintf("do run %d of %s in %s", r.ID, r.Job, s.database))
}

// beatWhile prolongs the lease until ctx ends, and ends it when the run is lost.
func (s *Store) beatWhile(ctx context.Context, r Run, lost context.CancelCauseFunc) {
	tick := time.NewTicker(cmp.Or(s.beatEvery, leaseTime/6))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var gone *RunLostError
		if err := s.BeatRun(ctx, r); errors.As(err, &gone) && ctx.Err() == nil {
			lost(gone)
		}
	}
}

// execRun runs the transaction on a connection that ends with it, and with it whatever the statement leaves behind.
func (s *Store) execRun(caller context.Context, r Run, statement string, limit time.Duration, end time.Time) error {
	ctx, cancel := context.WithDeadline(caller, end)
	defer cancel()
	d := sql.OpenDB(ownConnector{s.pool, s.sql.database, ownUse{statement: limit, silent: true}})
	defer d.Close()
	err := onSession(ctx, sqlx.NewDb(d, "mysql"), func(ctx context.Context, tx *sqlx.Tx, _ *ownSession) error {
		if _, err := tx.ExecContext(ctx, strings.TrimRight(statement, "; \t\r\n")); err != nil {
			return err
		}
		found, err := tx.ExecContext(ctx, s.sql.text("exec-end"), r.ID, r.Token)
		if err != nil {
			return err
		}
		if n, err := found.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return &RunLostError{r}
		}
		return nil
	})
	var my *mysql.MySQLError
	var unknown *commitUnknownError
	slow := errors.As(err, &my) && my.Number == timeOverMariaDB || ctx.Err() != nil && caller.Err() == nil
	switch {
	case err == nil, errors.As(err, &unknown): // also when the time was over by then: it may be done
		return err
	case slow:
		return &StatementError{fmt.Sprintf("the statement was ended after %s; let it do less at a time, or give it more time in jobs.yaml (time)", limit)}
	case errors.As(err, &my) && !Waits(err):
		remedy := writeRemedies[my.Number]
		if remedy == "" || my.Number == 1064 {
			remedy = "try the statement in a client of the database"
		}
		return &StatementError{fmt.Sprintf("error %d: %s; %s", my.Number, my.Message, remedy)}
	}
	return err
}

// execEnded finds out whether a COMMIT whose reply was lost has ended the run.
func (s *Store) execEnded(ctx context.Context, r Run, unknown error) error {
	var state string
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error { // under a lock: so it waits for that COMMIT
		return tx.GetContext(ctx, &state, s.sql.text("exec-ended"), r.ID, r.Token)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &RunLostError{r}
	case err != nil:
		return err
	case state == string(RunDone):
		return nil
	case state == string(RunRunning):
		return unknown
	}
	return &RunLostError{r}
}
