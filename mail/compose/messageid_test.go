package compose

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewMessageID(t *testing.T) {
	got, err := NewMessageID("acme.example", bytes.NewReader(make([]byte, 16)))
	if want := "<" + strings.Repeat("a", 26) + "@acme.example>"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if err := checkMessageID(got); err != nil {
		t.Errorf("Build would refuse it: %v", err)
	}
	other, _ := NewMessageID("acme.example", strings.NewReader("0123456789abcdef"))
	if other == got || len(other) != len(got) {
		t.Errorf("other bits gave %s", other)
	}
}

func TestNewMessageIDErrors(t *testing.T) {
	broken := errors.New("no entropy")
	if id, err := NewMessageID("a.b", iotest.ErrReader(broken)); id != "" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", id, err)
	}
	if id, err := NewMessageID("a.b", strings.NewReader("short")); id != "" || err == nil {
		t.Errorf("%q, %v", id, err)
	}
	for _, domain := range []string{"", "a b", "a>\r\nBcc: x@y", "müller.example", ".", strings.Repeat("a", 254)} {
		if id, err := NewMessageID(domain, strings.NewReader("0123456789abcdef")); id != "" || err == nil {
			t.Errorf("domain %q: %q, %v", domain, id, err)
		}
	}
}
