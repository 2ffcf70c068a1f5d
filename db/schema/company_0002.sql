-- Further tables of one company, in its own database.
-- Every statement may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox_run (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table: the run''s number',
  job           VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: the job of jobs.yaml',
  scheduled_at  DATETIME NOT NULL                                      COMMENT 'outboxd, once: the scheduled time as clocks show it in the company''s time zone; an hour that is lived through twice has one run',
  state         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'running' COMMENT 'outboxd: running, then done or failed; skipped for what is not made up for, as what lay before the job was first seen',
  daemon        VARCHAR(64) NOT NULL                                   COMMENT 'outboxd, when a daemon takes the run: the computer it runs on',
  lease_token   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, when a daemon takes the run: which daemon and which taking; kept afterwards',
  lease_until   TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, while state is running: until then the run belongs to the daemon of lease_token; NULL when it was laid down to be gone on with',
  contents      BIGINT UNSIGNED NOT NULL DEFAULT 0                     COMMENT 'outboxd, with every step of a purge: mails whose content was removed',
  removed       BIGINT UNSIGNED NOT NULL DEFAULT 0                     COMMENT 'outboxd, with every step of a purge: rows of outbox that were removed',
  last_error    TEXT NULL                                              COMMENT 'outboxd, when the run has failed: why, with the remedy',
  started_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table when the run begins',
  finished_at   TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, when the run is done or has failed',
  PRIMARY KEY (id),
  UNIQUE KEY run (job, scheduled_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='What a job with a schedule did at each of its times';

CREATE TABLE IF NOT EXISTS {db}.outbox_key (
  kind          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: dedupe for a dedupe_key',
  value         VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd, once: the key itself',
  period        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'outboxd, once: in which the key counts; empty means for ever',
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox.id of the first mail with this key, which may be gone',
  at            TIMESTAMP(6) NOT NULL                                  COMMENT 'outboxd, once: when that mail was inserted',
  PRIMARY KEY (kind, value, period)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Keys that are used up; they outlive the rows, so that an old mail cannot go again';

CREATE TABLE IF NOT EXISTS {db}.outbox_purged (
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, when it removes the content: outbox.id',
  text_hash     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL    COMMENT 'outboxd, once: SHA2(body_text, 256) of what was removed; NULL where there was none',
  html_hash     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL    COMMENT 'outboxd, once: SHA2(body_html, 256)',
  headers_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL    COMMENT 'outboxd, once: SHA2(headers, 256)',
  purged_at     TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table: when the content was removed',
  PRIMARY KEY (outbox_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Mails whose content was removed: the proof of what it was';

CREATE TABLE IF NOT EXISTS {db}.outbox_purge (
  pass          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: bodies or rows',
  passed        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, with every step: rows up to this outbox.id are done with, or stand in outbox_purge_later',
  PRIMARY KEY (pass)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='How far the purge has come';

CREATE TABLE IF NOT EXISTS {db}.outbox_purge_later (
  pass          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: bodies or rows',
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox.id',
  since         TIMESTAMP(6) NOT NULL                                  COMMENT 'outboxd, when it meets the row: its last change, or the time of the meeting where it had not ended; its age counts from here at the earliest',
  PRIMARY KEY (pass, outbox_id),
  KEY since (pass, since, outbox_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Rows that the purge has passed by because they were not old enough or had not ended';

CREATE TABLE IF NOT EXISTS {db}.outbox_archive (
  file          VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd, once: the file''s name, with the computer it is on',
  run_id        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, once: outbox_run.id',
  octets        BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, with every step: so much of the file counts; what may stand behind was not removed from the tables',
  entries       BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, with every step: lines in the file',
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  PRIMARY KEY (file)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Files that hold what the purge has removed';

CREATE TABLE IF NOT EXISTS {db}.outbox_surplus (
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, when more mails arrive than hold_above allows: outbox.id',
  job           VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, once: the job of jobs.yaml whose hold_above it is',
  at            TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table: when the row was held; it is not held a second time, whoever released it',
  PRIMARY KEY (outbox_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Mails beyond what a job''s hold_above allows';

-- What tells a company's database from a copy of it (outboxd adopt).

CREATE TABLE IF NOT EXISTS {db}.outbox_identity (
  one           TINYINT UNSIGNED NOT NULL                              COMMENT 'outboxd, at the first start: always 1, so that there is one row',
  identity      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, at the first start, and anew at outboxd adopt: which database this is',
  adopting      VARCHAR(32) NOT NULL DEFAULT ''                        COMMENT 'outboxd adopt: the identity that it will have, until the adoption is complete',
  made_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table',
  PRIMARY KEY (one)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Which database this is; a copy has the same';

CREATE TABLE IF NOT EXISTS {db}.outbox_place (
  place         VARCHAR(400) NOT NULL                                  COMMENT 'outboxd, when it has seen the database there: the server''s name, port and data folder, and the database''s name',
  seen_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table',
  PRIMARY KEY (place)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Where this database may be: anywhere else it is a copy';

CREATE TABLE IF NOT EXISTS {db}.outbox_beat (
  instance      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, at its first start: which daemon',
  beat          BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, at its first start and within seconds after it handed mail over: counts up',
  nonce         VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, with beat: random, so that two branches differ',
  beaten_at     TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  PRIMARY KEY (instance)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='How far each daemon has come; in a restored database less far than it remembers';
