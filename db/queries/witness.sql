-- name: witness
-- What is known of a database, and of others that the company had.
SELECT identity, instance, company, beat, nonce FROM {db}.outbox_witness WHERE identity = ?
UNION ALL SELECT identity, instance, company, beat, nonce FROM {db}.outbox_witness WHERE company = ? AND identity <> ?

-- name: witness-write
-- Never back. Values: identity, instance, company, beat, nonce.
INSERT INTO {db}.outbox_witness (identity, instance, company, beat, nonce) VALUES (?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE nonce = IF(VALUES(beat) > beat, VALUES(nonce), nonce), beat = GREATEST(beat, VALUES(beat)), company = VALUES(company)

-- name: handed-write
INSERT INTO {db}.outbox_handed (company, identity, instance, mails, records) VALUES (?, ?, ?, ?, ?)

-- name: handed-read
SELECT id, identity, records FROM {db}.outbox_handed WHERE company = ? AND id > ? ORDER BY id LIMIT ?

-- name: handed-newest
-- The number of the newest but so many.
SELECT id FROM {db}.outbox_handed WHERE company = ? ORDER BY id DESC LIMIT 1 OFFSET ?

-- name: handed-purge
-- Values: seconds, limit.
DELETE FROM {db}.outbox_handed WHERE written_at < TIMESTAMPADD(SECOND, -?, UTC_TIMESTAMP(6)) LIMIT ?
