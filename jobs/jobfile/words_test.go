package jobfile

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "acme": true, "acme-2_b": true, "4711": true, strings.Repeat("x", 63): true,
		"": false, "-a": false, "_a": false, "Acme": false, "a.b": false, "a b": false, "é": false, "a\n": false, strings.Repeat("x", 64): false,
	} {
		if validName(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

func TestCheckDatabase(t *testing.T) {
	for name, want := range map[string]bool{
		"acme": true, "A_c$m-e4": true, strings.Repeat("x", 64): true,
		"": false, "a.b": false, "a`b": false, "a b": false, "é": false, "mysql": false, "SYS": false, strings.Repeat("x", 65): false,
	} {
		if got := checkDatabase(name) == nil; got != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

func TestParseHost(t *testing.T) {
	good := map[string]string{
		"smtp.acme.example": "smtp.acme.example", "SMTP.Acme.Example": "smtp.acme.example", "db1": "db1", "mail_1": "mail_1", "10.0.0.1": "10.0.0.1",
		"::1": "::1", "2001:DB8::1": "2001:db8::1", "účtáreň.example": "xn--treo-1nad1n4i.example", strings.Repeat("x", 63): strings.Repeat("x", 63),
	}
	for s, want := range good {
		got, err := parseHost(s)
		if err != nil || strings.HasPrefix(want, "xn--") != strings.HasPrefix(got, "xn--") || !strings.HasPrefix(want, "xn--") && got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ".", "a..b", "a.b.", "-a", "a-", "a b", "a/b", "http://a", "a:25", "[::1]", "10.0.0.256", "1.2", "a\n", "a@b", "*", strings.Repeat("x", 64), strings.Repeat("x.", 130) + "x"} {
		if got, err := parseHost(s); err == nil {
			t.Errorf("%q is taken as %s", s, got)
		}
	}
}

func TestParseDomain(t *testing.T) {
	if got, err := parseDomain("Acme.Example"); got != "acme.example" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for _, s := range []string{"", "@acme.example", "*.acme.example", "a_b.example", "10.0.0.1", "acme.example.", "a,b"} {
		if got, err := parseDomain(s); err == nil {
			t.Errorf("%q is taken as %s", s, got)
		}
	}
}

func TestParseAddress(t *testing.T) {
	good := []struct{ text, name, addr string }{
		{"a@acme.example", "", "a@acme.example"},
		{"Acme invoices <Invoices+1@ACME.example>", "Acme invoices", "Invoices+1@acme.example"},
		{`"Acme, Inc." <a.b@acme.example>`, "Acme, Inc.", "a.b@acme.example"},
		{"Účtáreň <účtáreň@acme.example>", "Účtáreň", "účtáreň@acme.example"},
		{"root@localhost", "", "root@localhost"},
	}
	for _, test := range good {
		name, addr, err := parseAddress(test.text)
		if name != test.name || addr != test.addr || err != nil {
			t.Errorf("%s: %q, %q, %v", test.text, name, addr, err)
		}
	}
	bad := []string{
		"", "a", "@acme.example", "a@", "a b@acme.example", `"a b"@acme.example`, `"a"b@acme.example`, "a@[10.0.0.1]", "a@10.0.0.1", "a@a_b.example", "a..b@acme.example",
		"a@acme.example, b@acme.example", "group: a@acme.example;", "a@acme.example (me)", "a(me)@acme.example", "<a@acme.example", "a@acme.example\r\nBcc: b@acme.example", "=?utf-8?q?a=0d=0ab?= <a@acme.example>",
		strings.Repeat("x", 65) + "@acme.example", "a\u200b@acme.example",
	}
	for _, s := range bad {
		if name, addr, err := parseAddress(s); err == nil {
			t.Errorf("%q is taken as %q, %q", s, name, addr)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "db.localhost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true, "::ffff:127.0.0.1": true,
		"db1": false, "10.0.0.1": false, "localhost.example": false, "0.0.0.0": false, "": false} {
		if isLoopback(host) != want {
			t.Errorf("%q: want %v", host, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"host", "port", "reply_to", "connections", "ca", "rate"}
	for s, want := range map[string]string{"hots": "host", "Host": "host", "reply-to": "reply_to", "replyto": "reply_to", "conections": "connections", "conecton": "", "c": "ca",
		"rates": "rate", "zzz": "", "": "", strings.Repeat("x", 1000): ""} {
		if got := nearest(s, words); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"rate", "rate", 0}, {"rtae", "rate", 1}, {"rat", "rate", 1}, {"rame", "rate", 1}, {"účet", "ucet", 2}, {"abc", "xyz", 3}}
	for _, test := range tests {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%s, %s: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestNamesOf(t *testing.T) {
	for want, names := range map[string][]string{"none": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := namesOf(names); got != want {
			t.Errorf("%v: %s", names, got)
		}
	}
}
