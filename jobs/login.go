package jobs

import (
	"context"
	"errors"
	"time"

	"outboxd/mail/oauth"
	"outboxd/mail/smtpout"
)

// errPaused says that the account may not be used at the moment, as another daemon or a person has found.
var errPaused = errors.New("the account is paused")

// loginTurn is for how long a daemon keeps the others from logging in while it tries.
const loginTurn = time.Minute

// ready sees to it that the sender has a session. A *smtpout.Error has paused the account already.
func (a *account) ready(ctx context.Context, s *sender) error {
	if s.session != nil && s.session.Usable() && time.Since(s.since) < idleSession && s.mails < mailsSession {
		return nil
	}
	a.drop(s)
	if !a.logsIn() {
		return a.connect(ctx, s)
	}
	select {
	case a.logins <- struct{}{}: // by the time that it is one's turn the password may be known to be wrong
		defer func() { <-a.logins }()
		return a.connect(ctx, s)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logsIn tells whether the account's server can lock it.
func (a *account) logsIn() bool { return a.smtp.Username != "" && a.smtp.Auth != smtpout.AuthNone }

// connect makes the sender's session, unless the account may not be used.
func (a *account) connect(ctx context.Context, s *sender) error {
	if err := a.hasToken(ctx); err != nil {
		return err
	}
	turn, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	if turn {
		defer a.endTurn(ctx)
	}
	health, err := a.ask(ctx)
	if err != nil && a.limited() {
		return err // an unlimited account that is known has nothing to ask but for its pause
	}
	if left, _ := a.wait(); left > 0 {
		return errPaused
	}
	a.mu.Lock()
	a.mended = false
	a.mu.Unlock()
	if err := a.dial(ctx, s); err != nil || health.Left <= 0 {
		return err
	}
	// Its settings were mended, so the trouble of before is over.
	a.heal(ctx)
	return nil
}

// takeTurn takes the turn to log in where the account is not known to be well: of all daemons one at a time.
func (a *account) takeTurn(ctx context.Context) (bool, error) {
	a.mu.Lock()
	well := a.proven && a.failures == 0
	a.mu.Unlock()
	if well || !a.logsIn() {
		return false, nil
	}
	wait, err := a.buckets.LoginTurn(ctx, a.bucket.Name, loginTurn)
	if err = a.noteBucket(err); err != nil {
		if a.limited() {
			return false, err
		}
		return false, nil
	}
	if wait <= 0 {
		return true, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.yields = time.Now().Add(min(wait, healthEvery))
	return false, errPaused
}

// endTurn lets other daemons log in.
func (a *account) endTurn(ctx context.Context) {
	a.reportBucket(a.buckets.EndLoginTurn(context.WithoutCancel(ctx), a.bucket.Name))
}

// dial connects and logs in. Trouble pauses the account.
func (a *account) dial(ctx context.Context, s *sender) error {
	if err := a.dials.Wait(ctx); err != nil {
		return err
	}
	gains := a.tokensGained()
	session, err := smtpout.Dial(ctx, a.smtp)
	if err != nil {
		var refused *smtpout.Error
		var token *oauth.Error
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &token): // the server refused the one in hand, and there is no other
			return a.noToken(token, gains)
		case errors.As(err, &refused):
			a.trouble(ctx, refused.Outcome)
		}
		return err
	}
	s.session, s.mails, s.since = session, 0, time.Now()
	a.mu.Lock()
	a.proven = true
	a.mu.Unlock()
	return nil
}
