-- name: keys-used
-- Keys that a mail of the period has used up, but for those of one run. Values: run, kind, period, keys.
SELECT k.value, k.outbox_id FROM {db}.outbox_key k
LEFT JOIN {db}.outbox_run_mail m ON m.run_id = ? AND m.outbox_id = k.outbox_id
WHERE k.kind = ? AND k.period = ? AND k.value IN ({ids}) AND m.outbox_id IS NULL
