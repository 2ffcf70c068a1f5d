-- The token buckets: in the control database, and in a company's own for the accounts that serve it alone.
-- Every statement may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox_bucket (
  name          VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd, once: account:user@host, or job:company/job',
  hour_mails         BIGINT NOT NULL DEFAULT 0                         COMMENT 'outboxd, on every take: when the next mail of the paced hour would be due, in µs of the bucket''s clock',
  minute_mails       BIGINT NOT NULL DEFAULT 0                         COMMENT 'outboxd, on every take: the same for the minute',
  minute_recipients  BIGINT NOT NULL DEFAULT 0                         COMMENT 'outboxd, on every take: the same for a minute that counts recipients',
  clock_offset  BIGINT NOT NULL DEFAULT 0                              COMMENT 'outboxd, after a jump of the server''s clock: µs that the server''s clock is ahead of the bucket''s',
  paused_until  TIMESTAMP(6) NULL DEFAULT NULL                         COMMENT 'outboxd, when the account is in trouble: nothing is tried before this time',
  pause_reason  VARCHAR(600) NULL                                      COMMENT 'outboxd, when the account is in trouble: what the server said, with the remedy',
  pause_scope   VARCHAR(16) NULL                                       COMMENT 'outboxd: account or server',
  failures      INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd: troubles in a row, which make the pause grow; 0 when one mail went through',
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='The token bucket of each account and of each job with a rate';

CREATE TABLE IF NOT EXISTS {db}.outbox_usage (
  name          VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'outboxd: outbox_bucket.name; with the length of the slot behind it where that is not five minutes, or with the word total',
  slot          BIGINT NOT NULL                                        COMMENT 'outboxd: five minutes, or as the name says, of the bucket''s clock, counted since 1970',
  mails         INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, on every take: mails',
  recipients    INT UNSIGNED NOT NULL DEFAULT 0                        COMMENT 'outboxd, on every take: recipients',
  PRIMARY KEY (name, slot)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='What each bucket gave out, in slots of five minutes and in shorter ones, for twice the window';
