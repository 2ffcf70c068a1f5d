package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Suppression is an entry of outbox_suppression: who gets no mail, and why.
type Suppression struct {
	Entry  string    `db:"address_key"` // the address, or @ and the domain, in lower case
	Reason string    `db:"reason"`      // "" where none was given
	At     time.Time `db:"created_at"`
}

// question is what one caller asks the list.
type question struct {
	addresses []string
	found     map[string]Suppression
}

// suppressionKeys bounds the keys of one statement: from 1000 on MariaDB makes a table of them first.
const suppressionKeys = 900

// Suppressed returns those of the addresses that get no mail, each with the entry that says so: its own before that of its domain.
// Addresses are bare ones as envelopes have them, their domains in A-labels. Case does not matter, and an entry may write a domain in
// Unicode; apart from that josé is not jose. Questions that are asked at the same time are one statement, whose cost does not
// grow with the list. Tables of an older step have no list.
func (s *Store) Suppressed(ctx context.Context, addresses []string) (map[string]Suppression, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	q := &question{addresses: addresses}
	if err := s.questions.do(ctx, q); err != nil {
		return nil, err
	}
	return q.found, nil
}

// runQuestions answers all or none: what fails is the list, not an address.
func (s *Store) runQuestions(ctx context.Context, all []*question) []error {
	errs := make([]error, len(all))
	entries, err := s.listed(ctx, all)
	if err != nil {
		err = fmt.Errorf("read the suppressed addresses of %s: %w", s.database, err)
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for _, q := range all {
		if len(entries) == 0 {
			break
		}
		q.found = map[string]Suppression{}
		for _, address := range q.addresses {
			for _, key := range keysOf(address) {
				if entry, is := entries[key]; is {
					q.found[address] = entry
					break
				}
			}
		}
	}
	return errs
}

// listed reads those of the list that the addresses may stand under, by their keys.
func (s *Store) listed(ctx context.Context, all []*question) (map[string]Suppression, error) {
	if err := s.lookForStep(ctx); err != nil || s.sql.older.Load() {
		return nil, err
	}
	var keys []any
	known := map[string]bool{}
	for _, q := range all {
		for _, address := range q.addresses {
			for _, key := range keysOf(address) {
				if !known[key] {
					known[key] = true
					keys = append(keys, key)
				}
			}
		}
	}
	entries := map[string]Suppression{}
	for some := range slices.Chunk(keys, suppressionKeys) {
		found, err := selectAll[Suppression](ctx, s.pool.db, s.sql.list("suppressed", len(some)), some...)
		if NoTable(err) && s.restoredOlder(ctx) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			entries[f.Entry] = f
		}
	}
	return entries, nil
}

// restoredOlder tells whether the tables are of an older step by now: a database may be restored under a program at work.
func (s *Store) restoredOlder(ctx context.Context) bool {
	s.newest.Store(false)
	return s.lookForStep(ctx) == nil && s.sql.older.Load()
}

// keysOf are what the entry of an address may have as address_key, then what that of its domain may have.
func keysOf(address string) []string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return nil
	}
	hosts := []string{address[at+1:]}
	if strings.Contains(hosts[0], "xn--") {
		if host, err := idna.Punycode.ToUnicode(hosts[0]); err == nil {
			hosts = append(hosts, host)
		}
	}
	var keys []string
	for _, local := range []string{address[:at], ""} {
		for _, host := range hosts {
			for _, key := range spellings(local + "@" + host) {
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// spellings are the ways in which the table may have a text in lower case: beyond ASCII servers do not agree on which letters have one, and
// a letter with an accent is written as one character or as two.
func spellings(text string) []string {
	lower := strings.ToLower(text)
	if isASCII(lower) {
		return []string{lower}
	}
	return []string{lower, norm.NFC.String(lower), norm.NFD.String(lower), text}
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
}
