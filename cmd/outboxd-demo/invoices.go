package main

// invoice is what a company's program knows of an invoice. The template makes a mail of it, in the language of the row.
const invoice = `{
  "number": "2026000481", "currency": "EUR", "issued": "2026-11-22", "delivered": "2026-11-20", "due": "2026-12-06",
  "customer": {"name": "Kaviareň Pod Lipou s.r.o.", "address": ["Lipová 8", "040 01 Košice"]},
  "items": [
    {"name": "Espresso beans Dolce", "quantity": 24, "unit": "kg", "price": 21.50, "amount": 516.00},
    {"name": "Grinder service & calibration", "quantity": 1.5, "unit": "h", "price": 64.00, "amount": 96.00},
    {"name": "Freight", "quantity": 1, "price": 12.00, "amount": 12.00}
  ],
  "net": 624.00, "vat": [{"rate": 0.23, "base": 108.00, "amount": 24.84}, {"rate": 0.19, "base": 516.00, "amount": 98.04}], "total": 746.88,
  "iban": "SK31 1200 0000 1987 4263 7541", "pay_url": "https://pay.acme.example/i/2026000481"
}`

// furnished are samples that are made from a template, or that carry files.
func furnished() []*sample {
	return []*sample{{
		company: "acme", about: "an invoice from a template, in Slovak",
		insert: `INSERT INTO acme.outbox (recipients, template, params, language, reference) VALUES ('Pod Lipou <lipa@example.org>', 'invoice', '` + invoice + `', 'sk', 'invoice:2026000481')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"lipa@example.org"}, subject: "Faktúra č. 2026000481", files: []string{"logo.png"}},
	}, {
		company: "acme", about: "the same invoice in English",
		insert: `INSERT INTO acme.outbox (recipients, template, params, language, reference) VALUES ('Pod Lipou <lipa@example.org>', 'invoice', '` + invoice + `', 'en', 'invoice:2026000481')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"lipa@example.org"}, subject: "Invoice 2026000481", files: []string{"logo.png"}},
	}, {
		company: "acme", about: "a file of the company's folder goes with it",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('eva@example.org', 'Our terms of delivery', 'Dear Eva,\n\nplease find our terms attached.\n\nAcme')`,
		attach: `INSERT INTO acme.outbox_attachment (outbox_id, name, file) VALUES (LAST_INSERT_ID(), 'terms of delivery.pdf', 'terms.pdf')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"eva@example.org"}, files: []string{"terms of delivery.pdf"}},
	}, {
		company: "acme", about: "a file out of the database goes with it",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('zofia@example.org', 'Prehľad objednávok', 'Dobrý deň,\n\nprehľad je v prílohe.\n\nAcme')`,
		attach: `INSERT INTO acme.outbox_attachment (outbox_id, name, content) VALUES (LAST_INSERT_ID(), 'objednávky 2026.csv', 'Objednávka;Suma\r\n4711;99,00\r\n4712;12,50\r\n')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"zofia@example.org"}, files: []string{"objednávky 2026.csv"}},
	}}
}
