package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// ApproverTrigger returns the statements that let a database write by itself who approves a run by SQL, whatever name the UPDATE has. They
// want a DBA, and Migrate does not run them: a trigger works with the rights of whoever has made it, and without those no run would go on.
// outboxd's own changes set approved_by together with the state, and pass.
func ApproverTrigger(database string) (string, error) {
	quoted, err := quote(database)
	return fmt.Sprintf(`DROP TRIGGER IF EXISTS %[1]s.outbox_approved_by;
CREATE TRIGGER %[1]s.outbox_approved_by BEFORE UPDATE ON %[1]s.outbox_run FOR EACH ROW
  SET NEW.approved_by = IF(NEW.approved_by <=> OLD.approved_by OR NEW.approved_by IS NULL OR NEW.state <> OLD.state, NEW.approved_by, USER());
`, quoted), err
}

// errTried ends a transaction of which nothing is to stay.
var errTried = errors.New("was tried")

// RecordsApprover tells whether the database writes by itself who approves a run by SQL. It is tried, in a transaction that is rolled back:
// whoever may not make triggers does not see them either.
func (s *Store) RecordsApprover(ctx context.Context) (itself bool, err error) {
	if err := s.needNewest(ctx); err != nil {
		return false, fmt.Errorf("try who approves a run in %s: %w", s.database, err)
	}
	const nobody = "nobody"
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		made, err := tx.ExecContext(ctx, s.sql.text("approver-run"), time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			return err
		}
		id, err := made.LastInsertId()
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.sql.text("approver-write"), nobody, id); err != nil {
			return err
		}
		var by string
		if err := tx.GetContext(ctx, &by, s.sql.text("approver-read"), id); err != nil {
			return err
		}
		itself = by != nobody
		return errTried
	})
	if errors.Is(err, errTried) {
		return itself, nil
	}
	return false, fmt.Errorf("try who approves a run in %s: %w", s.database, err)
}
