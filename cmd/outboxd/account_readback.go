package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/readback"
)

// imapPassword is the variable with the mailbox's password where no file is named.
const imapPassword = "OUTBOXD_IMAP_PASSWORD"

// The bounds of --wait.
const (
	leastWait = time.Second
	mostWait  = time.Hour
)

// mailbox reads what --read-back names, with its password; nil without it.
func (c accountTestCommand) mailbox(i *invocation) (*readback.Config, error) {
	if c.ReadBack == "" {
		if c.PasswordFile != "" {
			return nil, &usageError{"--password-file without --read-back", "name the mailbox: --read-back imaps://USER@HOST/INBOX"}
		}
		return nil, nil
	}
	switch {
	case c.To == "":
		return nil, &usageError{"--read-back without --to: no mail is sent that could arrive", "add --to with the address of that mailbox"}
	case c.Wait < leastWait || c.Wait > mostWait:
		return nil, &usageError{fmt.Sprintf("--wait %s", c.Wait), fmt.Sprintf("%s to %s", leastWait, mostWait)}
	}
	conf, err := parseMailbox(c.ReadBack)
	if err != nil {
		return nil, err
	}
	if c.PasswordFile != "" {
		if conf.Password, err = (jobfile.Secret{File: c.PasswordFile}).Read(); err != nil {
			return nil, &usageError{err.Error(), "a file that holds the password and nothing else, with no access for others (chmod o= FILE)"}
		}
	} else if conf.Password = i.env(imapPassword); conf.Password == "" {
		return nil, &usageError{"no password for the mailbox", "--password-file FILE, or the variable " + imapPassword}
	}
	return conf, nil
}

// parseMailbox reads imaps://USER@HOST[:PORT]/FOLDER. imap:// is for a server on this computer. The error is a
// *usageError.
func parseMailbox(text string) (*readback.Config, error) {
	wrong := func(what string) error {
		return &usageError{"--read-back: " + what, "as in imaps://eva@imap.acme.example/INBOX; the user may hold an @"}
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, wrong("no URL") // the error would repeat a password that stands in it
	}
	c := &readback.Config{Host: u.Hostname(), Username: u.User.Username(), Folder: strings.Trim(u.Path, "/"), Clear: u.Scheme == "imap"}
	_, hasPassword := u.User.Password()
	switch {
	case hasPassword:
		return nil, wrong("it holds a password, which others on this computer can see; give it in a file (--password-file)")
	case u.Scheme != "imaps" && u.Scheme != "imap":
		return nil, wrong("it has to begin with imaps://")
	case c.Host == "" || c.Username == "":
		return nil, wrong("a user and a host have to be named")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, wrong("nothing can follow the folder")
	case c.Clear && !isLocal(c.Host):
		return nil, wrong("imap:// is for a server on this computer alone; use imaps://")
	}
	c.Port = map[bool]int{false: 993, true: 143}[c.Clear]
	if port := u.Port(); port != "" {
		if c.Port, err = strconv.Atoi(port); err != nil || c.Port < 1 || c.Port > 65535 {
			return nil, wrong("the port is none")
		}
	}
	return c, nil
}

// readBack looks for the mails that were sent and adds what it finds to the steps.
func (c accountTestCommand) readBack(ctx context.Context, conf readback.Config, r *jobs.AccountTestReply) {
	if len(r.Mails) == 0 {
		r.Add(jobs.TestStep{Step: "arrived", Result: jobs.StepNotTried})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	m, err := readback.Open(ctx, conf)
	if err != nil {
		r.Add(unread("imap", "", err))
		return
	}
	defer m.Close()
	for _, one := range r.Mails {
		a, err := m.Await(ctx, one.MessageID)
		switch {
		case errors.Is(err, readback.ErrNotArrived):
			r.Add(jobs.TestStep{Step: "arrived", As: one.As, Result: jobs.StepFailed, Text: fmt.Sprintf("not within %s", c.Wait), Remedy: remedyNotArrived})
		case err != nil:
			r.Add(unread("arrived", one.As, err))
		default:
			addArrived(r, one, a)
		}
	}
}

// unread is a step that the mailbox's server did not let come to anything.
func unread(step, as string, err error) jobs.TestStep {
	s := jobs.TestStep{Step: step, As: as, Result: jobs.StepFailed, Text: err.Error()}
	if refused, ok := errors.AsType[*readback.Error](err); ok {
		s.At, s.Cause, s.Remedy = refused.Outcome.Step.String(), string(refused.Outcome.Class), refused.Outcome.Remedy
	}
	return s
}

const (
	remedyNotArrived = "The server took the mail, and it is not in the mailbox. Check that --to leads to that mailbox; give it more time (--wait 15m); look into the receiving side's quarantine, and for a bounce in the mailbox of the sender. Amazon SES gives mails a Message-ID of its own: there, look yourself."
	remedyJunk       = "The receiving side put the mail with the unwanted ones. Make SPF, DKIM and DMARC pass first (outboxd check --online); a new domain needs some weeks of little and wanted mail."
	remedyOtherFrom  = "The provider puts another address in place of the From address. Make it an alias of the mailbox there (Gmail: Settings > Accounts > Send mail as), or send under the mailbox's own address."
	remedySPF        = "The server that handed the mail over is not in the SPF record of the envelope sender's domain. Add the include that the provider names; outboxd check --online shows the record."
	remedyDKIM       = "The mail has no valid DKIM signature. Switch signing on at the provider and publish its key, or sign with dkim in jobs.yaml; outboxd check --online shows the record."
	remedyDMARC      = "Neither SPF nor DKIM passed for the domain of the From address itself. Sign with a DKIM key of that domain; outboxd check --online shows what is missing."
	remedyLookup     = "The receiving server could not look it up at that moment. Test again later."
)

// addArrived adds what the recipient's server says of a mail. Only its topmost Authentication-Results is believed, and whose
// that is has to be said: a person knows whether it is the recipient's server.
func addArrived(r *jobs.AccountTestReply, one jobs.TestMail, a readback.Arrived) {
	s := jobs.TestStep{Step: "arrived", As: one.As, Result: jobs.StepOK, Text: fmt.Sprintf("in %s at %s", a.Folder, clock(a.At))}
	if a.Junk {
		s.Result, s.Text, s.Cause, s.Remedy = jobs.StepFailed, s.Text+", with the unwanted mail", string(mail.ClassBlockedReputation), remedyJunk
	}
	if a.Told {
		by := "a server that gives no name"
		if a.By != "" {
			by = a.By
		}
		s.Text += fmt.Sprintf("; the topmost Authentication-Results, the only one believed, is by %s", by)
	} else {
		s.Text += "; the receiving server wrote no Authentication-Results"
	}
	r.Add(s)
	if a.From != "" && !strings.EqualFold(a.From, one.As) {
		r.Add(jobs.TestStep{Step: "from", As: one.As, Result: jobs.StepFailed, Text: "the recipient sees " + a.From, Cause: string(mail.ClassSendAsDenied), Remedy: remedyOtherFrom})
	}
	r.Add(verdictStep("spf", one.As, a.SPF, remedySPF))
	r.Add(verdictStep("dkim", one.As, a.DKIM, remedyDKIM))
	r.Add(verdictStep("dmarc", one.As, a.DMARC, remedyDMARC))
}

// verdictStep tells how the recipient's server judged a mail.
func verdictStep(step, as string, v readback.Verdict, remedy string) jobs.TestStep {
	s := jobs.TestStep{Step: step, As: as, Result: jobs.StepFailed, Text: v.String(), Cause: string(mail.ClassPolicy), Remedy: remedy}
	switch v.Result {
	case "":
		return jobs.TestStep{Step: step, As: as, Result: jobs.StepNotTried, Text: v.String()}
	case "pass":
		return jobs.TestStep{Step: step, As: as, Result: jobs.StepOK, Text: v.String()}
	case "temperror":
		s.Cause, s.Remedy = string(mail.ClassTemporary), remedyLookup
	}
	return s
}
