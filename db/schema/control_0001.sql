-- What belongs to no single company, in the control database.
-- Every statement may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox_audit (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table',
  at            TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table',
  actor         VARCHAR(255) NOT NULL                                  COMMENT 'outboxd: the user who gave the command',
  action        VARCHAR(63) NOT NULL                                   COMMENT 'outboxd: the command, as in queue release',
  target        VARCHAR(255) NOT NULL                                  COMMENT 'outboxd: what it was done to, as in acme/17',
  reason        VARCHAR(600) NULL                                      COMMENT 'outboxd: the reason that was given',
  detail        TEXT NULL                                              COMMENT 'outboxd: what changed',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Who did what';
