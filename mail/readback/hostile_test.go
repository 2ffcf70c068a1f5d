package readback

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/readback/imaptest"
)

// scripted is a server that answers each command as the function says, which gets the tag and the rest of the line; "" closes.
func scripted(t *testing.T, greeting string, answer func(tag, command string, w io.Writer) bool) Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, greeting); err != nil {
			return
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			tag, command, _ := strings.Cut(lines.Text(), " ")
			if !answer(tag, command, conn) {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return Config{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Username: imaptest.User, Password: imaptest.Password, Clear: true, Every: time.Millisecond}
}

// polite answers what a mailbox is opened with; the rest is f's.
func polite(f func(tag, command string, w io.Writer) bool) func(tag, command string, w io.Writer) bool {
	return func(tag, command string, w io.Writer) bool {
		word, _, _ := strings.Cut(command, " ")
		switch word {
		case "CAPABILITY":
			return say(w, "* CAPABILITY IMAP4rev1\r\n"+tag+" OK\r\n")
		case "LOGIN", "LIST":
			return say(w, tag+" OK\r\n")
		case "EXAMINE":
			return say(w, "* 1 EXISTS\r\n"+tag+" OK [READ-ONLY]\r\n")
		}
		return f(tag, command, w)
	}
}

func say(w io.Writer, text string) bool {
	_, err := io.WriteString(w, text)
	return err == nil
}

// flood writes until the other side has enough.
func flood(w io.Writer, text string) bool {
	for say(w, text) {
	}
	return false
}

const ready = "* OK ready\r\n"

// TestHostileServers: whatever a server says, it ends with an error or as not arrived, and within the bounds.
func TestHostileServers(t *testing.T) {
	for name, c := range map[string]struct {
		greeting string
		answer   func(tag, command string, w io.Writer) bool
		want     mail.Class // "" is not arrived
	}{
		"goodbye":          {"* BYE [UNAVAILABLE] too late\r\n", func(string, string, io.Writer) bool { return false }, mail.ClassTemporary},
		"no IMAP":          {"HTTP/1.1 400 Bad Request\r\n\r\n", func(string, string, io.Writer) bool { return false }, mail.ClassConnection},
		"endless greeting": {ready, func(_, _ string, w io.Writer) bool { return flood(w, strings.Repeat("x", 1<<16)) }, mail.ClassConnection},
		"endless folders": {ready, func(tag, command string, w io.Writer) bool {
			if strings.HasPrefix(command, "LIST") {
				return flood(w, `* LIST () "/" "`+strings.Repeat("x", 500)+"\"\r\n")
			}
			return polite(nil)(tag, command, w)
		}, mail.ClassConnection},
		"huge literal": {ready, polite(func(tag, command string, w io.Writer) bool {
			if strings.HasPrefix(command, "UID SEARCH") {
				return say(w, "* SEARCH 1\r\n"+tag+" OK\r\n")
			}
			say(w, "* 1 FETCH (UID 1 BODY[HEADER]<0> {4000000000}\r\n")
			return flood(w, strings.Repeat("A: b\r\n", 1000))
		}), mail.ClassConnection},
		"breaks off": {ready, polite(func(string, string, io.Writer) bool { return false }), mail.ClassConnection},
		"another's message": {ready, polite(func(tag, command string, w io.Writer) bool {
			if strings.HasPrefix(command, "UID SEARCH") {
				return say(w, "* SEARCH 1 4294967295\r\n"+tag+" OK\r\n")
			}
			return say(w, "* 9 FETCH (UID 4294967295 BODY[HEADER]<0> \"Message-ID: <other@x>\r\n\")\r\n"+tag+" OK\r\n")
		}), ""},
		"refuses to look": {ready, polite(func(tag, _ string, w io.Writer) bool { return say(w, tag+" NO [LIMIT] no\r\n") }), mail.ClassThrottled},
		"silence":         {ready, polite(func(string, string, io.Writer) bool { return true }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			conf := scripted(t, c.greeting, c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			m, err := Open(ctx, conf)
			if err == nil {
				defer m.Close()
				if c.want == "" {
					short, end := context.WithTimeout(ctx, 50*time.Millisecond) // it is waited for what does not come
					defer end()
					stop := context.AfterFunc(short, m.Close)
					defer stop()
					_, err = m.Await(short, someID)
				} else {
					_, err = m.Await(ctx, someID)
				}
			}
			refused, ok := errors.AsType[*Error](err)
			if c.want == "" && !errors.Is(err, ErrNotArrived) || c.want != "" && (!ok || refused.Outcome.Class != c.want || refused.Outcome.Remedy == "") || ctx.Err() != nil {
				t.Errorf("%v", err)
				if ok {
					t.Errorf("%+v", refused.Outcome)
				}
			}
		})
	}
}

// TestP9_ThePasswordIsInNoError: a server that repeats what it was sent.
func TestP9_ThePasswordIsInNoError(t *testing.T) {
	conf := scripted(t, ready, func(tag, command string, w io.Writer) bool {
		if strings.HasPrefix(command, "LOGIN") {
			return say(w, tag+" NO unknown command "+command+"\r\n")
		}
		return polite(nil)(tag, command, w)
	})
	_, err := Open(t.Context(), conf)
	if err == nil || strings.Contains(err.Error(), imaptest.Password) || !strings.Contains(err.Error(), "***") {
		t.Error(err)
	}
}
