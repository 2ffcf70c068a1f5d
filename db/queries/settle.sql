-- name: mark
-- The proof that DATA was sent, and the fence: no row for a lease that was lost. A second transaction of the same taking
-- stands under the same mark. guard is mark-guard, or nothing. Values: account, daemon, those of guard, ids, pairs of id and
-- token.
INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, account, daemon)
SELECT id, lease_token, UTC_TIMESTAMP(6), ?, ? FROM {db}.outbox {guard}
WHERE id IN ({ids}) AND (id, lease_token) IN ({pairs}) AND state = 'sending'
LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE marked_at = COALESCE(marked_at, UTC_TIMESTAMP(6))

-- name: marked
-- A mark counts while its lease holds the row: an old one of a lease that was lost since proves nothing.
SELECT a.outbox_id AS id, a.lease_token
FROM {db}.outbox_attempt a JOIN {db}.outbox o ON o.id = a.outbox_id AND o.lease_token = a.lease_token
WHERE a.outbox_id IN ({ids}) AND (a.outbox_id, a.lease_token) IN ({pairs}) AND a.marked_at IS NOT NULL AND o.state = 'sending'

-- name: recipients
SELECT outbox_id, position, kind, address, state, COALESCE(lease_token, '') AS lease_token,
       COALESCE(smtp_code, 0) AS smtp_code, COALESCE(smtp_enhanced, '') AS smtp_enhanced, COALESCE(last_error, '') AS last_error
FROM {db}.outbox_recipient WHERE outbox_id IN ({ids}) ORDER BY outbox_id, position

-- name: recipient-write
-- One row of values a recipient.
INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state, lease_token, smtp_code, smtp_enhanced, last_error)
VALUES {rows}
ON DUPLICATE KEY UPDATE state = VALUES(state), lease_token = VALUES(lease_token), smtp_code = VALUES(smtp_code),
  smtp_enhanced = VALUES(smtp_enhanced), last_error = VALUES(last_error)

-- name: lock
-- In the order of the primary key, so that two settlers never wait for each other.
SELECT id, COALESCE(lease_token, '') AS lease_token, state, held, claims, attempts
FROM {db}.outbox WHERE id IN ({ids}) ORDER BY id FOR UPDATE

-- name: settle
-- A hold by hand that came while the row was being sent stays. Values: state, whether to hold, lane, attempts added, claims taken off, whether to wait, wait in µs, account, whether sent,
-- code, enhanced, error, ids, pairs, state.
UPDATE {db}.outbox
SET state = ?, held = IF(?, 1, held), lane = ?, lease_until = NULL, attempts = attempts + ?, claims = claims - ?,
    available_at = IF(?, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), available_at),
    sent_via = COALESCE(?, sent_via), sent_at = IF(?, COALESCE(sent_at, UTC_TIMESTAMP(6)), sent_at),
    smtp_code = ?, smtp_enhanced = ?, last_error = ?
WHERE id IN ({ids}) AND (id, lease_token) IN ({pairs}) AND (state = 'sending' OR state = 'uncertain' AND ? <> 'uncertain')

-- name: attempt-write
-- One row of values an attempt.
INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, finished_at, account, daemon, step, verdict, smtp_code, smtp_enhanced, reply)
VALUES {rows}
ON DUPLICATE KEY UPDATE finished_at = VALUES(finished_at), step = VALUES(step), verdict = VALUES(verdict),
  smtp_code = VALUES(smtp_code), smtp_enhanced = VALUES(smtp_enhanced), reply = VALUES(reply)

-- name: fence
-- A row of values an attempt that may have no mark: of this and the mark, which writes the same row, one comes first.
INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, finished_at, account, daemon, reply) VALUES {rows}
ON DUPLICATE KEY UPDATE outbox_id = VALUES(outbox_id)

-- name: left-behind
-- Rows whose lease is over, or that an earlier life of this daemon held. Values: head of the token, limit.
SELECT id FROM {db}.outbox
WHERE qlane = 4294967295 AND (lease_until < UTC_TIMESTAMP(6) OR lease_token LIKE ?)
ORDER BY id LIMIT ?

-- name: expire-scan
-- Values: time, time, id, limit.
SELECT id, expires_at FROM {db}.outbox
WHERE expires_at <= UTC_TIMESTAMP(6) AND (expires_at > ? OR (expires_at = ? AND id > ?))
ORDER BY expires_at, id LIMIT ?

-- name: expire
UPDATE {db}.outbox SET state = 'expired', last_error = 'expires_at passed before the mail could be sent'
WHERE id IN ({ids}) AND state = 'queued' AND expires_at <= UTC_TIMESTAMP(6)

-- name: expire-some
-- Rows of which some recipients have it, or may have it. Values: ids.
SELECT DISTINCT r.outbox_id FROM {db}.outbox_recipient r JOIN {db}.outbox o ON o.id = r.outbox_id
WHERE r.outbox_id IN ({ids}) AND r.state IN ('accepted', 'uncertain') AND o.state = 'queued' AND o.expires_at <= UTC_TIMESTAMP(6)

-- name: expire-one
-- Values: state, error, id.
UPDATE {db}.outbox SET state = ?, last_error = ? WHERE id = ? AND state = 'queued' AND expires_at <= UTC_TIMESTAMP(6)
