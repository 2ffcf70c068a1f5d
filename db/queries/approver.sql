-- Whether the database writes by itself who approves a run: all of it is rolled back.

-- name: approver-run
-- Value: wall time.
INSERT INTO {db}.outbox_run (job, scheduled_at, state, daemon) VALUES ('@check', ?, 'skipped', 'outboxd check')

-- name: approver-write
-- Values: who, id.
UPDATE {db}.outbox_run SET approved_by = ? WHERE id = ?

-- name: approver-read
SELECT approved_by FROM {db}.outbox_run WHERE id = ?
