package jobs

import (
	"context"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// The states of an account, in the order in which the first one that holds is shown.
const (
	AccountUnusable     = "unusable"      // its secret or its certificates could not be read at the start
	AccountInactive     = "inactive"      // active: false
	AccountUnknown      = "unknown"       // its database cannot be asked, so nothing is sent by it
	AccountHeld         = "held"          // a person has paused it, until PausedUntil or until it is resumed
	AccountLoginRefused = "login refused" // tried again at PausedUntil; also when that is over and nothing has gone yet
	AccountPaused       = "paused"        // in other trouble: tried again at PausedUntil
	AccountFull         = "out of budget" // a window of an hour or a day is full until PausedUntil
	AccountSlowed       = "slowed"        // its server throttles: it sends, but no faster than Pace
	AccountOK           = "ok"
)

// AccountStatus is how an account does, over all daemons and companies.
type AccountStatus struct {
	Account     string     `json:"account"`
	State       string     `json:"state"`
	PausedUntil *time.Time `json:"paused_until,omitempty"` // when the state ends, or something is tried
	Class       string     `json:"class,omitempty"`        // of what is wrong, in one word, as in logs
	Reason      string     `json:"reason,omitempty"`       // what is wrong, with the remedy
	HeldBy      string     `json:"held_by,omitempty"`      // who has paused it by hand
	Failures    int        `json:"failures,omitempty"`     // troubles in a row
	Pace        int        `json:"slowed_to,omitempty"`    // mails an hour that it may send while its server throttles
	Warm        int        `json:"warmup_at,omitempty"`    // mails an hour that its warm-up allows now
	LastSuccess *time.Time `json:"last_success,omitempty"` // when its server last accepted a mail, to the minute
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
	LastError   string     `json:"last_error,omitempty"` // its last trouble, with the remedy, also when that is over
	ErrorClass  string     `json:"last_error_class,omitempty"`
	UsedHour    int        `json:"used_last_hour"` // mails
	UsedDay     int        `json:"used_last_day"`  // mails; 0 for an account without limits, which is not counted
	LimitHour   int        `json:"limit_hour"`     // mails; 0 means unlimited
	Limits      []string   `json:"limits"`         // as in jobs.yaml, the rate first
	NextAt      *time.Time `json:"next_at,omitempty"`
}

// accountStatus asks how an account does.
func (d *Desk) accountStatus(ctx context.Context, a *jobfile.Account) AccountStatus {
	s := AccountStatus{Account: a.Name, State: AccountOK, LimitHour: a.Rate.N, Limits: limitTexts(a)}
	buckets, bucket := d.world.bucketsOf(a), accountBucket(a)
	health, err := buckets.Health(ctx, bucket)
	var usage db.Usage
	if err == nil && (len(bucket.Windows) > 0 || health.Pace.PerHour > 0) {
		usage, err = buckets.Usage(ctx, bucket)
		s.UsedHour, s.UsedDay = usage.HourMails, usage.DayMails
	}
	s.remember(health)
	broken := d.world.unusable[a.Name]
	switch {
	case broken != nil:
		s.State, s.Reason = AccountUnusable, broken.Error()+"; mend it, then reload"
	case !a.Active:
		s.State, s.Reason = AccountInactive, fmt.Sprintf("active: false in %s", d.world.File.Path)
	case err != nil:
		s.State, s.Reason = AccountUnknown, fmt.Sprintf("%v; %s", err, DatabaseHint(err))
	default:
		d.judge(&s, health, usage)
		d.judgeSignIn(&s, a)
	}
	return s
}

// remember takes over what was noted, whatever the state is.
func (s *AccountStatus) remember(h db.Health) {
	s.Pace, s.Warm, s.LastError, s.ErrorClass = h.Pace.PerHour, h.Warm, h.Error, h.ErrorClass
	if !h.LastSuccess.IsZero() {
		s.LastSuccess = &h.LastSuccess
	}
	if !h.LastError.IsZero() {
		s.LastErrorAt = &h.LastError
	}
}

// judge sets the state of an account that could be asked, and when a mail goes next.
func (d *Desk) judge(s *AccountStatus, h db.Health, usage db.Usage) {
	wait := time.Duration(0)
	s.Class, s.Reason, s.Failures = h.Class, h.Reason, h.Failures // also when the pause is over and no mail has gone yet
	switch {
	case h.Held:
		s.State, s.Class, s.Reason, s.HeldBy, wait = AccountHeld, "", h.HeldReason, h.HeldBy, h.HeldLeft
	case h.Class == string(mail.ClassAuth) && h.Failures > 0:
		s.State, wait = AccountLoginRefused, h.Left
	case h.Left > 0:
		s.State, wait = AccountPaused, h.Left
	case usage.Until > fullAfter:
		s.State, s.Reason, wait = AccountFull, "its limits are used up: the mails wait, and none fails for it", usage.Until
	case h.Pace.PerHour > 0:
		s.State, s.Reason = AccountSlowed, slowedText(h.Pace)
	}
	if wait > 0 {
		s.PausedUntil = d.in(wait)
	}
	if next := max(wait, usage.Next); next > 0 && (!h.Held || wait > 0) {
		s.NextAt = d.in(next)
	}
}

// slowedText says that a server throttles.
func slowedText(p db.Pace) string {
	return fmt.Sprintf("its server throttles: at most %d mails an hour%s go for now, more with time", p.PerHour, fullText(p))
}
