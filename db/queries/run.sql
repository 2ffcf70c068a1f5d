-- name: run-head
SELECT id, job, scheduled_at, state, COALESCE(lease_token, '') AS lease_token, contents, removed, COALESCE(last_error, '') AS last_error,
{4}    kind, COALESCE(spec, '') AS spec, period, COALESCE(started_by, '') AS started_by, audience, enqueued, COALESCE(templates, '') AS templates,
{4}    allowed, released, released_at, sent, partial, failed, skipped, suppressed, cancelled, expired, gone, decide_until,
{4}    COALESCE(approved_by, '') AS approved_by, approved_at, changed_at, COALESCE(ends_as, '') AS ends_as, COALESCE(note, '') AS note, link_key,
       started_at, finished_at, state = 'running' AND (lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6)) AS free
FROM {db}.outbox_run

-- name: run-begin
-- The unique key lets one daemon have it. Values: job, wall time, state, computer, token, whether it is free, lease in seconds,
-- whether it has not ended; kind, spec, period, person, note.
INSERT INTO {db}.outbox_run (job, scheduled_at, state, daemon, lease_token, lease_until, finished_at
{4}  , kind, spec, period, started_by, note, changed_at
) VALUES (?, ?, ?, ?, ?, IF(?, NULL, TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6))), IF(?, NULL, UTC_TIMESTAMP(6))
{4}  , ?, ?, ?, ?, ?, UTC_TIMESTAMP(6)
)

-- name: run-scheduled
-- Follows run-head: the last run that no person has started. Value: job.
WHERE job = ?
{4}  AND COALESCE(started_by, 'schedule') = 'schedule'
ORDER BY scheduled_at DESC LIMIT 1

-- name: run-taken
-- Values: job, wall time, schedule.
SELECT scheduled_at FROM {db}.outbox_run WHERE job = ? AND scheduled_at > ? AND started_by <> ?

-- name: run-begin-skipped
-- A person has what was left out run after all. Values: state, computer, token, whether it is free, lease in seconds; kind, spec,
-- period, person, note, job, wall time.
UPDATE {db}.outbox_run SET state = ?, daemon = ?, lease_token = ?, lease_until = IF(?, NULL, TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6))),
  started_at = UTC_TIMESTAMP(6), finished_at = NULL, last_error = NULL, changed_at = UTC_TIMESTAMP(6),
  kind = ?, spec = ?, period = ?, started_by = ?, note = ?
WHERE job = ? AND scheduled_at = ? AND state = 'skipped'

-- name: run-lock-last
SELECT id FROM {db}.outbox_run WHERE job = ? ORDER BY scheduled_at DESC LIMIT 1 FOR UPDATE

-- name: run-take
-- Values: computer, token, lease in seconds, id, the token of before.
UPDATE {db}.outbox_run SET daemon = ?, lease_token = ?, lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6))
WHERE id = ? AND COALESCE(lease_token, '') = ? AND state = 'running' AND (lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6))

-- name: run-lock
-- The fence of a step: no row for a lease that was lost. Values: id, token.
SELECT id FROM {db}.outbox_run WHERE id = ? AND lease_token = ? AND state = 'running' FOR UPDATE

-- name: run-beat
-- Values: lease in seconds, id, token.
UPDATE {db}.outbox_run SET lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6)) WHERE id = ? AND lease_token = ? AND state = 'running'

-- name: run-lay-down
UPDATE {db}.outbox_run SET lease_until = NULL WHERE id = ? AND lease_token = ? AND state = 'running'

-- name: run-lay-down-all
-- Value: head of the token.
UPDATE {db}.outbox_run SET lease_until = NULL WHERE state = 'running' AND lease_token LIKE ?

-- name: run-end
-- Values: state, error, id, token.
UPDATE {db}.outbox_run SET state = ?, last_error = ?, finished_at = UTC_TIMESTAMP(6),
{4}  changed_at = UTC_TIMESTAMP(6),
  lease_until = NULL
WHERE id = ? AND lease_token = ? AND state = 'running'

-- name: run-change
-- What is set follows, then WHERE id = ?.
UPDATE {db}.outbox_run SET

-- name: run-mails-open
SELECT COUNT(*) FROM {db}.outbox_run_mail FORCE INDEX (state) WHERE run_id = ? AND state IS NULL

-- name: run-mail-open
SELECT outbox_id FROM {db}.outbox_run_mail FORCE INDEX (state) WHERE run_id = ? AND state IS NULL LIMIT 1

-- name: run-mails-unended
-- The mails of a run that were not counted yet, with what became of them by now. Values: run, id, limit.
SELECT m.outbox_id AS id, COALESCE(m.business_key, '') AS business_key, m.written, o.state, COALESCE(o.held, 0) AS held
FROM {db}.outbox_run_mail m FORCE INDEX (state) LEFT JOIN {db}.outbox o ON o.id = m.outbox_id
WHERE m.run_id = ? AND m.state IS NULL AND m.outbox_id > ? ORDER BY m.outbox_id LIMIT ?

-- name: run-mails-lost
-- A look along the primary key for mails that their run does not know. Values: run, id, limit.
SELECT o.id, m.outbox_id IS NULL AND o.run_id IS NOT NULL AND o.run_id = ? AS lost
FROM {db}.outbox o LEFT JOIN {db}.outbox_run_mail m ON m.run_id = o.run_id AND m.outbox_id = o.id WHERE o.id > ? ORDER BY o.id LIMIT ?

-- name: run-mails-refound
-- Several may look at the same time.
INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity) VALUES {rows} ON DUPLICATE KEY UPDATE outbox_id = VALUES(outbox_id)

-- name: run-mails-end
-- Values: state, run, ids.
UPDATE {db}.outbox_run_mail SET state = ? WHERE run_id = ? AND state IS NULL AND outbox_id IN ({ids})

-- name: run-count
-- Values: one for each column, id.
UPDATE {db}.outbox_run SET sent = sent + ?, partial = partial + ?, failed = failed + ?, skipped = skipped + ?, suppressed = suppressed + ?,
  cancelled = cancelled + ?, expired = expired + ?, gone = gone + ? WHERE id = ?

-- name: run-keys-free
-- Keys of mails that were not mailed; one that another mail has used up stays. Values: job, period, keys, pairs of key and id.
DELETE FROM {db}.outbox_key WHERE kind = ? AND period = ? AND value IN ({ids}) AND (value, outbox_id) IN ({pairs})

-- name: run-released
-- Values: mails, the last one, whether any, id.
UPDATE {db}.outbox_run SET released = released + ?, released_id = ?, released_at = IF(?, UTC_TIMESTAMP(6), released_at) WHERE id = ?

-- name: run-held
-- Values: mails, mails, the last one, id.
UPDATE {db}.outbox_run SET released = IF(released > ?, released - ?, 0), released_id = ? WHERE id = ?

-- name: run-unreleased
-- Values: mails, mails, id.
UPDATE {db}.outbox_run SET released = IF(released > ?, released - ?, 0) WHERE id = ?

-- name: run-release-mails
-- A mail that is being tried, or uncertain, may come back to the queue. available_at first: it is made from what stands in
-- send_after. A pause after a try goes on.
UPDATE {db}.outbox SET held = 0, lane = IF(state = 'queued', 0, lane),
  available_at = IF(state = 'queued', GREATEST(available_at, COALESCE(send_after, available_at), UTC_TIMESTAMP(6)), available_at),
  send_after = IF(state = 'queued', GREATEST(COALESCE(send_after, UTC_TIMESTAMP(6)), UTC_TIMESTAMP(6)), send_after)
WHERE id IN ({ids}) AND held = 2 AND state IN ('queued', 'sending', 'uncertain')

-- name: run-hold-mails
UPDATE {db}.outbox SET held = 2 WHERE id IN ({ids}) AND held = 0 AND state IN ('queued', 'sending', 'uncertain')

-- name: run-mails
-- What became of the mails of a run: what stands in the row, else what was counted. Values: run, id.
SELECT m.outbox_id AS id, COALESCE(m.business_key, '') AS business_key, o.state, COALESCE(m.state, 'gone') AS counted,
       COALESCE(o.recipients, '') AS recipients, COALESCE(o.subject, '') AS subject, COALESCE(o.reference, '') AS reference,
       COALESCE(o.state = 'queued' AND o.held <> 0, 0) AS held, o.sent_at, COALESCE(o.sent_via, '') AS sent_via, COALESCE(o.smtp_code, 0) AS smtp_code,
       COALESCE(o.smtp_enhanced, '') AS smtp_enhanced, COALESCE(o.last_error, '') AS last_error,
       IF(o.state IN ('sent', 'partial'), o.bounced_at, NULL) AS bounced_at, IF(o.state IN ('sent', 'partial') AND o.bounced_at IS NOT NULL, COALESCE(LEFT(o.bounce, 1000), ''), '') AS bounce,
       CASE WHEN w.outbox_id IS NOT NULL THEN CONCAT('waits: ', COALESCE(w.last_error, 'not tried yet')) WHEN m.written <> 0 THEN 'done' ELSE '' END AS write_back
FROM {db}.outbox_run_mail m LEFT JOIN {db}.outbox o ON o.id = m.outbox_id LEFT JOIN {db}.outbox_writeback w ON w.outbox_id = m.outbox_id
WHERE m.run_id = ? AND m.outbox_id > ?

-- name: run-mails-failed
-- Of those the ones that did not get to all of their recipients, or not yet surely, and those that came back.
  AND (o.state NOT IN ('sent', 'queued', 'sending') OR o.state = 'sent' AND o.bounced_at IS NOT NULL OR o.id IS NULL AND COALESCE(m.state, 'gone') <> 'sent')

-- name: run-cursor
SELECT released_id FROM {db}.outbox_run WHERE id = ?

-- name: run-of-row
SELECT COALESCE(run_id, 0) FROM {db}.outbox WHERE id = ?

-- name: run-mail
-- Values: run, id.
SELECT outbox_id AS id, COALESCE(business_key, '') AS business_key, written, state, 0 AS held
FROM {db}.outbox_run_mail WHERE run_id = ? AND outbox_id = ?

-- name: run-mail-again
-- Values: run, id.
UPDATE {db}.outbox_run_mail SET state = NULL, written = 0 WHERE run_id = ? AND outbox_id = ?

-- name: run-uncount
-- Values: one for each column, id.
UPDATE {db}.outbox_run SET sent = sent - ?, partial = partial - ?, failed = failed - ?, skipped = skipped - ?, suppressed = suppressed - ?,
  cancelled = cancelled - ?, expired = expired - ?, gone = gone - ? WHERE id = ?

-- name: run-reopen
-- Values: note, id.
UPDATE {db}.outbox_run SET state = 'sending', changed_at = UTC_TIMESTAMP(6), finished_at = NULL, note = ? WHERE id = ? AND state = 'done'

-- name: run-write-no-more
-- What is tried again has no outcome to be told.
DELETE FROM {db}.outbox_writeback WHERE outbox_id = ?

-- name: run-key-keep
-- Values: job, key, period, id.
INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE at = at

-- name: run-key-others
-- Other mails that have used up a key. Values: key, period, id, kinds.
SELECT outbox_id FROM {db}.outbox_key WHERE value = ? AND period = ? AND outbox_id <> ? AND kind IN ({ids})

-- name: some-have
-- Mails that some of their recipients have, or may have.
SELECT DISTINCT outbox_id FROM {db}.outbox_recipient WHERE outbox_id IN ({ids}) AND state IN ('accepted', 'sending', 'uncertain')

-- name: gone-had
-- Mails whose rows are gone and that a server took, or may have taken.
SELECT DISTINCT outbox_id FROM {db}.outbox_attempt
WHERE outbox_id IN ({ids}) AND marked_at IS NOT NULL AND COALESCE(verdict, 'uncertain') IN ('accepted', 'uncertain')

-- name: run-first
-- The mails up to where the run has come in letting them go. One that was never let go, as it could not be sent, says nothing about the
-- others, and whom the list leaves out of a mail was not refused. A bounce is no new end, so that the time since the last one goes on. Where all of them
-- were deleted, it counts since they were let go. Value: run.
SELECT COALESCE(CAST(SUM(IF(o.state IN ('queued', 'sending', 'uncertain'), 1, 0)) AS SIGNED), 0) AS open,
       COALESCE(CAST(SUM(IF(o.state IN ('sent', 'partial', 'failed', 'expired'), 1, 0)) AS SIGNED), 0) AS ended,
       COALESCE(CAST(SUM(IF(o.state IN ('failed', 'expired') OR o.state = 'partial'
         AND EXISTS (SELECT 1 FROM {db}.outbox_recipient c WHERE c.outbox_id = o.id AND c.state = 'failed'), 1, 0)) AS SIGNED), 0) AS refused,
       COALESCE(CAST(SUM(IF(o.state = 'sent' AND o.bounced_at IS NOT NULL, 1, 0)) AS SIGNED), 0) AS bounced,
       COALESCE(TIMESTAMPDIFF(MICROSECOND, COALESCE(MAX(IF(o.bounced_at IS NULL, o.updated_at, COALESCE(o.sent_at, o.updated_at))), MAX(r.released_at)), UTC_TIMESTAMP(6)), 0) AS rest
FROM {db}.outbox_run r LEFT JOIN {db}.outbox_run_mail m ON m.run_id = r.id AND m.outbox_id <= r.released_id
LEFT JOIN {db}.outbox o ON o.id = m.outbox_id WHERE r.id = ?
