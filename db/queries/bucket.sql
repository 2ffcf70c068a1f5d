-- name: bucket-create
INSERT INTO {db}.outbox_bucket (name) VALUES (?) ON DUPLICATE KEY UPDATE name = name

-- name: bucket-lock
SELECT name, hour_mails, minute_mails, minute_recipients, clock_offset
FROM {db}.outbox_bucket WHERE name IN ({ids}) ORDER BY name FOR UPDATE

-- name: bucket-clock
-- µs since 1970, in a statement of its own: the time after the lock was got, not before.
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) AS clock

-- name: bucket-write
UPDATE {db}.outbox_bucket SET hour_mails = ?, minute_mails = ?, minute_recipients = ?, clock_offset = ? WHERE name = ?

-- name: usage-add
INSERT INTO {db}.outbox_usage (name, slot, mails, recipients) VALUES {rows}
ON DUPLICATE KEY UPDATE mails = mails + VALUES(mails), recipients = recipients + VALUES(recipients)

-- name: usage-sum
SELECT CAST(COALESCE(MAX(slot), 0) AS SIGNED) AS slot, CAST(COALESCE(SUM(mails), 0) AS SIGNED) AS mails,
       CAST(COALESCE(SUM(recipients), 0) AS SIGNED) AS recipients
FROM {db}.outbox_usage WHERE name = ? AND slot >= ?

-- name: usage-since
SELECT slot, mails, recipients FROM {db}.outbox_usage WHERE name = ? AND slot >= ? ORDER BY slot

-- name: usage-remove
UPDATE {db}.outbox_usage SET mails = mails - ?, recipients = recipients - ? WHERE name = ? AND slot = ? AND mails >= ? AND recipients >= ?

-- name: usage-drop-before
DELETE FROM {db}.outbox_usage WHERE name = ? AND slot < ?

-- name: usage-drop-after
DELETE FROM {db}.outbox_usage WHERE name = ? AND slot > ?

-- name: bucket-pause
-- Several troubles at the same time count as one. Values: name, pause in µs, scope, reason.
INSERT INTO {db}.outbox_bucket (name, paused_until, pause_scope, pause_reason, failures)
VALUES (?, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), ?, ?, 1)
ON DUPLICATE KEY UPDATE failures = IF(paused_until > UTC_TIMESTAMP(6), failures, failures + 1),
  paused_until = VALUES(paused_until), pause_scope = VALUES(pause_scope), pause_reason = VALUES(pause_reason)

-- name: bucket-heal
UPDATE {db}.outbox_bucket SET paused_until = NULL, pause_scope = NULL, pause_reason = NULL, failures = 0 WHERE name = ? AND failures > 0

-- name: bucket-health
SELECT GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), paused_until), 0)) AS pause_left,
       COALESCE(pause_scope, '') AS pause_scope, COALESCE(pause_reason, '') AS pause_reason, failures
FROM {db}.outbox_bucket WHERE name = ?

-- name: bucket-read
SELECT name, hour_mails, minute_mails, minute_recipients, clock_offset FROM {db}.outbox_bucket WHERE name = ?
