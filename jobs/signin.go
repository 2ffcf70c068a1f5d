package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/jobs/jobfile"
	"outboxd/mail/oauth"
)

// tokenWait is what this daemon knows of the tokens of an account that logs in by OAuth. Other daemons have sign-ins of their own, so
// it pauses nobody else, and the mail server was not even asked.
type tokenWait struct {
	until    time.Time // no token is asked for before
	gains    int       // of the sign-in, when that was noted: after another gain it is over
	failures int
}

// tokenLeft is how long the account waits for a token. The caller holds the lock.
func (a *account) tokenLeft() time.Duration {
	if a.signIn == nil || a.token.until.IsZero() || a.signIn.Gains() != a.token.gains {
		return 0
	}
	return time.Until(a.token.until)
}

// hasToken sees to it that there is a token to log in with, before anybody takes a turn or is connected to.
func (a *account) hasToken(ctx context.Context) error {
	if a.signIn == nil {
		return nil
	}
	gains := a.tokensGained()
	a.mu.Lock()
	ill := a.failures > 0
	a.mu.Unlock()
	var err error
	if ill { // a probe is one login, not two
		_, err = a.signIn.Young(ctx)
	} else {
		_, err = a.signIn.Token(ctx, "")
	}
	if err == nil {
		a.hasSignedIn()
		return nil
	}
	return a.noToken(err, gains)
}

// tokensGained counts the tokens of the account so far.
func (a *account) tokensGained() int {
	if a.signIn == nil {
		return 0
	}
	return a.signIn.Gains()
}

// hasSignedIn notes that there is a token.
func (a *account) hasSignedIn() {
	a.mu.Lock()
	a.token.until, a.token.failures = time.Time{}, 0
	a.mu.Unlock()
	a.alerts.End(signInKey(a.conf.Name), fmt.Sprintf("account %s is signed in again", a.conf.Name))
}

// noToken lets the account wait in this daemon, if that is what an error says, and returns errPaused then. gains is what the
// sign-in had gained before.
func (a *account) noToken(err error, gains int) error {
	why, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return err
	}
	o := why.TokenOutcome()
	a.mu.Lock()
	pause := time.Duration(float64(pauseFor(o, a.token.failures)) * a.times.pauses)
	a.token.until, a.token.gains = time.Now().Add(pause), gains
	a.token.failures++
	failures := a.token.failures
	a.stir()
	a.mu.Unlock()
	a.log.Warn(eventSignInFailed, zap.Duration("pause", pause), zap.String("class", string(o.Class)), zap.String("reason", why.Error()),
		zap.String("remedy", o.Remedy), zap.Int("failures", failures))
	a.reproach(o)
	if failures >= alertAfter(o) {
		a.alerts.Start(signInKey(a.conf.Name), fmt.Sprintf("account %s cannot sign in", a.conf.Name),
			fmt.Sprintf("The account %s (%s) has no token to log in with:\n\n%s. %s\n\nIts mail waits and no attempt is spent. outboxd tries again by itself, the next time in about %s, and at once after a sign-in.",
				a.conf.Name, a.smtp, why, o.Remedy, pause.Round(time.Second)))
	}
	return errPaused
}

func signInKey(account string) string     { return "sign-in " + account }
func signInEndsKey(account string) string { return "sign-in-end " + account }

// keepSignIns looks after the sign-ins of all accounts: every minute, and at once after a reload.
func (e *Engine) keepSignIns(ctx context.Context) {
	pulse := e.pulses.add("sign-ins")
	defer pulse.end()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-e.tend:
		case <-ctx.Done():
			return
		}
		pulse.beat()
		var all []*account
		e.mu.Lock()
		for _, a := range e.accounts {
			if a.signIn != nil {
				all = append(all, a)
			}
		}
		e.mu.Unlock()
		each(len(all), func(i int) { all[i].tendSignIn(ctx) })
	}
}

// tendSignIn keeps the account's sign-in alive, and tells a person what will end soon.
func (a *account) tendSignIn(ctx context.Context) {
	gains := a.signIn.Gains()
	if err := a.signIn.KeepAlive(ctx); err != nil && ctx.Err() == nil {
		_ = a.noToken(err, gains) // which notes it
	}
	a.warnOfSignIn(time.Now())
}

// warnOfSignIn tells a person of what will stop the account if nobody sees to it.
func (a *account) warnOfSignIn(now time.Time) {
	warnings := a.signIn.Warnings(a.conf.OAuth.SecretExpires, now)
	if len(warnings) == 0 {
		a.alerts.End(signInEndsKey(a.conf.Name), fmt.Sprintf("the sign-in of account %s is in order again", a.conf.Name))
		return
	}
	var texts []string
	for _, w := range warnings {
		texts = append(texts, w.Text+".\n"+w.Remedy)
	}
	a.alerts.Start(signInEndsKey(a.conf.Name), fmt.Sprintf("account %s: %s", a.conf.Name, warnings[0].Text),
		fmt.Sprintf("The account %s still sends, but somebody has to see to its sign-in:\n\n%s", a.conf.Name, strings.Join(texts, "\n\n")))
}

// signInFault says why an account that signs in by OAuth has no token to log in with on this computer; nil when it has one, or when
// this process may not know.
func (d *Desk) signInFault(a *jobfile.Account) *oauth.Error {
	if a.OAuth == nil {
		return nil
	}
	to, err := d.state.access(a)
	if err != nil { // the daemon may read the secret all the same
		return nil
	}
	if state := to.signIn.State(); !state.Good {
		return state.Fault
	}
	return nil
}

// judgeSignIn sets the state of an account without a token. What all computers have to wait for goes before.
func (d *Desk) judgeSignIn(s *AccountStatus, a *jobfile.Account) {
	fault := d.signInFault(a)
	if fault == nil || s.State == AccountHeld || s.State == AccountPaused || s.State == AccountLoginRefused {
		return
	}
	o := fault.TokenOutcome()
	s.State, s.Class, s.Reason = AccountLoginRefused, string(o.Class), explain(o)
	if fault.Passing() {
		s.State = AccountPaused
	}
}

// CheckSignIn renews the sign-in of an account once, to see whether that works, and lists what will end soon. The error is an
// *AskError with the remedy.
func CheckSignIn(ctx context.Context, state *State, conf *jobfile.Account, now time.Time) ([]oauth.Warning, error) {
	to, err := state.access(conf)
	if err != nil {
		return nil, &AskError{Text: err.Error(), Hint: secretHint, Err: err}
	}
	if to.signIn == nil {
		return nil, nil
	}
	err = signInError(to.signIn.Renew(ctx))
	return to.signIn.Warnings(conf.OAuth.SecretExpires, now), err
}
