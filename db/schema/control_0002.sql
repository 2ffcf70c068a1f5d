-- Further tables of what belongs to no single company, in the control database.
-- Every statement may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox_told (
  instance      CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, when a person was told: which daemon, outbox_instance.id',
  name          VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd: of which trouble, as in company acme',
  subject       VARCHAR(600) NOT NULL                                  COMMENT 'outboxd: the subject of the alert',
  told_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table; the row goes when a person was told that the trouble is over',
  PRIMARY KEY (instance, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Troubles that a person knows of, so that a restart does not tell of them again';

CREATE TABLE IF NOT EXISTS {db}.outbox_instance (
  id            CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd, at its start: the head of the lease tokens of one daemon, the same after a restart',
  host          VARCHAR(255) NOT NULL                                  COMMENT 'outboxd, at its start: the computer it runs on',
  started_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'outboxd, at its start',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='The daemons: who holds a lease';

-- What is known about the companies' databases outside of them: a restored one cannot take it back.

CREATE TABLE IF NOT EXISTS {db}.outbox_witness (
  identity      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, after a beat: outbox_identity.identity of the company''s database',
  instance      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, after a beat: outbox_beat.instance',
  company       VARCHAR(63) NOT NULL                                   COMMENT 'outboxd, after a beat: the company''s name in jobs.yaml',
  beat          BIGINT UNSIGNED NOT NULL                               COMMENT 'outboxd, after a beat: outbox_beat.beat',
  nonce         VARCHAR(32) NOT NULL                                   COMMENT 'outboxd, after a beat: outbox_beat.nonce',
  seen_at       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  PRIMARY KEY (identity, instance),
  KEY company (company)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='How far each company''s database had come when a daemon last wrote to it';

CREATE TABLE IF NOT EXISTS {db}.outbox_handed (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table',
  company       VARCHAR(63) NOT NULL                                   COMMENT 'outboxd, within a minute after it handed mail over: the company''s name in jobs.yaml',
  identity      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd: outbox_identity.identity of the company''s database',
  instance      VARCHAR(32) NOT NULL                                   COMMENT 'outboxd: which daemon',
  mails         INT UNSIGNED NOT NULL                                  COMMENT 'outboxd: how many mails are in records',
  records       MEDIUMBLOB NOT NULL                                    COMMENT 'outboxd: number, time of insertion, time and outcome of each mail, packed',
  written_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table; kept for 40 days',
  PRIMARY KEY (id),
  KEY company (company, id),
  KEY written (written_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Which mails were handed over, so that a restored database does not send them again';
