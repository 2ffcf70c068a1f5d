package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"

	"outboxd/mail"
)

// pythonAnswer is what testdata/readback.py says of a message.
type pythonAnswer struct {
	Error   string
	From    [][2]string
	ReplyTo [][2]string `json:"reply_to"`
	To, Cc  [][2]string
	Subject string
	ID      string `json:"message_id"`
	Date    int64
	Parts   []struct {
		Type, Disposition, Name string
		ContentID               string `json:"content_id"`
		Text                    []byte
	}
	Defects []string
}

// readPython has Python read all messages at once: it is slow to start.
func readPython(t *testing.T, messages [][]byte) []pythonAnswer {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed for this test: apt-get install python3 (macOS: brew install python)")
	}
	in, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/readback.py")
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	var answers []pythonAnswer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(messages) {
		t.Fatalf("%d answers to %d messages: %v", len(answers), len(messages), err)
	}
	return answers
}

func (a *pythonAnswer) content() content {
	list := func(pairs [][2]string) (out []mail.Address) {
		for _, p := range pairs {
			local, host, _ := strings.Cut(p[1], "@")
			out = append(out, mail.Address{Name: unspaced(p[0]), Local: local, Host: host})
		}
		return out
	}
	c := content{From: list(a.From), ReplyTo: list(a.ReplyTo), To: list(a.To), Cc: list(a.Cc), Subject: a.Subject, MessageID: a.ID,
		Date: time.Unix(a.Date, 0).UTC()}
	for _, p := range a.Parts {
		c.Parts = append(c.Parts, part{p.Type, p.Disposition, p.Name, p.ContentID, string(p.Text)})
	}
	return c
}

// unspaced: Python before 3.13 reads a blank between two encoded words of a name.
func unspaced(name string) string { return strings.ReplaceAll(name, " ", "") }

// wrong returns the answer's defects but for those that are meant: the name of a file as old Outlooks want it (see contentType), and
// addresses that go by SMTPUTF8.
func (a *pythonAnswer) wrong() (defects []string) {
	for _, d := range a.Defects {
		if !strings.Contains(d, "encoded word inside quoted string") && !strings.Contains(d, "missing trailing whitespace after encoded-word") &&
			!strings.Contains(d, "NonASCIILocalPartDefect") {
			defects = append(defects, d)
		}
	}
	return defects
}

// Python's email package, under its strict policy, reads every golden message as it was meant.
func TestPythonReadsBack(t *testing.T) {
	var names []string
	var wants []content
	var messages [][]byte
	for name, m := range goldenMessages() {
		raw, err := Build(m)
		if err != nil {
			t.Fatal(err)
		}
		want := contentOf(m)
		for _, list := range [][]mail.Address{want.From, want.ReplyTo, want.To, want.Cc} {
			for i := range list {
				list[i].Name = unspaced(list[i].Name)
			}
		}
		names, wants, messages = append(names, name), append(wants, want), append(messages, raw)
	}
	for i, a := range readPython(t, messages) {
		switch got := a.content(); {
		case a.Error != "":
			t.Errorf("%s: %s", names[i], a.Error)
		case a.wrong() != nil:
			t.Errorf("%s: defects %q", names[i], a.wrong())
		case !reflect.DeepEqual(got, wants[i]):
			t.Errorf("%s: read\n%+v\nwant\n%+v", names[i], got, wants[i])
		}
	}
}

// Two independent parsers read finished messages as outboxd does, and Python has nothing against what outboxd has added.
func TestRawReadsBack(t *testing.T) {
	var names []string
	var raws []*Raw
	var messages [][]byte
	for name, c := range rawMessages {
		r, message := buildRaw(t, c.text)
		names, raws, messages = append(names, name), append(raws, r), append(messages, message)
	}
	for i, a := range readPython(t, messages) {
		if a.Error != "" || a.wrong() != nil {
			t.Errorf("%s: %s %q", names[i], a.Error, a.wrong())
			continue
		}
		python, emersion := a.content(), readRawEmersion(t, messages[i])
		for _, c := range []*content{&python, &emersion} {
			c.MessageID, c.Subject = strings.TrimSpace(c.MessageID), oneSpaced(c.Subject)
			if c.MessageID != raws[i].MessageID && c.MessageID != rawID || c.Subject != oneSpaced(raws[i].Subject) || c.From[0].Addr() != raws[i].From.Addr() {
				t.Errorf("%s: read\n%+v\nby outboxd\n%+v", names[i], c, raws[i])
			}
		}
		python.ReplyTo = nil
		if got, want := fmt.Sprintf("%+v", python), fmt.Sprintf("%+v", emersion); unspaced(got) != unspaced(want) {
			t.Errorf("%s: Python reads\n%s\ngo-message\n%s", names[i], got, want)
		}
		if to := addressesOf(python.To, python.Cc); names[i] != "resent" && strings.Join(to, " ") != strings.Join(addressesOf(raws[i].To, raws[i].Cc), " ") && names[i] != "utf8-header" {
			t.Errorf("%s: to %v", names[i], to)
		}
	}
}

// readRawEmersion reads what any message has; a raw one need not say its type or its character set.
func readRawEmersion(t *testing.T, raw []byte) (c content) {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	h := gomail.Header{Header: entity.Header}
	c.MessageID = h.Get("Message-ID")
	subject, err1 := h.Subject()
	date, err2 := h.Date()
	from, err3 := h.AddressList("From")
	to, err4 := h.AddressList("To")
	cc, err5 := h.AddressList("Cc")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	c.Subject, c.Date, c.From, c.To, c.Cc = subject, date.UTC(), ours(from), ours(to), ours(cc)
	err = entity.Walk(func(_ []int, e *message.Entity, err error) error {
		mediaType, _, _ := e.Header.ContentType()
		if err != nil || strings.HasPrefix(mediaType, "multipart/") {
			return err
		}
		text, err := io.ReadAll(e.Body)
		c.Parts = append(c.Parts, part{Type: mediaType, Text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
