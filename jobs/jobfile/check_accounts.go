package jobfile

import (
	"fmt"
	"slices"
)

var defaultPorts = map[string]int{StartTLS: 587, TLS: 465, None: 25}

func (c *checker) account(path string, a *Account) {
	if c.main.has(path + ".host") {
		c.host(path+".host", &a.Host)
	}
	c.secret(c.main, path+".password", &a.Password)
	c.login(path, a)
	c.encryption(path, a)
	c.addresses(path, a)
	c.accountCompanies(path, a)
	c.rates(path, a)
}

// login checks that username, password and auth are there together or not at all.
func (c *checker) login(path string, a *Account) {
	m := c.main
	user, password, auth := m.written(path+".username"), m.written(path+".password"), m.written(path+".auth")
	switch {
	case user && !password:
		m.wrong(path+".username", a.Username, "a username without a password", "add password: {file: PATH}, {credential: NAME} or {env: NAME}")
	case password && !user:
		m.wrong(path+".password", "", "a password without a username", "add username")
	}
	switch {
	case m.bad[path+".auth"]:
	case auth && a.Auth == None && user:
		m.wrong(path+".auth", a.Auth, "with a username, which would never be used", "remove auth, or remove username and password")
	case auth && a.Auth != None && a.Auth != "auto" && !user:
		m.wrong(path+".auth", a.Auth, "needs username and password", "add them, or remove auth")
	case !user:
		a.Auth = None
	case !auth:
		a.Auth = "auto"
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
		a.Port = defaultPorts[a.Encryption]
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

// accountCompanies checks which companies may use an account.
func (c *checker) accountCompanies(path string, a *Account) {
	if a.Name == generalAccount && c.main.written(path+".companies") {
		c.main.wrong(path+".companies", "", "the account "+generalAccount+" serves every company", "remove the key, or give the account another name")
		c.main.bad[path+".companies"] = true
		return
	}
	c.companyNames(path+".companies", a.Companies)
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
	return c.main.bad[join("accounts", a.Name)+".companies"] || a.serves(company)
}
