package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// faultCase is what happens at one step of the only mail, and what is to become of it.
type faultCase struct {
	step  smtptest.Step
	fault string
	want  string // state, attempts, claims, whether marked, whether the account is paused
}

var faultActions = map[string]smtptest.Action{
	"reset":   smtptest.Cut(),
	"garbage": smtptest.Garbage(),
	"421":     smtptest.ReplyAndHangup("421 4.3.2 closing"),
	"451":     smtptest.Reply("451 4.3.0 try again later"),
	"452":     smtptest.Reply("452 4.3.1 insufficient system storage"),
	"450":     smtptest.Reply("450 4.2.0 greylisted"),
	"552":     smtptest.ReplyAndHangup("552 5.3.4 message too big"),
	"550":     smtptest.Reply("550 5.7.1 message content rejected"),
	"554":     smtptest.Reply("554 5.6.0 malformed"),
	"535":     smtptest.Reply("535 5.7.8 bad credentials"),
	"454":     smtptest.Reply("454 4.7.0 temporary authentication failure"),
	"lost":    smtptest.LoseReply(),
	"hangup":  {End: smtptest.Hangup},
}

func TestEveryStepAndFault(t *testing.T) {
	const (
		ill       = "queued 0 0 - paused" // the account's matter: no attempt is spent
		illMarked = "queued 0 0 marked paused"
		deferred  = "queued 1 1 - well"
		broken    = "queued 1 1 marked well"
		refused   = "failed 1 1 - well"
		refusedIt = "failed 1 1 marked well"
		uncertain = "uncertain 1 1 marked well"
	)
	for _, c := range []faultCase{
		{"connect", "reset", ill}, {"connect", "garbage", ill}, {"connect", "421", ill}, {"connect", "554", ill},
		{"hello", "reset", ill}, {"hello", "garbage", ill}, {"hello", "421", ill}, {"hello", "451", ill}, {"hello", "550", ill},
		{"auth", "reset", ill}, {"auth", "garbage", ill}, {"auth", "421", ill}, {"auth", "454", ill}, {"auth", "535", ill},
		{"mail", "reset", ill}, {"mail", "garbage", ill}, {"mail", "421", ill}, {"mail", "452", ill}, {"mail", "451", ill}, {"mail", "550", ill},
		{"rcpt", "reset", ill}, {"rcpt", "garbage", ill}, {"rcpt", "421", ill}, {"rcpt", "451", ill}, {"rcpt", "450", deferred}, {"rcpt", "550", refused},
		{"data", "reset", illMarked}, {"data", "garbage", illMarked}, {"data", "421", illMarked}, {"data", "451", illMarked}, {"data", "554", refusedIt},
		{"body", "reset", broken}, {"body", "hangup", broken}, {"body", "552", refusedIt},
		{"dot", "reset", uncertain}, {"dot", "lost", uncertain}, {"dot", "garbage", uncertain}, {"dot", "hangup", uncertain},
		{"dot", "421", illMarked}, {"dot", "451", illMarked}, {"dot", "450", broken}, {"dot", "550", refusedIt}, {"dot", "554", refusedIt},
	} {
		t.Run(fmt.Sprintf("%s %s", c.step, c.fault), func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

const fateQuery = `SELECT CONCAT_WS(' ', state, attempts, claims,
	IF(EXISTS(SELECT 1 FROM {db}.outbox_attempt WHERE marked_at IS NOT NULL), 'marked', '-'),
	IF(EXISTS(SELECT 1 FROM {db}.outbox_bucket WHERE paused_until > UTC_TIMESTAMP()), 'paused', 'well')) FROM {db}.outbox`

func (c faultCase) run(t *testing.T) {
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}))
	action, lines := faultActions[c.fault], 16_000
	if c.step == smtptest.StepBody {
		// More than the buffers of both sockets hold: the dot must still be here when the fault comes.
		action.After, lines = 300_000, 200_000
	}
	s.smtp.On(smtptest.Rule{Step: c.step, Do: action})
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text) VALUES ('a@kunde.example', REPEAT(CONCAT(REPEAT('x', 63), '\n'), ?))`, lines)
	d := s.start(s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+s.secret("right")+"}"), ""), "one")
	got := ""
	if !until(20*time.Second, func() bool {
		got = s.db.Read(t, fateQuery)
		return got != "queued 0 0 - well" && !strings.HasPrefix(got, "sending")
	}) {
		t.Fatalf("the row is %s", got)
	}
	d.end()
	got = s.db.Read(t, fateQuery)
	if got != c.want {
		t.Errorf("the row is %q, want %q: %s", got, c.want, s.db.Read(t, `SELECT last_error FROM {db}.outbox`))
	}
	ill := strings.HasSuffix(got, "paused")
	if text := s.db.Read(t, `SELECT COALESCE(last_error, '') FROM {db}.outbox`); text == "" && (!ill || strings.Contains("mail rcpt data", string(c.step))) {
		t.Error("the row does not say why")
	}
	if n := s.smtp.Counts().Accepted; n > 0 && c.fault != "lost" {
		t.Errorf("%d messages were accepted", n)
	}
}
