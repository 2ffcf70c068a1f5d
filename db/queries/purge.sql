-- name: clock
SELECT UTC_TIMESTAMP(6)

-- name: run-step
-- Values: lease in seconds, contents, rows, id.
UPDATE {db}.outbox_run SET lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6)), contents = contents + ?, removed = removed + ? WHERE id = ?

-- name: purge-passed
SELECT passed FROM {db}.outbox_purge WHERE pass = ?

-- name: purge-pass
INSERT INTO {db}.outbox_purge (pass, passed) VALUES (?, ?) ON DUPLICATE KEY UPDATE passed = GREATEST(passed, VALUES(passed))

-- name: purge-later
-- Rows that were passed by and may be old enough by now. Values: pass, time, time, time, id, limit.
SELECT outbox_id AS id, since FROM {db}.outbox_purge_later
WHERE pass = ? AND since < ? AND (since > ? OR (since = ? AND outbox_id > ?))
ORDER BY since, outbox_id LIMIT ?

-- name: purge-remember
-- One row of values a mail.
INSERT INTO {db}.outbox_purge_later (pass, outbox_id, since) VALUES {rows} ON DUPLICATE KEY UPDATE since = VALUES(since)

-- name: purge-forget
DELETE FROM {db}.outbox_purge_later WHERE pass = ? AND outbox_id IN ({ids})

-- name: purge-window
-- A look along the primary key. Values: id, limit.
SELECT id, state, created_at, updated_at, size FROM {db}.outbox WHERE id > ? ORDER BY id LIMIT ?

-- name: purge-again
SELECT id, state, created_at, updated_at, size FROM {db}.outbox WHERE id IN ({ids}) ORDER BY id

-- name: purge-window-tries
-- Tries in a range, also of rows that were deleted by hand. Values: id, id, limit.
SELECT outbox_id AS id, MAX(COALESCE(finished_at, marked_at)) AS updated_at FROM {db}.outbox_attempt
WHERE outbox_id > ? AND outbox_id <= ? GROUP BY outbox_id ORDER BY outbox_id LIMIT ?

-- name: purge-again-tries
SELECT outbox_id AS id, MAX(COALESCE(finished_at, marked_at)) AS updated_at FROM {db}.outbox_attempt
WHERE outbox_id IN ({ids}) GROUP BY outbox_id

-- name: purge-window-recipients
-- Values: id, id, limit.
SELECT outbox_id AS id, MAX(updated_at) AS updated_at FROM {db}.outbox_recipient
WHERE outbox_id > ? AND outbox_id <= ? GROUP BY outbox_id ORDER BY outbox_id LIMIT ?

-- name: purge-again-recipients
SELECT outbox_id AS id, MAX(updated_at) AS updated_at FROM {db}.outbox_recipient
WHERE outbox_id IN ({ids}) GROUP BY outbox_id

-- name: purge-window-attachments
-- Values: id, id, limit.
SELECT outbox_id AS id, MAX(created_at) AS updated_at FROM {db}.outbox_attachment
WHERE outbox_id > ? AND outbox_id <= ? GROUP BY outbox_id ORDER BY outbox_id LIMIT ?

-- name: purge-again-attachments
SELECT outbox_id AS id, MAX(created_at) AS updated_at FROM {db}.outbox_attachment
WHERE outbox_id IN ({ids}) GROUP BY outbox_id

-- name: purge-weigh
-- What mails have beside bodies and headers: octets, and whether there is anything to be removed.
SELECT o.id, COALESCE(LENGTH(o.params), 0) + COALESCE(LENGTH(o.raw), 0)
         + COALESCE((SELECT CAST(SUM(a.size) AS SIGNED) FROM {db}.outbox_attachment a WHERE a.outbox_id = o.id), 0) AS size,
       o.params IS NOT NULL OR o.raw IS NOT NULL
         OR EXISTS (SELECT 1 FROM {db}.outbox_attachment a WHERE a.outbox_id = o.id AND (a.size IS NOT NULL OR a.hash IS NOT NULL)) AS content
FROM {db}.outbox o WHERE o.id IN ({ids})

-- name: purge-lock
-- What has ended and is old; nobody is waited for. Values: ids, time.
SELECT id FROM {db}.outbox
WHERE id IN ({ids}) AND state IN ('sent', 'partial', 'failed', 'skipped', 'suppressed', 'cancelled', 'expired') AND updated_at < ?
ORDER BY id FOR UPDATE SKIP LOCKED

-- name: purge-hash
-- The proof of what is going to be removed; of what somebody has put there since, there is none.
INSERT INTO {db}.outbox_purged (outbox_id, text_hash, html_hash, headers_hash
  , params_hash, raw_hash
) SELECT id, SHA2(body_text, 256), SHA2(body_html, 256), SHA2(headers, 256)
  , SHA2(params, 256), SHA2(raw, 256)
FROM {db}.outbox WHERE id IN ({ids})
ON DUPLICATE KEY UPDATE purged_at = purged_at

-- name: purge-content
-- updated_at stays: the age of the row counts from its outcome.
UPDATE {db}.outbox SET body_text = NULL, body_html = NULL, headers = NULL,
  params = NULL, raw = NULL,
  updated_at = updated_at
WHERE id IN ({ids})

-- name: purge-attachments
-- purged_hash first: it is made from what the later assignments remove. Files and queries are no content of the table.
UPDATE {db}.outbox_attachment SET purged_hash = COALESCE(hash, CONVERT(SHA2(content, 256) USING ascii)), hash = NULL, content = NULL
WHERE outbox_id IN ({ids}) AND (hash IS NOT NULL OR size IS NOT NULL)

-- name: purge-keys
-- A key that is used up already stays with its first row.
INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at)
SELECT 'dedupe', dedupe_key, '', id, created_at FROM {db}.outbox WHERE id IN ({ids}) AND dedupe_key IS NOT NULL
ON DUPLICATE KEY UPDATE at = at

-- name: purge-recipients
DELETE FROM {db}.outbox_recipient WHERE outbox_id IN ({ids})

-- name: purge-tries
DELETE FROM {db}.outbox_attempt WHERE outbox_id IN ({ids})

-- name: purge-attached
DELETE FROM {db}.outbox_attachment WHERE outbox_id IN ({ids})

-- name: purge-hashes
DELETE FROM {db}.outbox_purged WHERE outbox_id IN ({ids})

-- name: purge-rows
DELETE FROM {db}.outbox WHERE id IN ({ids})

-- name: purge-shared
-- Shared contents that may be old enough. Values: time, time, time, hash, limit.
SELECT hash, size, created_at FROM {db}.outbox_content
WHERE created_at < ? AND (created_at > ? OR created_at = ? AND hash > ?) ORDER BY created_at, hash LIMIT ?

-- name: purge-lock-shared
-- Whoever shares one at this moment has it locked. Values: hashes, time.
SELECT hash FROM {db}.outbox_content WHERE hash IN ({ids}) AND created_at < ? FOR UPDATE SKIP LOCKED

-- name: purge-used
SELECT DISTINCT hash FROM {db}.outbox_attachment WHERE hash IN ({ids})

-- name: purge-unshare
DELETE FROM {db}.outbox_content WHERE hash IN ({ids})

-- name: purge-uncounted
-- Of runs: what was not counted yet, or is needed to go on with the run; and what the company's tables have not been told.
SELECT o.id FROM {db}.outbox o
WHERE o.id IN ({ids}) AND (EXISTS (SELECT 1 FROM {db}.outbox_run_mail m JOIN {db}.outbox_run r ON r.id = m.run_id
    WHERE m.run_id = o.run_id AND m.outbox_id = o.id AND (m.state IS NULL OR r.state = 'running'))
  OR EXISTS (SELECT 1 FROM {db}.outbox_writeback w WHERE w.outbox_id = o.id))

-- name: purge-of-runs
SELECT run_id, id FROM {db}.outbox WHERE id IN ({ids}) AND run_id IS NOT NULL ORDER BY run_id, id

-- name: purge-run-mails
-- Values: run, ids.
DELETE FROM {db}.outbox_run_mail WHERE run_id = ? AND outbox_id IN ({ids})

-- name: purge-run
-- The next run that ended long ago and has mails left. Values: id, time.
-- One look for each run: mails of others are not read.
SELECT r.id FROM {db}.outbox_run r
WHERE r.id > ? AND r.finished_at < ? AND (SELECT m.outbox_id FROM {db}.outbox_run_mail m WHERE m.run_id = r.id LIMIT 1) IS NOT NULL
ORDER BY r.id LIMIT 1

-- name: purge-run-gone
-- Mails of a run whose rows were deleted by hand. Values: run, limit.
SELECT m.outbox_id FROM {db}.outbox_run_mail m LEFT JOIN {db}.outbox o ON o.id = m.outbox_id
WHERE m.run_id = ? AND m.state IS NOT NULL AND o.id IS NULL ORDER BY m.outbox_id LIMIT ?

-- name: purge-pins
-- Templates that no run needs any more, neither to go on nor to send one of its mails again. Values: time, limit.
SELECT p.hash FROM {db}.outbox_pin p
WHERE p.created_at < ? AND NOT EXISTS (SELECT 1 FROM {db}.outbox_run r WHERE r.templates = p.hash
  AND (r.finished_at IS NULL OR (SELECT m.outbox_id FROM {db}.outbox_run_mail m WHERE m.run_id = r.id LIMIT 1) IS NOT NULL))
LIMIT ?

-- name: purge-unpin
-- Whoever pins the same at this moment has made it young. Values: hashes, time.
DELETE FROM {db}.outbox_pin WHERE hash IN ({ids}) AND created_at < ?

-- name: archived
-- How much of a file counts.
SELECT octets, entries FROM {db}.outbox_archive WHERE file = ?

-- name: archive-note
-- Values: file, run, octets, entries.
INSERT INTO {db}.outbox_archive (file, run_id, octets, entries) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE octets = VALUES(octets), entries = VALUES(entries)

-- name: archive-content
-- A finished message that is too large for one step is told by its hash.
SELECT id, subject, body_text, body_html, headers
  , params, IF(LENGTH(raw) <= 33554432, raw, NULL) AS raw, IF(LENGTH(raw) > 33554432, SHA2(raw, 256), NULL) AS raw_hash
FROM {db}.outbox WHERE id IN ({ids}) ORDER BY id

-- name: archive-rows
SELECT id,
{4}  bounced_at, bounce, run_id, (SELECT m.business_key FROM {db}.outbox_run_mail m WHERE m.run_id = outbox.run_id AND m.outbox_id = outbox.id) AS business_key,
  template, params, language, IF(LENGTH(raw) <= 33554432, raw, NULL) AS raw, IF(LENGTH(raw) > 33554432, SHA2(raw, 256), NULL) AS raw_hash,
       recipients, cc, bcc, from_address, reply_to, subject, body_text, body_html, headers, priority, send_after, expires_at, dedupe_key,
       reference, account, state, claims, attempts, message_id, sent_via, sent_at, smtp_code, smtp_enhanced, last_error, created_at, updated_at
FROM {db}.outbox WHERE id IN ({ids}) ORDER BY id

-- name: archive-recipients
SELECT outbox_id AS id, position, kind, address, state, smtp_code, smtp_enhanced,
{4}  bounced_at, bounce,
       last_error, updated_at
FROM {db}.outbox_recipient WHERE outbox_id IN ({ids}) ORDER BY outbox_id, position

-- name: archive-tries
SELECT outbox_id AS id, lease_token, marked_at, finished_at, account, daemon, step, verdict, smtp_code, smtp_enhanced, reply
FROM {db}.outbox_attempt WHERE outbox_id IN ({ids}) ORDER BY outbox_id, COALESCE(marked_at, finished_at)

-- name: archive-attachments
-- Whatever they were made from; of contents the hash.
SELECT outbox_id AS id, name, type, file, query, format, options, content_id, size, COALESCE(purged_hash, hash, CONVERT(SHA2(content, 256) USING ascii)) AS hash
FROM {db}.outbox_attachment WHERE outbox_id IN ({ids}) ORDER BY outbox_id, outbox_attachment.id

-- name: archive-hashes
SELECT outbox_id AS id, text_hash, html_hash, headers_hash,
  params_hash, raw_hash,
  purged_at
FROM {db}.outbox_purged WHERE outbox_id IN ({ids})
