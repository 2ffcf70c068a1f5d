package smtpout

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"outboxd/mail"
)

// Limits of RFC 5321 4.5.3.1 and RFC 5322 2.1.1, in octets.
const (
	maxLineLength = 998
	maxPath       = 254
)

// addressFault returns what keeps an address out of an envelope, or "". It does not ask whether the address is
// correct, only whether it could end or extend the command that it stands in.
func addressFault(address string, utf8OK bool) string {
	switch {
	case address == "":
		return "address is empty"
	case len(address) > maxPath:
		return fmt.Sprintf("address is longer than %d octets", maxPath)
	case !utf8.ValidString(address):
		return "address is not UTF-8"
	case !strings.Contains(address, "@"):
		return "address has no @"
	}
	for _, r := range address {
		switch {
		case r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return "address holds a blank or a control character"
		case r == '<' || r == '>' || r == '"' || r == '\\':
			return fmt.Sprintf("address holds %q", r)
		case r >= 0x80 && !utf8OK:
			return "address is not ASCII and the message does not ask for SMTPUTF8"
		}
	}
	return ""
}

// messageFault returns what keeps a message from being sent as it is, or "": a line break that is not CRLF opens the
// way to a second message inside the first (SMTP smuggling).
func messageFault(m []byte) string {
	if len(m) == 0 {
		return "message is empty"
	}
	if i := bytes.IndexByte(m, 0); i >= 0 {
		return fmt.Sprintf("message has a NUL at octet %d", i)
	}
	for start := 0; start < len(m); {
		line := m[start:]
		end := bytes.IndexByte(line, '\n')
		if end >= 0 {
			if end == 0 || line[end-1] != '\r' {
				return fmt.Sprintf("message has a line feed without a carriage return at octet %d", start+end)
			}
			line = line[:end-1]
		}
		if cr := bytes.IndexByte(line, '\r'); cr >= 0 {
			return fmt.Sprintf("message has a carriage return without a line feed at octet %d", start+cr)
		}
		if len(line) > maxLineLength {
			return fmt.Sprintf("message has a line of %d octets at octet %d, more than %d", len(line), start, maxLineLength)
		}
		if end < 0 {
			break
		}
		start += end + 1
	}
	return ""
}

func hasEightBit(m []byte) bool {
	for _, b := range m {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

// fault is an outcome that needed no server.
func fault(scope mail.Scope, step mail.Step, class mail.Class, text, remedy string) mail.Outcome {
	return mail.Outcome{
		Verdict: mail.Permanent, Scope: scope, Retry: mail.RetryNo, Class: class,
		Step: step, Reply: mail.Reply{Text: text}, Remedy: remedy,
	}
}
