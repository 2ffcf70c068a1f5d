-- What a bucket remembers of its provider, of a person's word, and of how it has gone.
-- Every statement may run twice. An ALTER TABLE then says that the column is there already (error 1060) and has changed
-- nothing: go on with the next one. outboxd migrate does so by itself, mysql with --force.

ALTER TABLE {db}.outbox_bucket ADD COLUMN slow_refused INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'outboxd, when the server throttles: at how many mails an hour it did; 0 for never. What is allowed since grows from 70 % of it';

ALTER TABLE {db}.outbox_bucket ADD COLUMN slow_since BIGINT NOT NULL DEFAULT 0 COMMENT 'outboxd, when the server throttles: when it did last, in µs of the bucket''s clock';

ALTER TABLE {db}.outbox_bucket ADD COLUMN warm_since BIGINT NOT NULL DEFAULT 0 COMMENT 'outboxd, with the first mail under a warmup: when that was, in µs of the bucket''s clock; with 0 the next mail is the first';

ALTER TABLE {db}.outbox_bucket ADD COLUMN pause_class VARCHAR(32) NULL COMMENT 'outboxd, when the account is in trouble: which kind of it, as auth';

ALTER TABLE {db}.outbox_bucket ADD COLUMN login_until TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, while the account is not known to be well: until then only the daemon that wrote this tries to log in';

ALTER TABLE {db}.outbox_bucket ADD COLUMN held_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, when a person pauses the account: when that was; NULL when it is not paused by hand';

ALTER TABLE {db}.outbox_bucket ADD COLUMN held_until TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, when a person pauses the account: until when; NULL until a person resumes it';

ALTER TABLE {db}.outbox_bucket ADD COLUMN held_by VARCHAR(255) NULL COMMENT 'outboxd, when a person pauses the account: who';

ALTER TABLE {db}.outbox_bucket ADD COLUMN held_reason VARCHAR(600) NULL COMMENT 'outboxd, when a person pauses the account: why';

ALTER TABLE {db}.outbox_bucket ADD COLUMN last_success TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, at most once a minute: when the server last accepted a mail';

ALTER TABLE {db}.outbox_bucket ADD COLUMN last_error_at TIMESTAMP(6) NULL DEFAULT NULL COMMENT 'outboxd, at the account''s or the server''s trouble: when it was';

ALTER TABLE {db}.outbox_bucket ADD COLUMN last_error VARCHAR(600) NULL COMMENT 'outboxd, at the account''s or the server''s trouble: what the server said, with the remedy';

ALTER TABLE {db}.outbox_bucket ADD COLUMN last_error_class VARCHAR(32) NULL COMMENT 'outboxd, at the account''s or the server''s trouble: which kind of it';
