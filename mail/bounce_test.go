package mail

import (
	"strings"
	"testing"
)

func TestClassifyBounce(t *testing.T) {
	for text, want := range map[string]struct {
		class  Class
		remedy string
	}{
		"550 5.1.1 no such user":             {ClassUnknownUser, remedyUnknownUser},
		"5.1.1 no such user":                 {ClassUnknownUser, remedyUnknownUser},
		"5.1.1":                              {ClassUnknownUser, remedyUnknownUser},
		"550 5.1.1":                          {ClassUnknownUser, remedyUnknownUser},
		"smtp; 550-5.1.1 no\r\n550 5.1.1 no": {ClassUnknownUser, remedyUnknownUser},
		"#5.1.1 smtp;550 no":                 {ClassUnknownUser, remedyUnknownUser},
		"<a@b.example>: host mx.b.example[192.0.2.1] said: 550 5.1.1 <a@b.example>: no (in reply to RCPT TO command)": {ClassUnknownUser, remedyUnknownUser},
		"550 5.2.2 mailbox full":         {ClassMailboxFull, remedyMailboxFull},
		"452 4.2.2 over quota":           {ClassMailboxFull, remedyMailboxFull}, // nobody tries again
		"4.2.2 (mailbox full)":           {ClassMailboxFull, remedyMailboxFull},
		"550 5.1.2 host unknown":         {ClassUnknownDomain, remedyUnknownDomain},
		"554 5.7.1 looks like spam":      {ClassBlockedReputation, remedySpamRefused},
		"550 5.7.26 unauthenticated":     {ClassPolicy, remedyDomainAuth},
		"552 5.3.4 message too big":      {ClassSize, remedySize},
		"5.4.7 delivery time expired":    {ClassTemporary, remedyExpired},
		"4.4.7":                          {ClassTemporary, remedyExpired},
		"421 4.4.1 connection timed out": {ClassTemporary, remedyBounced},
		"450 4.2.0 greylisted":           {ClassTemporary, remedyBounced},
		"450 4.9.9 no":                   {ClassRejected, remedyBounced},
		"550 no":                         {ClassRejected, remedyRejectedRecipient},
		"550 5.7.1 no":                   {ClassPolicy, remedyRejectedRecipient},
		"it came back":                   {ClassRejected, remedyRejectedRecipient},
		"":                               {ClassRejected, remedyBounced},
	} {
		o := ClassifyBounce(text)
		if o.Class != want.class || o.Remedy != want.remedy {
			t.Errorf("%q: %s, %q", text, o.Class, o.Remedy)
		}
		if o.Verdict != Permanent || o.Retry != RetryNo || o.Reply.Code != 0 {
			t.Errorf("%q is not the end: %+v", text, o)
		}
	}
	if o := ClassifyBounce("550 5.1.1\r\n\x1b[2J=cmd\x00 " + strings.Repeat("x", 60_000)); o.Class != ClassUnknownUser || len([]rune(o.Reply.Text)) != maxText || strings.ContainsAny(o.Reply.Text, "\x1b\x00\r\n") {
		t.Errorf("%+q, %s", o.Reply.Text, o.Class)
	}
}

func FuzzClassifyBounce(f *testing.F) {
	f.Add("550 5.1.1 no")
	f.Add("smtp; 452-4.2.2 \x00\x1b[0m\r\n#5.1.1")
	for _, c := range replyCases {
		f.Add(ParseReply(c.code, c.text).String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := ClassifyBounce(text)
		requireNoControls(t, o.Reply.String())
		requireNoControls(t, o.Remedy)
		if o.Remedy == "" || o.Class == ClassNone || o.Verdict != Permanent || o.Retry != RetryNo || len([]rune(o.Reply.Text)) > maxText {
			t.Fatalf("%+v", o)
		}
	})
}
