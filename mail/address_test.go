package mail

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseAddress(t *testing.T) {
	cases := []struct{ in, name, local, host string }{
		{"a@b.example", "", "a", "b.example"},
		{"  Ann.Lee+x@Example.ORG  ", "", "Ann.Lee+x", "example.org"},
		{"<a@b>", "", "a", "b"},
		{"ann@localhost,", "", "ann", "localhost"},
		{`"Lee, Ann" <a@b.example>`, "Lee, Ann", "a", "b.example"},
		{`"Ann \"the\" \\ Lee" <a@b.example>`, `Ann "the" \ Lee`, "a", "b.example"},
		{"Dr. Ján Kováč s.r.o. <a@b.example>", "Dr. Ján Kováč s.r.o.", "a", "b.example"},
		{"Ann\t Lee<a@b.example>", "Ann Lee", "a", "b.example"},
		{`"Ann" Lee <a@b.example>`, "Ann Lee", "a", "b.example"},
		{"ann@old.example <a@b.example>", "ann@old.example", "a", "b.example"},
		{"Lee (Acme) <a@b.example>", "Lee (Acme)", "a", "b.example"},
		{"=?utf-8?q?Jos=C3=A9?= =?UTF-8?B?IEx1aXM=?= <a@b.example>", "José Luis", "a", "b.example"},
		{"=?iso-8859-1?q?Andr=E9?= <a@b.example>", "André", "a", "b.example"},
		{"=?windows-1252?q?=80_Ltd?= <a@b.example>", "€ Ltd", "a", "b.example"},
		{"=?iso-8859-2?q?=A9imon?= <a@b.example>", "Šimon", "a", "b.example"},
		{"=?koi8-r?b?4c7OwQ==?= <a@b.example>", "Анна", "a", "b.example"},
		{"=?x-unknown?q?Ann?= <a@b.example>", "=?x-unknown?q?Ann?=", "a", "b.example"},
		{"a@Bücher.example", "", "a", "xn--bcher-kva.example"},
		{"a@xn--bcher-kva.example", "", "a", "xn--bcher-kva.example"},
		{"a@例え。テスト", "", "a", "xn--r8jz45g.xn--zckzah"},
		{"jörg@b.example", "", "jörg", "b.example"},
		{"o'neil!#$%&*+-/=?^_`{|}~@b.example", "", "o'neil!#$%&*+-/=?^_`{|}~", "b.example"},
		{strings.Repeat("l", 64) + "@b.example", "", strings.Repeat("l", 64), "b.example"},
	}
	for _, c := range cases {
		got, err := ParseAddress(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if want := (Address{c.name, c.local, c.host}); got != want {
			t.Errorf("%q: got %+v, want %+v", c.in, got, want)
		}
	}
}

// label63 is a domain label of the greatest length.
var label63 = strings.Repeat("h", 63)

var refusedAddresses = []struct{ in, reason string }{
	{"ann", "no @"},
	{"Lee, Ann <a@b.example>", "double quotes"},
	{"a@b@c.example", "more than one @"},
	{"@b.example", "nothing before"},
	{"a@", "nothing after"},
	{"<>", "between < and >"},
	{"a b@c.example", "blank"},
	{"a@c.example b@c.example", "blank"},
	{"a@b\u00a0c.example", "blank"},
	{"a\u200b@b.example", "U+200B"},
	{"a\x00@b.example", "U+0000"},
	{"a@b.example\rX: y", "U+000D"},
	{"Ann\x7f <a@b.example>", "U+007F"},
	{"Ann\u2028 <a@b.example>", "U+2028"},
	{"=?utf-8?q?Ann=0D=0ABcc=3A_x?= <a@b.example>", "U+000D"},
	{"=?utf-8?q?=00?= <a@b.example>", "U+0000"},
	{"a\xff@b.example", "UTF-8"},
	{`"ann lee"@b.example`, "quoted local part"},
	{`<"ann"@b.example>`, "quoted local part"},
	{`"Ann <a@b.example>`, "not closed"},
	{"Ann <a@b.example", "not closed"},
	{"a@b.example>", "without a <"},
	{"<a@b.example> x", "after the closing"},
	{"<a@b.example><c@d.example>", "after the closing"},
	{"<<a@b.example>", "angle bracket"},
	{".a@b.example", "dot too many"},
	{"a.@b.example", "dot too many"},
	{"a..b@c.example", "dot too many"},
	{"a@b..example", "dot too many"},
	{"a@b.example.", "dot too many"},
	{"a@.example", "dot too many"},
	{"a(x)@b.example", "may not hold"},
	{`a\b@c.example`, "may not hold"},
	{"a@b_c.example", "may not hold"},
	{"a@b(x).example", "may not hold"},
	{"a@-b.example", "hyphen"},
	{"a@b-.example", "hyphen"},
	{"a@[192.0.2.1]", "brackets"},
	{"a@[IPv6:2001:db8::1]", "brackets"},
	{"a@192.0.2.1", "IP address"},
	{"a@xn--a.example", "IDNA"},
	{"undisclosed-recipients:;", "group"},
	{"team: a@b.example", "group"},
	{"mailto:a@b.example", "group"},
	{strings.Repeat("l", 65) + "@b.example", "64 octets"},
	{"a@" + label63 + "h.example", "63 octets"},
	{"a@" + strings.Repeat(label63+".", 4) + "example", "253 octets"},
	{strings.Repeat("l", 64) + "@" + label63 + "." + label63 + "." + label63, "254 octets"},
	{strings.Repeat("n", 257) + " <a@b.example>", "256 characters"},
	{strings.Repeat("n", 1<<20) + " <a@b.example>", "256 characters"},
	{"a@b.example, c@d.example", "exactly one"},
	{"", "exactly one"},
}

func TestParseAddressRefuses(t *testing.T) {
	for _, c := range refusedAddresses {
		got, err := ParseAddress(c.in)
		var refused *AddressError
		if !errors.As(err, &refused) {
			t.Errorf("%.80q: got %+v and error %v, want an AddressError", c.in, got, err)
			continue
		}
		if !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%.80q: reason %q, want one about %q", c.in, refused.Reason, c.reason)
		}
		if _, bad := controlIn(refused.Error()); bad || len(refused.Text) > 4*maxItem {
			t.Errorf("%.80q: the error is not fit for a log: %q", c.in, refused.Error())
		}
	}
}

func TestParseAddressList(t *testing.T) {
	in := "a@x.example; \"Lee; Ann, Dr.\" <b@x.example>,, c@x.example\r\n\n d@x.example ,\n;"
	got, err := ParseAddressList(in)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, a := range got {
		text = append(text, a.String())
	}
	want := `a@x.example|"Lee; Ann, Dr." <b@x.example>|c@x.example|d@x.example`
	if joined := strings.Join(text, "|"); joined != want {
		t.Errorf("got  %s\nwant %s", joined, want)
	}
	for _, empty := range []string{"", " ", ",;\n\r\n"} {
		if got, err := ParseAddressList(empty); len(got) != 0 || err != nil {
			t.Errorf("%q: got %v, %v; want none", empty, got, err)
		}
	}
}

func TestAddressErrorNamesTheItem(t *testing.T) {
	// The open quote of the second line must not hide the third; empty items are not counted.
	_, err := ParseAddressList("a@x.example,,\n\"Lee <b@x.example>\nc@x.example")
	var refused *AddressError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if refused.Index != 2 || refused.Text != `"Lee <b@x.example>` {
		t.Errorf("got %+v", refused)
	}
	if want := `address 2 ""Lee <b@x.example>": a double quote " is not closed`; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

// TestParseAddressListIsLinear reads hostile lists of a megabyte. The limit is wide: quadratic work takes minutes.
func TestParseAddressListIsLinear(t *testing.T) {
	for _, part := range []string{`"`, `\"`, `"\`, "<", ">", ",", "a@b,", "@", "@[:", ":", "=?", "=?utf-8?q?", "=?utf-8?q??=", ".", " ", "ü", "a@ü.", "\n", "(", "xn--"} {
		in := strings.Repeat(part, (1<<20)/len(part))
		for _, text := range []string{in, "x <" + in, in + " <a@b.example>", `"` + in + `" <a@b.example>`, "a@" + in, "a@[" + in} {
			start := time.Now()
			_, _ = ParseAddressList(text)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%.20q repeated took %s", part, took)
			}
		}
	}
}

func TestAddressForms(t *testing.T) {
	a := Address{Name: `Ann "A" Lee`, Local: "ann", Host: "x.example"}
	if got, want := a.String(), `"Ann \"A\" Lee" <ann@x.example>`; got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
	if got, want := a.Addr(), "ann@x.example"; got != want {
		t.Errorf("Addr: got %s, want %s", got, want)
	}
	if a.NeedsUTF8() || !(Address{Local: "jörg", Host: "x.example"}).NeedsUTF8() {
		t.Error("NeedsUTF8 must follow the local part")
	}
	if (Address{Name: "Jörg", Local: "j", Host: "xn--bcher-kva.example"}).NeedsUTF8() {
		t.Error("a name and an A-label need no SMTPUTF8")
	}
	hostile := Address{Name: "a\r\nBcc: x", Local: "b\x00", Host: "c\n"}
	if got := hostile.String(); strings.ContainsAny(got, "\r\n\x00") {
		t.Errorf("controls in %q", got)
	}
}

func BenchmarkParseAddressList(b *testing.B) {
	const list = `"Lee, Ann" <ann@x.example>, bob@y.example; Ján Kováč <jan@z.example>`
	b.SetBytes(int64(len(list)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAddressList(list); err != nil {
			b.Fatal(err)
		}
	}
}
