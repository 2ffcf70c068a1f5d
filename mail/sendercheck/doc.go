// Package sendercheck tells beforehand what receivers will hold against mails: it asks the DNS what they ask, for every domain that mails
// are sent from, and says what to publish.
//
// Its promise: a finding is ok or fail only when the DNS has answered. What could not be asked is a warning that says so. A record to
// publish is whole: what stands in the DNS now with as little changed as mends it.
//
// Its failure rules: every query ends after a bounded time, every walk through records after a bounded number of queries, and a resolver
// that stays silent is soon given up. Answers are foreign: nothing in them but the record that was asked for is looked at, and findings
// quote no more than the beginning of it. The package knows nothing of accounts' secrets and speaks to no mail server.
package sendercheck

import (
	"fmt"
	"strings"
)

// Level says how good a finding is.
type Level string

// The levels. Unanswered questions are warnings.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what one check found about a domain or a host.
type Finding struct {
	ID     string  `json:"id"` // as spf.include: the same in every version, for scripts
	Level  Level   `json:"level"`
	About  string  `json:"about"`
	Text   string  `json:"text"`
	Remedy string  `json:"remedy,omitempty"`
	Record *Record `json:"record,omitempty"` // to publish; in place of the one of its name and kind where there is one
}

// Record is a record of the DNS as a person enters it.
type Record struct {
	Name  string `json:"name"`  // without the last dot
	Type  string `json:"type"`  // TXT or MX
	Value string `json:"value"` // in one piece
	Zone  string `json:"zone"`  // all of it as a line of a zone file
}

// mostString is how many octets one character-string of a TXT record holds (RFC 1035 3.3).
const mostString = 255

// TXT makes a TXT record. In the zone file its value stands in as many strings as it needs.
func TXT(name, value string) Record {
	var parts []string
	for rest := value; rest != "" || parts == nil; {
		n := min(len(rest), mostString)
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rest[:n])+`"`)
		rest = rest[n:]
	}
	text := strings.Join(parts, " ")
	if len(parts) > 1 {
		text = "( " + text + " )"
	}
	return Record{Name: name, Type: "TXT", Value: value, Zone: name + ". IN TXT " + text}
}

func mx(name, host string) Record {
	value := "10 " + host + "."
	return Record{Name: name, Type: "MX", Value: value, Zone: name + ". IN MX " + value}
}

// mostQuoted is how much of a foreign text a finding quotes, in octets.
const mostQuoted = 300

// quoted is the beginning of a foreign text, in one line.
func quoted(text string) string {
	if len(text) > mostQuoted {
		return fmt.Sprintf("%q and %d octets more", text[:mostQuoted], len(text)-mostQuoted)
	}
	return fmt.Sprintf("%q", text)
}
