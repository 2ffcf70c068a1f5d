package jobfile

import (
	"fmt"
	"slices"
	"strings"
)

func (c *checker) account(path string, a *Account) {
	c.provider(path, a)
	if c.main.has(path + ".host") {
		c.host(path+".host", &a.Host)
	}
	c.secret(c.main, path+".password", &a.Password)
	c.oauth(path+".oauth", a)
	c.login(path, a)
	c.encryption(path, a)
	c.addresses(path, a)
	c.ownSender(path, a)
	c.companyNames(path+".companies", a.Companies)
	c.rates(path, a)
	c.perDomain(path+".per_domain", a)
	c.warmup(path+".warmup", a)
}

// login checks that username, auth and a password or oauth are there together or not at all.
func (c *checker) login(path string, a *Account) {
	m := c.main
	user, password, oauth, auth := m.written(path+".username"), m.written(path+".password"), m.written(path+".oauth"), m.written(path+".auth")
	switch {
	case password && oauth:
		m.wrong(path+".password", "", "a password beside oauth, of which only one is used", "remove one of the two")
	case user && !password && !oauth:
		m.wrong(path+".username", a.Username, "a username without a password", "add password: {file: PATH}, {credential: NAME} or {env: NAME}")
	case password && !user:
		m.wrong(path+".password", "", "a password without a username", "add username")
	case oauth && !user:
		m.wrong(path+".oauth", "", "without a username", "add username: the address of the mailbox")
	}
	switch {
	case m.bad[path+".auth"]:
	case auth && a.Auth == None && user:
		m.wrong(path+".auth", a.Auth, "with a username, which would never be used", "remove auth, or remove username and password")
	case auth && a.Auth == XOAuth2 && !oauth:
		m.wrong(path+".auth", a.Auth, "needs oauth", "add oauth: {client_id: ID}, or remove auth")
	case auth && a.Auth != XOAuth2 && oauth:
		m.wrong(path+".auth", a.Auth, "with oauth, which signs in by xoauth2", "remove auth, or remove oauth")
	case auth && a.Auth != None && a.Auth != Auto && !user:
		m.wrong(path+".auth", a.Auth, "needs username and password", "add them, or remove auth")
	case !user:
		a.Auth = None
	case !auth && oauth:
		a.Auth = XOAuth2
	case !auth:
		a.Auth = a.Preset().Auth
	}
}

func (c *checker) encryption(path string, a *Account) {
	m := c.main
	if m.bad[path+".encryption"] {
		return
	}
	c.checkCA(path+".ca", a.Encryption, &a.CA)
	remote := m.has(path+".host") && !isLoopback(a.Host)
	switch {
	case a.Encryption != None || !remote:
	case m.written(path + ".username"):
		m.wrong(path+".encryption", None, "the password would cross the network in clear", "starttls or tls; with a username, none is for loopback only")
	default:
		m.warn(path+".encryption", None, "mails cross the network in clear", "starttls or tls, if the server knows either")
	}
	port := path + ".port"
	switch {
	case !m.written(port):
		a.Port = a.Preset().portFor(a.Encryption)
	case a.Port == 465 && a.Encryption == StartTLS:
		m.warn(port, "465", "port 465 speaks TLS from the first byte as a rule", "encryption: tls, or port: 587")
	case (a.Port == 587 || a.Port == 25) && a.Encryption == TLS:
		m.warn(port, fmt.Sprint(a.Port), "this port begins without TLS as a rule", "encryption: starttls, or port: 465")
	}
}

func (c *checker) addresses(path string, a *Account) {
	m := c.main
	_, from, fromOK := checkAddress(m, path+".from", a.From)
	checkAddress(m, path+".reply_to", a.ReplyTo)
	checkBareAddress(m, path+".return_path", a.ReturnPath)
	c.senderAddresses(path, a, from, fromOK)
	domains := path + ".sender_domains"
	for i := range a.SenderDomains {
		at := indexed(domains, i)
		if !m.has(at) {
			continue
		}
		domain, err := parseDomain(a.SenderDomains[i])
		if err != nil {
			m.bad[domains] = true
			m.wrong(at, a.SenderDomains[i], err.Error(), "for example acme.example")
			continue
		}
		a.SenderDomains[i] = domain
	}
	if fromOK && m.has(domains) && !slices.Contains(a.SenderDomains, domainOf(from)) {
		m.wrong(path+".from", a.From, "is outside of sender_domains", "add "+domainOf(from)+" there, or change the address")
	}
}

// senderAddresses checks the senders of a person's own account. Its own sender is one of them.
func (c *checker) senderAddresses(path string, a *Account, from string, fromOK bool) {
	m, list := c.main, path+".sender_addresses"
	for i := range a.SenderAddresses {
		at := indexed(list, i)
		if addr, ok := checkBareAddress(m, at, a.SenderAddresses[i]); ok {
			a.SenderAddresses[i] = addr
		} else {
			m.bad[list] = true
		}
	}
	if m.has(list) && m.has(path+".sender_domains") {
		m.wrong(path+".sender_domains", "", "beside sender_addresses, which says all of it", "remove one of the two")
	}
	if fromOK && m.has(list) && !slices.ContainsFunc(a.SenderAddresses, func(s string) bool { return strings.EqualFold(s, from) }) {
		m.wrong(path+".from", a.From, "is none of sender_addresses", "add "+from+" there, or change the address")
	}
}

// general checks that the general account is there and open to all: what outboxd itself has to say goes by it.
func (c *checker) general() {
	if !c.main.has("accounts") || len(c.Accounts) == 0 {
		return
	}
	a, path := c.accountNamed(GeneralAccount), join("accounts", GeneralAccount)
	if a == nil {
		c.main.wrong("accounts", "", "there is no account "+GeneralAccount, "it always exists: every company may use it, and what outboxd itself has to say goes by it; give the most general account this name")
		return
	}
	for _, key := range []string{"companies", "sender_domains", "sender_addresses"} {
		if at := path + "." + key; c.main.written(at) {
			c.main.wrong(at, "", "the account "+GeneralAccount+" cannot be restricted", "remove the key, or give the account another name")
			c.main.bad[at] = true
		}
	}
	if at := path + ".active"; c.main.has(at) && !a.Active {
		c.main.wrong(at, "false", "the account "+GeneralAccount+" cannot be switched off", "remove the key, or give the account another name")
		a.Active = true
	}
}

// companyNames checks a list of companies. With includes a missing one is a warning only: removing a company's file must not
// stop the others.
func (c *checker) companyNames(path string, list []string) {
	var names []string
	for _, e := range c.companies {
		names = append(names, e.Name)
	}
	for i, name := range list {
		at := indexed(path, i)
		if !c.main.has(at) || slices.Contains(names, name) {
			continue
		}
		if c.main.written("include") {
			c.main.warn(at, name, "no such company", knownHint(name, names))
			continue
		}
		c.main.wrong(at, name, "no such company", knownHint(name, names))
		c.main.bad[path] = true
	}
}

// serves is Account.Serves for an account whose list of companies may be broken: that is one problem, not many.
func (c *checker) serves(a *Account, company string) bool {
	return c.main.bad[join("accounts", a.Name)+".companies"] || a.Serves(company)
}
