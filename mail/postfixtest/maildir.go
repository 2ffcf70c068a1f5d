//go:build postfix

package postfixtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// deliverTimeout is how long an accepted mail may take to the Maildir.
const deliverTimeout = 60 * time.Second

// Mail is one delivered mail.
type Mail struct {
	To      string // the recipient of this copy
	From    string // the envelope's sender, "" for none
	Content string // as it was sent, with LF line ends
}

// Mails waits until n mails have been delivered in all, and returns them.
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
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(s.path("mail/box/new"), file.Name()))
		if err != nil {
			return nil, err
		}
		mails = append(mails, parse(string(text)))
	}
	return mails, err
}

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
				_, rest, _ = strings.Cut(rest, "\n")
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
