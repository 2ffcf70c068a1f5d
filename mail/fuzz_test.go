package mail

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzParseAddressList(f *testing.F) {
	for _, seed := range []string{
		"", "a@b.example", `"Lee, Ann" <a@b.example>; c@d`, "=?utf-8?q?J=C3=B6rg?= <j@b.example>", "undisclosed:;", "a@[1.2.3.4]",
		"jörg@bücher.example", "a@b\r\nBcc: c@d", `"\`, "<<>>,;\n\"", "a\x00@b", "=?utf-8?b?DQo=?= <a@b>", "x <a@xn--bcher-kva.example>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := ParseAddressList(s)
		if err != nil {
			var refused *AddressError
			if !errors.As(err, &refused) || refused.Index < 1 || refused.Reason == "" || len(list) != 0 {
				t.Fatalf("%q: list %v, error %#v", s, list, err)
			}
			requireNoControls(t, refused.Error())
			return
		}
		for _, a := range list {
			requireEnvelope(t, a)
			requireNoControls(t, a.String())
			requireNoControls(t, a.Name)
			// A name that still looks encoded would be decoded once more.
			if strings.Contains(a.Name, "=?") {
				continue
			}
			if again, err := ParseAddress(a.String()); err != nil || again != a {
				t.Fatalf("%q: %+q comes back as %+q, %v", s, a, again, err)
			}
		}
	})
}

// requireEnvelope checks that an address can stand in an SMTP command as it is.
func requireEnvelope(t *testing.T, a Address) {
	t.Helper()
	addr := a.Addr()
	bad := strings.ContainsFunc(addr, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`<>"()[]:;,\`, r)
	})
	if bad || !utf8.ValidString(addr) || strings.Count(addr, "@") != 1 || a.Local == "" || a.Host == "" ||
		len(a.Local) > 64 || len(a.Host) > 253 || len(addr) > 254 || !isASCII(a.Host) || a.Host != strings.ToLower(a.Host) {
		t.Fatalf("not fit for an envelope: %+q", a)
	}
}

func requireNoControls(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		t.Fatalf("controls or broken UTF-8 in %q", s)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(uint8(StepDot), 250, "2.0.0 ok")
	f.Add(uint8(StepAuth), 535, "5.7.8 no\n5.7.8 login")
	f.Add(uint8(StepRcpt), 0, "\x00\x1b[0m")
	f.Add(uint8(200), -1, "550 5.1.1 #5.1.1 spam@x https://y")
	for _, c := range replyCases {
		f.Add(uint8(c.step), c.code, c.text)
	}
	f.Fuzz(func(t *testing.T, step uint8, code int, text string) {
		for _, r := range []Reply{ParseReply(code, text), {Code: code, Enhanced: text, Text: text}} {
			o := Classify(Step(step), r)
			requireOutcome(t, o)
			if o != Classify(Step(step), r) {
				t.Fatalf("%+q is not classified the same twice", r)
			}
		}
		requireNoControls(t, ParseReply(code, text).Text)
		requireNoControls(t, ParseReply(code, text).Enhanced)
	})
}

// requireOutcome checks what holds for every reply whatsoever.
func requireOutcome(t *testing.T, o Outcome) {
	t.Helper()
	requireNoControls(t, o.String())
	requireNoControls(t, o.Reply.String())
	requireNoControls(t, o.Remedy)
	digit := o.Reply.Code / 100
	ours := o.Scope == ScopeAccount || o.Scope == ScopeServer
	switch {
	case (o.Verdict == Accepted) != (digit == 2):
		t.Fatalf("only a 2xx is accepted: %+v", o)
	case o.Verdict == Permanent && digit == 4 && !ours:
		t.Fatalf("a 4xx ends a mail: %+v", o)
	case o.Verdict == Permanent && digit != 4 && digit != 5:
		t.Fatalf("garbage ends a mail: %+v", o)
	case o.Verdict == Uncertain && (o.Step < StepDot || digit == 4 || digit == 5):
		t.Fatalf("a definite answer is uncertain: %+v", o)
	case (o.Verdict == Temporary || o.Verdict == Throttled) && (o.Retry == RetryNo || o.Retry == RetryStop):
		t.Fatalf("temporary, but nobody tries again: %+v", o)
	case o.Retry == RetryStop && !ours:
		t.Fatalf("only an account or a server can be stopped: %+v", o)
	case ours && o.Retry == RetryNo && o.Remedy != remedyLoop && o.Remedy != remedyExpired:
		t.Fatalf("a matter of the account ends a mail: %+v", o)
	case o.Verdict != Accepted && (o.Remedy == "" || o.Class == ClassNone):
		t.Fatalf("nobody learns the next step: %+v", o)
	}
}
