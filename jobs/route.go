package jobs

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// resolver tells how a company's rows go.
type resolver struct {
	accounts []*jobfile.Account // in order of preference
	general  *jobfile.Account   // the general account, where it is not among them: for what outboxd itself has to say
	sendAs   string             // of the company
	personal map[uint32]bool    // routes of which some rows are of people who have an account of their own
}

// way is how a row goes: whose mail it is, and as whom it goes out. Whatever server carries it, From and Reply-To are these.
type way struct {
	account *jobfile.Account
	from    mail.Address // of the header
	replyTo string       // where the row itself names none
	person  mail.Address // the row's from_address, where send_as puts the account's own sender in its place; else zero
}

func newResolver(file *jobfile.File, c *jobfile.Company) *resolver {
	r := &resolver{sendAs: c.SendAs, personal: map[uint32]bool{}}
	for _, name := range c.Accounts {
		a := file.Account(name)
		if a == nil {
			continue
		}
		r.accounts = append(r.accounts, a)
		for _, address := range a.SenderAddresses {
			r.personal[routeHash("", address)] = true
		}
	}
	if r.byName(jobfile.GeneralAccount) == nil {
		r.general = file.Account(jobfile.GeneralAccount)
	}
	return r
}

// resolve returns the way of a row that names an account, a sender, both or neither. An inactive account is returned
// only where no active one will do: the row waits for it. Otherwise the error is a *rowError.
func (r *resolver) resolve(account, from string) (way, error) {
	sender, err := parseSender(from)
	if err != nil {
		return way{}, err
	}
	a := r.personOf(sender)
	if account != "" || a == nil {
		if a, err = r.choose(account, sender); err != nil {
			return way{}, err
		}
	}
	return wayBy(a, r.sendAs, sender)
}

// personOf returns the sender's own account, when it is active; else nil.
func (r *resolver) personOf(sender mail.Address) *jobfile.Account {
	return r.first(func(a *jobfile.Account) bool { return a.Active && lists(a, sender) })
}

// route returns the account of a route's rows: of all but those of people who have an account of their own. The error is
// a *rowError.
func (r *resolver) route(account, from string) (*jobfile.Account, error) {
	sender, err := parseSender(from)
	if err != nil {
		return nil, err
	}
	return r.choose(account, sender)
}

// choose finds the account that a row names, else the first that may send as the sender and is nobody's own.
func (r *resolver) choose(account string, sender mail.Address) (*jobfile.Account, error) {
	if account != "" {
		return r.named(account, sender)
	}
	fits := func(a *jobfile.Account) bool { return len(a.SenderAddresses) == 0 && maySend(a, sender) }
	if a := r.first(func(a *jobfile.Account) bool { return a.Active && fits(a) }); a != nil {
		return a, nil
	}
	if a := r.first(func(a *jobfile.Account) bool { return fits(a) || lists(a, sender) }); a != nil {
		return a, nil
	}
	switch {
	case len(r.accounts) == 0:
		return nil, &rowError{"the company has no account: give it one in jobs.yaml"}
	case sender.Host == "":
		return nil, &rowError{"every account of the company is a person's own: set from_address, or account to one of " + r.names()}
	}
	return nil, &rowError{fmt.Sprintf("no account of the company may send as @%s: %s is outside of the sender_domains and sender_addresses of %s. Use another sender, or add it to one of them",
		sender.Host, sender.Addr(), r.names())}
}

// byName returns the account of that name by which the company's rows may go; nil without one.
func (r *resolver) byName(name string) *jobfile.Account {
	if a := r.first(func(a *jobfile.Account) bool { return strings.EqualFold(a.Name, name) }); a != nil || r.general == nil || !strings.EqualFold(r.general.Name, name) {
		return a
	}
	return r.general
}

func (r *resolver) first(fits func(*jobfile.Account) bool) *jobfile.Account {
	if i := slices.IndexFunc(r.accounts, fits); i >= 0 {
		return r.accounts[i]
	}
	return nil
}

func (r *resolver) named(account string, sender mail.Address) (*jobfile.Account, error) {
	a := r.byName(account)
	switch {
	case a == nil || a == r.general && sender.Host != "": // it carries nobody else's mail for a company that does not list it
		return nil, &rowError{fmt.Sprintf("account %q is none that this company may use: set one of %s, or NULL for the first that fits", account, r.names())}
	case maySend(a, sender):
		return a, nil
	case len(a.SenderAddresses) > 0:
		return nil, &rowError{fmt.Sprintf("account %s may not send as %s: its sender_addresses are %s", a.Name, sender.Addr(), strings.Join(a.SenderAddresses, ", "))}
	}
	return nil, &rowError{fmt.Sprintf("account %s may not send as @%s: its sender_domains are %s", a.Name, sender.Host, strings.Join(a.SenderDomains, ", "))}
}

func (r *resolver) names() string {
	var names []string
	for _, a := range r.accounts {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// wayBy is how mail of a sender goes by an account; the zero sender is the account's own.
func wayBy(a *jobfile.Account, sendAs string, sender mail.Address) (way, error) {
	own, err := mail.ParseAddress(a.From)
	if err != nil {
		return way{}, &rowError{"from of account " + a.Name + ": " + err.Error()}
	}
	switch {
	case sender.Host == "":
		return way{account: a, from: own, replyTo: a.ReplyTo}, nil
	case !asSystem(a, sendAs, sender):
		return way{account: a, from: sender, replyTo: a.ReplyTo}, nil
	}
	own.Name = cmp.Or(sender.Name, sender.Local) + " via " + cmp.Or(own.Name, own.Host)
	return way{account: a, from: own, replyTo: sender.String(), person: sender}, nil
}

// asSystem tells whether the company's send_as puts the general account's own sender in the place of a person.
func asSystem(a *jobfile.Account, sendAs string, sender mail.Address) bool {
	own, err := mail.ParseAddress(a.From)
	switch {
	case !a.General(), err != nil, sender.Host == "", strings.EqualFold(own.Addr(), sender.Addr()):
		return false
	case sendAs == jobfile.Both:
		return !keepsFrom(a, sender)
	}
	return sendAs == jobfile.System
}

// keepsFrom tells whether the account's provider lets a sender stand that nothing in jobs.yaml says it was given.
func keepsFrom(a *jobfile.Account, sender mail.Address) bool {
	return a.Preset().From == jobfile.FromAny || strings.EqualFold(a.Username, sender.Addr())
}

// maySend tells whether the account may send as the sender; the zero sender is its own.
func maySend(a *jobfile.Account, sender mail.Address) bool {
	switch {
	case sender.Host == "":
		return true
	case len(a.SenderAddresses) > 0:
		return lists(a, sender)
	}
	return len(a.SenderDomains) == 0 || slices.ContainsFunc(a.SenderDomains, func(d string) bool { return strings.EqualFold(d, sender.Host) })
}

// lists tells whether the account is the sender's own.
func lists(a *jobfile.Account, sender mail.Address) bool {
	return slices.ContainsFunc(a.SenderAddresses, func(s string) bool { return strings.EqualFold(s, sender.Addr()) })
}

// parseSender reads a from_address; the zero address when the row states none. The error is a *rowError.
func parseSender(from string) (mail.Address, error) {
	if strings.TrimSpace(from) == "" {
		return mail.Address{}, nil
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return a, &rowError{fmt.Sprintf("from_address %q: %v", from, err)}
	}
	return a, nil
}

// routeHash is outbox.route as the table computes it from the same columns: the account, else the sender's domain as it
// is written.
func routeHash(account, from string) uint32 {
	text := account
	if text == "" {
		text = from[strings.LastIndexByte(from, '@')+1:]
		text, _, _ = strings.Cut(text, ">")
		text = strings.Trim(text, " ")
	}
	return crc32.ChecksumIEEE([]byte(strings.ToLower(text)))
}
