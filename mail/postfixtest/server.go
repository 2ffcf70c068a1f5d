//go:build postfix

// Package postfixtest gives tests a real Postfix with Dovecot's SASL: the programs of Debian's packages, with a configuration,
// a queue, ports of 127.0.0.1 and logs of their own.
//
// Promise: what Postfix accepts for kunde.example is delivered into a Maildir, where Mails reads it, and so is what it reports
// to acme.example, the senders' domain. Whatever Postfix and Dovecot
// the machine may have is not touched: no file below /etc is read or written but for the users' names.
//
// Failure rules: Postfix needs root, since it gives its parts other users. A test without root, or without the programs,
// fails and says what to do. Both end with the test, and with the test's process however that ends; when a test fails, it
// prints what they have logged.
package postfixtest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// Service is one port of Postfix with its own settings. Without any it is a usual one for sending: STARTTLS and a login are
// required, a sender must belong to who has logged in, and whatever is refused is refused at RCPT.
type Service struct {
	Name        string
	ImplicitTLS bool
	Certificate smtptest.Certificate
	Settings    []string // as in main.cf, for this port alone
}

// Server is a running Postfix with its Dovecot. One goroutine changes it.
type Server struct {
	t        testing.TB
	dir      string
	services []Service
	ports    map[string]int
	ca       *smtptest.Authority
	users    map[string]string // passwords
	owners   map[string]string // users by the address that they may send as
	changes  int               // of the users' file
	policy   *policy
	tokens   *tokens
	dovecot  *process
	postfix  *process
}

// Who may log in, and as whom they may send. Each service has a user besides: see UserOf.
const (
	User     = "eva@acme.example"
	Password = "right-password-4711"  // everybody's
	Sender   = "noreply@acme.example" // belongs to User
	Stranger = "boss@acme.example"    // belongs to nobody
	Forged   = "ceo@acme.example"     // belongs to everybody, but no content may have it in From: see headerChecks
	Unknown  = "gone@kunde.example"   // a recipient without a mailbox
)

// UserOf is the user and the address that go with a service, for tests that need many accounts.
func UserOf(service string) string { return service + "@acme.example" }

// startTimeout is generous: a machine may be slow.
const startTimeout = 60 * time.Second

// New starts a server with the services, and ends it with the test.
func New(t testing.TB, services ...Service) *Server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal(`a Postfix of the tests' own needs root: sudo env "PATH=$PATH" make test-postfix`)
	}
	ca, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, services: services, ports: map[string]int{}, ca: ca, users: map[string]string{User: Password},
		owners: map[string]string{Sender: User, User: User, Forged: User}, policy: newPolicy(t), tokens: newTokens(t)}
	for _, service := range services {
		user := UserOf(service.Name)
		s.users[user], s.owners[user] = Password, user
		s.owners[Forged] += "," + user
	}
	t.Cleanup(s.end)
	if err := errors.Join(s.place(), s.startDovecot(), s.Start()); err != nil {
		t.Fatal(err)
	}
	return s
}

// place makes the folder with everything that the two read. It lies below /var, where Postfix may log.
func (s *Server) place() error {
	dir, err := os.MkdirTemp("/var/tmp", "outboxd-postfix-")
	if err != nil {
		return err
	}
	s.dir = dir
	for _, service := range s.services {
		if s.ports[service.Name], err = s.freePort(); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(dir, 0o755), s.makeQueue(), s.writeKeys(), s.writeUsers(), s.writePostfix(), s.writeDovecot())
}

// freePort returns a port below those that connections take for their own end: none of them has it while Postfix is restarted.
func (s *Server) freePort() (port int, err error) {
	for range 100 {
		port = 10_000 + rand.IntN(20_000)
		l, listenErr := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err = listenErr; err != nil {
			continue
		}
		if err = l.Close(); !slices.Contains(slices.Collect(maps.Values(s.ports)), port) {
			return port, err
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file, as of a minute ago: Postfix waits for files to rest that have just been changed.
func (s *Server) write(name, text string) error {
	then := time.Now().Add(-time.Minute)
	return errors.Join(os.WriteFile(s.path(name), []byte(text), 0o644), os.Chtimes(s.path(name), then, then))
}

// Start starts Postfix, also one that was stopped, and returns when it is ready for mail.
func (s *Server) Start() error {
	postconf, err := find("postconf")
	if err != nil {
		return err
	}
	folder, err := exec.Command(postconf, "-d", "-h", "daemon_directory").Output()
	if err != nil {
		return fmt.Errorf("postconf: %w", err)
	}
	program := filepath.Join(strings.TrimSpace(string(folder)), "master")
	before := s.logged("daemon started")
	if s.postfix, err = launch(s.path("master.log"), program, "-c", s.path("etc"), "-d"); err != nil {
		return err
	}
	return s.await("Postfix", s.postfix, func() bool { return s.logged("daemon started") > before })
}

// Stop ends Postfix; its connections are cut, its queue stays.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.postfix.end(); err != nil {
		s.t.Error(err)
	}
}

// Restart makes the current settings count. It cuts every connection, and forgets what was counted for limits.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := errors.Join(s.writeKeys(), s.writePostfix(), s.Start()); err != nil {
		s.t.Fatal(err)
	}
}

// await returns when the program is ready, or has ended.
func (s *Server) await(name string, p *process, ready func() bool) error {
	deadline, tick := time.Now().Add(startTimeout), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s has ended:\n%s", name, s.logs())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready in %s:\n%s", name, startTimeout, s.logs())
		}
	}
	return nil
}

// end ends both and removes the folder; a test that failed shows their logs.
func (s *Server) end() {
	if s.t.Failed() {
		s.t.Log(s.logs())
	}
	err := errors.Join(s.postfix.end(), s.dovecot.kill()) // Dovecot takes a second to end in order, and has nothing to keep
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if err != nil {
		s.t.Error(err)
	}
}

// logs is what both have written, the end of it where it is long.
func (s *Server) logs() string {
	var b strings.Builder
	for _, name := range []string{"master.log", "mail.log", "dovecot.out", "dovecot.log"} {
		text, _ := os.ReadFile(s.path(name)) // it may not have been written yet
		fmt.Fprintf(&b, "%s:\n%s\n", name, text[max(0, len(text)-8000):])
	}
	return b.String()
}

// logged counts how often Postfix has logged a text.
func (s *Server) logged(text string) int {
	log, _ := os.ReadFile(s.path("mail.log")) // it may not have been written yet
	return strings.Count(string(log), text)
}

// Log is what Postfix and Dovecot have logged, whole.
func (s *Server) Log() string {
	postfix, err1 := os.ReadFile(s.path("mail.log"))
	dovecot, err2 := os.ReadFile(s.path("dovecot.log"))
	if err := errors.Join(err1, err2); err != nil {
		s.t.Fatal(err)
	}
	return string(postfix) + string(dovecot)
}

// Port is where a service listens on 127.0.0.1.
func (s *Server) Port(service string) int {
	s.t.Helper()
	port, ok := s.ports[service]
	if !ok {
		s.t.Fatalf("there is no service %s", service)
	}
	return port
}

// CA is the authority to trust.
func (s *Server) CA() *x509.CertPool { return s.ca.Pool() }

// CAFile is the file with that authority.
func (s *Server) CAFile() string { return s.path("ca.pem") }

// Change gives a service other settings and another certificate; they count from the next Restart on.
func (s *Server) Change(service Service) {
	for i := range s.services {
		if s.services[i].Name == service.Name {
			s.services[i] = service
		}
	}
}

// Allow lets a user alone send as an address, from the next Restart on; "" is nobody.
func (s *Server) Allow(address, user string) { s.owners[address] = user }

// SetPassword changes a user's password, and returns when Dovecot knows it: it looks at the file once a second.
func (s *Server) SetPassword(user, password string) {
	s.t.Helper()
	s.users[user] = password
	if err := s.writeUsers(); err != nil {
		s.t.Fatal(err)
	}
	err := s.await("Dovecot", s.dovecot, func() bool {
		return exec.Command("doveadm", "-c", s.path("dovecot.conf"), "auth", "test", "-a", s.path("auth"), user, password).Run() == nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Policy answers what Postfix asks of the policy service, from now on: the action for a request, as in access(5), or DUNNO.
// Services ask it where their settings name $policy.
func (s *Server) Policy(answer func(Request) string) { s.policy.set(answer) }

// Tokens says whose a token is, for logins by XOAUTH2, from now on; "" is nobody's.
func (s *Server) Tokens(of func(token string) (user string)) { s.tokens.set(of) }
