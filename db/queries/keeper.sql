-- name: run-first
-- The mails up to where the run has come in letting them go. One that was never let go, as it could not be sent, says nothing about the
-- others. Value: run.
SELECT COALESCE(CAST(SUM(IF(o.state IN ('queued', 'sending', 'uncertain'), 1, 0)) AS SIGNED), 0) AS open,
       COALESCE(CAST(SUM(IF(o.state IN ('sent', 'partial', 'failed', 'expired'), 1, 0)) AS SIGNED), 0) AS ended,
       COALESCE(CAST(SUM(IF(o.state IN ('partial', 'failed', 'expired'), 1, 0)) AS SIGNED), 0) AS bad,
       COALESCE(TIMESTAMPDIFF(MICROSECOND, MAX(o.updated_at), UTC_TIMESTAMP(6)), 0) AS rest
FROM {db}.outbox_run r JOIN {db}.outbox_run_mail m ON m.run_id = r.id AND m.outbox_id <= r.released_id
JOIN {db}.outbox o ON o.id = m.outbox_id WHERE r.id = ?
