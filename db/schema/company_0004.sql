-- Runs of mailings: who is to get what, who approved it, and what became of each mail.
-- Every statement may run twice. An ALTER TABLE then says that the column is there already (error 1060), or the key (1061),
-- and has changed nothing: go on with the next one. outboxd migrate does so by itself, mysql with --force.

CREATE TABLE IF NOT EXISTS {db}.outbox_run_mail (
  run_id        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox_run.id',
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox.id',
  identity      BINARY(16) NOT NULL                                    COMMENT 'outboxd, once: which row of the audience this is, so that a run that goes on inserts nobody twice',
  business_key  VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'outboxd, once: what the job calls its key, as in 4711 / 2; NULL where it has none',
  state         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, when it counts the mail in outbox_run: how it ended; gone when it was deleted by hand before; NULL until then',
  written       TINYINT UNSIGNED NOT NULL DEFAULT 0                    COMMENT 'outboxd, with the outcome: 1 when on_sent or on_failed was done or stands in outbox_writeback',
  PRIMARY KEY (run_id, outbox_id),
  UNIQUE KEY identity (run_id, identity),
  KEY state (run_id, state, outbox_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='The mails of each run, and what became of them';

CREATE TABLE IF NOT EXISTS {db}.outbox_pin (
  hash          CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: SHA2(content, 256)',
  content       LONGBLOB NOT NULL                                      COMMENT 'outboxd, when a run begins: the templates as they are then',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'outboxd, when a run begins with it: the last time',
  PRIMARY KEY (hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Templates as they were when a run began';

CREATE TABLE IF NOT EXISTS {db}.outbox_writeback (
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, when the statement could not be run with the outcome: outbox.id',
  run_id        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox_run.id',
  event         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: sent for on_sent, failed for on_failed',
  tries         INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, with each try: how many there were',
  next_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'outboxd, with each try: the next one is not before this time',
  last_error    TEXT NULL                                              COMMENT 'outboxd, with each try: what the database said',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table',
  PRIMARY KEY (outbox_id),
  KEY next_at (next_at),
  KEY run (run_id, tries, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Outcomes that the company''s own tables have not been told yet';

CREATE TABLE IF NOT EXISTS {db}.outbox_tag (
  tag           VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Sender, on INSERT: the tag, as in newsletter',
  address       VARCHAR(320) NOT NULL                                  COMMENT 'Sender, on INSERT: the bare address',
  name          VARCHAR(255) NULL                                      COMMENT 'Sender, on INSERT: whose it is',
  language      VARCHAR(35) NULL                                       COMMENT 'Sender, on INSERT: as in sk or de-AT; NULL means the company''s',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table on INSERT',
  PRIMARY KEY (tag, address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Who has which tag, where the company has no table for it';

CREATE TABLE IF NOT EXISTS {db}.outbox_suppression (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table on INSERT',
  address       VARCHAR(320) NOT NULL                                  COMMENT 'A person, on INSERT: the bare address, or @ and a domain for all addresses of it',
  reason        VARCHAR(600) NULL                                      COMMENT 'A person, on INSERT: why, as in asked by phone; stands in last_error of what is not sent',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table on INSERT',
  address_key   VARCHAR(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (LOWER(TRIM(address))) STORED COMMENT 'Computed: what addresses are compared with, in lower case',
  PRIMARY KEY (id),
  UNIQUE KEY address_key (address_key),
  CONSTRAINT outbox_suppression_address CHECK (address_key LIKE '%@_%' AND address_key NOT LIKE '%@%@%' AND address_key NOT REGEXP '[[:space:][:cntrl:]<>,;"]')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Addresses that get no mail';

CREATE TABLE IF NOT EXISTS {db}.outbox_run_code (
  run_id        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, when a person asks for a code: outbox_run.id',
  person        VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd, once: the person of jobs.yaml',
  code_hash     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, when it mails a code: a hash of it',
  tries         INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, with each code that is typed: how many there were',
  sent          INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, when it mails a code: how many it has mailed',
  sent_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'outboxd, when it mails a code',
  expires_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'outboxd, when it mails a code: until then it counts',
  PRIMARY KEY (run_id, person)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Codes by which a person approves a run on the approval page';

ALTER TABLE {db}.outbox_recipient MODIFY COLUMN state ENUM('open','sending','accepted','failed','uncertain','suppressed') NOT NULL COMMENT 'outboxd: open waits, sending stands under the mark of lease_token, the others are outcomes';

ALTER TABLE {db}.outbox_run ADD COLUMN kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'purge' COMMENT 'outboxd, once: mailing, report, sql or purge';

ALTER TABLE {db}.outbox_run ADD COLUMN spec LONGTEXT NULL COMMENT 'outboxd, when the run begins: the job as it was then, as a JSON object';

ALTER TABLE {db}.outbox_run ADD COLUMN period VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'outboxd, once: in which period a key is mailed once, as in 2026-11; empty for this run alone';

ALTER TABLE {db}.outbox_run ADD COLUMN started_by VARCHAR(255) NULL COMMENT 'outboxd, once: the person who started it, or schedule';

ALTER TABLE {db}.outbox_run ADD COLUMN audience BIGINT UNSIGNED NULL COMMENT 'outboxd, when the audience was read to its end: its rows, each of which becomes a mail';

ALTER TABLE {db}.outbox_run ADD COLUMN enqueued BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, with each batch: mails inserted so far';

ALTER TABLE {db}.outbox_run ADD COLUMN templates CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, before the first mail is inserted: outbox_pin.hash';

ALTER TABLE {db}.outbox_run ADD COLUMN allowed BIGINT UNSIGNED NULL COMMENT 'outboxd, when the run is approved or its first mails did well: so many mails may go; NULL for all';

ALTER TABLE {db}.outbox_run ADD COLUMN released BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, with each batch: mails that were let go';

ALTER TABLE {db}.outbox_run ADD COLUMN released_id BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, with each batch: how far it has come in releasing, holding or cancelling, as outbox.id';

ALTER TABLE {db}.outbox_run ADD COLUMN released_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, with each batch: when mails were let go last';

ALTER TABLE {db}.outbox_run ADD COLUMN sent BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many were sent';

ALTER TABLE {db}.outbox_run ADD COLUMN partial BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many went to some of their recipients';

ALTER TABLE {db}.outbox_run ADD COLUMN failed BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many failed';

ALTER TABLE {db}.outbox_run ADD COLUMN skipped BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many were not sent, on purpose';

ALTER TABLE {db}.outbox_run ADD COLUMN suppressed BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many were not sent, as their recipients are suppressed';

ALTER TABLE {db}.outbox_run ADD COLUMN cancelled BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many were cancelled';

ALTER TABLE {db}.outbox_run ADD COLUMN expired BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, as mails end: how many expired';

ALTER TABLE {db}.outbox_run ADD COLUMN gone BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, when it misses them: how many were deleted by hand before they ended';

ALTER TABLE {db}.outbox_run ADD COLUMN decide_until TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, when the run waits for approval: until when; then it goes or is cancelled, as the job says';

ALTER TABLE {db}.outbox_run ADD COLUMN approved_by VARCHAR(255) NULL COMMENT 'outboxd, when a person approves: who. Or the person, by UPDATE outbox_run SET approved_by = USER() WHERE id = ...';

ALTER TABLE {db}.outbox_run ADD COLUMN approved_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, when the approval counts';

ALTER TABLE {db}.outbox_run ADD COLUMN changed_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, when state changes';

ALTER TABLE {db}.outbox_run ADD COLUMN ends_as VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, when the run is stopped for good: what it ends as once all its mails have ended';

ALTER TABLE {db}.outbox_run ADD COLUMN note TEXT NULL COMMENT 'outboxd: what the run waits for, why it was stopped; in the end how its mails add up';

ALTER TABLE {db}.outbox_run ADD COLUMN link_key VARBINARY(32) NULL COMMENT 'outboxd, when it mails personal links: what they are signed with';

ALTER TABLE {db}.outbox_run ADD KEY state (state, id);

-- A bounce is a later fact about a mail that was sent, no state. Each column is added at once, however many rows there are.
ALTER TABLE {db}.outbox ADD COLUMN bounced_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'A person, or a program of yours that reads bounces: when the mail came back; NULL when it did not';

ALTER TABLE {db}.outbox ADD COLUMN bounce TEXT NULL COMMENT 'A person, or a program of yours, with bounced_at: what the bounce says, as in 550 5.1.1 no such user';

ALTER TABLE {db}.outbox_recipient ADD COLUMN bounced_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'A person, or a program of yours, with that of the row: when the mail came back from this recipient';

ALTER TABLE {db}.outbox_recipient ADD COLUMN bounce TEXT NULL COMMENT 'A person, or a program of yours, with bounced_at: what the bounce says of this recipient';

CREATE OR REPLACE VIEW {db}.outbox_status AS
SELECT o.id, o.reference, o.recipients, o.subject, o.state, o.held, o.priority,
       CASE WHEN o.state <> 'queued' OR o.held <> 0 THEN NULL WHEN l.wait_until > o.available_at THEN l.wait_until ELSE o.available_at END AS next_try_at,
       o.attempts, o.last_error, o.smtp_code, o.smtp_enhanced, o.sent_at, o.sent_via, o.message_id, o.created_at, o.updated_at, o.bounced_at, o.bounce
FROM {db}.outbox o LEFT JOIN {db}.outbox_lane l ON l.id = o.lane;

-- The last one: where it is, the others are. At the end of the table and without a rule: so nothing is rewritten, however many
-- rows there are.
ALTER TABLE {db}.outbox ADD COLUMN run_id BIGINT UNSIGNED NULL COMMENT 'outboxd, when it inserts the mail of a run: outbox_run.id';
