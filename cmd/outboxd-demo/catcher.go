package main

import (
	"context"
	"fmt"

	"outboxd/mail/smtptest"
)

// smtpPassword is what the accounts of the generated jobs.yaml log in with.
const smtpPassword = "demo"

// startCatcher starts a mail server that keeps what it gets and passes nothing on. It asks for TLS and a login, as a
// provider does. Each mail that it took goes to mails, until ctx ends.
func startCatcher(ctx context.Context, mails chan<- smtptest.Message) (*smtptest.Server, error) {
	s, err := smtptest.NewServer("127.0.0.1:0",
		smtptest.Users(map[string]string{"system": smtpPassword, "bakery": smtpPassword}),
		smtptest.RequireTLS(), smtptest.RequireAuth(),
		smtptest.OnMessage(func(m smtptest.Message) {
			select {
			case mails <- m:
			case <-ctx.Done():
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("start the mail server: %w", err)
	}
	s.On(smtptest.Rule{Step: smtptest.StepRcpt, To: refusedForGood,
		Do: smtptest.Reply("550 5.1.1 No such user here")})
	s.On(smtptest.Rule{Step: smtptest.StepRcpt, To: refusedForNow, Times: 1,
		Do: smtptest.Reply("450 4.7.1 Greylisted, please try again in a minute")})
	return s, nil
}
