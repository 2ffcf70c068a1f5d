-- name: tries-of
-- What servers said of some rows. {ids}: rows.
SELECT a.outbox_id, a.lease_token, a.marked_at, a.finished_at, a.account, a.daemon, COALESCE(a.step, '') AS step, COALESCE(a.verdict, '') AS verdict,
       COALESCE(a.smtp_code, 0) AS smtp_code, COALESCE(a.smtp_enhanced, '') AS smtp_enhanced, COALESCE(a.reply, '') AS reply
FROM {db}.outbox_attempt a WHERE a.outbox_id IN ({ids}) ORDER BY a.outbox_id, COALESCE(a.marked_at, a.finished_at)
