-- name: run-mail-id
-- Values: run, identity.
SELECT outbox_id FROM {db}.outbox_run_mail WHERE run_id = ? AND identity = ?
