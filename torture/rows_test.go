//go:build unix

package torture

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	throttling  = "slow.example" // a domain that throttles
	pacedSender = "paced@acme.example"
)

// letter is one row that the harness inserts, and what became of its transaction.
type letter struct {
	key         string // outbox.reference, and the head of each of its recipients
	to, cc, bcc []string
	text, html  string
	priority    int
	after       any // seconds from now, or nil
	expires     any // the same
	dedupe      any
	account     any
	shape       int  // how the addresses are written
	broken      bool // it has no address that can be read
	fate        fate
	batch       int // rows of one transaction
}

// fate is what became of the transaction that inserts a row.
type fate uint8

const (
	committed fate = iota
	rolledBack
	refused // by the table: a second row with the same dedupe_key
	unknown // COMMIT got no reply: the table tells
)

func (f fate) String() string {
	return [...]string{"committed", "rolled back", "refused", "commit unknown"}[f]
}

func (l *letter) all() []string {
	return append(append(append([]string{}, l.to...), l.cc...), l.bcc...)
}

// compose makes the nth letter.
func compose(rng *rand.Rand, n int) *letter {
	l := &letter{key: fmt.Sprintf("m%d", n), priority: 1 + rng.IntN(5), shape: rng.IntN(3)}
	parts := "abcdefgh"
	next := func() string {
		domain := fmt.Sprintf("d%d.example", rng.IntN(12))
		if rng.IntN(50) == 0 {
			domain = throttling
		}
		part := parts[:1]
		parts = parts[1:]
		return l.key + part + "@" + domain
	}
	l.to = append(l.to, next())
	switch x := rng.IntN(100); {
	case x < 12:
		for range 1 + rng.IntN(3) {
			l.to = append(l.to, next())
		}
	case x < 20:
		l.cc, l.bcc = append(l.cc, next()), append(l.bcc, next(), next())
	case x < 23:
		l.bcc = append(l.bcc, next())
	}
	l.text = strings.Repeat("Dear customer, this is your invoice. ", rng.IntN(60)) + "\n" + endOf(l.key)
	switch x := rng.IntN(100); {
	case x < 2:
		l.text = strings.Repeat("A long one. ", 4000) + "\n" + endOf(l.key) // several writes to the server
	case x < 12:
		l.html = "<p>Dear <b>customer</b></p>"
	}
	l.schedule(rng)
	return l
}

// schedule gives some letters a time, a key, an account, or no address at all.
func (l *letter) schedule(rng *rand.Rand) {
	switch x := rng.IntN(200); {
	case x < 10:
		l.after = 1 + rng.IntN(3)
	case x < 14:
		l.expires = 1 + rng.IntN(4)
	case x < 34:
		l.dedupe = "once " + l.key
	case x == 34:
		l.broken = true
	}
	l.account = []any{nil, nil, "relay", "relay2", "relay3"}[rng.IntN(5)]
}

// columns are the row's values in the order of insert.
func (l *letter) columns() []any {
	to := join(l.to, l.shape)
	if l.broken {
		to = "nobody at nowhere"
	}
	return []any{to, null(join(l.cc, l.shape)), null(join(l.bcc, l.shape)), subjectOf(l.key), l.text, null(l.html), l.priority,
		l.after, l.expires, l.dedupe, l.key, l.account}
}

const (
	insertHead = `INTO {db}.outbox (recipients, cc, bcc, subject, body_text, body_html, priority, send_after, expires_at, dedupe_key, reference, account) VALUES `
	insertRow  = `(?, ?, ?, ?, ?, ?, ?, TIMESTAMPADD(SECOND, ?, NOW(6)), TIMESTAMPADD(SECOND, ?, NOW(6)), ?, ?, ?)`
)

// join writes addresses in one of the ways that people do.
func join(list []string, shape int) string {
	switch shape {
	case 1:
		return strings.Join(list, ";\n")
	case 2:
		named := make([]string, len(list))
		for i, a := range list {
			named[i] = `"Šuba, Eva" <` + a + ">"
		}
		return strings.Join(named, ", ")
	}
	return strings.Join(list, ", ")
}

func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
