-- name: find-head
SELECT id, recipients, COALESCE(subject, '') AS subject, state, held <> 0 AS held, priority, attempts, COALESCE(reference, '') AS reference,
    COALESCE(template, '') AS template,
{4}    COALESCE(run_id, 0) AS run_id,
{4}    IF(state IN ('sent', 'partial'), bounced_at, NULL) AS bounced_at, IF(state IN ('sent', 'partial') AND bounced_at IS NOT NULL, COALESCE(LEFT(bounce, 1000), ''), '') AS bounce,
       COALESCE(sent_via, '') AS sent_via, sent_at, available_at, created_at, COALESCE(last_error, '') AS last_error
FROM {db}.outbox

-- name: find-recipient
SELECT outbox_id FROM {db}.outbox_recipient WHERE address = ? ORDER BY outbox_id DESC LIMIT ?

-- name: show
SELECT o.id, o.recipients, COALESCE(o.cc, '') AS cc, COALESCE(o.bcc, '') AS bcc, COALESCE(o.from_address, '') AS from_address,
       COALESCE(o.subject, '') AS subject, o.state, o.held <> 0 AS held, o.priority, o.claims, o.attempts, COALESCE(o.reference, '') AS reference,
       COALESCE(o.account, '') AS account, COALESCE(o.dedupe_key, '') AS dedupe_key, COALESCE(o.message_id, '') AS message_id,
       COALESCE(o.sent_via, '') AS sent_via, o.sent_at, o.send_after, o.expires_at, o.available_at, o.lease_until,
       COALESCE(o.lease_token, '') AS lease_token, COALESCE(o.smtp_code, 0) AS smtp_code, COALESCE(o.smtp_enhanced, '') AS smtp_enhanced,
       COALESCE(o.last_error, '') AS last_error, o.size, o.created_at, o.updated_at, o.route,
    COALESCE(o.template, '') AS template, COALESCE(o.language, '') AS language, COALESCE(LENGTH(o.raw), 0) AS raw,
{4}    COALESCE(o.run_id, 0) AS run_id, o.held = 2 AS held_by_run,
{4}    o.bounced_at, COALESCE(LEFT(o.bounce, 1000), '') AS bounce,
       o.lane AS lane_id, COALESCE(l.name, '') AS lane, l.wait_until AS lane_until, COALESCE(l.reason, '') AS lane_reason,
       UTC_TIMESTAMP(6) AS clock
FROM {db}.outbox o LEFT JOIN {db}.outbox_lane l ON l.id = o.lane WHERE o.id = ?

-- name: shown-attachments
-- Values: id, limit.
SELECT a.name, COALESCE(a.type, '') AS type, COALESCE(a.size, c.size, -1) AS size,
       CASE WHEN a.purged_hash IS NOT NULL THEN 'purged' WHEN a.size IS NOT NULL THEN 'content' WHEN a.hash IS NOT NULL THEN 'shared' WHEN a.file IS NOT NULL THEN 'file' ELSE 'query' END AS source
FROM {db}.outbox_attachment a LEFT JOIN {db}.outbox_content c ON c.hash = a.hash
WHERE a.outbox_id = ? ORDER BY a.id LIMIT ?

-- name: shown-recipients
SELECT position, kind, address, state, COALESCE(lease_token, '') AS lease_token, COALESCE(smtp_code, 0) AS smtp_code,
{4}    bounced_at, COALESCE(LEFT(bounce, 1000), '') AS bounce,
       COALESCE(smtp_enhanced, '') AS smtp_enhanced, COALESCE(last_error, '') AS last_error
FROM {db}.outbox_recipient WHERE outbox_id = ? ORDER BY position

-- name: attempts
SELECT lease_token, marked_at, finished_at, account, daemon, COALESCE(step, '') AS step, COALESCE(verdict, '') AS verdict,
       COALESCE(smtp_code, 0) AS smtp_code, COALESCE(smtp_enhanced, '') AS smtp_enhanced, COALESCE(reply, '') AS reply
FROM {db}.outbox_attempt WHERE outbox_id = ? ORDER BY COALESCE(marked_at, finished_at)

-- name: ahead
-- Due rows of one queue that go before a time and number, up to a limit. Values: lane, route, priority, time, time, id, limit.
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox
  WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6)
    AND (available_at < ? OR (available_at = ? AND id < ?)) LIMIT ?) a

-- name: tries-of
-- What servers said of some rows. {ids}: rows.
SELECT a.outbox_id, a.lease_token, a.marked_at, a.finished_at, a.account, a.daemon, COALESCE(a.step, '') AS step, COALESCE(a.verdict, '') AS verdict,
       COALESCE(a.smtp_code, 0) AS smtp_code, COALESCE(a.smtp_enhanced, '') AS smtp_enhanced, COALESCE(a.reply, '') AS reply
FROM {db}.outbox_attempt a WHERE a.outbox_id IN ({ids}) ORDER BY a.outbox_id, COALESCE(a.marked_at, a.finished_at)

-- name: waiting-before
-- Rows of one route that wait and would go before new ones of a priority, up to a limit. Values: lane, route, priority, limit.
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane = ? AND route = ? AND priority <= ? LIMIT ?) a

-- name: retry
-- The counters begin anew: a person has decided. A bounce belongs to what was sent before; it stays of those who have that.
-- Values: by whom it is held, id.
UPDATE {db}.outbox SET
{4}  bounced_at = IF(state IN ('partial', 'queued'), bounced_at, NULL), bounce = IF(state IN ('partial', 'queued'), bounce, NULL),
  state = 'queued', held = ?, lane = 0, claims = 0, attempts = 0, available_at = UTC_TIMESTAMP(6), last_error = NULL
WHERE id = ? AND state IN ('queued', 'failed', 'partial', 'skipped', 'suppressed', 'uncertain', 'expired', 'cancelled')
  AND (expires_at IS NULL OR expires_at > UTC_TIMESTAMP(6))

-- name: retry-recipients
UPDATE {db}.outbox_recipient SET
{4}  bounced_at = NULL, bounce = NULL,
  state = 'open', last_error = NULL, smtp_code = NULL, smtp_enhanced = NULL
WHERE outbox_id = ? AND state IN ('failed', 'suppressed', 'uncertain')

-- name: settle-by-hand
-- Values: state, error, whether sent, id.
UPDATE {db}.outbox SET state = ?, last_error = ?, sent_at = IF(?, COALESCE(sent_at, UTC_TIMESTAMP(6)), sent_at)
WHERE id = ? AND state = 'uncertain'

-- name: settle-recipients
-- Values: state, error, id.
UPDATE {db}.outbox_recipient SET state = ?, last_error = ? WHERE outbox_id = ? AND state = 'uncertain'

-- name: hold
UPDATE {db}.outbox SET held = 1, last_error = ? WHERE id = ? AND state = 'queued' AND held <> 1

-- name: release
-- Into no lane: the one it waited in may be gone. Values: by whom it is held from now on, id.
UPDATE {db}.outbox SET held = ?, lane = 0, claims = attempts, last_error = NULL WHERE id = ? AND state = 'queued' AND held <> 0

-- name: cancel
-- Values: why, ids.
UPDATE {db}.outbox SET state = 'cancelled', held = 0, last_error = ? WHERE id IN ({ids}) AND state = 'queued'

-- name: cancel-some
-- Values: state, why, id.
UPDATE {db}.outbox SET state = ?, held = 0, last_error = ? WHERE id = ? AND state = 'queued'

-- name: count-waiting
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane < 4294967295 LIMIT ?) c

-- name: count-sending
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane = 4294967295 LIMIT ?) c

-- name: count-held
-- Values: trouble, limit.
SELECT COUNT(*) AS held, CAST(COALESCE(SUM(c.held = 2), 0) AS SIGNED) AS by_runs FROM (SELECT held FROM {db}.outbox WHERE trouble = ? LIMIT ?) c

-- name: count-trouble
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE trouble = ? LIMIT ?) c

-- name: count-uncertain-of-run
-- Values: run, limit.
SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE trouble = 1 AND run_id = ? LIMIT ?) c

-- name: count-due
-- How many, and for how many seconds the oldest of them has been due. Values: lane, route, priority, limit.
SELECT COUNT(*) AS due, COALESCE(TIMESTAMPDIFF(SECOND, MIN(available_at), UTC_TIMESTAMP(6)), 0) AS oldest
FROM (SELECT available_at FROM {db}.outbox WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6) ORDER BY available_at LIMIT ?) c

-- name: sent-lately
-- Values: seconds, limit.
SELECT COALESCE(sent_via, '') AS account, COUNT(*) AS mails
FROM (SELECT sent_via FROM {db}.outbox WHERE sent_at > TIMESTAMPADD(SECOND, -?, UTC_TIMESTAMP(6)) LIMIT ?) s GROUP BY sent_via

-- name: audit-add
INSERT INTO {db}.outbox_audit (actor, action, target, reason, detail) VALUES (?, ?, ?, ?, ?)

-- name: audit-list
SELECT id, at, actor, action, target, COALESCE(reason, '') AS reason, COALESCE(detail, '') AS detail
FROM {db}.outbox_audit WHERE id < ? ORDER BY id DESC LIMIT ?
