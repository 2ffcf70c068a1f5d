package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"outboxd/mail"
)

// Error is why there is no token, or why a person could not be signed in. It has no secret in it.
type Error struct {
	outcome mail.Outcome
	err     error // what happened below; nil when the server's answer says it all
}

// Error tells what happened; what to do about it stands apart.
func (e *Error) Error() string { return e.outcome.Reply.Text }

// Unwrap returns what happened below.
func (e *Error) Unwrap() error { return e.err }

// ErrorHint tells what to do.
func (e *Error) ErrorHint() string { return e.outcome.Remedy }

// TokenOutcome is what it means for a login.
func (e *Error) TokenOutcome() mail.Outcome { return e.outcome }

// Passing tells that it may be over the next time, with nobody's help.
func (e *Error) Passing() bool { return e.outcome.Verdict == mail.Temporary }

// refused is an error that only a person can mend.
func refused(class mail.Class, text, remedy string, err error) *Error {
	return &Error{mail.Outcome{Verdict: mail.Permanent, Scope: mail.ScopeAccount, Retry: mail.RetryStop, Class: class,
		Step: mail.StepAuth, Reply: mail.Reply{Text: text}, Remedy: remedy}, err}
}

// passing is trouble of the server or of the way to it.
func passing(text, remedy string, err error) *Error {
	return &Error{mail.Outcome{Verdict: mail.Temporary, Scope: mail.ScopeServer, Retry: mail.RetryBackoff, Class: mail.ClassConnection,
		Step: mail.StepAuth, Reply: mail.Reply{Text: text}, Remedy: remedy}, err}
}

// The answers that need a person: the sign-in is over, or the application is set up wrongly. RFC 6749 5.2, RFC 8628 3.5, RFC
// 8707 2, OpenID Connect Core 3.1.2.6, and authorization_declined, which is Microsoft's word for access_denied.
var (
	overAnswers   = []string{"invalid_grant", "interaction_required", "login_required", "consent_required", "account_selection_required"}
	deniedAnswers = []string{"access_denied", "authorization_declined"}
	wrongAnswers  = []string{"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request", "invalid_resource",
		"invalid_target", "bad_verification_code", "unsupported_response_type"}
)

// explain says what a failed question to a server means. secrets are taken out of the server's words.
func (c Config) explain(err error, secrets ...string) *Error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return c.unreachable(err, secrets)
	}
	secrets = append(secrets, c.ClientSecret)
	if answer.ErrorCode == "" { // its body may be anything
		return passing(fmt.Sprintf("the sign-in server %s answers %s", hostOf(c.Token), clean(answer.Response.Status, secrets)), remedyServer, nil)
	}
	text := fmt.Sprintf("the sign-in server %s answers %s", hostOf(c.Token), clean(answer.ErrorCode, secrets))
	if answer.ErrorDescription != "" {
		text += ": " + clean(answer.ErrorDescription, secrets)
	}
	special := microsoftRemedy(answer.ErrorDescription)
	remedy := func(usual string) string {
		if special != "" {
			usual = special
		}
		return c.named(usual)
	}
	switch code := answer.ErrorCode; {
	case slices.Contains(overAnswers, code):
		return refused(mail.ClassAuth, text, remedy(remedyOver), nil)
	case slices.Contains(deniedAnswers, code):
		return refused(mail.ClassAuth, text, remedy(remedyDenied), nil)
	case code == "expired_token":
		return refused(mail.ClassAuth, text, remedy(remedyLate), nil)
	case slices.Contains(wrongAnswers, code):
		return refused(mail.ClassConfig, text, remedy(remedyApplication), nil)
	}
	return passing(text, remedyServer, nil)
}

// unreachable is a server that could not be asked, or whose answer is none.
func (c Config) unreachable(err error, secrets []string) *Error {
	var way *url.Error
	text := err.Error()
	if errors.As(err, &way) {
		text = way.Err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("no answer within %s", answerTime)
	}
	return passing(fmt.Sprintf("the sign-in server %s: %s", hostOf(c.Token), clean(text, append(secrets, c.ClientSecret))), remedyWay, err)
}

// noGrant says why there is no sign-in to renew. stranger tells that there is one for another configuration.
func (c Config) noGrant(stranger bool, err error) *Error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return passing("another outboxd is renewing the sign-in and does not end", remedyServer, err)
	case err != nil:
		return refused(mail.ClassConfig, err.Error(), c.named(remedyUnreadable), err)
	case stranger:
		return refused(mail.ClassAuth, "the sign-in was made with other settings of the account", c.named(remedyOther), nil)
	}
	return refused(mail.ClassAuth, "nobody has signed in to this account on this computer yet", c.named(remedyNone), nil)
}

// named puts the account's name into a remedy.
func (c Config) named(remedy string) string { return strings.ReplaceAll(remedy, "NAME", c.Account) }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}

// clean makes a server's words safe to show: without secrets, in one line of plain characters, of bounded length.
func clean(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 { // a shorter one is no secret and would only tear up the words
			text = strings.ReplaceAll(strings.ReplaceAll(text, secret, "***"), url.QueryEscape(secret), "***")
		}
	}
	return mail.Reply{Text: text}.String()
}
