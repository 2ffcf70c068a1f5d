-- Templates, attachments and finished messages, in a company's own database.
-- Every statement may run twice. An ALTER TABLE then says that the column is there already (error 1060) and has changed
-- nothing: go on with the next one. outboxd migrate does so by itself, mysql with --force.

CREATE TABLE IF NOT EXISTS {db}.outbox_attachment (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT                COMMENT 'Set by the table on INSERT: attachments stand in the mail in this order',
  outbox_id     BIGINT UNSIGNED NOT NULL                               COMMENT 'Sender, on INSERT: outbox.id of the mail, which is inserted first, in the same transaction',
  name          VARCHAR(255) NOT NULL                                  COMMENT 'Sender, on INSERT: the file name that the receiver sees',
  type          VARCHAR(127) NULL                                      COMMENT 'Sender, on INSERT: as in application/pdf; NULL means that it is found from name and content',
  content       LONGBLOB NULL                                          COMMENT 'Sender, on INSERT: the octets; of content, hash, file and query exactly one is given',
  hash          CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'Sender, on INSERT: outbox_content.hash of a content that many mails share',
  file          VARCHAR(1024) NULL                                     COMMENT 'Sender, on INSERT: a path below the company''s attachments folder',
  query         TEXT NULL                                              COMMENT 'Sender, on INSERT: a SELECT whose result is attached',
  format        VARCHAR(8) NULL                                        COMMENT 'Sender, on INSERT: csv or xlsx, of a query',
  options       TEXT NULL                                              COMMENT 'Sender, on INSERT: how a query''s result is written, as a JSON object',
  content_id    VARCHAR(255) NULL                                      COMMENT 'Sender, on INSERT: makes it an image within body_html, which names it as cid:',
  purged_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NULL COMMENT 'outboxd, when it removes the mail''s content: SHA2(content, 256) of what it was, or the hash that stood here',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table on INSERT',
  size          BIGINT UNSIGNED AS (LENGTH(content)) STORED            COMMENT 'Computed: octets of content, weighed before they are read',
  PRIMARY KEY (id),
  KEY mail (outbox_id, id),
  KEY hash (hash),
  CONSTRAINT outbox_attachment_one CHECK ((content IS NOT NULL) + (hash IS NOT NULL) + (file IS NOT NULL) + (query IS NOT NULL) + (purged_hash IS NOT NULL) = 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Files that go with a mail';

CREATE TABLE IF NOT EXISTS {db}.outbox_content (
  content       LONGBLOB NOT NULL                                      COMMENT 'Sender, on INSERT: the octets',
  hash          CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT (SHA2(content, 256)) COMMENT 'Set by the table on INSERT: SHA2(content, 256)',
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)     COMMENT 'Set by the table on INSERT',
  size          BIGINT UNSIGNED AS (LENGTH(content)) STORED            COMMENT 'Computed: octets of content',
  PRIMARY KEY (hash),
  KEY created_at (created_at, hash, size),
  CONSTRAINT outbox_content_hash CHECK (UNHEX(hash) = UNHEX(SHA2(content, 256)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Contents of attachments that many mails share';

CREATE TABLE IF NOT EXISTS {db}.outbox_template (
  name          VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Sender, on INSERT: what outbox.template says; a name that begins with _ is a part for others',
  language      VARCHAR(35) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT '' COMMENT 'Sender, on INSERT: as in sk or de-AT; empty for any',
  subject       TEXT NULL                                              COMMENT 'Sender, on INSERT or later: the subject, a text template',
  text          LONGTEXT NULL                                          COMMENT 'Sender, on INSERT or later: the plain text, a text template; NULL means that it is made from html',
  html          LONGTEXT NULL                                          COMMENT 'Sender, on INSERT or later: the HTML, an HTML template',
  queries       LONGTEXT NULL                                          COMMENT 'Sender, on INSERT or later: SELECTs that the template may use, as a JSON object of name and SQL',
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'Set by the table on every change',
  PRIMARY KEY (name, language)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Templates beside those in files';

ALTER TABLE {db}.outbox_purged ADD COLUMN params_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, once: SHA2(params, 256)';

ALTER TABLE {db}.outbox_purged ADD COLUMN raw_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'outboxd, once: SHA2(raw, 256)';

-- At the end of the table and without a rule: so nothing is rewritten, however many rows there are.

ALTER TABLE {db}.outbox ADD COLUMN template VARCHAR(128) NULL COMMENT 'Sender, on INSERT: the template that makes subject and bodies';

ALTER TABLE {db}.outbox ADD COLUMN params LONGTEXT NULL COMMENT 'Sender, on INSERT: what the template is filled with, as a JSON object';

ALTER TABLE {db}.outbox ADD COLUMN language VARCHAR(35) NULL COMMENT 'Sender, on INSERT: the template''s language, as in sk or de-AT; NULL means the company''s';

-- The last one: where it is, the others are.
ALTER TABLE {db}.outbox ADD COLUMN raw LONGBLOB NULL COMMENT 'Sender, on INSERT: a finished message (RFC 5322), sent as it is';
