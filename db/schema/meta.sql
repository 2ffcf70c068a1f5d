-- What has been applied, in every database with tables of outboxd. Made first; may run twice.

CREATE TABLE IF NOT EXISTS {db}.outbox_meta (
  name          VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'outboxd migrate: what',
  value         VARCHAR(255) NOT NULL                                  COMMENT 'outboxd migrate: its value; company, bucket and control are the numbers of the last steps applied',
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Facts about these tables';
