package readback

import (
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		fields, by, spf, dkim, dmarc string
	}{
		"Gmail": {`Authentication-Results: mx.google.com;
       dkim=fail header.i=@old.example header.s=a header.b="x;y";
       dkim=pass (2048-bit key; unprotected) header.i=@acme.example header.s=s1 header.b=dBq;
       spf=pass (google.com: domain of a@acme.example designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@acme.example;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=acme.example`,
			"mx.google.com", "pass for a@acme.example", "pass for @acme.example", "pass for acme.example"},
		"Microsoft without a name": {`Authentication-Results: spf=softfail (sender IP is 192.0.2.1) smtp.mailfrom=acme.example; dkim=none (message not signed)
 header.d=none;dmarc=fail action=quarantine header.from=acme.example;compauth=fail reason=001`,
			"", "softfail for acme.example", "none for none", "fail for acme.example"},
		"with a version": {"Authentication-Results: mx.example 1; spf=pass smtp.helo=mail.example", "mx.example", "pass for mail.example", "not told", "not told"},
		"a reason":       {`Authentication-Results: mx.example; dkim=fail reason="bad signature; wrong key" header.d=a.example`, "mx.example", "not told", "fail for a.example (bad_signature__wrong_key)", "not told"},
		"none":           {"Authentication-Results: mx.example; none", "mx.example", "not told", "not told", "not told"},
		"only the topmost": {"Authentication-Results: mx.example; spf=fail smtp.mailfrom=a.example\nAuthentication-Results: mx.example; spf=pass smtp.mailfrom=a.example; dkim=pass header.d=a.example",
			"mx.example", "fail for a.example", "not told", "not told"},
		"a mistake":       {"Authentication-Results: mx.example; spf=pass smtp.mailfrom=a.example; what?; dkim=pass header.d=a.example", "mx.example", "pass for a.example", "not told", "not told"},
		"an open comment": {"Authentication-Results: mx.example; spf=pass (open; dkim=pass", "mx.example", "pass", "not told", "not told"},
		"no field":        {"Subject: x", "", "not told", "not told", "not told"},
	} {
		h, err := readHeader([]byte(strings.ReplaceAll(c.fields, "\n", "\r\n") + "\r\n"))
		if err != nil {
			t.Fatal(name, err)
		}
		v := verdictsOf(h)
		if v.By != c.by || v.SPF.String() != c.spf || v.DKIM.String() != c.dkim || v.DMARC.String() != c.dmarc || v.Told != (name != "no field") {
			t.Errorf("%s: %q, SPF %s, DKIM %s, DMARC %s", name, v.By, v.SPF, v.DKIM, v.DMARC)
		}
	}
}

func TestLongHeader(t *testing.T) {
	text := "A: b\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", maxHeader/100)
	h, err := readHeader([]byte(text[:maxHeader]))
	if err != nil || h.Get("A") != "b" {
		t.Error(err)
	}
}

func FuzzVerdicts(f *testing.F) {
	f.Add([]byte("Authentication-Results: mx; spf=pass (a(b)) smtp.mailfrom=\"x;y\\\"\"; dkim=pass\r\n"))
	f.Add([]byte("authentication-results:=;;=(\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(b)
		if err != nil {
			return
		}
		if v := verdictsOf(h); !v.Told && v != (Verdicts{}) {
			t.Errorf("%+v", v)
		}
	})
}
