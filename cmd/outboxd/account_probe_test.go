package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/mail/readback/imaptest"
	"outboxd/mail/smtptest"
)

// arrival is where mails arrive: an IMAP mailbox that the site's server puts into what it takes, under a header of its own.
type arrival struct {
	url    string
	header atomic.Pointer[string]
	folder atomic.Pointer[string] // "" loses it
}

const passes = "Authentication-Results: mx.kunde.example; spf=pass smtp.mailfrom=acme.example; dkim=pass header.d=acme.example; dmarc=pass header.from=acme.example\r\n"

func (a *arrival) as(folder, header string) {
	a.folder.Store(&folder)
	a.header.Store(&header)
}

// newArrivalSite is a site whose mails arrive in a mailbox.
func newArrivalSite(t *testing.T) (*site, *arrival) {
	a := &arrival{}
	a.as("INBOX", passes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := imaptest.Serve(t, listener)
	box.Create("Junk")
	a.url = fmt.Sprintf("imap://%s@%s/INBOX", imaptest.User, listener.Addr())
	s := &site{t: t, db: dbtest.New(t), smtp: smtptest.New(t, smtptest.OnMessage(func(m smtptest.Message) {
		if folder := *a.folder.Load(); folder != "" {
			box.Put(folder, *a.header.Load()+string(m.Data), time.Now())
		}
	}))}
	s.place()
	s.write(s.file(""))
	s.env[imapPassword] = imaptest.Password
	return s, a
}

func TestAccountTestReadsTheMailBack(t *testing.T) {
	s, a := newArrivalSite(t)
	command := "account test bulk --to eva@kunde.example --read-back " + a.url
	s.must(exitDone, command, "mail as bulk@acme.example", "arrived as bulk@acme.example", "in INBOX at", "spf as bulk@acme.example",
		"the topmost Authentication-Results, the only one believed, is by mx.kunde.example", "pass for acme.example")
	s.must(exitDone, command+" --send-as info@acme.example", "send as info@acme.example", "dmarc as bulk@acme.example", "dmarc as info@acme.example")

	a.as("Junk", strings.Replace(passes, "dkim=pass", "dkim=none", 1)+"Authentication-Results: mx.kunde.example; dkim=pass header.d=acme.example\r\n")
	s.must(exitFailed, command, "in Junk at", "cause: blocked_reputation", "none for acme.example", "dkim as bulk@acme.example failed, cause: policy")
	a.as("INBOX", strings.Replace(passes, "spf=pass", "spf=temperror", 1))
	s.must(exitFailed, command, "cause: temporary")
	a.as("INBOX", "From: Eva <eva@gmail.com>\r\n")
	s.must(exitFailed, command, "the recipient sees eva@gmail.com", "wrote no Authentication-Results")
	a.as("", "")
	s.must(exitFailed, command+" --wait 1s", "arrived as bulk@acme.example", "not within 1s", "--wait 15m")
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Reply("550 5.7.60 SMTP; Client does not have permissions to send as this sender")})
	s.must(exitFailed, command, "mail as bulk@acme.example failed at dot, cause: send_as_denied", "Delegation", "arrived", "not tried")
}

func TestAccountTestReadBackRefused(t *testing.T) {
	s, a := newArrivalSite(t)
	secret := filepath.Join(t.TempDir(), "imap")
	if err := os.WriteFile(secret, []byte("hunter2-wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := "account test bulk --to eva@kunde.example --read-back "
	out := s.must(exitFailed, command+a.url+" --password-file "+secret, "imap failed at auth, cause: auth", "What to do: The IMAP server refused the user name or the password")
	if strings.Contains(out, "hunter2") {
		t.Error(out)
	}
	var reply jobs.AccountTestReply
	if err := json.Unmarshal([]byte(s.must(exitFailed, command+a.url+" --json --password-file "+secret)), &reply); err != nil {
		t.Fatal(err)
	}
	last := reply.Steps[len(reply.Steps)-1]
	if reply.OK || len(reply.Mails) != 1 || last.Step != "imap" || last.Cause != "auth" || last.Remedy == "" {
		t.Errorf("%+v", reply)
	}
	if err := os.Chmod(secret, 0o604); err != nil {
		t.Fatal(err)
	}
	sent := len(s.smtp.Messages())
	for wrong, want := range map[string]string{
		a.url + " --password-file " + secret:  "others may use it",
		"imaps://eva:hunter2@kunde.example/":  "others on this computer can see",
		"imap://eva@kunde.example/INBOX":      "on this computer alone",
		"http://eva@kunde.example/INBOX":      "imaps://",
		"imaps://kunde.example/INBOX":         "a user and a host",
		"imaps://eva@kunde.example:0/INBOX":   "the port",
		"imaps://eva@kunde.example/INBOX?a=b": "nothing can follow",
		"imaps://eva@[kunde/INBOX":            "no URL",
		a.url + " --wait 2h":                  "1s to 1h0m0s",
	} {
		if out := s.must(exitWrong, command+wrong, want, "What to do:"); strings.Contains(out, "hunter2") {
			t.Error(out)
		}
	}
	s.must(exitWrong, "account test bulk --read-back "+a.url, "--read-back without --to")
	s.must(exitWrong, "account test bulk --password-file "+secret, "without --read-back")
	s.env[imapPassword] = ""
	s.must(exitWrong, command+a.url, imapPassword)
	if n := len(s.smtp.Messages()); n != sent {
		t.Errorf("%d mails were sent by wrong commands", n-sent)
	}
}

func TestParseMailbox(t *testing.T) {
	got, err := parseMailbox("imaps://eva@kunde.example@imap.kunde.example/Archive/2026")
	if err != nil || got.Host != "imap.kunde.example" || got.Port != 993 || got.Username != "eva@kunde.example" || got.Folder != "Archive/2026" || got.Clear {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = parseMailbox("imap://eva@localhost")
	if err != nil || got.Port != 143 || got.Folder != "" || !got.Clear {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNameOfStep(t *testing.T) {
	got := []string{nameOfStep(jobs.TestStep{Step: "tls"}), nameOfStep(jobs.TestStep{Step: "send as", As: "a@b.c"}), nameOfStep(jobs.TestStep{Step: "mail", As: "a@b.c"})}
	if want := []string{"tls", "send as a@b.c", "mail as a@b.c"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}
