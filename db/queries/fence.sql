-- name: identity
-- All that the database says about itself.
SELECT 'identity' AS what, identity AS name, 0 AS beat, adopting AS nonce FROM {db}.outbox_identity WHERE one = 1
UNION ALL SELECT 'place', place, 0, '' FROM {db}.outbox_place
UNION ALL SELECT 'beat', instance, beat, nonce FROM {db}.outbox_beat

-- name: identity-add
INSERT INTO {db}.outbox_identity (one, identity, adopting) VALUES (1, ?, ?) ON DUPLICATE KEY UPDATE one = one

-- name: place-add
INSERT INTO {db}.outbox_place (place) VALUES (?) ON DUPLICATE KEY UPDATE place = place

-- name: beat-add
INSERT INTO {db}.outbox_beat (instance, beat, nonce) VALUES (?, 1, ?) ON DUPLICATE KEY UPDATE beat = beat

-- name: beat-next
-- Only from the beat that the daemon remembers: a restored database is never brought forward.
UPDATE {db}.outbox_beat SET beat = beat + 1, nonce = ? WHERE instance = ? AND beat = ? AND nonce = ?

-- name: beat-read
SELECT beat, nonce FROM {db}.outbox_beat WHERE instance = ?

-- name: mark-guard
-- Joined to the mark: nothing is marked in a database that is older than the daemon remembers.
JOIN {db}.outbox_beat b ON b.instance = ? AND b.beat >= ?

-- name: tries
-- How each row's tries stand: how many have a mark, how many were accepted.
SELECT outbox_id, CAST(SUM(marked_at IS NOT NULL) AS SIGNED) AS marked, CAST(SUM(COALESCE(verdict, '') = 'accepted') AS SIGNED) AS accepted
FROM {db}.outbox_attempt WHERE outbox_id IN ({ids}) GROUP BY outbox_id

-- name: again
-- Of rows that were handed over: those that wait all the same.
SELECT id, created_at FROM {db}.outbox WHERE id IN ({ids}) AND state IN ('queued', 'sending')

-- name: adopt-begin
UPDATE {db}.outbox_identity SET adopting = ? WHERE one = 1 AND adopting = ''

-- name: adopt-end
UPDATE {db}.outbox_identity SET identity = ?, adopting = '' WHERE one = 1

-- name: adopt-forget-places
DELETE FROM {db}.outbox_place

-- name: adopt-forget-beats
DELETE FROM {db}.outbox_beat

-- name: adopt-unfinished
SELECT id FROM {db}.outbox WHERE qlane >= 0
UNION ALL SELECT id FROM {db}.outbox WHERE trouble = ? OR trouble = ?

-- name: adopt-open
-- Rows that wait or are being sent.
SELECT id FROM {db}.outbox WHERE qlane >= 0 LIMIT ?

-- name: adopt-trouble
-- Held rows, or uncertain ones, by number. Values: trouble, id, limit.
SELECT id FROM {db}.outbox WHERE trouble = ? AND id > ? ORDER BY id LIMIT ?

-- name: adopt-rows
SELECT id, state, held <> 0 AS held, COALESCE(lease_token, '') AS lease_token, recipients, cc, bcc, created_at, COALESCE(last_error, '') AS last_error
FROM {db}.outbox WHERE id IN ({ids}) ORDER BY id FOR UPDATE

-- name: adopt-write
-- Values: state, held, whether sent, time, error, ids.
UPDATE {db}.outbox SET state = ?, held = ?, lease_until = NULL, sent_at = IF(?, COALESCE(sent_at, ?), sent_at), last_error = ?
WHERE id IN ({ids})

-- name: adopt-run-rows
SELECT run_id, COUNT(*) AS mails FROM {db}.outbox WHERE id IN ({ids}) AND run_id IS NOT NULL AND state = 'queued' AND held = 1 GROUP BY run_id

-- name: run-adopt-hold
UPDATE {db}.outbox SET held = 2, last_error = NULL WHERE id IN ({ids}) AND run_id IS NOT NULL AND state = 'queued' AND held = 1

-- name: adopt-held
-- What outboxd adopt has held, and nobody else. Values: trouble, error, limit.
SELECT id FROM {db}.outbox WHERE trouble = ? AND last_error = ? LIMIT ?

-- name: adopt-release
-- Values: ids, error.
UPDATE {db}.outbox SET held = 0, lane = 0, claims = attempts, last_error = NULL
WHERE id IN ({ids}) AND state = 'queued' AND held <> 0 AND last_error = ?
