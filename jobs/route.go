package jobs

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// resolver tells by which account a company's rows go.
type resolver struct {
	company  string
	accounts []*jobfile.Account // in order of preference
}

func newResolver(file *jobfile.File, c *jobfile.Company) *resolver {
	r := &resolver{company: c.Name}
	for _, name := range c.Accounts {
		if a := file.Account(name); a != nil {
			r.accounts = append(r.accounts, a)
		}
	}
	return r
}

// resolve returns the account for a row that names an account, a sender, both or neither. An inactive one is returned
// only where no active one will do: the row waits for it. Otherwise the error is a *rowError.
func (r *resolver) resolve(account, from string) (*jobfile.Account, error) {
	domain, err := senderDomain(from)
	if err != nil {
		return nil, &rowError{fmt.Sprintf("from_address %q: %v", from, err)}
	}
	if account != "" {
		return r.named(account, domain)
	}
	var waiting *jobfile.Account
	for _, a := range r.accounts {
		if !maySend(a, domain) {
			continue
		}
		if a.Active {
			return a, nil
		}
		if waiting == nil {
			waiting = a
		}
	}
	if waiting != nil {
		return waiting, nil
	}
	if domain == "" {
		return nil, &rowError{"the company has no account: give it one in jobs.yaml"}
	}
	return nil, &rowError{fmt.Sprintf("no account of the company may send as @%s: use a sender of another domain, or add it to an account's sender_domains", domain)}
}

func (r *resolver) named(account, domain string) (*jobfile.Account, error) {
	i := slices.IndexFunc(r.accounts, func(a *jobfile.Account) bool { return strings.EqualFold(a.Name, account) })
	if i < 0 {
		return nil, &rowError{fmt.Sprintf("account %q is none that this company may use: set one of %s, or NULL for the first that fits", account, r.names())}
	}
	if a := r.accounts[i]; !maySend(a, domain) {
		return nil, &rowError{fmt.Sprintf("account %s may not send as @%s: its sender_domains are %s", a.Name, domain, strings.Join(a.SenderDomains, ", "))}
	}
	return r.accounts[i], nil
}

func (r *resolver) names() string {
	var names []string
	for _, a := range r.accounts {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// maySend tells whether the account may send for the sender's domain; "" is the account's own sender.
func maySend(a *jobfile.Account, domain string) bool {
	return domain == "" || len(a.SenderDomains) == 0 ||
		slices.ContainsFunc(a.SenderDomains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// senderDomain is the domain of a from_address, "" when the row states none.
func senderDomain(from string) (string, error) {
	if strings.TrimSpace(from) == "" {
		return "", nil
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return "", err
	}
	return a.Host, nil
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
