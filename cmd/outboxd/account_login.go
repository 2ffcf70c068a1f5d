package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"outboxd/jobs"
)

type accountLoginCommand struct {
	Account string `arg:"" help:"The account's name."`
	Paste   bool   `help:"Paste the address at which the browser ends, also where a code could be entered."`
	Reason  string `help:"Why, for the audit." placeholder:"TEXT"`
}

// Run signs a person in to an account, in any browser, and tries the sign-in at the mail server.
func (c accountLoginCommand) Run(i *invocation) error {
	begun, err := ask(i, opAccountLogin, jobs.AccountLoginRequest{By: jobs.By{Reason: c.Reason}, Account: c.Account, Paste: c.Paste})
	if err != nil {
		return err
	}
	if err := i.printLogin(begun); err != nil {
		return err
	}
	done, err := i.finishLogin(begun)
	if err != nil {
		return err
	}
	return i.printSignedIn(begun, done)
}

// printLogin says what to do in the browser.
func (i *invocation) printLogin(l jobs.AccountLoginReply) error {
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "Open this page in a browser, on any computer:\n\n  %s\n\n", clean(l.URL))
	if l.Code != "" {
		fmt.Fprintf(w, "and enter this code there:\n\n  %s\n\n", clean(l.Code))
	}
	fmt.Fprintf(w, "Sign in as %s, whoever else the browser knows, and agree.\n", clean(l.Username))
	if l.Code != "" {
		fmt.Fprintf(w, "Waiting for that until %s.\n", l.Expires.Local().Format("15:04:05"))
	} else {
		fmt.Fprint(w, "At the end the browser shows a page that does not open. Copy its whole address, which begins with http://localhost, and paste it here:\n")
	}
	return w.err
}

// finishLogin waits until the person has signed in.
func (i *invocation) finishLogin(l jobs.AccountLoginReply) (jobs.AccountLoginFinishReply, error) {
	q := jobs.AccountLoginFinishRequest{Login: l.Login}
	if l.Code == "" {
		return i.pasteAddress(q)
	}
	for {
		reply, err := ask(i, opAccountLoginFinish, q)
		if err != nil || reply.Done {
			return reply, err
		}
	}
}

// maxPasted bounds what is read for one line.
const maxPasted = 64 << 10

// pasteAddress reads addresses until one is right, or there are no more.
func (i *invocation) pasteAddress(q jobs.AccountLoginFinishRequest) (reply jobs.AccountLoginFinishReply, err error) {
	lines := bufio.NewScanner(i.stdin)
	lines.Buffer(nil, maxPasted)
	for lines.Scan() {
		if q.Address = strings.TrimSpace(lines.Text()); q.Address == "" {
			continue
		}
		if reply, err = ask(i, opAccountLoginFinish, q); err == nil {
			return reply, nil
		}
		i.tell(err)
		fmt.Fprintln(i.stderr, "Paste another address, or end with Ctrl-C.")
	}
	if err := errors.Join(err, lines.Err()); err != nil {
		return reply, err
	}
	return reply, fmt.Errorf("no address was pasted: %w", io.ErrUnexpectedEOF)
}

// printSignedIn shows what the mail server says to the sign-in. A refusal is exit status 1: the account cannot send.
func (i *invocation) printSignedIn(l jobs.AccountLoginReply, done jobs.AccountLoginFinishReply) error {
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "Signed in to %s.\n", clean(l.Account))
	if done.Ends != nil {
		fmt.Fprintf(w, "The provider ends the sign-in on %s if it is not used before; outboxd renews it by itself.\n", done.Ends.Local().Format("2006-01-02"))
	}
	if w.err != nil || done.Test == nil {
		return w.err
	}
	if err := printTest(i, *done.Test); err != nil {
		return err
	}
	if !done.Test.OK {
		return exitError(exitFailed)
	}
	return nil
}
