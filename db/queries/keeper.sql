-- name: run-first
-- The mails up to where the run has come in letting them go. One that was never let go, as it could not be sent, says nothing about the
-- others. A bounce is no new end, so that the time since the last one goes on. Where all of them
-- were deleted, it counts since they were let go. Value: run.
SELECT COALESCE(CAST(SUM(IF(o.state IN ('queued', 'sending', 'uncertain'), 1, 0)) AS SIGNED), 0) AS open,
       COALESCE(CAST(SUM(IF(o.state IN ('sent', 'partial', 'failed', 'expired'), 1, 0)) AS SIGNED), 0) AS ended,
       COALESCE(CAST(SUM(IF(o.state IN ('partial', 'failed', 'expired'), 1, 0)) AS SIGNED), 0) AS refused,
       COALESCE(CAST(SUM(IF(o.state = 'sent' AND o.bounced_at IS NOT NULL, 1, 0)) AS SIGNED), 0) AS bounced,
       COALESCE(TIMESTAMPDIFF(MICROSECOND, COALESCE(MAX(IF(o.bounced_at IS NULL, o.updated_at, COALESCE(o.sent_at, o.updated_at))), MAX(r.released_at)), UTC_TIMESTAMP(6)), 0) AS rest
FROM {db}.outbox_run r LEFT JOIN {db}.outbox_run_mail m ON m.run_id = r.id AND m.outbox_id <= r.released_id
LEFT JOIN {db}.outbox o ON o.id = m.outbox_id WHERE r.id = ?
