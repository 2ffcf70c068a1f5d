package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
)

// stateOf is how the desk's first account does, as status has it.
func stateOf(t *testing.T, d *jobs.Desk) jobs.AccountStatus {
	t.Helper()
	got, err := d.Status(t.Context(), jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Accounts[0]
}

func soon(at *time.Time) bool { return at != nil && at.After(time.Now()) }

// TestAccountStates: each state shows with its cause, its remedy and its end, and the last error stays when it is over.
func TestAccountStates(t *testing.T) {
	s, d := deskSite(t)
	ctx, b, name := t.Context(), s.buckets(), s.bucketName()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	if a := stateOf(t, d); a.State != jobs.AccountOK || a.Reason != "" || a.LastSuccess != nil || a.LastErrorAt != nil {
		t.Errorf("%+v", a)
	}
	must(b.NoteSuccess(ctx, name))
	must(b.Pause(ctx, name, time.Hour, db.Trouble{Scope: "account", Class: "auth", Reason: "535 no. Mend it."}))
	if a := stateOf(t, d); a.State != jobs.AccountLoginRefused || a.Class != "auth" || a.Reason != "535 no. Mend it." || !soon(a.PausedUntil) || a.LastSuccess == nil {
		t.Errorf("%+v", a)
	}
	if got := why(t, d, 1); !strings.Contains(got, "The login to account main is refused (cause: auth): 535 no. Mend it. It is tried again at ") {
		t.Error(got)
	}
	must(b.Pause(ctx, name, 0, db.Trouble{Scope: "account", Class: "auth", Reason: "535 no. Mend it."}))
	if a := stateOf(t, d); a.State != jobs.AccountLoginRefused || a.PausedUntil != nil {
		t.Errorf("the pause is over and nothing has gone: %+v", a)
	}
	must(b.Pause(ctx, name, time.Hour, db.Trouble{Scope: "server", Class: "connection", Reason: "it is away"}))
	if a := stateOf(t, d); a.State != jobs.AccountPaused || a.Class != "connection" || !soon(a.PausedUntil) {
		t.Errorf("%+v", a)
	}
	must(b.Hold(ctx, name, 0, "eva", "moving"))
	if a := stateOf(t, d); a.State != jobs.AccountHeld || a.HeldBy != "eva" || a.Reason != "moving" || a.PausedUntil != nil || a.LastError != "it is away" {
		t.Errorf("a person's word goes first: %+v", a)
	}
	must(b.Unhold(ctx, name))
	must(b.Heal(ctx, name))
	if a := stateOf(t, d); a.State != jobs.AccountOK || a.Reason != "" || a.LastError != "it is away" || a.ErrorClass != "connection" || a.LastErrorAt == nil {
		t.Errorf("it is over: %+v", a)
	}
}

// The same of an account that sends, but not as much as it might: its server throttles, or a window is full.
func TestStatesOfAnAccountThatSendsLess(t *testing.T) {
	s, d := deskSite(t)
	ctx, b := t.Context(), s.buckets()
	bucket := db.Bucket{Name: s.bucketName(), Windows: []db.Window{{N: 300, Per: time.Hour}, {N: 500, Per: 24 * time.Hour}}}

	if _, err := b.Slow(ctx, bucket, 0); err != nil {
		t.Fatal(err)
	}
	if a := stateOf(t, d); a.State != jobs.AccountSlowed || a.Pace == 0 || a.Pace >= 300 || !strings.Contains(a.Reason, "its server throttles: at most ") {
		t.Errorf("%+v", a)
	}
	if got := why(t, d, 1); !strings.Contains(got, "The account main is slowed: its server throttles") {
		t.Error(got)
	}
	if _, err := b.Count(ctx, []db.Bucket{bucket}, 1, 0); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_usage SET mails = 500 WHERE name = ?`, bucket.Name)
	if a := stateOf(t, d); a.State != jobs.AccountFull || !soon(a.PausedUntil) || a.Class != "" || a.Pace == 0 {
		t.Errorf("%+v", a)
	}
}
