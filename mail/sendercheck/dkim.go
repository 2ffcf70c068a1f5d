package sendercheck

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// What receivers hold against an RSA key (RFC 8301 3.2), in bits.
const (
	leastBits = 1024
	goodBits  = 2048
)

// signing is what is known of the signatures that one account's mails from the domain get.
type signing struct {
	level   Level  // ok: with a key that receivers find; warn: not known; fail: none
	aligned Level  // whether they are of the From domain
	text    string // about aligned
}

// dkim tells whether receivers can verify the signatures of an account's mails from the domain.
func (l *look) dkim(s Sender) signing {
	if key, ok := s.key(l.domain.name); ok {
		return l.ownKey(s, key)
	}
	if len(s.Selectors) == 0 {
		l.addFor(s.Account, Finding{ID: "dkim.selector", Level: Warn, Text: "not known under which selector the account's server signs, if it does",
			Remedy: l.ways()})
		return signing{Warn, Warn, "not known as which domain the account's server signs"}
	}
	return l.providerKeys(s)
}

// ways are the ways to signatures of the domain, where outboxd does not sign.
func (l *look) ways() string {
	return fmt.Sprintf("let outboxd sign (outboxd dkim keygen %s), or switch signing on at the provider; what is signed now a test mail shows: outboxd account test NAME --to ADDRESS --read-back MAILBOX", l.domain.name)
}

// ownKey compares the DNS with a key that outboxd signs with.
func (l *look) ownKey(s Sender, key Key) signing {
	name := key.Selector + "._domainkey." + key.Domain
	f, state := l.selector(name, key.Record)
	switch {
	case state == Fail && key.Record == "":
		f.Remedy = "make a key: outboxd dkim keygen " + key.Domain
	case state == Fail:
		record := TXT(name, key.Record)
		f.Record, f.Remedy = &record, "publish it"
	case state == OK && key.Record == "":
		f.Level, f.Text, state = Warn, "could not be compared, for the private key cannot be read; there is a key under "+name, Warn
		f.Remedy = "let the user that outboxd runs as read the key"
	}
	l.add(f)
	if !key.Partly {
		return signing{state, OK, "outboxd signs as " + key.Domain}
	}
	if state == OK {
		state = Warn
	}
	return signing{state, Warn, "mails of the companies that the key is not for go unsigned"}
}

// providerKeys looks for a key that the account's provider signs with.
func (l *look) providerKeys(s Sender) signing {
	var found []Finding
	state, missing := Fail, 0
	for _, selector := range s.Selectors {
		f, good := l.selector(selector+"._domainkey."+l.domain.name, "")
		found = append(found, f)
		if good == OK || good == Warn && state == Fail {
			state = good
		}
		if good == Fail {
			missing++
		}
	}
	for _, f := range found {
		if f.Level == Fail {
			f.Remedy = "switch signing for the domain on at the provider, and publish the records that it shows"
			if missing < len(found) {
				f.Level = Warn // one signs while the other is being changed
			}
		}
		l.add(f)
	}
	switch state {
	case OK:
		return signing{OK, OK, "the provider's key of the domain is in the DNS"}
	case Warn:
		return signing{Warn, Warn, "could not be asked: whether the provider has a key of the domain"}
	}
	return signing{Fail, Fail, "the provider has no key of the domain: it signs as a domain of its own, or not at all"}
}

// selector looks at the key under a name. want is the record that should be there; "": any key is right. good says whether signatures
// that name it hold: warn when that is not known.
func (l *look) selector(name, want string) (f Finding, good Level) {
	f.ID = "dkim.selector"
	texts, err := l.r.texts(l.ctx, name)
	if err != nil {
		return unasked(f.ID, err), Warn
	}
	texts = slices.DeleteFunc(texts, func(text string) bool { _, ok := tags(text)["p"]; return !ok })
	if len(texts) == 0 {
		f.Level, f.Text = Fail, fmt.Sprintf("the DNS has no key under %s, so receivers cannot verify signatures", name)
		return f, Fail
	}
	if want != "" {
		wanted := keyOf(want)
		i := slices.IndexFunc(texts, func(text string) bool { return keyOf(text) == wanted })
		if i < 0 {
			f.Level, f.Text = Fail, fmt.Sprintf("the DNS has another key under %s, so receivers reject the signatures", name)
			if keyOf(texts[0]) == "" {
				f.Text = fmt.Sprintf("the key under %s is revoked, so receivers reject the signatures", name)
			}
			return f, Fail
		}
		texts[0], texts[i] = texts[i], texts[0]
	}
	text, level, fault := keyFault(texts[0])
	f.Level, f.Text = level, name+": "+text
	if level == Fail {
		return f, Fail
	}
	if len(texts) > 1 {
		f.Level, f.Text, f.Remedy = Warn, fmt.Sprintf("there are %d keys under %s, and a receiver may take any of them", len(texts), name), "leave one of them, and give others a selector of their own"
		return f, OK
	}
	f.Remedy = fault
	return f, OK
}

// tags reads a list of tags as in DKIM (RFC 6376 3.2). Of two with one name the first counts.
func tags(text string) map[string]string {
	all := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := all[name]; found && !twice {
			all[name] = strings.TrimSpace(value)
		}
	}
	return all
}

// keyOf is p= of a record (RFC 6376 3.6.1).
func keyOf(text string) string { return strings.Join(strings.Fields(tags(text)["p"]), "") }

// keyFault tells what kind of key a record has and what receivers hold against it.
func keyFault(text string) (what string, level Level, remedy string) {
	t := tags(text)
	if v, ok := t["v"]; ok && (v != "DKIM1" || !strings.HasPrefix(strings.TrimSpace(text), "v")) {
		return "the record does not begin with v=DKIM1", Fail, ""
	}
	public := keyOf(text)
	if public == "" {
		return "the key is revoked (p= is empty)", Fail, ""
	}
	if hashes, ok := t["h"]; ok && !listed(hashes, "sha256") {
		return "the key is not for SHA-256, the only hash in use", Fail, ""
	}
	if services, ok := t["s"]; ok && !listed(services, "*") && !listed(services, "email") {
		return "the key is not for mail (s=)", Fail, ""
	}
	octets, err := base64.StdEncoding.DecodeString(public)
	if err != nil {
		return "the key is damaged: p= is no base64", Fail, ""
	}
	what, level, remedy = strength(t["k"], octets)
	if level == OK && listed(t["t"], "y") {
		return what + ", only for tests (t=y): receivers may treat mails as unsigned", Warn, "remove t=y when signatures hold"
	}
	return what, level, remedy
}

func listed(list, word string) bool {
	for part := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.TrimSpace(part), word) {
			return true
		}
	}
	return false
}

// strength tells how good a public key is.
func strength(kind string, octets []byte) (what string, level Level, remedy string) {
	switch strings.ToLower(kind) {
	case "ed25519":
		if len(octets) != 32 {
			return "the Ed25519 key is damaged", Fail, ""
		}
		return "an Ed25519 key", OK, ""
	case "", "rsa":
	default:
		return fmt.Sprintf("a key of a kind that receivers do not know: %.20q", kind), Fail, ""
	}
	var key *rsa.PublicKey
	if any, err := x509.ParsePKIXPublicKey(octets); err == nil {
		key, _ = any.(*rsa.PublicKey)
	} else if bare, err := x509.ParsePKCS1PublicKey(octets); err == nil {
		key = bare
	}
	if key == nil {
		return "the RSA key is damaged", Fail, ""
	}
	what = fmt.Sprintf("an RSA key with %d bits", key.N.BitLen())
	switch bits := key.N.BitLen(); {
	case bits < leastBits:
		return what + ", which receivers ignore", Fail, ""
	case bits < goodBits:
		return what, Warn, "make one with 2048 bits, under another selector"
	}
	return what, OK, ""
}
