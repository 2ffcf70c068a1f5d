-- name: code
-- Values: run, person.
SELECT code_hash, tries, sent, TIMESTAMPDIFF(SECOND, sent_at, UTC_TIMESTAMP(6)) AS age, expires_at <= UTC_TIMESTAMP(6) AS late
FROM {db}.outbox_run_code WHERE run_id = ? AND person = ? FOR UPDATE

-- name: code-put
-- Values: run, person, hash, seconds it holds.
INSERT INTO {db}.outbox_run_code (run_id, person, code_hash, tries, sent, sent_at, expires_at)
VALUES (?, ?, ?, 0, 1, UTC_TIMESTAMP(6), TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6)))
ON DUPLICATE KEY UPDATE code_hash = VALUES(code_hash), tries = 0, sent = sent + 1, sent_at = VALUES(sent_at), expires_at = VALUES(expires_at)

-- name: code-try
UPDATE {db}.outbox_run_code SET tries = tries + 1 WHERE run_id = ? AND person = ?

-- name: code-spend
-- It is used up; how many were sent stays.
UPDATE {db}.outbox_run_code SET expires_at = sent_at WHERE run_id = ? AND person = ?
