package compose

import (
	"bytes"
	"strings"
	"testing"
)

// TestAMessageThatCannotBeEnclosedGoesAsAFile: octet for octet, whatever stands in it.
func TestAMessageThatCannotBeEnclosedGoesAsAFile(t *testing.T) {
	const clean = "Subject: x\r\n\r\nHello\r\n"
	m := plainMessage()
	for name, c := range map[string]struct {
		content string
		whole   bool // it goes as a message
	}{
		"clean":                   {clean, true},
		"without a last line end": {strings.TrimSuffix(clean, "\r\n"), true},
		"line feeds alone":        {"Subject: x\n\nHello\n", false},
		"a carriage return alone": {clean + "a\rb\r\n", false},
		"octets beyond ASCII":     {clean + "Grüße\r\n", false},
		"a subject beyond ASCII":  {"Subject: Grüße\r\n\r\nHello\r\n", false},
		"a NUL":                   {clean + "\x00\r\n", false},
		"a line too long":         {clean + strings.Repeat("x", 999) + "\r\n", false},
		"no header":               {"\r\nHello\r\n", false},
		"no body":                 {"Subject: x\r\n", false},
		"nothing":                 {"", false},
		"no message":              {"%PDF-1.7\r\n", false},
		"a mailbox file":          {"From a@b Mon\r\n" + clean, false},
		"the boundary around it":  {clean + "--mixed" + boundary(m.MessageID) + "--\r\n", false},
	} {
		m.Attachments = []Attachment{{Name: "a.eml", Type: "Message/RFC822", Content: []byte(c.content)}, {Name: "b.pdf", Type: "application/pdf", Content: []byte("b")}}
		raw, err := Build(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := bytes.Contains(raw, []byte("Content-Type: message/rfc822; name=\"a.eml\"\r\nContent-Transfer-Encoding: 7bit\r\n")); got != c.whole {
			t.Errorf("%s: as a message: %t\n%s", name, got, raw)
		}
		checkOctets(t, raw)
		m.Attachments[0].Type = map[bool]string{true: "message/rfc822", false: "application/octet-stream"}[c.whole]
		checkReadBack(t, m, raw)
	}
}
