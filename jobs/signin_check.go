package jobs

import (
	"context"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/mail/oauth"
)

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
