package sendercheck

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"outboxd/mail/compose/dkim"
	"outboxd/mail/sendercheck/dnstest"
)

// rsaRecord makes a record with an RSA key.
func rsaRecord(t *testing.T, bits int, more string) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa;" + more + " p=" + base64.StdEncoding.EncodeToString(der)
}

// zoneTXT is a TXT record of a zone.
func zoneTXT(name, value string) string { return TXT(name, value).Zone }

// The names of the relay's key and of our own.
const (
	theirs = "s1.relay.example"
	ours   = "outboxd._domainkey.acme.example"
)

// ownKey makes a key of our own: its record, and the sender who signs with it.
func ownKey(t *testing.T) (record string, mine func(*Sender)) {
	t.Helper()
	pem, err := dkim.Generate(dkim.RSA)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dkim.New("acme.example", "outboxd", pem)
	if err != nil {
		t.Fatal(err)
	}
	record = signer.Record()
	return record, func(s *Sender) { s.Keys = []Key{{"acme.example", "outboxd", record, false}} }
}

func TestDKIMSelectorFindings(t *testing.T) {
	record, mine := ownKey(t)
	lost := func(s *Sender) { s.Keys = []Key{{"acme.example", "outboxd", "", false}} }
	small := rsaRecord(t, 1024, "")
	runAll(t, "dkim.selector",
		check{want: "ok s1._domainkey.acme.example: an Ed25519 key"},
		check{zone: zoneTXT(theirs, rsaRecord(t, 2048, "")), want: "ok s1._domainkey.acme.example: an RSA key with 2048 bits"},
		check{zone: zoneTXT(theirs, small), want: "warn s1._domainkey.acme.example: an RSA key with 1024 bits", remedy: "2048"},
		check{zone: zoneTXT(theirs, rsaRecord(t, 512, "")), want: "fail s1._domainkey.acme.example: an RSA key with 512 bits"},
		check{zone: zoneTXT(theirs, rsaRecord(t, 2048, " t=s:y;")), want: "warn s1._domainkey.acme.example: an RSA key with 2048 bits, only for tests"},
		check{zone: zoneTXT(theirs, rsaRecord(t, 2048, " h=sha1;")), want: "fail s1._domainkey.acme.example: the key is not for SHA-256"},
		check{zone: zoneTXT(theirs, rsaRecord(t, 2048, " s=tlsrpt;")), want: "fail s1._domainkey.acme.example: the key is not for mail"},
		check{zone: zoneTXT(theirs, "v=DKIM1; p="), want: "fail s1._domainkey.acme.example: the key is revoked", remedy: "switch signing"},
		check{zone: zoneTXT(theirs, "v=DKIM1; p=a=b"), want: "fail s1._domainkey.acme.example: the key is damaged"},
		check{zone: zoneTXT(theirs, "v=DKIM1; k=ed25519; p=QQ=="), want: "fail s1._domainkey.acme.example: the Ed25519 key is damaged"},
		check{zone: zoneTXT(theirs, "v=DKIM1; k=dsa; p=QQ=="), want: "fail s1._domainkey.acme.example: a key of a kind"},
		check{zone: zoneTXT(theirs, "p=QQ=="), want: "fail s1._domainkey.acme.example: the RSA key is damaged"},
		check{zone: zoneTXT(theirs, "k=rsa; v=DKIM1; p=QQ=="), want: "fail s1._domainkey.acme.example: the record does not begin with v=DKIM1"},
		check{zone: zoneTXT(theirs, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=") + "\n" + zoneTXT(theirs, small), want: "warn there are 2 keys"},
		check{remove: "s1.relay.example", want: "fail the DNS has no key under s1._domainkey.acme.example", remedy: "switch signing"},
		check{fault: "s1._domainkey.acme.example", want: "warn could not be asked: TXT s1._domainkey.acme.example"},
		check{change: func(s *Sender) { s.Selectors = nil }, want: "warn not known under which selector", remedy: "outboxd dkim keygen acme.example"},
		check{change: mine, zone: zoneTXT(ours, record), want: "ok outboxd._domainkey.acme.example: an RSA key with 2048 bits"},
		check{change: mine, zone: zoneTXT(ours, strings.Replace(record, "p=", "p= ", 1)) + "\n" + zoneTXT(ours, "other text"), want: "ok outboxd._domainkey.acme.example"},
		check{change: mine, want: "fail the DNS has no key under " + ours, remedy: "publish it", record: ours + " TXT " + record},
		check{change: mine, zone: zoneTXT(ours, small), want: "fail the DNS has another key under " + ours, record: ours + " TXT " + record},
		check{change: mine, zone: zoneTXT(ours, "v=DKIM1; p="), want: "fail the key under " + ours + " is revoked", record: ours + " TXT " + record},
		check{change: mine, fault: ours, want: "warn could not be asked: TXT " + ours},
		check{change: lost, want: "fail the DNS has no key under", remedy: "outboxd dkim keygen acme.example"},
		check{change: lost, zone: zoneTXT(ours, record), want: "warn could not be compared"},
	)
}

func TestAlignmentFindings(t *testing.T) {
	record, mine := ownKey(t)
	nothing := func(s *Sender) { s.Selectors = nil }
	runAll(t, "dkim.align",
		check{want: "ok the provider's key of the domain is in the DNS"}, check{change: mine, want: "ok outboxd signs as acme.example"},
		check{remove: theirs, want: "fail the provider has no key of the domain", remedy: "dkim keygen"}, check{change: nothing, want: "warn not known as which domain", remedy: "outboxd account test NAME --to"},
		check{fault: "s1._domainkey.acme.example", want: "warn could not be asked"},
		check{change: func(s *Sender) { mine(s); s.Keys[0].Partly = true }, zone: zoneTXT(ours, record), want: "warn mails of the companies that the key is not for"},
	)
	runAll(t, "dmarc.align",
		check{want: "ok mails pass by their signature"}, check{change: mine, zone: zoneTXT(ours, record), want: "ok mails pass by their signature"},
		check{change: nothing, want: "warn mails are sure to pass by SPF alone"}, check{remove: theirs, want: "warn mails are sure to pass by SPF alone"},
		check{change: mine, want: "warn mails are sure to pass by SPF alone"},
		check{change: func(s *Sender) { s.Envelope = "bounce.acme.example" }, remove: theirs, zone: `bounce.acme.example. TXT "v=spf1 include:_spf.relay.example -all"`, want: "warn mails are sure to pass by SPF alone"},
		check{change: func(s *Sender) { s.Envelope = "bounce.acme.example" }, remove: theirs, zone: "bounce.acme.example. TXT \"v=spf1 include:_spf.relay.example -all\"\n" +
			`_dmarc.acme.example. TXT "v=DMARC1; p=none; aspf=s"`, want: "fail mails have no signature of the domain, and their envelope sender is of another domain (bounce.acme.example)"},
		check{change: func(s *Sender) { s.Envelope = "relay.example" }, remove: theirs, want: "fail mails have no signature of the domain, and their envelope sender is of another domain (relay.example)"},
		check{remove: theirs, zone: `acme.example. TXT "v=spf1 mx -all"`, want: "fail mails pass neither by a signature of the domain nor by SPF", remedy: "dkim keygen"},
		check{change: nothing, zone: `acme.example. TXT "v=spf1 mx -all"`, want: "warn not known whether mails pass"},
		check{remove: theirs, fault: "acme.example", want: "warn not known whether mails pass"},
	)
}

// A provider with two selectors signs with one of them.
func TestOneOfTwoSelectors(t *testing.T) {
	two := func(s *Sender) { s.Selectors = []string{"s1", "s2"} }
	s := dnstest.New(t)
	s.Add(good)
	by := sender()
	two(&by)
	all := find(Check(t.Context(), resolver(s), []Sender{by}), "dkim.selector")
	if len(all) != 2 || all[0].Level != OK || all[1].Level != Warn || !strings.Contains(all[1].Text, "s2._domainkey") {
		t.Errorf("%+v", all)
	}
	check{change: two, want: "ok the provider's key"}.run(t, "dkim.align")
}

func TestDMARCFindings(t *testing.T) {
	const name = "_dmarc.acme.example"
	dmarc := func(text string) string { return `_dmarc.acme.example. TXT "` + text + `"` }
	sub := func(s *Sender) { s.From = []string{"shop.acme.example"} }
	runAll(t, "dmarc.present",
		check{want: `ok "v=DMARC1; p=reject`}, check{zone: dmarc("v=DMARC1;P=Quarantine;rua=mailto:a@b.example!10m, https://c.example/x;np=reject;new=tag;"), want: "ok"},
		check{zone: dmarc("v=DMARC1; p=none; rua=mailto:a@acme.example"), want: "warn", remedy: "when the reports show", record: name + " TXT v=DMARC1; p=quarantine; rua=mailto:a@acme.example"},
		check{zone: dmarc("v=DMARC1; rua=mailto:a@acme.example"), want: "warn", record: name + " TXT v=DMARC1; p=quarantine; rua=mailto:a@acme.example"},
		check{zone: dmarc("v=DMARC1;p=reject;"), want: "warn", remedy: "name who gets them", record: name + " TXT v=DMARC1; p=reject; rua=mailto:postmaster@acme.example"},
		check{zone: dmarc("v=DMARC1; p=none"), want: "warn", record: name + " TXT v=DMARC1; p=none; rua=mailto:postmaster@acme.example"},
		check{remove: name, want: "fail there is no DMARC record", record: name + " TXT v=DMARC1; p=none; rua=mailto:postmaster@acme.example"},
		check{remove: name, change: sub, want: "fail there is no DMARC record", record: name + " TXT v=DMARC1; p=none; rua=mailto:postmaster@acme.example"},
		check{zone: dmarc("v=DMARC2; p=none"), want: "fail there is no DMARC record", record: name + " TXT v=DMARC1; p=none; rua=mailto:postmaster@acme.example"},
		check{zone: dmarc("v=DMARC1; p=none") + "\n" + dmarc("v=DMARC1; p=reject"), want: "fail there are 2 DMARC records", remedy: "leave one"},
		check{zone: dmarc("v=DMARC1; p=all"), want: "fail the record under _dmarc.acme.example cannot be read", remedy: "the least is"},
		check{zone: dmarc("v=DMARC1"), want: "fail the record under _dmarc.acme.example cannot be read, and receivers take none of it: p= is missing"},
		check{zone: dmarc("v=DMARC1; p=none; p=none"), want: "fail the record"}, check{zone: dmarc("v=DMARC1; p=none; aspf=x"), want: "fail the record"},
		check{zone: dmarc("v=DMARC1; p=none; pct=101"), want: "fail the record"}, check{zone: dmarc("v=DMARC1; p=none; rua=a@acme.example"), want: "fail the record"},
		check{zone: dmarc("v=DMARC1; p=none; what"), want: "fail the record"}, check{zone: dmarc("v=DMARC1; p=none; rua=mailto:nobody"), want: "fail the record"},
		check{fault: name, want: "warn could not be asked: TXT _dmarc.acme.example"},
		check{change: sub, want: `ok "v=DMARC1; p=reject; rua=mailto:dmarc@acme.example" under _dmarc.acme.example`},
		check{change: sub, fault: "_dmarc.shop.acme.example", want: "warn could not be asked"},
		check{change: sub, zone: dmarc("v=DMARC1; p=reject; sp=none; rua=mailto:a@acme.example"), want: "warn", record: name + " TXT v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@acme.example"},
	)
	for domain, want := range map[string]string{"acme.example": "acme.example", "a.b.acme.co.uk": "acme.co.uk", "co.uk": "co.uk", "example": "example", "x.blogspot.com": "x.blogspot.com"} {
		if got := organisation(domain); got != want {
			t.Errorf("%s: %s", domain, got)
		}
	}
}
