package smtpout

import (
	"fmt"
	"strings"
)

// DSN says which delivery status notifications the server is asked for (RFC 3461). The zero value asks for none. A server
// that does not offer them is not asked.
type DSN struct {
	Notify Notify
	Return Return
	ID     string // stands in each notification as its Original-Envelope-Id; "" for none; left out when it is too long
}

// Notify says when a notification is wanted; its values are added up, but for NotifyNever.
type Notify uint8

// The occasions of a notification. With none the server decides.
const (
	NotifyFailure Notify = 1 << iota // the mail cannot be delivered
	NotifyDelay                      // it is late
	NotifySuccess                    // it was delivered
	NotifyNever                      // alone: nothing is ever told
)

// Return says what of the mail a notification repeats.
type Return uint8

// What a notification repeats. With neither the server decides.
const (
	ReturnHeaders Return = iota + 1
	ReturnFull
)

// maxEnvelopeID is RFC 3461 4.4's limit for ENVID in octets, before its encoding; the encoded text is held to it too.
const maxEnvelopeID = 100

// mailParameters are those for MAIL, each after a blank.
func (d DSN) mailParameters() string {
	if d.Notify == 0 && d.Return == 0 {
		return ""
	}
	text := ""
	switch d.Return {
	case ReturnHeaders:
		text = " RET=HDRS"
	case ReturnFull:
		text = " RET=FULL"
	}
	if id := xtext(d.ID); id != "" && len(id) <= maxEnvelopeID {
		text += " ENVID=" + id
	}
	return text
}

// rcptParameters are those for each RCPT, each after a blank.
func (d DSN) rcptParameters() string {
	var on []string
	for _, one := range []struct {
		when Notify
		word string
	}{{NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if d.Notify&one.when != 0 {
			on = append(on, one.word)
		}
	}
	switch {
	case d.Notify == NotifyNever:
		return " NOTIFY=NEVER"
	case len(on) > 0:
		return " NOTIFY=" + strings.Join(on, ",")
	}
	return ""
}

// xtext encodes any octets as xtext (RFC 3461 4): no blank, no control character and nothing beyond ASCII is left.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
