package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outboxd/jobs/jobfile"
)

// AccountPauseRequest names an account that is to send nothing, for so long or, with 0, until it is resumed.
type AccountPauseRequest struct {
	By
	Account string        `json:"account"`
	For     time.Duration `json:"for,omitempty"`
}

// AccountResumeRequest names an account that was paused by hand.
type AccountResumeRequest struct {
	By
	Account string `json:"account"`
}

// AccountChangeReply tells how the account does since. Accounts are entries with the same host and user: to the provider they
// are one, so they were changed together.
type AccountChangeReply struct {
	AccountStatus
	Accounts []string `json:"accounts"`
}

// mostHold is how long an account may be paused ahead: longer is a slip of the pen.
const mostHold = 366 * 24 * time.Hour

// AccountPause keeps every daemon from beginning mails by an account, within two seconds and also after restarts. Mails in
// flight end, and no row loses a try.
func (d *Desk) AccountPause(ctx context.Context, q AccountPauseRequest) (AccountChangeReply, error) {
	if q.For < 0 || q.For > mostHold {
		return AccountChangeReply{}, &AskError{Text: fmt.Sprintf("%s is no length of a pause", q.For), Hint: "up to a year, as in --for 2h; none pauses until outboxd account resume", Usage: true}
	}
	detail := "until it is resumed"
	if q.For > 0 {
		detail = "for " + q.For.String()
	}
	return d.changeAccount(ctx, q.By, "account pause", q.Account, detail, func(ctx context.Context, a *jobfile.Account) error {
		return d.world.bucketsOf(a).Hold(ctx, bucketName(a), q.For, q.actor(), q.Reason)
	})
}

// AccountResume lets an account send again that was paused by hand, and has one in trouble tried at once: a person who says so has
// mended it, or wants to know.
func (d *Desk) AccountResume(ctx context.Context, q AccountResumeRequest) (AccountChangeReply, error) {
	return d.changeAccount(ctx, q.By, "account resume", q.Account, "", func(ctx context.Context, a *jobfile.Account) error {
		buckets := d.world.bucketsOf(a)
		return errors.Join(buckets.Unhold(ctx, bucketName(a)), buckets.Heal(ctx, bucketName(a)))
	})
}

// changeAccount audits a change, makes it, and tells how the account does since.
func (d *Desk) changeAccount(ctx context.Context, by By, action, name, detail string, do func(context.Context, *jobfile.Account) error) (AccountChangeReply, error) {
	a, err := d.account(name)
	if err != nil {
		return AccountChangeReply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := d.audit(ctx, by, action, "account "+a.Name, detail); err != nil {
		return AccountChangeReply{}, err
	}
	if err := do(ctx, a); err != nil {
		return AccountChangeReply{}, &AskError{Text: fmt.Sprintf("account %s: %v", a.Name, err), Hint: DatabaseHint(err), Err: err}
	}
	reply := AccountChangeReply{AccountStatus: d.accountStatus(ctx, a)}
	for _, entry := range d.world.File.Accounts {
		if entry.Identity() == a.Identity() {
			reply.Accounts = append(reply.Accounts, entry.Name)
		}
	}
	return reply, nil
}
