package smtpout

import (
	"slices"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

func TestNotificationsAreAskedForWhereTheyAreOffered(t *testing.T) {
	for _, tc := range []struct {
		name       string
		dsn        DSN
		mail, rcpt string
	}{
		{"nothing", DSN{ID: "acme/17"}, "", ""},
		{"all", DSN{NotifyFailure | NotifyDelay | NotifySuccess, ReturnHeaders, "acme/17"}, " RET=HDRS ENVID=acme/17", "NOTIFY=SUCCESS,FAILURE,DELAY"},
		{"failure", DSN{Notify: NotifyFailure, Return: ReturnFull}, " RET=FULL", "NOTIFY=FAILURE"},
		{"never", DSN{Notify: NotifyNever, ID: "17"}, " ENVID=17", "NOTIFY=NEVER"},
		{"return alone", DSN{Return: ReturnHeaders}, " RET=HDRS", ""},
		{"encoded", DSN{Notify: NotifyDelay, ID: "a+b=c d\tě"}, " ENVID=a+2Bb+3Dc+20d+09+C4+9B", "NOTIFY=DELAY"},
		{"too long", DSN{Notify: NotifyDelay, ID: strings.Repeat("x", 101)}, "", "NOTIFY=DELAY"},
		{"hostile", DSN{Notify: NotifyDelay, ID: "1\r\nRCPT TO:<x@evil.example>\r\n> SIZE=1"}, " ENVID=1+0D+0ARCPT+20TO:<x@evil.example>+0D+0A>+20SIZE+3D1", "NOTIFY=DELAY"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := delivery("b@example.net", "c@example.net")
			d.DSN = tc.dsn
			for _, offered := range []bool{true, false} {
				opts := []smtptest.Option{smtptest.Without("SIZE")}
				wantMail, wantRcpt := "", []string{"", ""}
				if offered {
					opts = append(opts, smtptest.OfferDSN())
					wantMail, wantRcpt = strings.TrimSpace(tc.mail), []string{tc.rcpt, tc.rcpt}
				}
				server, c := tcp(t, opts...)
				wantAccepted(t, open(t, c).Send(t.Context(), d))
				m := server.Messages()
				if len(m) != 1 || m[0].Params != wantMail || !slices.Equal(m[0].ToParams, wantRcpt) || !slices.Equal(m[0].To, d.To) {
					t.Errorf("offered %v: %+v", offered, m)
				}
			}
		})
	}
}

// FuzzXtext: whatever stands in a row, one word of plain ASCII goes into the command.
func FuzzXtext(f *testing.F) {
	f.Add("acme/17")
	f.Add("1 \r\n\x00+=é\xff>")
	f.Fuzz(func(t *testing.T, s string) {
		encoded := xtext(s)
		if strings.ContainsFunc(encoded, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '=' }) {
			t.Fatalf("%q became %q", s, encoded)
		}
		var plain []byte
		for i := 0; i < len(encoded); i++ {
			if encoded[i] != '+' {
				plain = append(plain, encoded[i])
				continue
			}
			plain = append(plain, byte(strings.IndexByte(hexDigits, encoded[i+1])<<4|strings.IndexByte(hexDigits, encoded[i+2])))
			i += 2
		}
		if string(plain) != s {
			t.Fatalf("%q became %q, which is %q", s, encoded, plain)
		}
	})
}

const hexDigits = "0123456789ABCDEF"
