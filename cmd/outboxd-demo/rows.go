package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// row is one line of the view outbox_status.
type row struct {
	Name       string // acme/1
	Recipients string
	Subject    string
	State      string
	Attempts   int
	Next       time.Time // of the next try; zero when there is none, or none to foresee
	Why        string
	MessageID  string
	Pages      []string // the mails that arrived from it
}

// companies are the databases of the demo, in the order in which they are shown.
func companies() []string { return []string{"acme", "bakery"} }

// readRows reads every company's rows from the view that is made for people.
func readRows(ctx context.Context, pool *sql.DB) ([]row, error) {
	var all []row
	for _, company := range companies() {
		rows, err := readCompany(ctx, pool, company)
		if err != nil {
			return nil, fmt.Errorf("read the rows of %s: %w", company, err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

func readCompany(ctx context.Context, pool *sql.DB, company string) (all []row, err error) {
	lines, err := pool.QueryContext(ctx, `SELECT id, recipients, COALESCE(subject, ''), state, attempts, next_try_at,
		COALESCE(last_error, ''), COALESCE(message_id, '') FROM `+company+`.outbox_status ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer lines.Close()
	for lines.Next() {
		var r row
		var id uint64
		var next sql.NullTime
		if err := lines.Scan(&id, &r.Recipients, &r.Subject, &r.State, &r.Attempts, &next, &r.Why, &r.MessageID); err != nil {
			return nil, err
		}
		r.Name, r.Next = rowName(company, id), next.Time
		all = append(all, r)
	}
	return all, lines.Err()
}

// rowOf finds the row that a mail was made from; "" when there is none.
func rowOf(ctx context.Context, pool *sql.DB, messageID string) (string, error) {
	for _, company := range companies() {
		var id uint64
		err := pool.QueryRowContext(ctx, "SELECT id FROM "+company+".outbox_status WHERE message_id = ?", messageID).Scan(&id)
		if err == nil {
			return rowName(company, id), nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return "", fmt.Errorf("find the row of a mail in %s: %w", company, err)
		}
	}
	return "", nil
}

func rowName(company string, id uint64) string { return fmt.Sprintf("%s/%d", company, id) }

// When tells when the row is tried next, if it waits.
func (r row) When() string {
	if r.State != "queued" || !r.Next.After(time.Now()) {
		return ""
	}
	return "next at " + clock(r.Next)
}

// String is the row's state for the terminal.
func (r row) String() string {
	text := strings.TrimRight(fmt.Sprintf("%-9s  %-8s  %s", r.Name, r.State, r.When()), " ")
	if r.Why != "" {
		text += indent + r.Why
	}
	return text
}

// indent begins a second line under the first one's text, behind the time and the row's name.
const indent = "\n                     "

// differences compares the samples with the rows and with the mails that arrived.
func differences(all []*sample, rows []row, mails []caught, now time.Time) []string {
	byName := map[string]row{}
	for _, r := range rows {
		byName[r.Name] = r
	}
	var wrong []string
	for _, s := range all {
		if s.want.later && s.met {
			continue
		}
		name := rowName(s.company, s.id)
		d := s.want.differs(byName[name], got(name, mails), now)
		if d == "" {
			d = s.want.shows(name, mails)
		}
		if s.met = d == ""; !s.met {
			wrong = append(wrong, fmt.Sprintf("%s (%s): %s", name, s.about, d))
		}
	}
	return wrong
}

// got counts who received the row's mails, and how often.
func got(name string, mails []caught) map[string]int {
	count := map[string]int{}
	for _, m := range mails {
		if m.Row != name {
			continue
		}
		for _, to := range m.Envelope {
			count[to]++
		}
	}
	return count
}

// differs tells what is not as wanted, or "".
func (w want) differs(r row, got map[string]int, now time.Time) string {
	arrives := map[string]int{}
	for _, to := range w.arrives {
		arrives[to] = 1
	}
	switch {
	case r.State != w.state:
		return fmt.Sprintf("state is %q, expected %q", r.State, w.state)
	case r.Attempts != w.attempts:
		return fmt.Sprintf("attempts is %d, expected %d", r.Attempts, w.attempts)
	case !strings.Contains(r.Why, w.says):
		return fmt.Sprintf("last_error is %q, expected something about %q", r.Why, w.says)
	case w.later != (r.State == "queued" && r.Next.After(now)):
		return fmt.Sprintf("next try is %s, expected one to come: %v", clock(r.Next), w.later)
	case !maps.Equal(got, arrives):
		return fmt.Sprintf("arrived at %v, expected %v", slices.Sorted(maps.Keys(got)), w.arrives)
	}
	return ""
}

// shows tells what in the row's mails is not as wanted, or "".
func (w want) shows(name string, mails []caught) string {
	for _, m := range mails {
		switch {
		case m.Row != name:
		case !strings.HasPrefix(m.Subject, w.subject):
			return fmt.Sprintf("the subject is %q, expected %q", m.Subject, w.subject)
		case !slices.Equal(m.Files, w.files):
			return fmt.Sprintf("it carries %q, expected %q", m.Files, w.files)
		}
	}
	return ""
}
