-- name: candidates
-- One of these for each priority, route and lane, joined by UNION ALL: each reads a few index entries and locks nothing.
SELECT id, priority, available_at, rdom, size FROM {db}.outbox
WHERE qlane = ? AND route = ? AND priority = ? AND available_at <= UTC_TIMESTAMP(6)
ORDER BY available_at, id LIMIT ?

-- name: hinted
-- Candidates that a look behind rows of paused domains has found.
SELECT id, route, priority, available_at, rdom, size FROM {db}.outbox
WHERE id IN ({ids}) AND qlane = 0 AND available_at <= UTC_TIMESTAMP(6)

-- name: stirred
-- Whether anything is to be done: one of these for each of several companies, joined by UNION ALL.
-- Values: the company's place in the question, those of the ranges.
SELECT ? AS place FROM {db}.outbox FORCE INDEX (claim) WHERE {ranges} LIMIT 1

-- name: next-route
-- Hops from one route to the next along the claim index.
SELECT route FROM {db}.outbox WHERE qlane = ? AND route >= ? ORDER BY route LIMIT 1

-- name: route-sample
-- Any row of a route tells what the route stands for.
SELECT COALESCE(account, '') AS account, COALESCE(from_address, '') AS from_address
FROM {db}.outbox WHERE qlane = ? AND route = ? LIMIT 1

-- name: unlocked
-- Leaves out what somebody has changed and not yet committed: nobody waits for a forgotten transaction.
SELECT id FROM {db}.outbox WHERE id IN ({ids}) FOR UPDATE SKIP LOCKED

-- name: free
-- As unlocked; a row without a Message-ID was never taken.
SELECT id, message_id IS NULL AS first FROM {db}.outbox WHERE id IN ({ids}) FOR UPDATE SKIP LOCKED

-- name: part-message-id
-- Made from the row alone, so that it is the same whenever it is made; a finished message may bring its own.
-- Values: a mark of the database, the domain where from_address has none.
COALESCE(message_id,
  IF(raw IS NOT NULL, NULL,
  CONCAT('<', DATE_FORMAT(created_at, '%Y%m%d%H%i%s.%f'), '.', id, '.', ?, '@',
    COALESCE(NULLIF(REGEXP_SUBSTR(CONVERT(LOWER(LEFT(TRIM(SUBSTRING_INDEX(SUBSTRING_INDEX(from_address, '@', -1), '>', 1)), 190)) USING utf8mb4) COLLATE utf8mb4_bin,
      '^[a-z0-9-]+([.][a-z0-9-]+)*$'), ''), ?), '>')
  )
)

-- name: claim
-- Guarded by state: of two daemons with the same candidates each row goes to one.
-- Values: token, lease in seconds, those of part-message-id, ids.
UPDATE {db}.outbox
SET state = 'sending', claims = claims + 1, lease_token = ?,
    lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6)),
    message_id = {part-message-id}
WHERE id IN ({ids}) AND state = 'queued' AND held = 0

-- name: refuse
-- last_error first: it is made from what the later assignments mend.
UPDATE {db}.outbox
SET last_error = CONCAT(?, LEFT(COALESCE(headers, ''), 500)), state = 'failed', attempts = attempts + 1,
    headers = IF(JSON_VALID(headers), headers, NULL), priority = LEAST(5, GREATEST(1, priority))
WHERE id = ? AND state = 'queued'

-- name: misfits
SELECT id FROM {db}.outbox WHERE qlane = 0 AND route = ? AND (priority < 1 OR priority > 5) LIMIT 100

-- name: part-row
-- A row as it is sent, but for the Message-ID. What is too large stays unread. A template without a name is one that there is
-- not: such a row must not go as one without a template. Values: largest size three times.
SELECT id, recipients, cc, bcc, from_address, reply_to, subject,
       IF(size <= ?, body_text, NULL) AS body_text, IF(size <= ?, body_html, NULL) AS body_html, IF(size <= ?, headers, NULL) AS headers,
       priority, account, reference, claims, attempts, lane, rdom, created_at, send_after, size,
    COALESCE(IF(template = '', ' ', template), '') AS template, COALESCE(language, '') AS language, raw IS NOT NULL AS raw,
    EXISTS (SELECT 1 FROM {db}.outbox_attachment a WHERE a.outbox_id = outbox.id) AS attached,
{4}    COALESCE(run_id, 0) AS run_id,
       expires_at <= UTC_TIMESTAMP(6) AS expired, dedupe_key IS NOT NULL AS keyed,

-- name: claimed
-- What a token took; also tells what became of a COMMIT whose reply was lost. Values: those of part-row, ids, token.
{part-row}
       COALESCE(message_id, '') AS message_id
FROM {db}.outbox WHERE id IN ({ids}) AND lease_token = ? AND state = 'sending'

-- name: one-row
-- Values: those of part-row and of part-message-id, id.
{part-row}
       COALESCE({part-message-id}, '') AS message_id
FROM {db}.outbox WHERE id = ?

-- name: name-message
-- Values: Message-ID, id, token.
UPDATE {db}.outbox SET message_id = COALESCE(message_id, ?) WHERE id = ? AND lease_token = ? AND state = 'sending'

-- name: overdue
-- Value: id.
SELECT COALESCE(expires_at <= UTC_TIMESTAMP(6), 0) FROM {db}.outbox WHERE id = ?

-- name: used-keys
-- Which of the rows have a dedupe_key that a row before them has used up.
SELECT o.id, k.outbox_id AS first, k.at
FROM {db}.outbox o JOIN {db}.outbox_key k ON k.kind = 'dedupe' AND k.value = o.dedupe_key AND k.period = ''
WHERE o.id IN ({ids})

-- name: purged
SELECT outbox_id AS id, COALESCE(text_hash, '') AS text_hash, COALESCE(html_hash, '') AS html_hash,
       COALESCE(headers_hash, '') AS headers_hash,
    COALESCE(params_hash, '') AS params_hash, COALESCE(raw_hash, '') AS raw_hash,
       purged_at
FROM {db}.outbox_purged WHERE outbox_id IN ({ids})

-- name: heartbeat
-- Values: lease in seconds, ids, pairs of id and token.
UPDATE {db}.outbox SET lease_until = TIMESTAMPADD(SECOND, ?, UTC_TIMESTAMP(6))
WHERE id IN ({ids}) AND (id, lease_token) IN ({pairs}) AND state = 'sending'

-- name: write-probe
-- Touches no row: a server that takes no writes says so all the same.
UPDATE {db}.outbox SET held = held WHERE id = 0

-- name: newest
SELECT COALESCE(MAX(id), 0) FROM {db}.outbox

-- name: stateless
-- Among the rows behind a number, in a bounded look: the last one seen, and the first that has no state. Values: id, limit.
SELECT COALESCE(MAX(id), 0) AS seen, COALESCE(MIN(IF(state = '', id, NULL)), 0) AS first
FROM (SELECT id, state FROM {db}.outbox WHERE id > ? ORDER BY id LIMIT ?) n

-- name: end-stateless
-- Values: error, first id, last id.
UPDATE {db}.outbox SET state = 'failed', last_error = ? WHERE id BETWEEN ? AND ? AND state = ''
