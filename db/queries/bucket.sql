-- name: bucket-create
INSERT INTO {db}.outbox_bucket (name) VALUES (?) ON DUPLICATE KEY UPDATE name = name

-- name: bucket-lock
-- hold_left is in µs, -1 until a person resumes the account.
SELECT name, hour_mails, minute_mails, minute_recipients, clock_offset
{2}, slow_refused, slow_since, warm_since,
{2} CASE WHEN held_at IS NULL THEN 0 WHEN held_until IS NULL THEN -1 ELSE GREATEST(0, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), held_until)) END AS hold_left
FROM {db}.outbox_bucket WHERE name IN ({ids}) ORDER BY name FOR UPDATE

-- name: bucket-clock
-- µs since 1970, in a statement of its own: the time after the lock was got, not before.
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) AS clock

-- name: bucket-write
UPDATE {db}.outbox_bucket SET hour_mails = ?, minute_mails = ?, minute_recipients = ?, clock_offset = ? WHERE name = ?

-- name: bucket-write-pacing
UPDATE {db}.outbox_bucket SET slow_refused = ?, slow_since = ?, warm_since = ? WHERE name = ?

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

-- name: usage-drop-abandoned
DELETE FROM {db}.outbox_usage WHERE name >= ? AND name < ?
  AND (slot >= ? AND slot < ? OR slot >= ? AND slot < ? OR slot >= ? AND slot < ?) LIMIT 1000

-- name: bucket-pause
-- Several troubles at the same time count as one. Values: name, pause in µs, scope, reason.
INSERT INTO {db}.outbox_bucket (name, paused_until, pause_scope, pause_reason, failures)
VALUES (?, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), ?, ?, 1)
ON DUPLICATE KEY UPDATE failures = IF(paused_until > UTC_TIMESTAMP(6), failures, failures + 1),
  paused_until = VALUES(paused_until), pause_scope = VALUES(pause_scope), pause_reason = VALUES(pause_reason)

-- name: bucket-note-pause
-- Values: class, class, error, name. The turn to log in has ended.
UPDATE {db}.outbox_bucket SET pause_class = ?, last_error_at = UTC_TIMESTAMP(6), last_error_class = ?, last_error = ?, login_until = NULL WHERE name = ?

-- name: bucket-heal
UPDATE {db}.outbox_bucket SET paused_until = NULL, pause_scope = NULL, pause_reason = NULL, failures = 0
{2}, pause_class = NULL, login_until = NULL
WHERE name = ? AND (failures > 0
{2} OR login_until IS NOT NULL
)

-- name: bucket-hold
-- Values: name, by, reason, who holds it without an end, µs.
INSERT INTO {db}.outbox_bucket (name, held_at, held_by, held_reason, held_until)
VALUES (?, UTC_TIMESTAMP(6), ?, ?, IF(?, NULL, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6))))
ON DUPLICATE KEY UPDATE held_at = VALUES(held_at), held_by = VALUES(held_by), held_reason = VALUES(held_reason), held_until = VALUES(held_until)

-- name: bucket-unhold
UPDATE {db}.outbox_bucket SET held_at = NULL, held_by = NULL, held_reason = NULL, held_until = NULL WHERE name = ?

-- name: bucket-note-success
INSERT INTO {db}.outbox_bucket (name, last_success) VALUES (?, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE last_success = VALUES(last_success)

-- name: bucket-note-error
INSERT INTO {db}.outbox_bucket (name, last_error_at, last_error_class, last_error) VALUES (?, UTC_TIMESTAMP(6), ?, ?)
ON DUPLICATE KEY UPDATE last_error_at = VALUES(last_error_at), last_error_class = VALUES(last_error_class), last_error = VALUES(last_error)

-- name: bucket-login
-- The turn to log in, for so many µs, unless somebody has it. Of two nodes of a cluster that give it at once one loses. One for twice
-- as long is of before the clock was set back. Values: µs, name, twice the µs.
UPDATE {db}.outbox_bucket SET login_until = TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6))
WHERE name = ? AND (login_until IS NULL OR login_until <= UTC_TIMESTAMP(6) OR login_until > TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)))

-- name: bucket-login-end
UPDATE {db}.outbox_bucket SET login_until = NULL WHERE name = ?

-- name: bucket-login-left
SELECT GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), login_until), 0)) AS login_left
FROM {db}.outbox_bucket WHERE name = ?

-- name: bucket-health
SELECT GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), paused_until), 0)) AS pause_left,
       COALESCE(pause_scope, '') AS pause_scope, COALESCE(pause_reason, '') AS pause_reason, failures
{2}, COALESCE(pause_class, '') AS pause_class, slow_refused, slow_since, warm_since,
{2}  CASE WHEN held_at IS NULL THEN 0 WHEN held_until IS NULL THEN -1 ELSE GREATEST(0, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), held_until)) END AS hold_left,
{2}  COALESCE(held_by, '') AS held_by, COALESCE(held_reason, '') AS held_reason,
{2}  last_success, last_error_at, COALESCE(last_error, '') AS last_error, COALESCE(last_error_class, '') AS last_error_class,
{2}  TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) - clock_offset AS clock
FROM {db}.outbox_bucket WHERE name = ?

-- name: bucket-read
SELECT name, hour_mails, minute_mails, minute_recipients, clock_offset
{2}, slow_refused, slow_since, warm_since
FROM {db}.outbox_bucket WHERE name = ?
