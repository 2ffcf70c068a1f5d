-- A library: staff, members, books and loans. For the examples of companies/library.yaml. All dates are relative to today.
--
-- After `outboxd migrate`, in the company's database:  mariadb library < library/sample.sql
-- It runs on MariaDB 10.6+ and MySQL 8.0+.

SET NAMES utf8mb4;

CREATE TABLE staff (
  id       INT          NOT NULL PRIMARY KEY,
  name     VARCHAR(100) NOT NULL,
  email    VARCHAR(320) NULL,
  language VARCHAR(35)  NOT NULL,
  role     VARCHAR(20)  NOT NULL COMMENT 'administrator, librarian',
  enabled  BOOLEAN      NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE member (
  id        INT          NOT NULL PRIMARY KEY,
  name      VARCHAR(100) NOT NULL,
  email     VARCHAR(320) NULL COMMENT 'a family may share one',
  language  VARCHAR(35)  NOT NULL,
  joined    DATE         NOT NULL,
  active_on DATE         NOT NULL COMMENT 'the last visit, loan or login',
  enabled   BOOLEAN      NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE member_tag (
  member_id INT         NOT NULL,
  tag       VARCHAR(63) NOT NULL,
  PRIMARY KEY (member_id, tag)
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE book (
  id     INT          NOT NULL PRIMARY KEY,
  title  VARCHAR(200) NOT NULL,
  author VARCHAR(100) NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE loan (
  id        INT  NOT NULL PRIMARY KEY,
  member_id INT  NOT NULL,
  book_id   INT  NOT NULL,
  lent      DATE NOT NULL,
  due       DATE NOT NULL,
  returned  DATE NULL,
  KEY member (member_id, returned)
) DEFAULT CHARACTER SET utf8mb4;

CREATE VIEW v_people AS
SELECT name, email, language, enabled FROM staff
UNION ALL
SELECT name, email, language, enabled FROM member;

-- What is on loan, one book a row.
CREATE VIEW v_on_loan AS
SELECT l.id AS loan_id, l.member_id, b.title, b.author, l.lent, l.due FROM loan l JOIN book b ON b.id = l.book_id WHERE l.returned IS NULL;

-- Members who have something on loan, one a row.
CREATE VIEW v_members_with_loans AS
SELECT m.id, m.name, m.email, m.language, m.enabled, o.items, o.first_due
FROM member m JOIN (SELECT member_id, COUNT(*) AS items, MIN(due) AS first_due FROM v_on_loan GROUP BY member_id) o ON o.member_id = m.id;

-- The last one has retired.
INSERT INTO staff (id, name, email, language, role, enabled) VALUES
  (1, 'Ruth Adler',   'ruth@library.example',  'en', 'administrator', TRUE),
  (2, 'Tomáš Hruška', 'tomas@library.example', 'sk', 'librarian',     TRUE),
  (3, 'Ines Moreau',  'ines@library.example',  'en', 'librarian',     TRUE),
  (4, 'Otto Kern',    'otto@library.example',  'en', 'administrator', FALSE);

-- A child comes by its mother's address; one member has no address, one a wrong one, and one has cancelled.
INSERT INTO member (id, name, email, language, joined, active_on, enabled) VALUES
  (201, 'Alice Meyer',    'alice@example.net',     'en', CURRENT_DATE - INTERVAL 900 DAY, CURRENT_DATE - INTERVAL 2 DAY,   TRUE),
  (202, 'Ben Meyer',      'alice@example.net',     'en', CURRENT_DATE - INTERVAL 900 DAY, CURRENT_DATE - INTERVAL 20 DAY,  TRUE),
  (203, 'Cyril Novotný',  'cyril@example.net',     'sk', CURRENT_DATE - INTERVAL 700 DAY, CURRENT_DATE - INTERVAL 45 DAY,  TRUE),
  (204, 'Dana Urbanová',  'dana@example.net',      'sk', CURRENT_DATE - INTERVAL 650 DAY, CURRENT_DATE - INTERVAL 90 DAY,  TRUE),
  (205, 'Emil Varga',     NULL,                    'sk', CURRENT_DATE - INTERVAL 600 DAY, CURRENT_DATE - INTERVAL 30 DAY,  TRUE),
  (206, 'Fiona Grant',    'fiona@example.net',     'en', CURRENT_DATE - INTERVAL 800 DAY, CURRENT_DATE - INTERVAL 400 DAY, TRUE),
  (207, 'George Hill',    'george.hill',           'en', CURRENT_DATE - INTERVAL 500 DAY, CURRENT_DATE - INTERVAL 10 DAY,  TRUE),
  (208, 'Hana Malá',      'hana@example.net',      'sk', CURRENT_DATE - INTERVAL 450 DAY, CURRENT_DATE - INTERVAL 300 DAY, TRUE),
  (209, 'Ivan Kráľ',      'ivan@example.net',      'sk', CURRENT_DATE - INTERVAL 850 DAY, CURRENT_DATE - INTERVAL 15 DAY,  FALSE),
  (210, 'Julia Stein',    'julia@example.net',     'en', CURRENT_DATE - INTERVAL 100 DAY, CURRENT_DATE - INTERVAL 59 DAY,  TRUE);

INSERT INTO member_tag (member_id, tag) VALUES (201, 'book-club'), (204, 'book-club'), (206, 'book-club'), (209, 'book-club'), (202, 'children');

INSERT INTO book (id, title, author) VALUES
  (1, 'The Good Soldier Švejk', 'Jaroslav Hašek'),
  (2, 'R.U.R.', 'Karel Čapek'),
  (3, 'Emil and the Detectives', 'Erich Kästner'),
  (4, 'Middlemarch', 'George Eliot'),
  (5, 'The Radetzky March', 'Joseph Roth'),
  (6, 'Momo', 'Michael Ende');

INSERT INTO loan (id, member_id, book_id, lent, due, returned) VALUES
  (1, 206, 4, CURRENT_DATE - INTERVAL 400 DAY, CURRENT_DATE - INTERVAL 370 DAY, CURRENT_DATE - INTERVAL 380 DAY),
  (2, 204, 5, CURRENT_DATE - INTERVAL 90 DAY,  CURRENT_DATE - INTERVAL 60 DAY,  NULL),
  (3, 203, 1, CURRENT_DATE - INTERVAL 45 DAY,  CURRENT_DATE - INTERVAL 15 DAY,  NULL),
  (4, 203, 2, CURRENT_DATE - INTERVAL 45 DAY,  CURRENT_DATE - INTERVAL 15 DAY,  CURRENT_DATE - INTERVAL 20 DAY),
  (5, 202, 3, CURRENT_DATE - INTERVAL 20 DAY,  CURRENT_DATE + INTERVAL 10 DAY,  NULL),
  (6, 202, 6, CURRENT_DATE - INTERVAL 20 DAY,  CURRENT_DATE + INTERVAL 10 DAY,  NULL),
  (7, 201, 4, CURRENT_DATE - INTERVAL 2 DAY,   CURRENT_DATE + INTERVAL 28 DAY,  NULL),
  (8, 205, 2, CURRENT_DATE - INTERVAL 15 DAY,  CURRENT_DATE + INTERVAL 15 DAY,  NULL);

-- Tags without a table of one's own: people who are in no other table.
INSERT INTO outbox_tag (tag, address, name, language) VALUES
  ('friends', 'bookshop@example.net', 'The Corner Bookshop', 'en'),
  ('friends', 'school@example.net', 'Primary School', NULL);
