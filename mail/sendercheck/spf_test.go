package sendercheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"outboxd/mail/sendercheck/dnstest"
)

// appendixA is the zone of RFC 7208, appendix A.
const appendixA = `
	example.com. MX 10 mail-a.example.com.
	example.com. MX 20 mail-b.example.com.
	example.com. A 192.0.2.10
	example.com. A 192.0.2.11
	amy.example.com. A 192.0.2.65
	bob.example.com. A 192.0.2.66
	mail-a.example.com. A 192.0.2.129
	mail-b.example.com. A 192.0.2.130
	www.example.com. CNAME example.com.
	example.org. MX 10 mail-c.example.org.
	mail-c.example.org. A 192.0.2.140
	10.2.0.192.in-addr.arpa. PTR example.com.
	11.2.0.192.in-addr.arpa. PTR example.com.
	65.2.0.192.in-addr.arpa. PTR amy.example.com.
	66.2.0.192.in-addr.arpa. PTR bob.example.com.
	129.2.0.192.in-addr.arpa. PTR mail-a.example.com.
	130.2.0.192.in-addr.arpa. PTR mail-b.example.com.
	140.2.0.192.in-addr.arpa. PTR mail-c.example.org.
	10.0.0.10.in-addr.arpa. PTR bob.example.com.`

func evaluate(t *testing.T, s *dnstest.Server, domain, at string) (string, error) {
	w := &spfWalk{r: resolver(s), ip: netip.MustParseAddr(at), sender: "strong-bad@" + domain, hello: "mail." + domain}
	return w.check(t.Context(), domain)
}

// The examples of RFC 7208, appendix A: which of the addresses pass.
func TestExamplesOfTheRFC(t *testing.T) {
	all := []string{"192.0.2.10", "192.0.2.11", "192.0.2.65", "192.0.2.66", "192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.2.140", "10.0.0.10"}
	for record, want := range map[string]string{
		"v=spf1 +all":                            strings.Join(all, " "),
		"v=spf1 a -all":                          "192.0.2.10 192.0.2.11",
		"v=spf1 a:example.org -all":              "",
		"v=spf1 mx -all":                         "192.0.2.129 192.0.2.130",
		"v=spf1 mx:example.org -all":             "192.0.2.140",
		"v=spf1 mx mx:example.org -all":          "192.0.2.129 192.0.2.130 192.0.2.140",
		"v=spf1 mx/30 mx:example.org/30 -all":    "192.0.2.129 192.0.2.130 192.0.2.131 192.0.2.140",
		"v=spf1 ptr -all":                        "192.0.2.10 192.0.2.11 192.0.2.65 192.0.2.66 192.0.2.129 192.0.2.130",
		"v=spf1 ip4:192.0.2.128/28 -all":         "192.0.2.129 192.0.2.130 192.0.2.131 192.0.2.140",
		"V=SPF1 -IP4:192.0.2.129 A:%{d} MX -All": "192.0.2.10 192.0.2.11 192.0.2.130",
		"v=spf1 a:www.example.com -all":          "192.0.2.10 192.0.2.11",
		"v=spf1 all=x a unknown=-all -all":       "192.0.2.10 192.0.2.11",
	} {
		s := dnstest.New(t)
		s.Add(appendixA)
		s.Add(`example.com. TXT "` + record + `"`)
		var passed []string
		for _, at := range all {
			result, err := evaluate(t, s, "example.com", at)
			if err != nil || result != spfPass && result != spfFail {
				t.Errorf("%s, %s: %s, %v", record, at, result, err)
			}
			if result == spfPass {
				passed = append(passed, at)
			}
		}
		if got := strings.Join(passed, " "); got != want {
			t.Errorf("%s: %s, want %s", record, got, want)
		}
	}
}

// Includes and redirects as in RFC 7208 A.2, and lists of users as in A.3.
func TestSeveralDomains(t *testing.T) {
	s := dnstest.New(t)
	s.Add(appendixA + `
		example.com. TXT "v=spf1 ip4:192.0.2.129 -all"
		example.net. TXT "v=spf1 ip6:2001:db8::/32 ?all"
		example.org. TXT "v=spf1 include:example.com include:example.net -all"
		la.example.org. TXT "v=spf1 redirect=example.org"
		lost.example.org. TXT "v=spf1 redirect=nowhere.example.org"
		users.example. TXT "v=spf1 exists:%{l1r+}.%{d} exists:%{ir}.%{v}.%{l1r-}.lp._spf.%{d} -all"
		strong-bad.users.example. TXT "only text"
		3.2.0.192.in-addr.strong.lp._spf.users.example. A 127.0.0.2`)
	for _, c := range []struct{ domain, at, want string }{
		{"example.org", "192.0.2.129", spfPass}, {"example.org", "2001:db8::1", spfPass}, {"example.org", "192.0.2.1", spfFail},
		{"la.example.org", "192.0.2.129", spfPass}, {"la.example.org", "192.0.2.1", spfFail}, {"lost.example.org", "192.0.2.1", spfPermerror},
		{"users.example", "192.0.2.3", spfPass}, {"users.example", "192.0.2.4", spfFail}, {"nothing.example", "192.0.2.1", spfNone}, {"localhost", "192.0.2.1", spfNone},
	} {
		if got, err := evaluate(t, s, c.domain, c.at); got != c.want {
			t.Errorf("%s, %s: %s, %v", c.domain, c.at, got, err)
		}
	}
}

// The examples of RFC 7208 7.4.
func TestMacros(t *testing.T) {
	const email = "email.example.com"
	for spec, want := range map[string]string{
		"%{s}": "strong-bad@email.example.com", "%{o}": email, "%{d}": email, "%{d4}": email, "%{d3}": email, "%{d2}": "example.com", "%{d1}": "com",
		"%{dr}": "com.example.email", "%{d2r}": "example.email", "%{l}": "strong-bad", "%{l-}": "strong.bad", "%{lr}": "strong-bad", "%{lr-}": "bad.strong", "%{l1r-}": "strong",
		"%{ir}.%{v}._spf.%{d2}": "3.2.0.192.in-addr._spf.example.com", "%{lr-}.lp._spf.%{d2}": "bad.strong.lp._spf.example.com",
		"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}": "bad.strong.lp.3.2.0.192.in-addr._spf.example.com", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}": "3.2.0.192.in-addr.strong.lp._spf.example.com",
		"%{d2}.trusted-domains.example.net": "example.com.trusted-domains.example.net", "a%%b%_c%-d.%{S}": "a%b c%20d.strong-bad%40email.example.com", "%{h}": "hello.example",
	} {
		w := &spfWalk{ip: netip.MustParseAddr("192.0.2.3"), sender: "strong-bad@" + email, hello: "hello.example"}
		if got, ok := w.expand(t.Context(), spec, email); !ok || got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
	w := &spfWalk{ip: netip.MustParseAddr("2001:db8::cb01"), sender: "a@" + email}
	want := "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
	if got, ok := w.expand(t.Context(), "%{ir}.%{v}._spf.%{d2}", email); !ok || got != want {
		t.Error(got)
	}
	if got, _ := w.expand(t.Context(), strings.Repeat("%{d}.", 20)+"end", email); len(got) > longestName || !strings.HasSuffix(got, ".end") {
		t.Error(got)
	}
	for _, spec := range []string{"%{i}.x", "%{s}", "%{l}.x", "%{p}", "%{v}", "%{h}"} {
		if got, ok := (&spfWalk{sender: "a@" + email}).expand(t.Context(), spec, email); ok {
			t.Errorf("%s: %s", spec, got)
		}
	}
	s := dnstest.New(t)
	s.Add(appendixA)
	for at, want := range map[string]string{"192.0.2.65": "amy.example.com", "192.0.2.10": "example.com", "10.0.0.10": "unknown", "192.0.2.1": "unknown", "192.0.2.140": "mail-c.example.org"} {
		w := &spfWalk{r: resolver(s), ip: netip.MustParseAddr(at)}
		if got := w.validatedName(t.Context(), "example.com"); got != want {
			t.Errorf("%s: %s", at, got)
		}
	}
}

// Every one of them makes receivers take nothing of the record.
func TestRecordsThatCannotBeRead(t *testing.T) {
	for _, terms := range []string{
		"nothing", "a:", "mx:", "ptr:", "include", "include:", "exists", "exists:", "include/24", "all:x", "-all=x=y:", "+redirect=a.example", "redirect=", "redirect=a.example redirect=b.example",
		"exp=a.example exp=b.example", "ip4", "ip4:", "ip4:192.0.2.1/33", "ip4:192.0.2.1/08", "ip4:192.0.2.1/", "ip4:2001:db8::1", "ip4:192.0.2", "ip4:a.example", "ip6:192.0.2.1", "ip6:2001:db8::1/129",
		"ip6:fe80::1%eth0", "a/33", "a//129", "a/024", "a/-1", "mx:a.example/24/24", "a:localhost", "a:a.1", "a:a..example.%{", "a:%{x}.example", "a:%{d0}", "a:%{c}.example", "exists:%{d", "include:a.exa\tmple", "x=%{q}",
		"a:192.0.2.1", "\ta", "include:ł.example", "-", "=x",
	} {
		if all, err := parseSPF("v=spf1 " + terms); err == nil {
			t.Errorf("%s: %+v", terms, all)
		}
	}
	for _, terms := range []string{
		"", "   ", "a", "a:a.example.", "a/0//0", "a//64", "a:a.b-c.example/24//64", "mx/32", "ptr", "ptr:a.example", "exists:%{ir}.%{v}.a.example", "include:%{d}", "ip4:0.0.0.0/0", "ip6:::/0", "ip6:::ffff:0:0/96",
		"redirect=_spf.a.example", "unknown=%{c}%{d}", "unknown=", "x.y-z_1=a", "?all -all", "exp=%{d}",
	} {
		if _, err := parseSPF("v=spf1 " + terms); err != nil {
			t.Errorf("%s: %v", terms, err)
		}
	}
	for text, is := range map[string]bool{"v=spf1": true, "v=spf1 ": true, "V=SPF1 a": true, "v=spf10": false, "v=spf1\ta": false, " v=spf1": false, "v=spf": false, "": false} {
		if isSPF(text) != is {
			t.Errorf("%q", text)
		}
	}
}

// The limits of RFC 7208 4.6.4 end an evaluation, and a walk over everything counts on.
func TestLimits(t *testing.T) {
	s := dnstest.New(t)
	s.Add(`
		ten.example. TXT "v=spf1 include:nine.example a -all"
		eleven.example. TXT "v=spf1 include:nine.example a mx -all"
		hidden.example. TXT "v=spf1 ip4:192.0.2.1 all include:eleven.example"
		nine.example. TXT "v=spf1 a:h.example mx:h.example ptr a:h.example a:h.example a:h.example redirect=one.example"
		one.example. TXT "v=spf1 a:h.example ?all"
		h.example. A 192.0.2.9
		h.example. MX 1 h.example.
		ten.example. A 192.0.2.9
		eleven.example. A 192.0.2.9
		eleven.example. MX 1 h.example.
		void2.example. TXT "v=spf1 a:no.example mx:no.example -all"
		void3.example. TXT "v=spf1 a:no.example include:void.example -all"
		void.example. TXT "v=spf1 mx:no.example exists:no.example ?all"
		circle.example. TXT "v=spf1 include:round.example -all"
		round.example. TXT "v=spf1 redirect=circle.example"
		self.example. TXT "v=spf1 include:self.example -all"
		two.example. TXT "v=spf1 a"
		two.example. TXT "v=spf1 mx"
		wants-two.example. TXT "v=spf1 include:two.example -all"
		wants-none.example. TXT "v=spf1 include:no.example ip4:192.0.2.1 -all"
		wants-bad.example. TXT "v=spf1 include:bad.example -all"
		bad.example. TXT "v=spf1 ip4:bad -all"
		many.example. TXT "v=spf1 mx -all"
		temp.example. TXT "v=spf1 include:servfail.example -all"
		bomb.example. TXT "v=spf1 include:b1.example include:b1.example include:b1.example ~all"
		b1.example. TXT "v=spf1 include:b2.example include:b2.example include:b2.example include:b2.example ?all"
		b2.example. TXT "v=spf1 include:b3.example include:b3.example include:b3.example include:b3.example ?all"
		b3.example. TXT "v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example ?all"`)
	for i := range 11 {
		s.Add(fmt.Sprintf("many.example. MX %d h.example.\n", i))
	}
	s.On("servfail.example", dnstest.Code(2))
	for _, c := range []struct {
		domain, result  string
		lookups, voids  int
		faults, unasked bool
	}{
		{"ten.example", spfFail, 10, 0, false, false}, {"eleven.example", spfPermerror, 11, 0, false, false}, {"hidden.example", spfPass, 0, 0, false, false},
		{"void2.example", spfFail, 2, 2, false, false}, {"void3.example", spfPermerror, 4, 3, false, false},
		{"circle.example", spfPermerror, 2, 0, true, false}, {"self.example", spfPermerror, 1, 0, true, false}, {"two.example", spfPermerror, 0, 0, false, false},
		{"wants-two.example", spfPermerror, 1, 0, true, false}, {"wants-none.example", spfPermerror, 1, 0, true, false}, {"wants-bad.example", spfPermerror, 1, 0, true, false},
		{"many.example", spfPermerror, 1, 0, true, false}, {"temp.example", spfTemperror, 1, 0, false, true}, {"bomb.example", spfPermerror, spfAuditLookups + 1, 0, false, false},
	} {
		if got, err := evaluate(t, s, c.domain, "192.0.2.200"); got != c.result {
			t.Errorf("%s: %s, %v", c.domain, got, err)
		}
		w := &spfWalk{r: resolver(s), sender: "postmaster@" + c.domain}
		_, _ = w.check(t.Context(), c.domain)
		if w.lookups != c.lookups || w.voids != c.voids || (len(w.faults) > 0) != c.faults || (w.unasked != nil) != c.unasked {
			t.Errorf("%s: %d lookups, %d void, %v, %v", c.domain, w.lookups, w.voids, w.faults, w.unasked)
		}
	}
}

func TestRepairs(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{withTerms("v=spf1 mx ~all", []string{"include:a.example"}), "v=spf1 mx include:a.example ~all"},
		{withTerms("v=spf1 -ALL", []string{"ip4:192.0.2.1", "ip6:2001:db8::1"}), "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -ALL"},
		{withTerms("v=spf1 a redirect=b.example", []string{"include:a.example"}), "v=spf1 a include:a.example redirect=b.example"},
		{withTerms("v=spf1 a exp=e.example -all", []string{"include:a.example"}), "v=spf1 a exp=e.example include:a.example -all"},
		{withTerms("v=spf1", []string{"include:a.example"}), "v=spf1 include:a.example"},
		{withTerms("v=spf1  mx  ", []string{"include:a.example"}), "v=spf1 mx include:a.example"},
		{withoutTerms("v=spf1 a include:gone.example mx ~all", []string{"include:gone.example"}, []string{"include:a.example"}), "v=spf1 a mx include:a.example ~all"},
		{endedSPF("v=spf1 a +all"), "v=spf1 a ~all"}, {endedSPF("v=spf1 a all"), "v=spf1 a ~all"}, {endedSPF("v=spf1 a ?all exp=e.example"), "v=spf1 a ~all exp=e.example"}, {endedSPF("v=spf1 a"), "v=spf1 a ~all"},
		{newSPF([]string{"include:a.example"}), "v=spf1 include:a.example ~all"},
		{mergedSPF([]string{"v=spf1 a mx -all", "v=spf1 MX include:b.example -all"}, []string{"include:a.example"}), "v=spf1 a mx include:b.example include:a.example -all"},
		{mergedSPF([]string{"v=spf1 a -all", "v=spf1 redirect=b.example exp=e.example"}, nil), "v=spf1 a include:b.example ~all exp=e.example"},
		{mergedSPF([]string{"v=spf1 a +all", "v=spf1 mx ?all"}, nil), "v=spf1 a mx ~all"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
		if _, err := parseSPF(c.got); err != nil {
			t.Errorf("%s: %v", c.got, err)
		}
	}
}

func FuzzSPF(f *testing.F) {
	for _, text := range []string{"v=spf1 a:%{d}/24//64 mx include:a.example exists:%{ir}.x.example ~all redirect=b.example exp=%{d2r-}", "v=spf1 ip4:192.0.2.1/24 ip6:::1 ?all"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isSPF(text) {
			return
		}
		terms, err := parseSPF(text)
		if err != nil {
			return
		}
		w := &spfWalk{ip: netip.MustParseAddr("192.0.2.1"), sender: "a@a.example", r: &Resolver{}}
		for _, term := range terms {
			if name, _ := w.expand(t.Context(), term.domain, "a.example"); strings.Contains(name, ".") && len(name) > longestName {
				t.Errorf("%s: %s", term.text, name)
			}
		}
		// A repair of a record that can be read can be read, and keeps every term.
		repaired, err := parseSPF(withTerms(text, []string{"include:new.example"}))
		if err != nil || len(repaired) != len(terms)+1 {
			t.Fatalf("%q: %+v, %v", text, repaired, err)
		}
		for _, term := range terms {
			if !slices.ContainsFunc(repaired, func(r spfTerm) bool { return r.text == term.text }) {
				t.Errorf("%q lost %q", text, term.text)
			}
		}
	})
}
