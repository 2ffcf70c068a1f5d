package jobs

import (
	"fmt"
	"slices"

	"outboxd/db"
	"outboxd/mail"
)

// parcel is one row's message, ready to be sent, and who is to get it.
type parcel struct {
	row       db.Row
	messageID string // of the message; a finished one may bring its own
	from      string // the sender's bare address, as the header shows it
	domain    string // and its domain
	envelope  mail.Envelope
	all       []db.Recipient // of a row with several recipients: every one, with what is known; nil for a single one
	open      []int          // positions in all of the envelope's recipients
	message   []byte
	utf8      bool
	diverted  bool // the envelope has the company's divert address alone, whoever the recipients are
	asked     bool // a mark was asked for
	handed    bool // and committed: the body may have gone
}

// address fills the envelope: each recipient once, and only those that are still open.
func (p *parcel) address(to, cc, bcc []mail.Address) error {
	seen := map[string]bool{}
	for _, part := range []struct {
		kind string
		list []mail.Address
	}{{"to", to}, {"cc", cc}, {"bcc", bcc}} {
		for _, a := range part.list {
			if seen[a.Addr()] {
				continue
			}
			seen[a.Addr()] = true
			p.all = append(p.all, db.Recipient{Position: len(p.all), Kind: part.kind, Address: a.Addr(), State: db.RecipientOpen})
		}
	}
	switch {
	case len(p.all) == 0:
		return &rowError{"recipients: there is no address"}
	case len(p.all) > maxRecipients:
		return &rowError{fmt.Sprintf("recipients: %d addresses in recipients, cc and bcc together, at most %d go into one mail: insert several rows", len(p.all), maxRecipients)}
	}
	for i := range p.all {
		for _, known := range p.row.Known {
			// By position and address: a row that was edited meanwhile is not mixed up. One still under an earlier mark
			// is open: that taking ended before the body. So is one that was suppressed: the list is asked anew.
			if known.Position == i && known.Address == p.all[i].Address && known.State != db.RecipientSending && known.State != db.RecipientSuppressed {
				p.all[i] = known
			}
		}
		if p.all[i].State == db.RecipientOpen {
			p.open = append(p.open, i)
			p.envelope.To = append(p.envelope.To, p.all[i].Address)
			p.utf8 = p.utf8 || needsUTF8(p.all[i].Address)
		}
	}
	if len(p.open) == 0 {
		return &rowError{"no recipient is open any more"}
	}
	if len(p.all) == 1 {
		p.all = nil
	}
	return nil
}

// sender sets whom the mail is from, and where what cannot be delivered goes back to.
func (p *parcel) sender(from mail.Address, path string) {
	p.from, p.domain, p.envelope.From = from.Addr(), from.Host, path
	p.utf8 = p.utf8 || needsUTF8(path)
}

// marked are the recipients as the mark records them: those the server took stand under it, the others stay open.
func (p *parcel) marked(accepted []bool) []db.Recipient {
	if p.all == nil {
		return nil
	}
	out := slices.Clone(p.all)
	for i, ok := range forEach(p, accepted) {
		if r := &out[p.open[i]]; ok {
			r.State, r.Token = db.RecipientSending, p.row.Token
		}
	}
	return out
}

// needsUTF8 tells whether an address can only travel by SMTPUTF8 (RFC 6531).
func needsUTF8(address string) bool {
	return slices.ContainsFunc([]byte(address), func(b byte) bool { return b >= 0x80 })
}
