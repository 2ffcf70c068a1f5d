-- A trading company: staff, customers, their invoices and payments. For the examples of jobs.yaml and of
-- docs/for-accountants.md, and for the demo. All dates are relative to today.
--
-- After `outboxd migrate`, in the company's database:  mariadb acme < acme/sample.sql
-- It runs on MariaDB 10.6+ and MySQL 8.0+.

SET NAMES utf8mb4;

CREATE TABLE staff (
  id       INT          NOT NULL PRIMARY KEY,
  name     VARCHAR(100) NOT NULL,
  email    VARCHAR(320) NULL,
  language VARCHAR(35)  NOT NULL,
  role     VARCHAR(20)  NOT NULL COMMENT 'administrator, accountant, sales, warehouse',
  enabled  BOOLEAN      NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE customer (
  id         INT          NOT NULL PRIMARY KEY,
  name       VARCHAR(100) NOT NULL,
  email      VARCHAR(320) NULL     COMMENT 'where invoices go; several customers may share one',
  language   VARCHAR(35)  NOT NULL,
  enabled    BOOLEAN      NOT NULL,
  terms      VARCHAR(255) NOT NULL COMMENT 'the terms that go along with a statement: a file in the folder `attachments` of jobs.yaml',
  mailed_at  TIMESTAMP    NULL     COMMENT 'when the last statement was sent: written by outboxd',
  mail_error TEXT         NULL     COMMENT 'why the last one could not be sent: written by outboxd'
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE customer_tag (
  customer_id INT         NOT NULL,
  tag         VARCHAR(63) NOT NULL,
  PRIMARY KEY (customer_id, tag)
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE invoice (
  id             INT           NOT NULL PRIMARY KEY,
  number         VARCHAR(20)   NOT NULL UNIQUE,
  customer_id    INT           NOT NULL,
  issued         DATE          NOT NULL,
  due            DATE          NOT NULL,
  currency       CHAR(3)       NOT NULL,
  total          DECIMAL(12,2) NOT NULL COMMENT 'the sum of its items',
  reminder_level INT           NOT NULL DEFAULT 0 COMMENT 'the last reminder that was sent, 1 or 2: written by outboxd',
  reminded_at    TIMESTAMP     NULL     COMMENT 'and when',
  KEY customer (customer_id, issued)
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE invoice_item (
  invoice_id INT           NOT NULL,
  line       INT           NOT NULL,
  name       VARCHAR(100)  NOT NULL,
  quantity   DECIMAL(12,3) NOT NULL,
  amount     DECIMAL(12,2) NOT NULL COMMENT 'with tax',
  PRIMARY KEY (invoice_id, line)
) DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE payment (
  id         INT           NOT NULL PRIMARY KEY,
  invoice_id INT           NOT NULL,
  received   DATE          NOT NULL,
  amount     DECIMAL(12,2) NOT NULL,
  KEY invoice (invoice_id)
) DEFAULT CHARACTER SET utf8mb4;

-- A customer is active on the day of an order.
CREATE VIEW v_customers AS
SELECT c.id, c.name, c.email, c.language, c.enabled, o.active_on
FROM customer c LEFT JOIN (SELECT customer_id, MAX(issued) AS active_on FROM invoice GROUP BY customer_id) o ON o.customer_id = c.id;

CREATE VIEW v_people AS
SELECT name, email, language, enabled FROM staff
UNION ALL
SELECT name, email, language, enabled FROM customer;

-- Invoices of which something is to be paid, one a row, with whom to ask for it. The IBAN is the company's own.
CREATE VIEW v_open_invoices AS
SELECT i.id AS invoice_id, i.number, i.customer_id, c.name, c.email, c.language, i.issued, i.due, i.currency, i.total - COALESCE(p.paid, 0) AS amount,
  'SK31 1200 0000 1987 4263 7541' AS iban, i.reminder_level
FROM invoice i JOIN customer c ON c.id = i.customer_id
LEFT JOIN (SELECT invoice_id, SUM(amount) AS paid FROM payment GROUP BY invoice_id) p ON p.invoice_id = i.id
WHERE i.total > COALESCE(p.paid, 0);

-- Customers who have something to pay, one a row.
CREATE VIEW v_open_items AS
SELECT c.id, c.name, c.email, c.language, c.terms AS pdf, o.currency, o.iban, o.invoices, o.total
FROM customer c JOIN (SELECT customer_id, currency, iban, COUNT(*) AS invoices, SUM(amount) AS total FROM v_open_invoices GROUP BY customer_id, currency, iban) o ON o.customer_id = c.id;

-- What was booked on a customer's account: invoices, and payments with a minus.
CREATE VIEW v_statement AS
SELECT customer_id, issued AS booked, number AS document, 'Invoice' AS description, total AS amount FROM invoice
UNION ALL
SELECT i.customer_id, p.received, CONCAT('PAY-', p.id), CONCAT('Payment of ', i.number), -p.amount FROM payment p JOIN invoice i ON i.id = p.invoice_id;

-- What was sold in the week before this one, Monday to Sunday.
CREATE VIEW v_sales_week AS
SELECT t.name AS item, SUM(t.quantity) AS quantity, COUNT(DISTINCT i.customer_id) AS customers, SUM(t.amount) AS amount
FROM invoice i JOIN invoice_item t ON t.invoice_id = i.id
WHERE i.issued >= CURRENT_DATE - INTERVAL WEEKDAY(CURRENT_DATE) + 7 DAY AND i.issued < CURRENT_DATE - INTERVAL WEEKDAY(CURRENT_DATE) DAY
GROUP BY t.name;

-- The last one has left.
INSERT INTO staff (id, name, email, language, role, enabled) VALUES
  (1, 'Jan Horák',       'jan@acme.example',   'sk', 'administrator', TRUE),
  (2, 'Eva Nová',        'eva@acme.example',   'sk', 'accountant',    TRUE),
  (3, 'Peter Kováč',     'peter@acme.example', 'sk', 'sales',         TRUE),
  (4, 'Ann Clarke',      'ann@acme.example',   'en', 'sales',         TRUE),
  (5, 'Milan Baláž',     NULL,                 'sk', 'warehouse',     TRUE),
  (6, 'Zuzana Tóthová',  'zuzana@acme.example', 'sk', 'administrator', TRUE),
  (7, 'Karol Veselý',    'karol@acme.example', 'sk', 'administrator', FALSE);

-- Two customers share an address, one has none, one has a wrong one, one address is refused, one customer is not served any more.
INSERT INTO customer (id, name, email, language, enabled, terms) VALUES
  (1001, 'Kaviareň Pod Lipou s.r.o.', 'uctaren@podlipou.example',      'sk', TRUE,  'terms.pdf'),
  (1002, 'Bistro Müller',             'accounts@bistro.example',       'en', TRUE,  'terms.pdf'),
  (1003, 'Hotel Panoráma a.s.',       'faktury@panorama.example',      'sk', TRUE,  'terms.pdf'),
  (1004, 'Panoráma Spa s.r.o.',       'faktury@panorama.example',      'sk', TRUE,  'terms.pdf'),
  (1005, 'Green Deli Ltd',            'accounts@greendeli.example',    'en', TRUE,  'terms.pdf'),
  (1006, 'Pekáreň U Zajaca',          'pekaren at zajac.example',      'sk', TRUE,  'terms.pdf'),
  (1007, 'Corner Shop',               NULL,                            'en', TRUE,  'terms.pdf'),
  (1008, 'Old Mill Restaurant',       'left-the-company@example.org',  'en', TRUE,  'terms.pdf'),
  (1009, 'Kníhkupectvo Prameň',       'objednavky@pramen.example',     'sk', TRUE,  'terms.pdf'),
  (1010, 'Tea House Orient',          'hello@teahouse.example',        'en', TRUE,  'terms.pdf'),
  (1011, 'Záhradná reštaurácia',      'zahrada@example.net',           'sk', FALSE, 'terms.pdf'),
  (1012, 'Školská jedáleň',           'jedalen@skola.example',         'sk', TRUE,  'terms.pdf'),
  (1013, 'O''Brien & Sons',           'accounts@obrien.example',       'en', TRUE,  'terms.pdf');

-- The bookshop wants no more mail. It owes nothing; if it did, it would get no statement either.
INSERT INTO outbox_suppression (address, reason) VALUES ('Objednavky@pramen.example', 'wants no more mail, as they said on the phone');

INSERT INTO customer_tag (customer_id, tag) VALUES
  (1001, 'vip'), (1003, 'vip'), (1003, 'hotel'), (1004, 'hotel'), (1011, 'vip'), (1013, 'wholesale');

INSERT INTO invoice (id, number, customer_id, issued, due, currency, total, reminder_level) VALUES
  (1,  '4701', 1010, CURRENT_DATE - INTERVAL 500 DAY, CURRENT_DATE - INTERVAL 486 DAY, 'EUR',  180.00, 0),
  (2,  '4702', 1011, CURRENT_DATE - INTERVAL 320 DAY, CURRENT_DATE - INTERVAL 306 DAY, 'EUR',  240.50, 0),
  (3,  '4703', 1009, CURRENT_DATE - INTERVAL 200 DAY, CURRENT_DATE - INTERVAL 186 DAY, 'EUR',   96.00, 0),
  (4,  '4704', 1002, CURRENT_DATE - INTERVAL 130 DAY, CURRENT_DATE - INTERVAL 116 DAY, 'EUR',  516.00, 0),
  (5,  '4705', 1008, CURRENT_DATE - INTERVAL 95 DAY,  CURRENT_DATE - INTERVAL 81 DAY,  'EUR',  334.20, 1),
  (6,  '4706', 1001, CURRENT_DATE - INTERVAL 70 DAY,  CURRENT_DATE - INTERVAL 56 DAY,  'EUR', 1284.00, 1),
  (7,  '4707', 1003, CURRENT_DATE - INTERVAL 66 DAY,  CURRENT_DATE - INTERVAL 52 DAY,  'EUR',  720.00, 2),
  (8,  '4708', 1005, CURRENT_DATE - INTERVAL 52 DAY,  CURRENT_DATE - INTERVAL 38 DAY,  'EUR',   88.90, 0),
  (9,  '4709', 1006, CURRENT_DATE - INTERVAL 48 DAY,  CURRENT_DATE - INTERVAL 34 DAY,  'EUR',  156.00, 0),
  (10, '4710', 1012, CURRENT_DATE - INTERVAL 45 DAY,  CURRENT_DATE - INTERVAL 31 DAY,  'EUR',  610.00, 0),
  (11, '4711', 1003, CURRENT_DATE - INTERVAL 40 DAY,  CURRENT_DATE - INTERVAL 26 DAY,  'EUR',  111.00, 0),
  (12, '4712', 1004, CURRENT_DATE - INTERVAL 39 DAY,  CURRENT_DATE - INTERVAL 25 DAY,  'EUR',  299.00, 0),
  (13, '4713', 1007, CURRENT_DATE - INTERVAL 33 DAY,  CURRENT_DATE - INTERVAL 19 DAY,  'EUR',   45.00, 0),
  (14, '4714', 1002, CURRENT_DATE - INTERVAL 30 DAY,  CURRENT_DATE - INTERVAL 16 DAY,  'EUR',  204.00, 0),
  (15, '4715', 1001, CURRENT_DATE - INTERVAL 13 DAY,  CURRENT_DATE + INTERVAL 1 DAY,   'EUR',  624.00, 0),
  (16, '4716', 1013, CURRENT_DATE - INTERVAL 11 DAY,  CURRENT_DATE + INTERVAL 3 DAY,   'EUR', 1720.00, 0),
  (17, '4717', 1003, CURRENT_DATE - INTERVAL 9 DAY,   CURRENT_DATE + INTERVAL 5 DAY,   'EUR',  128.00, 0),
  (18, '4718', 1012, CURRENT_DATE - INTERVAL 7 DAY,   CURRENT_DATE + INTERVAL 7 DAY,   'EUR',  305.00, 0),
  (19, '4719', 1005, CURRENT_DATE - INTERVAL 5 DAY,   CURRENT_DATE + INTERVAL 9 DAY,   'EUR',  150.50, 0),
  (20, '4720', 1002, CURRENT_DATE - INTERVAL 3 DAY,   CURRENT_DATE + INTERVAL 11 DAY,  'EUR',   64.00, 0),
  (21, '4721', 1013, CURRENT_DATE - INTERVAL 1 DAY,   CURRENT_DATE + INTERVAL 13 DAY,  'EUR',  430.00, 0);

INSERT INTO invoice_item (invoice_id, line, name, quantity, amount) VALUES
  (1, 1, 'Green tea', 12, 180.00),
  (2, 1, 'Espresso beans', 10, 215.00), (2, 2, 'Freight', 1, 25.50),
  (3, 1, 'Cups', 48, 96.00),
  (4, 1, 'Espresso beans', 24, 516.00),
  (5, 1, 'Espresso beans', 15, 322.50), (5, 2, 'Freight', 1, 11.70),
  (6, 1, 'Espresso beans', 48, 1032.00), (6, 2, 'Grinder service', 3, 252.00),
  (7, 1, 'Green tea', 48, 720.00),
  (8, 1, 'Filter coffee', 5, 88.90),
  (9, 1, 'Cups', 78, 156.00),
  (10, 1, 'Espresso beans', 20, 430.00), (10, 2, 'Cups', 90, 180.00),
  (11, 1, 'Filter coffee', 6, 99.00), (11, 2, 'Freight', 1, 12.00),
  (12, 1, 'Green tea', 18, 270.00), (12, 2, 'Freight', 1, 29.00),
  (13, 1, 'Green tea', 3, 45.00),
  (14, 1, 'Cups', 102, 204.00),
  (15, 1, 'Espresso beans', 24, 516.00), (15, 2, 'Grinder service', 1.5, 96.00), (15, 3, 'Freight', 1, 12.00),
  (16, 1, 'Espresso beans', 80, 1720.00),
  (17, 1, 'Grinder service', 2, 128.00),
  (18, 1, 'Espresso beans', 10, 215.00), (18, 2, 'Cups', 45, 90.00),
  (19, 1, 'Filter coffee', 9, 150.50),
  (20, 1, 'Cups', 32, 64.00),
  (21, 1, 'Espresso beans', 20, 430.00);

INSERT INTO payment (id, invoice_id, received, amount) VALUES
  (7731, 1,  CURRENT_DATE - INTERVAL 480 DAY, 180.00),
  (7732, 2,  CURRENT_DATE - INTERVAL 310 DAY, 240.50),
  (7733, 3,  CURRENT_DATE - INTERVAL 190 DAY, 96.00),
  (7734, 4,  CURRENT_DATE - INTERVAL 110 DAY, 500.00),
  (7735, 4,  CURRENT_DATE - INTERVAL 100 DAY, 16.00),
  (7736, 6,  CURRENT_DATE - INTERVAL 50 DAY,  250.00),
  (7737, 8,  CURRENT_DATE - INTERVAL 35 DAY,  88.90),
  (7738, 10, CURRENT_DATE - INTERVAL 20 DAY,  600.00),
  (7739, 14, CURRENT_DATE - INTERVAL 12 DAY,  204.00),
  (7740, 17, CURRENT_DATE - INTERVAL 2 DAY,   128.00);

-- Tags without a table of one's own: people who are in no other table.
INSERT INTO outbox_tag (tag, address, name, language) VALUES
  ('press', 'desk@gazette.example', 'The Gazette', 'en'),
  ('press', 'redakcia@noviny.example', 'Noviny', 'sk'),
  ('partners', 'office@partner.example', NULL, NULL);
