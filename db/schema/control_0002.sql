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
