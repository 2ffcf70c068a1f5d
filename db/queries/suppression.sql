-- name: suppressed
-- Which of the keys stand in the list. By the index, however old the server's idea of the table's size is: that costs the same
-- with ten entries and with ten million. Values: keys.
SELECT address_key, COALESCE(reason, '') AS reason, created_at
FROM {db}.outbox_suppression FORCE INDEX (address_key) WHERE address_key IN ({ids})
