package sendercheck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/mail/sendercheck/dnstest"
)

// good is a domain that nothing is held against.
const good = `
	acme.example. MX 10 mail.acme.example.
	mail.acme.example. A 192.0.2.1
	acme.example. TXT "v=spf1 include:_spf.relay.example ~all"
	_spf.relay.example. TXT "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8:1::/48 ~all"
	_dmarc.acme.example. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@acme.example"
	s1._domainkey.acme.example. CNAME s1.relay.example.
	s1.relay.example. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="`

// sender is one by whom nothing is held against the domain.
func sender() Sender {
	return Sender{Account: "main", Host: "smtp.relay.example", From: []string{"acme.example"}, Include: "_spf.relay.example", Selectors: []string{"s1"}}
}

type check struct {
	zone   string          // in place of what good says of the same names and kinds
	remove string          // names
	fault  string          // a name whose questions get SERVFAIL
	change func(s *Sender) // nil: sender() as it is
	want   string          // LEVEL TEXT
	remedy string          // a part of it
	record string          // NAME TYPE VALUE
}

// find returns the findings with an id.
func find(all []Finding, id string) (found []Finding) {
	return slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.ID != id })
}

// run looks for exactly one finding with the id.
func (c check) run(t *testing.T, id string) {
	t.Helper()
	s := dnstest.New(t)
	s.Add(good)
	for name := range strings.FieldsSeq(c.remove) {
		s.Remove(name)
	}
	s.Set(c.zone)
	if c.fault != "" {
		s.On(c.fault, dnstest.Code(2))
	}
	by := sender()
	if c.change != nil {
		c.change(&by)
	}
	all := Check(t.Context(), resolver(s), []Sender{by})
	found := find(all, id)
	if len(found) != 1 {
		t.Errorf("%s, %s: %d findings: %+v", id, c.want, len(found), found)
		return
	}
	f := found[0]
	record := ""
	if f.Record != nil {
		record = f.Record.Name + " " + f.Record.Type + " " + f.Record.Value
	}
	level, text, _ := strings.Cut(c.want, " ")
	if string(f.Level) != level || !strings.Contains(f.Text, text) || !strings.Contains(f.Remedy, c.remedy) || record != c.record {
		t.Errorf("%s: want %s\ngot %s %s\nremedy %s\nrecord %s, want %s", id, c.want, f.Level, f.Text, f.Remedy, record, c.record)
	}
	if f.Level != OK && f.Remedy == "" && !strings.Contains(f.Text, "not known") {
		t.Errorf("%s: %s: no remedy", id, f.Text)
	}
	if f.About == "" {
		t.Errorf("%s: about nothing", id)
	}
}

func runAll(t *testing.T, id string, checks ...check) {
	for _, c := range checks {
		c.run(t, id)
	}
}

func TestNothingHeldAgainst(t *testing.T) {
	s := dnstest.New(t)
	s.Add(good)
	all := Check(t.Context(), resolver(s), []Sender{sender()})
	var ids []string
	for _, f := range all {
		ids = append(ids, f.ID)
		if f.Level != OK || f.Remedy != "" || f.Record != nil || !strings.HasPrefix(f.About, "domain acme.example") {
			t.Errorf("%+v", f)
		}
	}
	want := "dns.from dns.mx_bounce spf.present spf.lookups spf.include spf.all dmarc.present dkim.selector dkim.align dmarc.align"
	if got := strings.Join(ids, " "); got != want {
		t.Error(got)
	}
}

func TestDomain(t *testing.T) {
	self := "acme.example MX 10 acme.example."
	runAll(t, "dns.from",
		check{want: "ok its mail goes to mail.acme.example"},
		check{zone: "acme.example. MX 5 gone.acme.example.\nacme.example. MX 10 mail.acme.example.", want: "ok its mail goes to mail.acme.example"},
		check{zone: "acme.example. A 192.0.2.1\nacme.example. TXT x", remove: "acme.example", want: "warn it has an address but no MX record", record: self},
		check{remove: "acme.example _dmarc.acme.example s1._domainkey.acme.example mail.acme.example", want: "fail there is no such domain", remedy: "correct the sender's address"},
		check{zone: "acme.example. TXT x", remove: "acme.example", want: "fail it has neither an MX record nor an address", remedy: "publish an MX record"},
		check{zone: "acme.example. MX 0 .", want: "fail its MX record says that it takes no mail"},
		check{remove: "mail.acme.example", want: "fail its MX record names mail.acme.example, which has no address"},
		check{fault: "acme.example", want: "warn could not be asked: MX acme.example: resolver 127.0.0.1", remedy: "--resolver"},
		check{fault: "mail.acme.example", want: "warn could not be asked: A mail.acme.example"},
	)
	elsewhere := func(s *Sender) { s.Envelope = "bounce.example" }
	runAll(t, "dns.mx_bounce",
		check{want: "ok its mail goes to mail.acme.example"},
		check{change: elsewhere, zone: "bounce.example. MX 1 mail.acme.example.", want: "ok its mail goes to mail.acme.example"},
		check{change: elsewhere, zone: "bounce.example. A 192.0.2.1", want: "fail it has an address but no MX record", record: "bounce.example MX 10 bounce.example."},
		check{change: elsewhere, zone: "bounce.example. TXT x", want: "fail it has neither", remedy: "return_path"},
		check{change: elsewhere, want: "fail there is no such domain"},
		check{change: elsewhere, zone: "bounce.example. MX 0 .", want: "fail its MX record says that it takes no mail"},
		check{change: elsewhere, fault: "bounce.example", want: "warn could not be asked"},
	)
}

func TestSPFFindings(t *testing.T) {
	const include, record = "include:_spf.relay.example", "acme.example TXT v=spf1 include:_spf.relay.example ~all"
	spf := func(text string) string { return `acme.example. TXT "` + text + `"` }
	own := func(s *Sender) { s.Include, s.Relay = "", []string{"mail.acme.example", "10.0.0.1", "127.0.0.1"} }
	runAll(t, "spf.present",
		check{want: `ok "v=spf1 include:_spf.relay.example ~all"`},
		check{zone: spf("v=spf2 other"), want: "fail there is no SPF record", record: record},
		check{zone: "acme.example. TXT x", change: func(s *Sender) { s.Include = "" }, want: "fail there is no SPF record", remedy: "v=spf1, an include:"},
		check{zone: "acme.example. TXT x", change: own, want: "fail there is no SPF record", record: "acme.example TXT v=spf1 ip4:192.0.2.1 ~all"},
		check{zone: spf("v=spf1 mx -all") + "\n" + spf("v=spf1 a ~all"), want: "fail there are 2 SPF records", remedy: "remove all of them",
			record: "acme.example TXT v=spf1 mx a include:_spf.relay.example ~all"},
		check{zone: spf("v=spf1 ip4:300.1.1.1 -all"), want: `fail the record cannot be read, and receivers take none of it: "ip4:300.1.1.1" has no IPv4 address`},
		check{zone: spf("v=spf1 include:gone.example " + include + " ~all"), want: `fail receivers take none of the record: "include:gone.example": there is no SPF record`, remedy: "leave it out", record: record},
		check{zone: spf("v=spf1 include:acme.example " + include + " ~all"), want: `fail receivers take none of the record: "include:acme.example": it leads back to itself`, record: record},
		check{zone: spf("v=spf1 mx redirect=gone.example"), want: "fail receivers take none of the record", record: "acme.example TXT v=spf1 mx include:_spf.relay.example ~all"},
		check{remove: "_spf.relay.example", want: `fail receivers take none of the record: "include:_spf.relay.example"`, remedy: "tell the provider"},
		check{zone: spf("v=spf1 mx -all") + "\n" + spf("v=spf1 what ~all"), want: "fail there are 2 SPF records", remedy: "remove all of them"},
		check{fault: "acme.example", want: "warn could not be asked: TXT acme.example"},
	)
	many := func(n int) string {
		return spf("v=spf1 " + strings.Repeat("a:mail.acme.example ", n) + include + " ~all")
	}
	runAll(t, "spf.lookups",
		check{want: "ok 1 of 10 lookups"}, check{zone: many(7), want: "ok 8 of 10 lookups"},
		check{zone: many(8), want: "warn 9 of 10 lookups", remedy: "include:_spf.relay.example 1"}, check{zone: many(9), want: "warn 10 of 10 lookups"},
		check{zone: many(10), want: "fail the record takes 11 lookups", remedy: "a:mail.acme.example 1"},
		check{zone: many(1000), want: "fail the record takes more than 60 lookups"},
		check{zone: spf("v=spf1 a:gone.example mx:gone.example " + include + " ~all"), want: "ok 3 of 10 lookups"},
		check{zone: spf("v=spf1 a:gone.example mx:gone.example exists:gone.example " + include + " ~all"), want: "fail 3 lookups find nothing",
			remedy: "a:gone.example, mx:gone.example, exists:gone.example", record: record},
		check{fault: "_spf.relay.example", want: "warn could not be asked: TXT _spf.relay.example"},
	)
	runAll(t, "spf.include",
		check{want: "ok include:_spf.relay.example is there"},
		check{zone: spf("v=spf1 redirect=_spf.relay.example"), want: "ok include:_spf.relay.example is there"},
		check{zone: spf("v=spf1 include:b.example ~all") + "\nb.example. TXT \"v=spf1 include:_SPF.relay.example ?all\"", want: "ok include:_spf.relay.example is there"},
		check{zone: spf("v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"), want: "ok all addresses of _spf.relay.example are there one by one"},
		check{zone: spf("v=spf1 mx ip4:198.51.100.0/24 -all"), want: "fail include:_spf.relay.example is not in the record", remedy: "in place of the record", record: "acme.example TXT v=spf1 mx ip4:198.51.100.0/24 include:_spf.relay.example -all"},
		check{zone: spf("v=spf1 mx -all") + "\n_spf.relay.example. TXT \"v=spf1 exists:%{i}.relay.example -all\"", want: "fail", record: "acme.example TXT v=spf1 mx include:_spf.relay.example -all"},
		check{zone: spf("v=spf1 -include:_spf.relay.example -all"), want: "fail", record: "acme.example TXT v=spf1 -include:_spf.relay.example include:_spf.relay.example -all"},
		check{zone: spf("v=spf1 " + strings.Repeat("a:mail.acme.example ", 10) + "-all"), want: "fail", remedy: "it would take 11 lookups",
			record: "acme.example TXT v=spf1 " + strings.Repeat("a:mail.acme.example ", 10) + "include:_spf.relay.example -all"},
		check{zone: spf("v=spf1 include:b.example -all"), fault: "b.example", want: "warn could not be asked: TXT b.example", remedy: "--resolver"},
		check{zone: spf("v=spf1 mx -all"), fault: "_spf.relay.example", want: "warn could not be asked: TXT _spf.relay.example"},
		check{change: func(s *Sender) { s.Include = "" }, want: "warn not known what the record must contain", remedy: "spf_include"},
		check{change: own, zone: spf("v=spf1 mx -all"), want: "ok 192.0.2.1 may send"},
		check{change: own, zone: spf("v=spf1 a:b.example ~all") + "\nb.example. A 192.0.2.2\nmail.acme.example. AAAA 2001:db8::1", want: "fail ip4:192.0.2.1 and ip6:2001:db8::1 are not in the record",
			record: "acme.example TXT v=spf1 a:b.example ip4:192.0.2.1 ip6:2001:db8::1 ~all"},
		check{change: func(s *Sender) { s.Include, s.Relay = "", []string{"127.0.0.1"} }, want: "warn not known from which address the relay delivers"},
		check{change: own, fault: "mail.acme.example", want: "warn could not be asked: A mail.acme.example"},
	)
	runAll(t, "spf.all",
		check{want: "ok it ends with ~all"}, check{zone: spf("v=spf1 " + include + " -all"), want: "ok it ends with -all"},
		check{zone: spf("v=spf1 redirect=_spf.relay.example"), want: "ok it ends with ~all"},
		check{zone: spf("v=spf1 " + include + " ?all"), want: "warn it ends with ?all", record: record},
		check{zone: spf("v=spf1 " + include), want: "warn the record has no ending", record: record},
		check{zone: spf("v=spf1 " + include + " +all"), want: "fail it ends with +all", record: record},
		check{zone: spf("v=spf1 redirect=b.example") + "\nb.example. TXT \"v=spf1 ?all\"", want: "warn it ends with ?all", remedy: "the record it redirects to"},
		check{zone: spf("v=spf1 redirect=b.example"), fault: "b.example", want: "warn could not be asked"},
	)
}

func TestReverseDNS(t *testing.T) {
	relay := func(s *Sender) { s.Relay = []string{"mail.acme.example"} }
	const at = "1.2.0.192.in-addr.arpa"
	runAll(t, "ptr.fcrdns",
		check{change: relay, zone: at + ". PTR mail.acme.example.", want: "ok 192.0.2.1 is called mail.acme.example"},
		check{change: relay, zone: at + ". PTR x.example.\n" + at + ". PTR mail.acme.example.", want: "ok"},
		check{change: relay, zone: at + ". PTR 192-0-2-1.dsl.isp.example.\n192-0-2-1.dsl.isp.example. A 192.0.2.1", want: "warn 192.0.2.1 is called 192-0-2-1.dsl.isp.example", remedy: "PTR record"},
		check{change: relay, zone: at + ". PTR x.example.", want: "fail 192.0.2.1 is called x.example, which does not lead back"},
		check{change: relay, want: "fail 192.0.2.1 has no name", remedy: "ask whom 192.0.2.1 belongs to"},
		check{change: relay, fault: at, want: "warn could not be asked: PTR 1.2.0.192"},
		check{change: relay, zone: at + ". PTR x.example.", fault: "x.example", want: "warn could not be asked: A x.example"},
		check{change: relay, fault: "mail.acme.example", want: "warn could not be asked: A mail.acme.example"},
		check{change: func(s *Sender) { s.Relay = []string{"10.0.0.1"} }, want: "warn could not be asked: 10.0.0.1 has no public address"},
	)
	s := dnstest.New(t)
	s.Add(good)
	if found := find(Check(t.Context(), resolver(s), []Sender{sender()}), "ptr.fcrdns"); len(found) > 0 {
		t.Errorf("a provider's account: %+v", found)
	}
}

// Nobody can publish anything in a provider's own domain, so nothing is asked for there but to be its customer.
func TestPublicDomains(t *testing.T) {
	s := dnstest.New(t)
	s.Add(good + `
		gmail.com. MX 1 mail.acme.example.
		gmail.com. TXT "v=spf1 redirect=_spf.google.com"
		_spf.google.com. TXT "v=spf1 ip4:203.0.113.0/24 ~all"
		acme.onmicrosoft.com. MX 1 mail.acme.example.
		yahoo.com. MX 1 mail.acme.example.
		yahoo.com. TXT "v=spf1 ip4:203.0.113.0/24 ~all"
		acme.onmicrosoft.com. TXT "v=spf1 mx -all"`)
	by := sender()
	by.From = []string{"gmail.com"}
	all := Check(t.Context(), resolver(s), []Sender{by, {Account: "own", Host: "smtp.gmail.com", From: []string{"gmail.com"}, Include: "_spf.google.com"},
		{Account: "unknown", Host: "smtp.acme.example", From: []string{"acme.onmicrosoft.com"}}, {Account: "yahoo", Host: "smtp.mail.yahoo.com", From: []string{"yahoo.com"}}})
	got := map[string]Level{}
	for _, f := range all {
		if f.ID == "dmarc.align" {
			got[f.About] = f.Level
		}
		if f.Record != nil || strings.HasPrefix(f.ID, "dkim") || f.ID == "dmarc.present" {
			t.Errorf("%+v", f)
		}
	}
	if fmt.Sprint(got) != "map[domain acme.onmicrosoft.com, account unknown:warn domain gmail.com, account main:fail domain gmail.com, account own:ok domain yahoo.com, account yahoo:ok]" {
		t.Error(got)
	}
}

// What several accounts need of one domain stands in one record, and what is the same for all of them is said once.
func TestAccountsShareADomain(t *testing.T) {
	s := dnstest.New(t)
	s.Add(good + `
		spf.other.example. TXT "v=spf1 ip4:203.0.113.0/24 ~all"`)
	s.Set(`acme.example. TXT "v=spf1 mx -all"`)
	second, third := sender(), sender()
	second.Account, second.Include = "second", "spf.other.example"
	third.Account = "third"
	all := find(Check(t.Context(), resolver(s), []Sender{sender(), second, third}), "spf.include")
	if len(all) != 2 || all[0].About != "domain acme.example, accounts main, third" || all[1].About != "domain acme.example, account second" {
		t.Fatalf("%+v", all)
	}
	for _, f := range all {
		if f.Record == nil || f.Record.Value != "v=spf1 mx include:_spf.relay.example include:spf.other.example -all" {
			t.Errorf("%+v", f.Record)
		}
	}
}

// A resolver that is silent, or answers nonsense, makes warnings of all checks, soon.
func TestNothingIsKnownWithoutAResolver(t *testing.T) {
	s := dnstest.New(t)
	by := sender()
	by.Relay = []string{"mail.acme.example"}
	for _, name := range []string{"acme.example", "mail.acme.example", "_dmarc.acme.example", "s1._domainkey.acme.example", "_spf.relay.example"} {
		s.On(name, dnstest.Silent)
	}
	r := resolver(s)
	r.Timeout = soon
	for _, f := range Check(t.Context(), r, []Sender{by}) {
		if f.Level != Warn || !strings.Contains(f.Text, "could not be asked") && !strings.Contains(f.Text, "not known") && f.ID != "dkim.align" {
			t.Errorf("%+v", f)
		}
	}
}

func TestRecords(t *testing.T) {
	long := strings.Repeat("x", 600)
	r := TXT("a.example", long)
	if r.Value != long || r.Zone != `a.example. IN TXT ( "`+long[:255]+`" "`+long[:255]+`" "`+long[:90]+`" )` {
		t.Error(r.Zone)
	}
	if r := TXT("a.example", `a"b\c`); r.Zone != `a.example. IN TXT "a\"b\\c"` {
		t.Error(r.Zone)
	}
	if r := TXT("a.example", ""); r.Zone != `a.example. IN TXT ""` {
		t.Error(r.Zone)
	}
	if text := quoted(long); len(text) > 400 || !strings.Contains(text, "300 octets more") {
		t.Error(text)
	}
	s := dnstest.New(t)
	s.Add(TXT("b.example", `1"2\3`+long).Zone)
	if texts, err := resolver(s).texts(t.Context(), "b.example"); err != nil || texts[0] != `1"2\3`+long {
		t.Error(texts, err)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add("v=DKIM1; k=rsa; t=y; p=QQ==")
	f.Add("v=DMARC1; p=none; rua=mailto:a@b.example; pct=5")
	f.Add("v = DMARC1;; ;p=")
	f.Fuzz(func(t *testing.T, text string) {
		if _, level, _ := keyFault(text); level != OK && level != Warn && level != Fail {
			t.Error(level)
		}
		unescaped(text)
		if !dmarcForm.MatchString(text) {
			return
		}
		if _, fault := dmarcTags(text); fault == "" {
			for _, name := range []string{"p", "rua"} {
				value := map[string]string{"p": "quarantine", "rua": "mailto:a@b.example"}[name]
				tags, fault := dmarcTags(withTag(text, name, value))
				if fault != "" || tags[name] != value {
					t.Errorf("%q: %q: %s", text, withTag(text, name, value), fault)
				}
			}
		}
	})
}
