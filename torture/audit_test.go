//go:build unix

package torture

import (
	"database/sql"
	"fmt"
)

// row is what the table says of a letter.
type row struct {
	id         uint64
	state      string
	recipients map[string]string // state by address; empty where the row speaks for its only one
}

// audit compares the ledger with the table.
func (s *site) audit() *report {
	r := &report{plan: s.plan, tally: s.tally, kills: s.kills(), minute: s.ledger.fullestMinute(), states: map[string]int{}}
	table, err := s.table()
	if err != nil {
		s.t.Fatal(err)
	}
	s.rescued(r)
	known := map[string]bool{}
	batches := map[int]map[bool]bool{}
	for _, l := range s.post.letters {
		got, there := table[l.key]
		delete(table, l.key)
		for _, to := range l.all() {
			known[to] = true
		}
		r.fates[l.fate]++
		switch {
		case there && l.fate == unknown || l.fate == committed:
			s.judge(r, l, got, there)
		case there:
			s.tally.breaks("ghost", fmt.Sprintf("%s: %s, and stands in the table", l.key, l.fate))
		default:
			s.unsent(l)
		}
		if l.fate == unknown {
			if batches[l.batch] == nil {
				batches[l.batch] = map[bool]bool{}
			}
			batches[l.batch][there] = true
		}
	}
	for batch, seen := range batches {
		if len(seen) > 1 {
			s.tally.breaks("lost", fmt.Sprintf("transaction %d was committed in part", batch))
		}
	}
	for key := range table {
		s.tally.breaks("ghost", key+" stands in the table and was never inserted")
	}
	for to := range s.ledger.data {
		if !known[to] {
			s.tally.breaks("ghost", to+" was never inserted")
		}
	}
	for _, text := range s.ledger.broken {
		s.tally.breaks("mixed", text)
	}
	if r.minute > s.plan.paced {
		s.tally.breaks("over", fmt.Sprintf("%d mails in a minute, the limit is %d", r.minute, s.plan.paced))
	}
	return r
}

// unsent looks for mail of a row that never was.
func (s *site) unsent(l *letter) {
	for _, to := range l.all() {
		if s.ledger.data[to] > 0 {
			s.tally.breaks("ghost", fmt.Sprintf("%s: DATA for a row that was %s", to, l.fate))
		}
	}
}

// judge compares one committed row with the ledger.
func (s *site) judge(r *report, l *letter, got row, there bool) {
	r.rows++
	if !there {
		s.tally.breaks("lost", l.key+" was committed and is not in the table")
		return
	}
	r.states[got.state]++
	describe := func(to string) string {
		return fmt.Sprintf("%s (acme/%d is %s, %s %s): DATA read %d times, accepted as %q", to, got.id, got.state, to, got.outcome(to), s.ledger.data[to], s.ledger.accepted[to])
	}
	switch got.state {
	case "queued", "sending":
		s.tally.breaks("lost", fmt.Sprintf("%s (acme/%d) is still %s at the end", l.key, got.id, got.state))
	case "sent", "partial", "uncertain":
		if l.broken {
			s.tally.breaks("untrue", describe(l.key))
		}
	}
	for _, to := range l.all() {
		accepted := len(s.ledger.accepted[to])
		if accepted > 1 {
			s.tally.breaks("twice", describe(to))
		}
		switch outcome := got.outcome(to); {
		case outcome == "uncertain":
			r.uncertain++
			if accepted > 0 {
				r.delivered++
			}
			if s.ledger.data[to] == 0 {
				s.tally.breaks("unseen", describe(to))
			}
		case outcome == "sent" && accepted == 0:
			s.tally.breaks("lost", describe(to))
		case outcome != "sent" && accepted > 0:
			s.tally.breaks("untrue", describe(to))
		}
	}
}

// outcome is what the table says of one recipient.
func (r row) outcome(to string) string {
	switch state, known := r.recipients[to]; {
	case state == "accepted":
		return "sent"
	case known:
		return state
	}
	return r.state
}

// table reads all rows, by reference.
func (s *site) table() (map[string]row, error) {
	out, byID := map[string]row{}, map[uint64]row{}
	err := s.each(`SELECT id, reference, state FROM {db}.outbox`, func(rows *sql.Rows) error {
		g, key := row{recipients: map[string]string{}}, ""
		err := rows.Scan(&g.id, &key, &g.state)
		out[key], byID[g.id] = g, g
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, s.each(`SELECT outbox_id, address, state FROM {db}.outbox_recipient`, func(rows *sql.Rows) error {
		var id uint64
		var address, state string
		err := rows.Scan(&id, &address, &state)
		if g, ok := byID[id]; ok {
			g.recipients[address] = state
		}
		return err
	})
}

func (s *site) each(query string, f func(*sql.Rows) error) error {
	rows, err := s.root.Query(s.sql(query))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
