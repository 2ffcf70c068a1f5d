-- name: lanes
SELECT id, name, wait_until, wait_until IS NULL OR wait_until <= UTC_TIMESTAMP(6) AS open, failures, COALESCE(reason, '') AS reason
FROM {db}.outbox_lane ORDER BY id

-- name: lane
SELECT id, name, wait_until, wait_until IS NULL OR wait_until <= UTC_TIMESTAMP(6) AS open, failures, COALESCE(reason, '') AS reason
FROM {db}.outbox_lane WHERE name = ?

-- name: lost-lane
-- A row in a lane that is not there any more: looked for between the numbers of those that are.
SELECT qlane FROM {db}.outbox FORCE INDEX (claim) WHERE {gaps} LIMIT 1

-- name: lane-pause
-- Values: name, pause in µs, reason.
INSERT INTO {db}.outbox_lane (name, wait_until, failures, reason)
VALUES (?, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), 1, ?)
ON DUPLICATE KEY UPDATE wait_until = VALUES(wait_until), failures = failures + 1, reason = VALUES(reason)

-- name: lane-wait
-- Values: name, wait in µs, reason.
INSERT INTO {db}.outbox_lane (name, wait_until, reason)
VALUES (?, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), ?)
ON DUPLICATE KEY UPDATE wait_until = VALUES(wait_until), reason = VALUES(reason)

-- name: lane-heal
UPDATE {db}.outbox_lane SET wait_until = NULL, failures = 0, reason = NULL WHERE id = ?

-- name: lane-used
SELECT 1 FROM {db}.outbox WHERE qlane = ? LIMIT 1

-- name: lane-drop
DELETE FROM {db}.outbox_lane WHERE id = ? AND failures = 0

-- name: aside-scan
-- A look along one queue from a cursor. Values: lane, route, priority, time, time, id, limit.
SELECT id, available_at, rdom FROM {db}.outbox
WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6)
  AND (available_at > ? OR (available_at = ? AND id > ?))
ORDER BY available_at, id LIMIT ?

-- name: aside-newest
-- The end of the same queue, the newest first, down to a cursor. Values as above.
SELECT id, available_at, rdom FROM {db}.outbox
WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6)
  AND (available_at > ? OR (available_at = ? AND id > ?))
ORDER BY available_at DESC, id DESC LIMIT ?

-- name: aside-write
-- Guarded by qlane: a row that was taken meanwhile stays as it is. Values: lane, ids, the lane of before.
UPDATE {db}.outbox SET lane = ? WHERE id IN ({ids}) AND qlane = ?

-- name: aside-senders
-- As aside-scan, with whom the rows are from that name no account.
SELECT id, available_at, rdom, IF(COALESCE(account, '') = '', COALESCE(from_address, ''), '') AS from_address FROM {db}.outbox
WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6)
  AND (available_at > ? OR (available_at = ? AND id > ?))
ORDER BY available_at, id LIMIT ?
