package mailing

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"outboxd/db"
)

// maxTroubles are as many rows as figures list that would not be mailed.
const maxTroubles = 20

// Counting is what Count asks others for. Each may be nil.
type Counting struct {
	// Nobody tells of which mails, by the places of their addresses, nobody gets one, and why.
	Nobody func(ctx context.Context, mails [][]string) (map[int]string, error)
	// Used returns those of the keys that were mailed in this period, with the numbers of the mails.
	Used func(ctx context.Context, keys []string) (map[string]uint64, error)
	// Account returns which account sends the mail, or why none can.
	Account func(m db.NewMail) (account string, err error)
	// Samples are how many lines to choose: the first one of each language, however many, and others.
	Samples int
}

// Count goes over an audience and says who would get what. It also chooses lines that show what goes: the first one of each language,
// then lines from first to last at even distances, none twice. Only lines that would be mailed are chosen.
func Count(ctx context.Context, s *Spool, c Counting) (Figures, []int64, error) {
	n := &counter{Counting: c, choice: newChoice(), accounts: map[string]int64{}}
	n.Audience = s.Rows()
	err := s.each(ctx, 1, func(line int64, m *made) error {
		one := counted{line: line, verdict: m.verdict, NewMail: slim(m.NewMail)}
		if n.Nobody != nil && m.verdict == sendable {
			one.to = Addresses(m.NewMail)
		}
		n.waiting = append(n.waiting, one)
		if len(n.waiting) == countedAtOnce {
			return n.look(ctx)
		}
		return nil
	})
	if err == nil {
		err = n.look(ctx)
	}
	if err != nil {
		return Figures{}, nil, err
	}
	for account, mails := range n.accounts {
		n.Accounts = append(n.Accounts, AccountShare{account, mails})
	}
	slices.SortFunc(n.Accounts, func(a, b AccountShare) int {
		return cmp.Or(cmp.Compare(b.Mails, a.Mails), cmp.Compare(a.Account, b.Account))
	})
	return n.Figures, n.choice.lines(c.Samples), nil
}

// countedAtOnce are so many lines as are asked for together.
const countedAtOnce = 1000

type counted struct {
	line    int64
	verdict verdict
	to      []string // bare addresses, where it is asked whether they are suppressed
	db.NewMail
}

// slim is what figures need of a mail: a thousand are in memory at a time, and each may carry megabytes.
func slim(m db.NewMail) db.NewMail {
	return db.NewMail{Key: m.Key, Recipients: cut(oneLine(m.Recipients), maxTold), Account: m.Account, From: m.From, Language: m.Language, Priority: m.Priority, LastError: m.LastError}
}

// maxTold are as many characters of an address as a figure shows.
const maxTold = 100

// counter adds up.
type counter struct {
	Counting
	Figures
	accounts map[string]int64
	choice   *choice
	waiting  []counted // lines that are looked at together
}

// look finishes the lines that wait, in order. Who is suppressed uses up no key.
func (n *counter) look(ctx context.Context) error {
	if err := n.suppress(ctx); err != nil {
		return err
	}
	used := map[string]uint64{}
	if n.Used != nil {
		var keys []string
		for _, m := range n.waiting {
			if m.verdict == sendable && m.Key != "" {
				keys = append(keys, m.Key)
			}
		}
		if len(keys) > 0 {
			var err error
			if used, err = n.Used(ctx, keys); err != nil {
				return err
			}
		}
	}
	for _, m := range n.waiting {
		n.judge(m, used)
	}
	n.waiting = n.waiting[:0]
	return nil
}

// suppress ends the lines that wait of which nobody gets a mail.
func (n *counter) suppress(ctx context.Context) error {
	if n.Nobody == nil {
		return nil
	}
	mails := make([][]string, len(n.waiting))
	for i, m := range n.waiting {
		mails[i] = m.to
	}
	why, err := n.Nobody(ctx, mails)
	for i, text := range why {
		n.waiting[i].verdict, n.waiting[i].LastError = noRecipient, text
	}
	return err
}

// judge counts a line.
func (n *counter) judge(m counted, used map[string]uint64) {
	if m.verdict != sendable {
		n.not(m)
		return
	}
	if id, twice := used[m.Key]; twice && m.Key != "" {
		n.Already++
		n.trouble(m.line, m.NewMail, fmt.Sprintf("was mailed in this period: mail %d", id))
		return
	}
	if n.Account != nil {
		account, err := n.Account(m.NewMail)
		if err != nil {
			n.Unusable++
			n.trouble(m.line, m.NewMail, err.Error())
			return
		}
		n.accounts[account]++
	}
	n.Sendable++
	n.choice.add(m.line, m.Language)
}

// not counts a line that cannot be mailed.
func (n *counter) not(m counted) {
	switch m.verdict {
	case noAddress:
		n.NoAddress++
	case badAddress:
		n.BadAddress++
	case duplicate:
		n.Duplicate++
	case noRecipient:
		n.Suppressed++
	default:
		n.Unusable++
	}
	n.trouble(m.line, m.NewMail, m.LastError)
}

// trouble keeps the first ones.
func (n *counter) trouble(line int64, m db.NewMail, why string) {
	if len(n.Troubles) < maxTroubles {
		n.Troubles = append(n.Troubles, Trouble{Line: line, Key: m.Key, Address: m.Recipients, Reason: why})
	}
}
