-- name: content
-- What a template is filled with, unless it is too large, and how much there is. Values: largest size, id.
SELECT COALESCE(LENGTH(params), 0) AS params_size, COALESCE(IF(LENGTH(params) <= ?, params, NULL), '') AS params, COALESCE(LENGTH(raw), 0) AS raw_size
FROM {db}.outbox WHERE id = ?

-- name: attachments
-- Values: id, limit.
SELECT a.id, a.name, COALESCE(a.type, '') AS type, COALESCE(a.hash, '') AS hash, COALESCE(a.file, '') AS file, COALESCE(a.query, '') AS query,
       COALESCE(a.format, '') AS format, COALESCE(a.options, '') AS options, COALESCE(a.content_id, '') AS content_id,
       a.size IS NOT NULL AS has_content, COALESCE(a.size, c.size, -1) AS size, a.purged_hash IS NOT NULL AS purged,
       (a.size IS NOT NULL) + (a.hash IS NOT NULL) + (a.file IS NOT NULL) + (a.query IS NOT NULL) AS sources
FROM {db}.outbox_attachment a LEFT JOIN {db}.outbox_content c ON c.hash = a.hash
WHERE a.outbox_id = ? ORDER BY a.id LIMIT ?

-- name: piece-raw
-- Values: the first octet, from 1; how many; id.
SELECT LENGTH(raw) AS size, SUBSTRING(raw, ?, ?) AS piece FROM {db}.outbox WHERE id = ? AND raw IS NOT NULL

-- name: piece-attachment
-- Values: the first octet, from 1; how many; id.
SELECT LENGTH(content) AS size, SUBSTRING(content, ?, ?) AS piece FROM {db}.outbox_attachment WHERE id = ? AND content IS NOT NULL

-- name: piece-shared
-- Values: the first octet, from 1; how many; hash.
SELECT LENGTH(content) AS size, SUBSTRING(content, ?, ?) AS piece FROM {db}.outbox_content WHERE hash = ?

-- name: templates
-- A template in all its languages, and the parts for others. Values: name, limit.
SELECT name, language, COALESCE(subject, '') AS subject, COALESCE(text, '') AS text, COALESCE(html, '') AS html, COALESCE(queries, '') AS queries
FROM {db}.outbox_template WHERE name = ? OR name >= '_' AND name < '`' ORDER BY name, language LIMIT ?

-- name: all-templates
-- Values: limit.
SELECT name, language, COALESCE(subject, '') AS subject, COALESCE(text, '') AS text, COALESCE(html, '') AS html, COALESCE(queries, '') AS queries
FROM {db}.outbox_template ORDER BY name, language LIMIT ?
