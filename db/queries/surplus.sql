-- name: arrivals
-- What came after a number, in the order of coming.
SELECT id, created_at, COALESCE(account, '') AS account, COALESCE(from_address, '') AS from_address, priority, state = 'cancelled' AS cancelled
{4}  , COALESCE(run_id, 0) AS run_id
FROM {db}.outbox WHERE id > ? ORDER BY id LIMIT ?

-- name: arrived
-- The first row from a number on.
SELECT id, created_at FROM {db}.outbox WHERE id >= ? ORDER BY id LIMIT 1

-- name: last-arrival
SELECT COALESCE(MAX(id), 0) FROM {db}.outbox

-- name: first-waiting
SELECT COALESCE(MIN(id), 0) FROM {db}.outbox FORCE INDEX (claim) WHERE qlane < 4294967295

-- name: surplus-known
SELECT outbox_id FROM {db}.outbox_surplus WHERE outbox_id IN ({ids})

-- name: surplus-note
-- The rows are locked: nobody else notes them at the same time.
INSERT INTO {db}.outbox_surplus (outbox_id, job) VALUES {rows}

-- name: surplus-hold
-- Values: why, ids.
UPDATE {db}.outbox SET held = 1, last_error = ? WHERE id IN ({ids}) AND state = 'queued' AND held = 0

-- name: held-rows
-- One step through the held rows, also those that a run holds. Values: trouble, number, limit.
SELECT id, held
{4}  , COALESCE(run_id, 0) AS run_id
FROM {db}.outbox WHERE trouble = ? AND id > ? ORDER BY id LIMIT ?

-- name: surplus-rows
-- The same for those that hold_above has held.
SELECT o.id, o.held FROM {db}.outbox o JOIN {db}.outbox_surplus s ON s.outbox_id = o.id WHERE o.trouble = ? AND o.id > ? ORDER BY o.id LIMIT ?

-- name: release-rows
UPDATE {db}.outbox SET held = 0, lane = 0, claims = attempts, last_error = NULL WHERE id IN ({ids}) AND state = 'queued' AND held = 1
