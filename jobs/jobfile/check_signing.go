package jobfile

import "regexp"

// selectorForm is a DNS name of letters, digits and - (RFC 6376 3.1).
var selectorForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// checkSigning checks the keys that sign, and stores their domains as addresses have them.
func (c *checker) checkSigning() {
	first := map[string]string{}
	for _, d := range c.DKIM {
		path := join("dkim", d.Name)
		domain, err := parseDomain(d.Name)
		if err != nil || !c.main.has(path) {
			continue // and reported
		}
		if other, again := first[domain]; again {
			c.main.wrong(path, "", "is the same domain as "+other, "remove one of the two")
		}
		first[domain], d.Name = d.Name, domain
		if at := path + ".selector"; c.main.has(at) && (len(d.Selector) > 63 || !selectorForm.MatchString(d.Selector)) {
			c.main.wrong(at, d.Selector, "is no selector", "letters, digits and -, with dots between if you like, at most 63 characters")
		}
		c.secret(c.main, path+".key", &d.Key)
		c.companyNames(path+".companies", d.Companies)
	}
}
