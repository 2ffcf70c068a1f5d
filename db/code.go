package db

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	codeTries = 5                // wrong ones, then it is used up
	codesSent = 10               // to one person for one run
	codeEvery = time.Minute      // between two
	codeLife  = 15 * time.Minute // of one, from when it was asked for
)

// Code is a one-time code that a person has for a run. The table knows its hash alone.
type Code struct {
	Run    uint64
	Person string
	Hash   string // 64 hexadecimal digits
}

// CodeError says why a code was not mailed or not taken. It is the person's matter.
type CodeError struct {
	Problem CodeProblem
	Wait    time.Duration // of CodeTooSoon
	Left    int           // of CodeWrong: tries
}

// CodeProblem is what is wrong about a code.
type CodeProblem string

// The problems.
const (
	CodeTooSoon CodeProblem = "too soon" // the last one was mailed a moment ago
	CodeTooMany CodeProblem = "too many" // no more are mailed for this run
	CodeNone    CodeProblem = "none"     // there is none, or it is too old or used up
	CodeWrong   CodeProblem = "wrong"
)

// Error names the problem.
func (e *CodeError) Error() string { return "code: " + string(e.Problem) }

type codeRow struct {
	Hash  string        `db:"code_hash"`
	Tries int           `db:"tries"`
	Sent  int           `db:"sent"`
	Age   sql.NullInt64 `db:"age"`
	Late  bool          `db:"late"`
}

// PutCode keeps a code in the place of the one before, and inserts the mail that brings it, in one transaction. A *CodeError says why
// there is none.
func (s *Store) PutCode(ctx context.Context, c Code, brings NewMail) error {
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		before, err := s.code(ctx, tx, c)
		if err == nil {
			err = before.tooOften()
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql.text("code-put"), c.Run, c.Person, c.Hash, int(codeLife/time.Second)); err != nil {
			return err
		}
		_, err = s.insertMails(ctx, tx, 0, []NewMail{brings})
		return err
	})
	return wrap(err, fmt.Sprintf("keep a code for the run %d of %s", c.Run, s.database))
}

// CodeMayCome is nil when a person may have another code for a run now, and else the *CodeError that PutCode would return.
func (s *Store) CodeMayCome(ctx context.Context, c Code) error {
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		before, err := s.code(ctx, tx, c)
		if err == nil {
			err = before.tooOften()
		}
		return err
	})
	return wrap(err, fmt.Sprintf("look for a code for the run %d of %s", c.Run, s.database))
}

// tooOften is a *CodeError when no other code may follow yet, or at all.
func (r codeRow) tooOften() error {
	age := time.Duration(r.Age.Int64) * time.Second
	switch {
	case r.Sent >= codesSent:
		return &CodeError{Problem: CodeTooMany}
	case r.Sent > 0 && age < codeEvery:
		return &CodeError{Problem: CodeTooSoon, Wait: codeEvery - age}
	}
	return nil
}

// TakeCode uses a code up. A *CodeError says why it does not count.
func (s *Store) TakeCode(ctx context.Context, c Code) error {
	var wrong *CodeError
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		wrong = nil
		kept, err := s.code(ctx, tx, c)
		if err != nil {
			return err
		}
		if kept.Late || kept.Hash == "" || kept.Tries >= codeTries {
			wrong = &CodeError{Problem: CodeNone}
			return nil
		}
		statement := s.sql.text("code-spend")
		if subtle.ConstantTimeCompare([]byte(kept.Hash), []byte(c.Hash)) != 1 {
			statement, wrong = s.sql.text("code-try"), &CodeError{Problem: CodeWrong, Left: codeTries - 1 - kept.Tries}
		}
		_, err = tx.ExecContext(ctx, statement, c.Run, c.Person)
		return err
	})
	if err != nil {
		return fmt.Errorf("take a code for the run %d of %s: %w", c.Run, s.database, err)
	}
	if wrong != nil {
		return wrong
	}
	return nil
}

func (s *Store) code(ctx context.Context, tx *sqlx.Tx, c Code) (codeRow, error) {
	var row codeRow
	err := tx.GetContext(ctx, &row, s.sql.text("code"), c.Run, c.Person)
	if errors.Is(err, sql.ErrNoRows) {
		return codeRow{}, nil
	}
	return row, err
}
