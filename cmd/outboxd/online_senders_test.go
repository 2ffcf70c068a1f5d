package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"outboxd/jobs/jobfile"
	"outboxd/mail/sendercheck"
	"outboxd/mail/sendercheck/dnstest"
)

// unreadable is a jobs.yaml of which no secret can be read, nor any server be reached.
const unreadable = `version: 1
servers: {main: {host: 127.0.0.1, port: 1, username: outboxd, encryption: none, password: {file: nowhere/db}}}
dkim: {acme.example: {key: {file: nowhere/key}}}
accounts:
  system: {provider: gmail-relay, host: 127.0.0.1, port: 1, username: a@acme.example, password: {file: nowhere/a}, from: Acme <a@acme.example>, rate: 300/hour}
companies: {acme: {server: main, database: acme, jobs: {send: {kind: deliver}}}}
`

// TestCheckOnlineWithoutSecrets: the DNS is asked all the same.
func TestCheckOnlineWithoutSecrets(t *testing.T) {
	s := &site{t: t}
	s.place()
	s.write(unreadable)
	out := s.must(exitFailed, "check --online --json")
	var all checked
	if err := json.Unmarshal([]byte(out), &all); err != nil || all.File != s.config || all.Problems == nil {
		t.Fatal(err, out)
	}
	var got []string
	for _, f := range all.Findings {
		got = append(got, fmt.Sprintf("%s %s", f.ID, f.Level))
	}
	want := []string{"db.open fail", "dkim.key fail", "smtp.connect fail", "limits.rate ok", "dns.from ok", "dns.mx_bounce ok", "spf.present ok", "spf.lookups ok", "spf.include fail", "spf.all ok",
		"dmarc.present ok", "dkim.selector fail", "dkim.align ok", "dmarc.align fail"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	s.must(exitFailed, "check --online", "fail  domain acme.example, account system: include:_spf.google.com is not in the record: ",
		`      The record: acme.example. IN TXT "v=spf1 mx include:_spf.google.com ~all"`, "(spf.include)", "fail  databases: ")
	s.dns.Set(`acme.example. TXT "v=spf1 include:_spf.google.com ~all"` + "\n" + `_spf.google.com. TXT "v=spf1 ip4:203.0.113.0/24 ~all"`)
	s.must(exitFailed, "check --online", "ok    domain acme.example, account system: include:_spf.google.com is there")
}

func TestCheckJSON(t *testing.T) {
	s := &site{t: t}
	s.place()
	s.write(strings.Replace(unreadable, "version: 1", "version: 1\ninclude: [nothing.yaml]\nwhat: 5", 1))
	var all checked
	if out := s.must(exitWrong, "check --json"); json.Unmarshal([]byte(out), &all) != nil || len(all.Findings) != 0 || len(all.Problems) != 3 {
		t.Fatal(out)
	}
	for _, p := range all.Problems {
		if p.File != s.config || p.Line == 0 || p.Column == 0 || p.Message == "" || p.Level != "warn" && p.Level != "fail" {
			t.Errorf("%+v", p)
		}
	}
	if _, _, errs := s.do("check", "--json"); errs != "" {
		t.Error(errs)
	}
}

// The resolver that is named is asked, and no other.
func TestCheckResolver(t *testing.T) {
	s := &site{t: t}
	s.place()
	s.write(unreadable)
	s.must(exitWrong, "check --resolver 192.0.2.1", "asks nothing without --online", "outboxd check --online --resolver 192.0.2.1")
	s.must(exitWrong, "check --online --resolver http://x", "is no resolver")
	other := dnstest.New(t)
	s.must(exitFailed, "check --online --resolver "+other.Addr(), "fail  domain acme.example: there is no such domain in the DNS")
	if s.dns.Asked("acme.example") != 0 || other.Asked("acme.example") == 0 {
		t.Error("another resolver was asked")
	}
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := gone.LocalAddr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	out := s.must(exitFailed, "check --online --resolver "+at, "warn  domain acme.example: could not be asked: MX acme.example: resolver "+at)
	for line := range strings.Lines(out) {
		if strings.Contains(line, "domain acme.example") && !strings.HasPrefix(line, "warn") && !strings.Contains(line, "(dkim.align)") {
			t.Error(line)
		}
	}
}

func TestSendersOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	text := `version: 1
control: {server: main, database: control}
servers: {main: {host: db1, username: outboxd}}
dkim:
  acme.example: {selector: s1, key: {file: nowhere/a}, companies: [acme]}
  shop.example: {key: {file: nowhere/b}, companies: [shop]}
  unused.example: {key: {file: nowhere/c}, companies: [nobody]}
accounts:
  system: {provider: office365, username: a@Acme.example, password: {file: nowhere/p}, from: Acme <a@Acme.example>, rate: 300/hour}
  restricted: {host: smtp.relay.example, from: b@acme.example, return_path: bounces@köln.example, spf_include: SPF.relay.example, sender_domains: [acme.example, news.acme.example], companies: [shop], rate: 300/hour}
  eva: {provider: gmail, username: eva@gmail.com, password: {file: nowhere/p}, from: eva@gmail.com, sender_addresses: [eva@gmail.com, eva@acme.example], companies: [acme], rate: 100/hour}
  relay: {host: localhost, encryption: none, own_relay: true, from: r@shop.example, sender_domains: [shop.example], companies: [shop], rate: 9000/hour}
  spare: {host: smtp.relay.example, from: d@spare.example, sender_domains: [spare.example], companies: [nobody], rate: 300/hour}
  asleep: {host: smtp.relay.example, from: c@asleep.example, active: false, rate: 300/hour}
companies:
  acme: {server: main, database: acme}
  shop: {server: main, database: shop}
  nobody: {server: main, database: nobody, accounts: [spare]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, problems := jobfile.Load(path)
	if len(problems.Errors()) > 0 {
		t.Fatal(problems)
	}
	senders, unused := sendersOf(file)
	if !slices.Equal(unused, []string{"unused.example"}) {
		t.Error(unused)
	}
	var got []string
	for _, s := range senders {
		var keys []string
		for _, k := range s.Keys {
			keys = append(keys, fmt.Sprintf("%s/%s/%v", k.Selector, k.Domain, k.Partly))
		}
		got = append(got, fmt.Sprint(s.Account, " ", s.Host, " ", s.From, " ", s.Envelope, " ", s.Include, " ", s.Selectors, " ", keys, " ", len(s.Relay)))
	}
	want := []string{
		"system smtp.office365.com [acme.example shop.example]  spf.protection.outlook.com [selector1 selector2] [s1/acme.example/true outboxd/shop.example/true] 0",
		"restricted smtp.relay.example [acme.example news.acme.example] xn--kln-sna.example spf.relay.example [] [] 0",
		"eva smtp.gmail.com [acme.example gmail.com]  _spf.google.com [google] [s1/acme.example/false] 0",
		"relay localhost [shop.example]   [] [outboxd/shop.example/false] 1",
		"spare smtp.relay.example [spare.example]   [] [] 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	for host, same := range map[string]bool{"smtp.acme.example": true, "192.0.2.1": true, "127.0.0.1": false, "::1": false, "localhost": false} {
		if names := relayNames(host); len(names) != 1 || (names[0] == host) != same {
			t.Errorf("%s: %v", host, names)
		}
	}
	all := lookAtSenders(t.Context(), file, lookup{err: os.ErrNotExist})
	if len(all) != 2 || all[1].ID != "dns.resolver" || all[1].Level != sendercheck.Warn {
		t.Errorf("%+v", all)
	}
}
