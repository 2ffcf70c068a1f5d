-- name: told
-- Values: daemon, seconds.
SELECT name FROM {db}.outbox_told WHERE instance = ? AND told_at > TIMESTAMPADD(SECOND, -?, UTC_TIMESTAMP(6))

-- name: tell
INSERT INTO {db}.outbox_told (instance, name, subject) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE subject = VALUES(subject), told_at = UTC_TIMESTAMP(6)

-- name: untell
DELETE FROM {db}.outbox_told WHERE instance = ? AND name = ?

-- name: present
INSERT INTO {db}.outbox_instance (id, host) VALUES (?, ?) ON DUPLICATE KEY UPDATE host = VALUES(host), started_at = UTC_TIMESTAMP(6)

-- name: host-of
SELECT host FROM {db}.outbox_instance WHERE id = ?
