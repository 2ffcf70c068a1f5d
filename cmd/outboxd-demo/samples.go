package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// sample is one mail of the demo: what a program of the company writes, and what has to become of it.
type sample struct {
	company string
	about   string // for people
	insert  string // plain SQL, as any client would send it
	attach  string // in the same transaction: what goes with it; may be ""
	want    want
	id      uint64 // set by INSERT
	met     bool   // it was once as wanted
}

// want is the expected end of a sample.
type want struct {
	state    string
	attempts int
	arrives  []string // who gets the mail, each exactly once
	says     string   // part of last_error
	later    bool     // there is a time for the next try, still to come; it may have been so for a while
	subject  string   // how the mail's subject begins
	files    []string // what goes with it, and pictures in it
}

// The addresses that the catching mail server refuses.
const (
	refusedForGood = "left-the-company@example.org"
	refusedForNow  = "greylisted@example.org"
)

// samples are all of them, in the order in which they are inserted.
func samples() []*sample { return slices.Concat(plain(), furnished(), slow()) }

// plain are samples of a company whose account has no limit.
func plain() []*sample {
	return []*sample{{
		company: "acme", about: "plain text",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('eva@example.org', 'Your order 4711 is on its way', 'Hello Eva,\n\nyour parcel left our house today.\n\nAcme')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"eva@example.org"}},
	}, {
		company: "acme", about: "HTML; outboxd adds a text part",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_html, reference) VALUES ('eva@example.org', 'Invoice 4711', '<h1>Invoice 4711</h1><table><tr><td>1 anvil</td><td>99.00</td></tr><tr><td>Shipping</td><td>12.00</td></tr></table><p>Thank you!</p>', 'invoice:4711')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"eva@example.org"}},
	}, {
		company: "acme", about: "UTF-8 in subject, names and text",
		insert: `INSERT INTO acme.outbox (recipients, from_address, subject, body_text) VALUES ('Žofia Kováčová <zofia@example.org>', 'Účtáreň Acme <faktury@acme.example>', 'Faktúra č. 2026-117 – ďakujeme 🎉', 'Dobrý deň, pani Kováčová,\n\nvaša faktúra je pripravená. 请查收。')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"zofia@example.org"}},
	}, {
		company: "acme", about: "several recipients, with copies",
		insert: `INSERT INTO acme.outbox (recipients, cc, bcc, subject, body_text) VALUES ('Ann <ann@example.org>; Bob <bob@example.org>', 'carl@example.org', 'dora@example.org', 'Minutes of the meeting', 'Dora got this too, and nobody sees it.')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"ann@example.org", "bob@example.org", "carl@example.org", "dora@example.org"}},
	}, {
		company: "acme", about: "two recipients, one refused for good",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('ann@example.org, ` + refusedForGood + `', 'Price list', 'Our new prices.')`,
		want:   want{state: "partial", attempts: 1, arrives: []string{"ann@example.org"}, says: "550"},
	}, {
		company: "acme", about: "an address that is none",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('eva at example.org', 'This cannot be sent', 'And the row says why.')`,
		want:   want{state: "failed", attempts: 1, says: "recipients"},
	}, {
		company: "acme", about: "the server refuses the recipient for good",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('` + refusedForGood + `', 'Are you still there?', 'No.')`,
		want:   want{state: "failed", attempts: 1, says: "550"},
	}, {
		company: "acme", about: "the server refuses the recipient for now",
		insert: `INSERT INTO acme.outbox (recipients, subject, body_text) VALUES ('` + refusedForNow + `', 'Try me again', 'The second try goes through.')`,
		want:   want{state: "queued", attempts: 1, says: "450", later: true},
	}}
}

// slow are samples of a company whose account is limited.
func slow() []*sample {
	return []*sample{{
		company: "bakery", about: "the first mail of a slow account",
		insert: `INSERT INTO bakery.outbox (recipients, subject, body_text) VALUES ('Frau Müller <mueller@example.org>', 'Fresh bread at seven', 'Come early.')`,
		want:   want{state: "sent", attempts: 1, arrives: []string{"mueller@example.org"}},
	}, {
		company: "bakery", about: "the second one waits for the limit",
		insert: `INSERT INTO bakery.outbox (recipients, subject, body_text) VALUES ('huber@example.org', 'Fresh bread at seven', 'Come early.')`,
		want:   want{state: "queued", later: true},
	}}
}

// insertSamples sends the INSERTs as the companies' own programs would.
func insertSamples(ctx context.Context, pool *sql.DB, all []*sample) error {
	for _, s := range all {
		if err := s.send(ctx, pool); err != nil {
			return fmt.Errorf("insert the sample %q: %w", s.about, err)
		}
	}
	return nil
}

// send inserts the row, and what goes with it in the same transaction: a mail without its file would be another one.
func (s *sample) send(ctx context.Context, pool *sql.DB) (err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	result, err := tx.ExecContext(ctx, s.insert)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	s.id = uint64(id)
	if s.attach != "" {
		if _, err := tx.ExecContext(ctx, s.attach); err != nil {
			return err
		}
	}
	return tx.Commit()
}
