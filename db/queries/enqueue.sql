-- name: enqueue-known
-- Values: run, identities.
SELECT identity FROM {db}.outbox_run_mail WHERE run_id = ? AND identity IN ({ids})

-- name: run-mail-id
-- Values: run, identity.
SELECT outbox_id FROM {db}.outbox_run_mail WHERE run_id = ? AND identity = ?

-- name: enqueue-used
-- Keys that a mail of the period has used up. Values: kind, period, keys.
SELECT k.value, k.outbox_id, k.at, COALESCE(o.run_id, 0) AS run_id
FROM {db}.outbox_key k LEFT JOIN {db}.outbox o ON o.id = k.outbox_id
WHERE k.kind = ? AND k.period = ? AND k.value IN ({ids})

-- name: keys-used
-- Keys that a mail of the period has used up, but for those of one run. Values: run, kind, period, keys.
SELECT k.value, k.outbox_id FROM {db}.outbox_key k
LEFT JOIN {db}.outbox_run_mail m ON m.run_id = ? AND m.outbox_id = k.outbox_id
WHERE k.kind = ? AND k.period = ? AND k.value IN ({ids}) AND m.outbox_id IS NULL

-- name: enqueue-mails
-- One row of values a mail.
INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, business_key) VALUES {rows}

-- name: enqueue-keys
-- One row of values a mail.
INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES {rows}

-- name: enqueue-note
-- The fence of a batch: no row for a lease that was lost. Values: mails, lease in seconds, id, token.
UPDATE {db}.outbox_run SET enqueued = enqueued + ?, lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6))
WHERE id = ? AND lease_token = ? AND state = 'running'

-- name: mail-insert
-- One row of values a mail.
INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, reply_to, subject, body_text, body_html, headers, priority, send_after, expires_at,
  reference, account, template, params, language, state, held, last_error, run_id)
VALUES {rows}

-- name: mail-verify
-- Values: first and last id, run.
SELECT id, recipients FROM {db}.outbox WHERE id BETWEEN ? AND ? AND COALESCE(run_id, 0) = ?

-- name: mail-attach
-- One row of values an attachment.
INSERT INTO {db}.outbox_attachment (outbox_id, name, type, hash, content_id) VALUES {rows}

-- name: content-freshen
-- A shared content counts its age from its last use.
UPDATE {db}.outbox_content SET created_at = UTC_TIMESTAMP(6) WHERE hash IN ({ids}) AND created_at < TIMESTAMPADD(DAY, -1, UTC_TIMESTAMP(6))

-- name: content-there
-- Locked against a purge.
SELECT hash FROM {db}.outbox_content WHERE hash IN ({ids}) ORDER BY hash LOCK IN SHARE MODE

-- name: content-insert
-- Somebody else may insert the same at this moment.
INSERT INTO {db}.outbox_content (content) VALUES (?) ON DUPLICATE KEY UPDATE created_at = VALUES(created_at)

-- name: pin
INSERT INTO {db}.outbox_pin (hash, content) VALUES (?, ?) ON DUPLICATE KEY UPDATE created_at = VALUES(created_at)

-- name: pin-again
UPDATE {db}.outbox_pin SET created_at = UTC_TIMESTAMP(6) WHERE hash = ?

-- name: piece-pin
-- Values: the first octet, from 1; how many; hash.
SELECT LENGTH(content) AS size, SUBSTRING(content, ?, ?) AS piece FROM {db}.outbox_pin WHERE hash = ?
