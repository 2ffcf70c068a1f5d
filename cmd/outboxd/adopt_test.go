package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"outboxd/control"
)

// An older database is fenced for every command, with a daemon and without one, and adopted through the daemon.
func TestP8_FencedCompany(t *testing.T) {
	s := newSite(t)
	d := s.start()
	d.send("eva@kunde.example")
	d.arrived(1)
	d.log.await(t, `"event":"sent"`, 1)
	if code := d.end(syscall.SIGTERM); code != exitDone {
		t.Fatalf("exit status %d:\n%s", code, &d.log)
	}
	s.must(exitFailed, "adopt acme", "there is nothing to adopt", "What to do:")
	s.must(exitDone, "check --online", "ok    company acme")

	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'queued', sent_at = NULL`) // as it was before
	s.db.Exec(t, `UPDATE {db}.outbox_beat SET beat = 0`)
	d.send("jan@kunde.example")
	tells := func() {
		t.Helper()
		s.must(exitDone, "status", "acme     fenced", "Company acme is FENCED", "older than outboxd remembers", "outboxd adopt acme --send")
		s.must(exitDone, "status --json", `"fenced": {`)
		s.must(exitDone, "queue why acme/2", "The company sends nothing", "older than outboxd remembers", "outboxd adopt acme")
		s.must(exitFailed, "check --online", "fail  company acme", "older than outboxd remembers", "outboxd adopt acme")
	}
	tells()
	d = s.start()
	d.log.await(t, `"event":"fenced"`, 1)
	d.log.await(t, `"event":"alert"`, 1)
	tells()
	s.must(exitFailed, "adopt nemo", "there is no company")
	s.must(exitDone, "adopt acme --reason=restored", "The database of acme was fenced: it is older", "marked as sent       1", "held                 1", "outboxd adopt acme --send")
	d.log.await(t, `"event":"unfenced"`, 1)
	s.must(exitDone, "adopt acme --send --json", `"released": 1`, `"done": true`)
	d.arrived(2)
	s.must(exitDone, "queue why acme/1", "It was sent before the database was restored or copied")
	out := s.must(exitDone, "audit", "adopt", "acme", "restored", "--send")
	if !strings.Contains(out, control.Self()) {
		t.Errorf("%s lacks %s", out, control.Self())
	}
	if n := len(s.smtp.Messages()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

func TestStateFolder(t *testing.T) {
	for env, want := range map[string]string{"STATE_DIRECTORY=/s:/t OUTBOXD_RUNTIME=/r": "/s", "OUTBOXD_RUNTIME=/r": "/r", "": "/var/lib/outboxd"} {
		vars := map[string]string{}
		for _, one := range strings.Fields(env) {
			name, value, _ := strings.Cut(one, "=")
			vars[name] = value
		}
		i := &invocation{outside: outside{env: func(name string) string { return vars[name] }}}
		got, err := i.state()
		if err != nil || env != "" && got != want {
			t.Errorf("%s: %s, %v", env, got, err)
		}
	}
	if got := usualState("linux", os.Getenv); got != "/var/lib/outboxd" {
		t.Error(got)
	}
	if got := usualState("windows", func(string) string { return "P" }); got != filepath.Join("P", "outboxd", "state") {
		t.Error(got)
	}
}
