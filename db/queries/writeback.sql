-- name: write-back-put
-- One row of values a mail. A person's retry may have given a mail another outcome than the one that waits.
INSERT INTO {db}.outbox_writeback (outbox_id, run_id, event, tries, next_at, last_error) VALUES {rows}
ON DUPLICATE KEY UPDATE run_id = VALUES(run_id), event = VALUES(event), tries = VALUES(tries), next_at = VALUES(next_at), last_error = VALUES(last_error)

-- name: write-back-written
-- Values: run, ids.
UPDATE {db}.outbox_run_mail SET written = 1 WHERE run_id = ? AND outbox_id IN ({ids})

-- name: write-back-sent-at
-- Of an outcome that is being written.
SELECT COALESCE(sent_at, UTC_TIMESTAMP(6)) FROM {db}.outbox WHERE id = ?

-- name: write-back-due
-- Values: limit.
SELECT outbox_id, run_id, event, tries, next_at, COALESCE(last_error, '') AS last_error, created_at
FROM {db}.outbox_writeback WHERE next_at <= UTC_TIMESTAMP(6) ORDER BY next_at LIMIT ?

-- name: write-back-take
-- None when somebody has it. Values: id, run, event, tries.
SELECT tries FROM {db}.outbox_writeback WHERE outbox_id = ? AND run_id = ? AND event = ? AND tries = ? FOR UPDATE SKIP LOCKED

-- name: write-back-done
DELETE FROM {db}.outbox_writeback WHERE outbox_id = ?

-- name: write-back-drop
-- Values: id, run, event, tries.
DELETE FROM {db}.outbox_writeback WHERE outbox_id = ? AND run_id = ? AND event = ? AND tries = ?

-- name: write-back-failed
-- Values: pause in µs, error, id, run, event, tries.
UPDATE {db}.outbox_writeback SET tries = tries + 1, next_at = TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), last_error = ?
WHERE outbox_id = ? AND run_id = ? AND event = ? AND tries = ?

-- name: write-back-count
-- From the key run alone, with one error of each run: of the last mail that failed.
SELECT w.run_id, c.waiting, c.failing, c.since, COALESCE(w.last_error, '') AS last_error
FROM (SELECT COUNT(*) AS waiting, CAST(SUM(tries > 0) AS SIGNED) AS failing, MIN(created_at) AS since, COALESCE(MAX(IF(tries > 0, outbox_id, NULL)), MIN(outbox_id)) AS one
  FROM {db}.outbox_writeback GROUP BY run_id) c
JOIN {db}.outbox_writeback w ON w.outbox_id = c.one

-- name: exec-end
-- Values: id, token.
UPDATE {db}.outbox_run SET state = 'done', finished_at = UTC_TIMESTAMP(6), changed_at = UTC_TIMESTAMP(6), lease_until = NULL
WHERE id = ? AND lease_token = ? AND state = 'running'

-- name: exec-ended
-- Values: id, token.
SELECT state FROM {db}.outbox_run WHERE id = ? AND lease_token = ? FOR UPDATE
