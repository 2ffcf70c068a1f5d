//go:build postfix

package postfixtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// deliverTimeout is how long an accepted mail may take to the Maildir.
const deliverTimeout = 60 * time.Second

// Mail is one delivered mail.
type Mail struct {
	ID      string // Postfix's own name for it
	To      string // the recipient of this copy
	From    string // the envelope's sender, "" for none
	Content string // as it was sent, with LF line ends
}

// Mails waits until n mails have been delivered in all, and returns them. One that Postfix had delivered, and delivers again
// because it was stopped before it could note that, is one.
func (s *Server) Mails(n int) []Mail {
	s.t.Helper()
	deadline, tick := time.Now().Add(deliverTimeout), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		mails, err := s.delivered()
		if err != nil {
			s.t.Fatal(err)
		}
		if len(mails) >= n {
			return mails
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d mails were delivered", len(mails), n)
		}
		<-tick.C
	}
}

// delivered reads the Maildir.
func (s *Server) delivered() (mails []Mail, err error) {
	files, err := os.ReadDir(s.path("mail/box/new"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	known := map[[2]string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(s.path("mail/box/new"), file.Name()))
		if err != nil {
			return nil, err
		}
		m := parse(string(text))
		if m.ID == "" || m.To == "" {
			return nil, fmt.Errorf("the head of %s is not as Postfix writes it:\n%.2000s", file.Name(), text)
		}
		if copy := [2]string{m.ID, m.To}; !known[copy] {
			known[copy] = true
			mails = append(mails, m)
		}
	}
	return mails, err
}

var queueID = regexp.MustCompile(`\bid (\w+)`)

// parse takes off what Postfix puts before a mail: Return-Path, X-Original-To, Delivered-To, Received.
func parse(text string) (m Mail) {
	for {
		line, rest, _ := strings.Cut(text, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Return-Path":
			m.From = strings.Trim(value, "<>")
		case "Delivered-To":
			m.To = value
		case "X-Original-To":
		case "Received":
			for strings.HasPrefix(rest, "\t") {
				line, rest, _ = strings.Cut(rest, "\n")
				if id := queueID.FindStringSubmatch(line); id != nil {
					m.ID = id[1]
				}
			}
			m.Content = rest
			return m
		default:
			m.Content = text
			return m
		}
		text = rest
	}
}
