package mail

import "testing"

func TestPlainWords(t *testing.T) {
	cases := map[string]string{
		"":                                   " ",
		"Mailbox FULL!":                      " mailbox full ",
		"doesn't exist":                      " doesnt exist ",
		"RESOLVER.ADR.ExRecipNotFound; x":    " resolver adr ex recip not found x ",
		"SmtpClientAuthentication STARTTLS":  " smtp client authentication starttls ",
		"<spam@x.example>: over-quota":       " over quota ",
		"see https://spam.example/x mx1.a.b": " see ",
		"https://spam.example/x":             " https spam example x ",
		"[192.0.2.1] listed":                 " listed ",
		"TLS 1.0 and 1.1":                    " tls 1 0 and 1 1 ",
		"Mail rejeté, Größe":                 " mail rejeté größe ",
	}
	for text, want := range cases {
		if got := plainWords(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHasPhrase(t *testing.T) {
	cases := []struct {
		words, phrase string
		want          bool
	}{
		{" user greylisted ", "greylist", true},
		{" antispam ", "spam", false},
		{" antispam spam ", "spam", true},
		{" relay limit ", "relay limit", true},
		{" tls 10 ", "tls 1 ", false},
		{" ", "x", false},
	}
	for _, c := range cases {
		if got := hasPhrase(c.words, c.phrase); got != c.want {
			t.Errorf("%q in %q: got %v", c.phrase, c.words, got)
		}
	}
}

func TestIsHostName(t *testing.T) {
	cases := map[string]bool{
		"mx1.mail.example": true, "[203.0.113.9]:": true, "<a-b.c.d>": true,
		"rejected.see": false, "STOREDRV.Submission.Exception": false, "...": false, "": false,
	}
	for token, want := range cases {
		if got := isHostName(token); got != want {
			t.Errorf("%q: got %v", token, got)
		}
	}
}

func TestOneLine(t *testing.T) {
	cases := []struct {
		in   string
		max  int
		want string
	}{
		{"  a \t\r\n b  ", 10, "a b"},
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abcde…"},
		{"a\u200bb\x07", 10, "a b"},
	}
	for _, c := range cases {
		if got := oneLine(c.in, c.max); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	for name, reply := range map[string]Reply{
		"accepted":     ParseReply(250, "2.0.0 queued as 4711"),
		"unknown user": ParseReply(550, "5.1.1 <a@x.example>: Recipient address rejected: User unknown in virtual mailbox table"),
		"no rule":      ParseReply(554, "x"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(StepRcpt, reply)
			}
		})
	}
}
