-- The tables of one company, in its own database.
-- Every statement may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table on INSERT: the mail''s number, as in acme/17',
  recipients    TEXT NOT NULL                                          COMMENT 'Sender, on INSERT: one or many addresses (To), with or without names, separated by comma, semicolon or line feed',
  cc            TEXT NULL                                              COMMENT 'Sender, on INSERT: further addresses, visible to all',
  bcc           TEXT NULL                                              COMMENT 'Sender, on INSERT: further addresses, visible to nobody',
  from_address  VARCHAR(998) NULL                                      COMMENT 'Sender, on INSERT: From; NULL means the account''s own',
  reply_to      VARCHAR(998) NULL                                      COMMENT 'Sender, on INSERT: Reply-To; NULL means the account''s own',
  subject       TEXT NULL                                              COMMENT 'Sender, on INSERT: up to 998 characters',
  body_text     LONGTEXT NULL                                          COMMENT 'Sender, on INSERT: the plain text',
  body_html     LONGTEXT NULL                                          COMMENT 'Sender, on INSERT: the HTML; without body_text a text part is made from it',
  headers       LONGTEXT NULL                                          COMMENT 'Sender, on INSERT: further headers as a JSON object of strings or lists of strings',
  priority      TINYINT UNSIGNED NOT NULL DEFAULT 3                    COMMENT 'Sender, on INSERT: 1 very high to 5 very low',
  send_after    TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'Sender, on INSERT: not before this time',
  expires_at    TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'Sender, on INSERT: not after this time; the row ends as expired',
  dedupe_key    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'Sender, on INSERT: a second row with the same key is refused by the table',
  reference     VARCHAR(255) NULL                                      COMMENT 'Sender, on INSERT: free and indexed, for finding the mail again: invoice:4711',
  account       VARCHAR(63) NULL                                       COMMENT 'Sender, on INSERT: the account of jobs.yaml to send by; NULL means the company''s first that may send as from_address',
  state         ENUM('queued','sending','sent','partial','failed','skipped','suppressed','cancelled','expired','uncertain') NOT NULL DEFAULT 'queued' COMMENT 'outboxd, on every step; a person only from queued to cancelled',
  held          TINYINT UNSIGNED NOT NULL DEFAULT 0                    COMMENT 'outboxd or a person: 1 keeps a queued row back until it is released',
  claims        INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, when it takes the row: how often it was taken; a taking that was given back untried does not count',
  attempts      INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, on an outcome: how many verdicts the row has had',
  lane          INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, while the row waits with others: 0, or outbox_lane.id',
  available_at  TIMESTAMP(6) NOT NULL DEFAULT (COALESCE(send_after, CURRENT_TIMESTAMP(6))) COMMENT 'Set by the table from send_after; outboxd, on a refusal: the next try is not before this time',
  lease_token   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, when it takes the row: which daemon and which taking; kept afterwards',
  lease_until   TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, while state is sending: until then the row belongs to the daemon of lease_token',
  message_id    VARCHAR(255) NULL                                      COMMENT 'outboxd, when it first takes the row: the Message-ID header, never changed',
  sent_via      VARCHAR(63) NULL                                       COMMENT 'outboxd, on an outcome: the account that was used',
  sent_at       TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, when a server accepted the mail for at least one recipient',
  smtp_code     SMALLINT UNSIGNED NULL                                 COMMENT 'outboxd, on an outcome: the server''s last reply code',
  smtp_enhanced VARCHAR(16) NULL                                       COMMENT 'outboxd, on an outcome: the reply''s enhanced status code (RFC 3463)',
  last_error    TEXT NULL                                              COMMENT 'outboxd: why the row waits or failed, with the remedy; NULL when all is well',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table on INSERT',
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  size          INT UNSIGNED AS (COALESCE(LENGTH(body_text), 0) + COALESCE(LENGTH(body_html), 0) + COALESCE(LENGTH(headers), 0)) STORED COMMENT 'Computed: octets of bodies and headers, weighed before they are read',
  route         INT UNSIGNED AS (CRC32(LOWER(COALESCE(NULLIF(account, ''), TRIM(SUBSTRING_INDEX(SUBSTRING_INDEX(NULLIF(from_address, ''), '@', -1), '>', 1)), '')))) STORED COMMENT 'Computed: what decides the account',
  rcpt          VARCHAR(320) AS (LEFT(LOWER(CONCAT(
                  SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(REPLACE(REPLACE(recipients, CHAR(13 USING utf8mb4), ' '), CHAR(10 USING utf8mb4), ' '), '@', 1), ' ', -1), '<', -1), ',', -1), ';', -1), '@',
                  SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(REPLACE(REPLACE(recipients, CHAR(13 USING utf8mb4), ' '), CHAR(10 USING utf8mb4), ' '), '@', 2), '@', -1), ' ', 1), '>', 1), ',', 1), ';', 1))), 320)) STORED COMMENT 'Computed: the first recipient''s bare address, for finding the mail',
  rdom          INT UNSIGNED AS (CRC32(LOWER(
                  SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(REPLACE(REPLACE(recipients, CHAR(13 USING utf8mb4), ' '), CHAR(10 USING utf8mb4), ' '), '@', 2), '@', -1), ' ', 1), '>', 1), ',', 1), ';', 1)))) STORED COMMENT 'Computed: the first recipient''s domain',
  qlane         INT UNSIGNED AS (IF(state = 'queued' AND held = 0, lane, IF(state = 'sending', 4294967295, NULL))) STORED COMMENT 'Computed: the lane of a row that may be taken; the last number while it is being sent',
  trouble       TINYINT UNSIGNED AS (CASE WHEN state = 'uncertain' THEN 1 WHEN state = 'failed' THEN 2 WHEN state = 'partial' THEN 3 WHEN state = 'expired' THEN 4 WHEN state = 'queued' AND held <> 0 THEN 5 END) STORED COMMENT 'Computed: rows a person may want to see',
  PRIMARY KEY (id),
  UNIQUE KEY dedupe_key (dedupe_key),
  KEY claim (qlane, route, priority, available_at, id, rdom, size),
  KEY trouble (trouble, id),
  KEY reference (reference),
  KEY rcpt (rcpt),
  KEY sent (sent_at, sent_via),
  KEY expires (expires_at, id),
  CONSTRAINT outbox_priority CHECK (priority BETWEEN 1 AND 5),
  CONSTRAINT outbox_headers CHECK (headers IS NULL OR JSON_VALID(headers)),
  CONSTRAINT outbox_lease CHECK ((state = 'sending') = (lease_until IS NOT NULL))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Mail to send: a committed row with state queued is a mail';

CREATE TABLE IF NOT EXISTS {db}.outbox_recipient (
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, at the first attempt of a row with several recipients: outbox.id',
  position      SMALLINT UNSIGNED NOT NULL                             COMMENT 'outboxd, once: order in recipients, cc, bcc; from 0',
  kind          ENUM('to','cc','bcc') NOT NULL                         COMMENT 'outboxd, once: the column it came from',
  address       VARCHAR(320) NOT NULL                                  COMMENT 'outboxd, once: the envelope recipient',
  state         ENUM('open','sending','accepted','failed','uncertain') NOT NULL COMMENT 'outboxd: open waits, sending stands under the mark of lease_token, the others are outcomes',
  lease_token   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, at the mark: the attempt that decides',
  smtp_code     SMALLINT UNSIGNED NULL                                 COMMENT 'outboxd, on an outcome: the reply code for this recipient',
  smtp_enhanced VARCHAR(16) NULL                                       COMMENT 'outboxd, on an outcome: the enhanced status code',
  last_error    TEXT NULL                                              COMMENT 'outboxd, on a refusal: what the server said, with the remedy',
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  PRIMARY KEY (outbox_id, position),
  KEY address (address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='What became of each recipient of a row that has several';

CREATE TABLE IF NOT EXISTS {db}.outbox_attempt (
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, at the mark: outbox.id; stays when the row is deleted',
  lease_token   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, at the mark: the taking it belongs to',
  marked_at     TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, after DATA and before the first octet of the body; NULL when it never came so far',
  finished_at   TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, with the outcome; NULL with marked_at set means that the outcome is not known',
  account       VARCHAR(63) NOT NULL                                   COMMENT 'outboxd: the account that was used',
  daemon        VARCHAR(64) NOT NULL                                   COMMENT 'outboxd: the computer it ran on',
  step          VARCHAR(16) NULL                                       COMMENT 'outboxd, with the outcome: connect, tls, hello, auth, mail, rcpt, data, body or dot',
  verdict       VARCHAR(16) NULL                                       COMMENT 'outboxd, with the outcome: accepted, temporary, permanent, throttled or uncertain',
  smtp_code     SMALLINT UNSIGNED NULL                                 COMMENT 'outboxd, with the outcome: the reply code',
  smtp_enhanced VARCHAR(16) NULL                                       COMMENT 'outboxd, with the outcome: the enhanced status code',
  reply         VARCHAR(600) NULL                                      COMMENT 'outboxd, with the outcome: what the server said, with its queue number',
  PRIMARY KEY (outbox_id, lease_token)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Every try; a row with marked_at is the proof that DATA was sent';

CREATE TABLE IF NOT EXISTS {db}.outbox_lane (
  id            INT UNSIGNED NOT NULL AUTO_INCREMENT                   COMMENT 'Set by the table: outbox.lane',
  name          VARCHAR(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd, once: what the rows wait for, as in domain:gmail.com',
  wait_until    TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, on a refusal: no row of the lane goes before this time',
  failures      INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd: refusals in a row, which make the pause grow; 0 when one went through',
  reason        VARCHAR(600) NULL                                      COMMENT 'outboxd, on a refusal: what the server said',
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Rows that wait together, with one visible time';

CREATE OR REPLACE VIEW {db}.outbox_status AS
SELECT o.id, o.reference, o.recipients, o.subject, o.state, o.held, o.priority,
       CASE WHEN o.state <> 'queued' OR o.held <> 0 THEN NULL WHEN l.wait_until > o.available_at THEN l.wait_until ELSE o.available_at END AS next_try_at,
       o.attempts, o.last_error, o.smtp_code, o.smtp_enhanced, o.sent_at, o.sent_via, o.message_id, o.created_at, o.updated_at
FROM {db}.outbox o LEFT JOIN {db}.outbox_lane l ON l.id = o.lane;
