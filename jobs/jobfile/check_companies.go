package jobfile

import (
	"fmt"
	"slices"
)

// checkCompanies checks each company in its own file, in order: where two contradict each other, the later is wrong.
func (c *checker) checkCompanies() {
	byName := map[string]entry{}
	byDatabase := map[string]entry{}
	for _, e := range c.companies {
		if first, again := byName[e.Name]; again {
			e.src.wrong(e.path, "", "a company of this name stands in "+first.src.file, "a company stands in one file only")
		} else {
			byName[e.Name] = e
		}
		if !e.src.has(e.path) {
			continue
		}
		c.company(e)
		for _, key := range c.databaseKeys(e) {
			if first, again := byDatabase[key]; !again {
				byDatabase[key] = e
			} else if first.Name != e.Name {
				e.src.wrong(e.path+".database", e.Database, fmt.Sprintf("is also the database of company %s in %s", first.Name, first.src.file), "each company has a database of its own")
				break
			}
		}
	}
}

// databaseKeys name a company's database wherever it is written: by each address of its server. None when it cannot be told.
func (c *checker) databaseKeys(e entry) []string {
	s := find(c.Servers, func(s *Server) bool { return s.Name == e.Server })
	if s == nil || !e.src.has(e.path+".database") {
		return nil
	}
	var keys []string
	for _, address := range s.Addresses() {
		keys = append(keys, address+"/"+e.Database)
	}
	return keys
}

func (c *checker) company(e entry) {
	c.checkServerName(e.src, e.path+".server", e.Server)
	checkDatabaseAt(e.src, e.path+".database", e.Database)
	checkBareAddress(e.src, e.path+".divert", e.Divert)
	if e.Login != nil {
		c.secret(e.src, e.path+".login.password", &e.Login.Password)
	}
	c.content(e)
	c.people(e)
	c.timings(e)
	if !c.main.has("accounts") || len(c.Accounts) == 0 || e.src.bad[e.path+".accounts"] {
		c.mailings(e, nil, false)
		return
	}
	allowed := c.allowedAccounts(e)
	known := !e.src.written(e.path+".accounts") || len(allowed) == len(e.Accounts)
	c.usableAccounts(e, allowed)
	c.mailings(e, allowed, known)
	c.jobs(e, allowed)
}

// allowedAccounts returns the accounts that the company lists and may use, active or not, in order of preference.
func (c *checker) allowedAccounts(e entry) []*Account {
	var out []*Account
	if !e.src.written(e.path + ".accounts") {
		for _, a := range c.Accounts {
			if c.serves(a, e.Name) {
				out = append(out, a)
			}
		}
		return out
	}
	for i, name := range e.Accounts {
		at := indexed(e.path+".accounts", i)
		a := c.accountNamed(name)
		switch {
		case a == nil:
			e.src.wrong(at, name, "no such account", knownHint(name, c.accountNames()))
		case !c.serves(a, e.Name):
			e.src.wrong(at, name, "this account does not serve this company", "add "+e.Name+" to accounts."+name+".companies, or remove it here")
		case slices.Contains(out, a):
		default:
			if !a.Active {
				e.src.warn(at, name, "this account is not active", "")
			}
			out = append(out, a)
		}
	}
	return out
}

// usableAccounts sets the company's accounts; at least one must be able to send.
func (c *checker) usableAccounts(e entry, allowed []*Account) {
	refused := len(allowed) < len(e.Accounts) // and reported
	e.Company.Accounts = nil
	active := false
	for _, a := range allowed {
		e.Company.Accounts = append(e.Company.Accounts, a.Name)
		active = active || a.Active
	}
	if at := e.path + ".send_as"; e.src.has(at) && e.SendAs != Own && !slices.Contains(e.Company.Accounts, GeneralAccount) {
		e.src.warn(at, e.SendAs, "has no effect: the account "+GeneralAccount+" is not among the company's accounts", "add it to accounts, or remove send_as")
	}
	if !active && !refused {
		e.src.wrong(e.path, "", "has no account to send with", "an account that is active and serves this company")
	}
}
