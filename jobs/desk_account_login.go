package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outboxd/mail/oauth"
)

// AccountLoginRequest begins a sign-in by OAuth.
type AccountLoginRequest struct {
	By
	Account string `json:"account"`
	Paste   bool   `json:"paste,omitempty"` // by an address that is pasted back, also where device codes would do
}

// AccountLoginReply tells a person how to sign in. Nothing in it is a secret: tokens never leave the daemon.
type AccountLoginReply struct {
	Login    string    `json:"login"` // what AccountLoginFinish is asked with
	Account  string    `json:"account"`
	Username string    `json:"username"` // as whom to sign in
	URL      string    `json:"url"`
	Code     string    `json:"code,omitempty"` // to be entered there; "": the address at which the browser ends is to be pasted back
	Expires  time.Time `json:"expires"`
}

// AccountLogin begins to sign in to an account.
func (d *Desk) AccountLogin(ctx context.Context, q AccountLoginRequest) (AccountLoginReply, error) {
	a, err := d.account(q.Account)
	if err != nil {
		return AccountLoginReply{}, err
	}
	if a.OAuth == nil {
		return AccountLoginReply{}, &AskError{Text: fmt.Sprintf("the account %s does not sign in by OAuth", a.Name), Usage: true,
			Hint: "give it the key oauth in place of password (docs/accounts.md), then: systemctl reload outboxd"}
	}
	to, err := d.state.access(a)
	if err != nil {
		return AccountLoginReply{}, &AskError{Text: err.Error(), Hint: secretHint, Err: err}
	}
	if err := d.audit(ctx, q.By, "account login", "account "+a.Name, "as "+a.Username); err != nil {
		return AccountLoginReply{}, err
	}
	login, err := to.signIn.Begin(ctx, q.Paste)
	if err != nil {
		return AccountLoginReply{}, signInError(err)
	}
	return AccountLoginReply{login.ID, a.Name, a.Username, login.URL, login.Code, login.Expires.UTC()}, nil
}

// AccountLoginFinishRequest asks how a sign-in goes on, or ends it with the address at which the browser is.
type AccountLoginFinishRequest struct {
	Login   string `json:"login"`
	Address string `json:"address,omitempty"`
}

// AccountLoginFinishReply tells whether a sign-in has come to its end. One that failed is an error.
type AccountLoginFinishReply struct {
	Done bool              `json:"done"`           // false: nobody has entered the code yet; ask again
	Ends *time.Time        `json:"ends,omitempty"` // when the sign-in ends if it is not used before; nil: the provider does not say
	Test *AccountTestReply `json:"test,omitempty"` // what the mail server says to it, once it is done
}

// finishTime is how long one question waits for a person.
const finishTime = 20 * time.Second

// AccountLoginFinish waits for a while for the person who signs in. Whether somebody asks or not, the daemon goes on until the
// sign-in expires.
func (d *Desk) AccountLoginFinish(ctx context.Context, q AccountLoginFinishRequest) (AccountLoginFinishReply, error) {
	login := d.state.signIns.Login(q.Login)
	if login == nil {
		return AccountLoginFinishReply{}, &AskError{Text: "there is no such sign-in any more",
			Hint: "another one of the account was begun, or the daemon was restarted: begin again with outboxd account login NAME"}
	}
	done, err := true, error(nil)
	if login.Code == "" {
		err = login.Redeem(ctx, q.Address)
	} else {
		waiting, cancel := context.WithTimeout(ctx, finishTime)
		defer cancel()
		done, err = login.Wait(waiting)
	}
	if err != nil || !done {
		return AccountLoginFinishReply{}, signInError(err)
	}
	return d.signedIn(ctx, login.Account())
}

// signedIn tries the new sign-in at the mail server. If it is good, the account's pause is over.
func (d *Desk) signedIn(ctx context.Context, account string) (AccountLoginFinishReply, error) {
	reply := AccountLoginFinishReply{Done: true}
	a, err := d.account(account)
	if err != nil { // it was removed meanwhile
		return reply, err
	}
	t := newAccountTest(d, d.state, a)
	if t.connect(ctx) {
		t.close()
		t.heal(ctx)
	}
	reply.Test = &t.reply
	if to, err := d.state.access(a); err == nil && to.signIn != nil {
		if ends := to.signIn.State().Ends; !ends.IsZero() {
			ends = ends.UTC()
			reply.Ends = &ends
		}
	}
	return reply, nil
}

// signInError is an error of a sign-in for whoever asked.
func signInError(err error) error {
	var why *oauth.Error
	if errors.As(err, &why) {
		return &AskError{Text: why.Error(), Hint: why.ErrorHint(), Err: err}
	}
	return err
}
