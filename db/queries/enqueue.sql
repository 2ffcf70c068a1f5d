-- name: pin
INSERT INTO {db}.outbox_pin (hash, content) VALUES (?, ?) ON DUPLICATE KEY UPDATE created_at = UTC_TIMESTAMP(6)

-- name: piece-pin
-- Values: the first octet, from 1; how many; hash.
SELECT LENGTH(content) AS size, SUBSTRING(content, ?, ?) AS piece FROM {db}.outbox_pin WHERE hash = ?
