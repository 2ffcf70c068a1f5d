package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"outboxd/control"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

// running is a daemon in this process.
type running struct {
	*site
	signals chan os.Signal
	log     output
	ended   chan int
}

// start runs the daemon and waits until its socket answers.
func (s *site) start() *running {
	s.t.Helper()
	r := &running{site: s, signals: make(chan os.Signal), ended: make(chan int, 1)}
	o := s.outside(&output{}, &r.log)
	o.signals = r.signals
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- run(ctx, []string{"--config", s.config, "run"}, o) }()
	s.t.Cleanup(func() {
		cancel()
		select {
		case code := <-r.ended: // not ended by the test
			if code != exitDone {
				s.t.Errorf("exit status %d:\n%s", code, &r.log)
			}
		default:
			if code, open := <-r.ended; open && code != exitDone {
				s.t.Errorf("exit status %d:\n%s", code, &r.log)
			}
		}
	})
	r.log.await(s.t, `"event":"started"`, 1)
	return r
}

// end sends signals and returns the exit status.
func (r *running) end(signals ...os.Signal) int {
	r.t.Helper()
	for _, s := range signals {
		r.signals <- s
	}
	code := <-r.ended
	close(r.ended)
	return code
}

func (r *running) send(recipient string) {
	r.t.Helper()
	r.db.Exec(r.t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES (?, 'x', 'x')`, recipient)
}

func (r *running) arrived(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := r.smtp.WaitMessages(ctx, n); err != nil {
		r.t.Fatalf("%v\n%s", err, &r.log)
	}
}

func TestRun(t *testing.T) {
	s := newSite(t)
	d := s.start()
	d.send("eva@kunde.example")
	d.arrived(1)
	d.log.await(t, `"event":"sent"`, 1)
	s.must(exitDone, "status", "outboxd on ", "running since")
	s.must(exitDone, "queue list --state sent", "acme/1")
	s.must(exitDone, "queue show 1", "accepted")
	s.must(exitFailed, "queue show 99", "there is no row acme/99", "What to do: it may have been deleted")
	s.must(exitWrong, "queue list --state lost", "there is no state")
	s.must(exitDone, "account test bulk", "connect")
	s.must(exitFailed, "queue hold 1", "acme/1 is sent")
	out := s.must(exitDone, "audit", "queue hold")
	if !strings.Contains(out, control.Self()) {
		t.Errorf("%s lacks %s", out, control.Self())
	}
	s.must(exitFailed, "run", "another outboxd is running", "OUTBOXD_RUNTIME")
	if code := d.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit status %d:\n%s", code, &d.log)
	}
	s.must(exitDone, "status", "No daemon is running")
}

func TestDaemonOfAnotherVersion(t *testing.T) {
	s := &site{t: t}
	s.place()
	l, err := control.Listen(s.runtime)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer("0.9", func(err error) { t.Log(err) })
	control.Handle(server, opAudit.name, func(context.Context, jobs.AuditRequest) (jobs.AuditReply, error) { return jobs.AuditReply{}, nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, l, time.Second) }()
	s.must(exitDone, "audit", "No entries.", "The daemon is of version 0.9", "restart the daemon")
	s.must(exitFailed, "status", "knows no /v1/status", "restart the daemon: it is older")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWatchOutlivesTheDaemon(t *testing.T) {
	s := newSite(t)
	d := s.start()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs output
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"--config", s.config, "status", "--watch", "--every", "100ms"}, s.outside(&out, &errs))
	}()
	out.await(t, "outboxd on ", 1)
	if err := os.Rename(s.config, s.config+".away"); err != nil {
		t.Fatal(err)
	}
	if code := d.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit status %d", code)
	}
	errs.await(t, "no outboxd is running", 2)
	cancel()
	if code := <-ended; code != exitDone {
		t.Errorf("exit status %d: %s", code, &errs)
	}
}

func TestRunReloads(t *testing.T) {
	s := newSite(t)
	d := s.start()
	d.signals <- syscall.SIGHUP
	d.log.await(t, `"event":"reloaded"`, 1)
	s.write(strings.Replace(s.file(""), "rate: 300/hour", "rate: 7/hour", 1))
	d.signals <- syscall.SIGHUP
	d.log.await(t, `"event":"jobs_yaml"`, 1)
	d.log.await(t, `"event":"reload_refused"`, 1)
	s.must(exitDone, "status", "The last reload was refused", "accounts.main.rate")
	d.send("eva@kunde.example")
	d.arrived(1)
	s.write(strings.Replace(s.file(""), "from: Acme <bulk@acme.example>", "from: Acme <new@acme.example>", 1))
	d.signals <- syscall.SIGHUP
	d.log.await(t, `"event":"reloaded"`, 2)
	d.send("eva@kunde.example")
	d.arrived(2)
	if from := s.smtp.Messages()[1].From; from != "new@acme.example" {
		t.Errorf("sent as %s", from)
	}
	if code := d.end(os.Interrupt); code != exitDone {
		t.Errorf("exit status %d", code)
	}
}

func TestRunDrains(t *testing.T) {
	s := newSite(t)
	hold := make(chan struct{})
	hook := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	d := s.start()
	d.send("eva@kunde.example")
	<-hook.Reached()
	d.signals <- syscall.SIGTERM
	d.log.await(t, `"event":"stopping"`, 1)
	s.must(exitDone, "status", "outboxd on ") // it still answers
	d.signals <- syscall.SIGHUP               // and does not reload any more
	close(hold)
	if code := d.end(); code != exitDone {
		t.Errorf("exit status %d", code)
	}
	if got := s.db.Read(t, `SELECT state FROM {db}.outbox`); got != "sent" {
		t.Errorf("the mail in flight is %s", got)
	}
}

func TestRunEndsAtOnce(t *testing.T) {
	s := newSite(t)
	hold := make(chan struct{})
	defer close(hold)
	hook := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	d := s.start()
	d.send("eva@kunde.example")
	<-hook.Reached()
	if code := d.end(syscall.SIGTERM, syscall.SIGTERM); code != exitFailed {
		t.Errorf("exit status %d", code)
	}
	d.log.await(t, `"event":"killed"`, 1)
}

// manager listens as systemd does.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// hear waits until the manager was told something with the text.
func hear(t *testing.T, c *net.UnixConn, text string) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("never heard %q: %v", text, err)
		}
		if strings.Contains(string(b[:n]), text) {
			return
		}
	}
}

func TestRunTellsSystemd(t *testing.T) {
	s := newSite(t)
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	d := s.start()
	hear(t, heard, "READY=1\nSTATUS=1 company, 3 accounts")
	hear(t, heard, "WATCHDOG=1")
	hear(t, heard, "WATCHDOG=1")
	d.signals <- syscall.SIGHUP
	hear(t, heard, "RELOADING=1\nMONOTONIC_USEC=")
	hear(t, heard, "READY=1\nSTATUS=1 company")
	s.write("nonsense")
	d.signals <- syscall.SIGHUP
	hear(t, heard, "READY=1\nSTATUS=The reload was refused")
	d.signals <- syscall.SIGTERM
	hear(t, heard, "STOPPING=1")
	if code := d.end(); code != exitDone {
		t.Errorf("exit status %d", code)
	}
}

func TestRunWithoutRuntimeFolder(t *testing.T) {
	s := newSite(t)
	s.env["OUTBOXD_RUNTIME"] = s.config // a file
	s.must(exitFailed, "run", "OUTBOXD_RUNTIME")
}

func TestSummary(t *testing.T) {
	for want, f := range map[string]*jobfile.File{
		"1 company, 1 account":                      {Companies: make([]*jobfile.Company, 1), Accounts: make([]*jobfile.Account, 1)},
		"0 companies, 2 accounts; 1 file left out":  {Accounts: make([]*jobfile.Account, 2), LeftOut: make([]jobfile.LeftOut, 1)},
		"2 companies, 0 accounts; 3 files left out": {Companies: make([]*jobfile.Company, 2), LeftOut: make([]jobfile.LeftOut, 3)},
	} {
		if got := summary(f); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	var errs output
	i := &invocation{outside: outside{stderr: &errs}}
	for _, one := range []struct {
		err  error
		want int
	}{{nil, exitDone}, {exitError(7), 7}, {errors.New("x\x1b"), exitFailed}, {&usageError{"a", "b"}, exitWrong}} {
		if got := i.exit(one.err); got != one.want {
			t.Errorf("%v: %d", one.err, got)
		}
	}
	if errs.String() != "outboxd: x\\x1b\noutboxd: a\nWhat to do: b\n" {
		t.Errorf("%q", errs.String())
	}
}

func TestLogProblems(t *testing.T) {
	var out output
	logProblems(newLogger(&out, true), jobfile.Problems{{File: "f", Line: 1, Column: 2, Path: "p", Message: "m"}, {Message: "w", Warning: true}})
	if got := out.String(); !strings.HasPrefix(got, `<3>{"level":"error","event":"jobs_yaml","file":"f","line":1`) || !strings.Contains(got, "\n<4>") {
		t.Error(got)
	}
}
