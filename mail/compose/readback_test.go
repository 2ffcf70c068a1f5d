package compose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"

	"outboxd/mail"
)

// content is a message as a parser understands it.
type content struct {
	From, ReplyTo, To, Cc []mail.Address
	Subject, MessageID    string
	Date                  time.Time
	Parts                 []part
}

// part is a leaf: its content and, of a file, how it is named and shown.
type part struct{ Type, Disposition, Name, ContentID, Text string }

// contentOf is what a parser should understand.
func contentOf(m Message) content {
	c := content{
		From: []mail.Address{m.From}, ReplyTo: m.ReplyTo, To: m.To, Cc: m.Cc,
		Subject: m.Subject, MessageID: m.MessageID, Date: m.Date.UTC().Truncate(time.Second),
	}
	text := m.Text
	if text == "" && m.HTML != "" {
		text = textFromHTML(m.HTML)
	}
	c.Parts = []part{{Type: "text/plain", Text: normalise(text)}}
	markup, images, others := (&builder{boundary: boundary(m.MessageID)}).inline(&m)
	if m.HTML != "" {
		c.Parts = append(c.Parts, part{Type: "text/html", Text: normalise(markup)})
	}
	for _, i := range images {
		c.Parts = append(c.Parts, filePart(i.Attachment, "inline", "<"+i.id+">"))
	}
	for _, a := range append(slices.Clone(m.Attachments), others...) {
		c.Parts = append(c.Parts, filePart(a, "attachment", ""))
	}
	return c
}

func filePart(a Attachment, disposition, id string) part {
	if a.Type == "" {
		a.Type = TypeOf(a.Name, a.Content)
	}
	mediaType, _, _ := parseType(a.Type)
	return part{mediaType, disposition, a.Name, id, string(a.Content)}
}

// checkReadBack reads the message with two parsers and compares everything.
func checkReadBack(t *testing.T, m Message, raw []byte) {
	t.Helper()
	want := contentOf(m)
	for name, read := range map[string]func([]byte) (content, error){"net/mail": readStandard, "go-message": readEmersion} {
		got, err := read(raw)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, raw)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads\n%+v\nwant\n%+v\n%s", name, got, want, raw)
		}
	}
	checkExtraHeaders(t, m, raw)
}

// checkExtraHeaders compares the row's own headers, and that there is no header that nobody asked for.
func checkExtraHeaders(t *testing.T, m Message, raw []byte) {
	t.Helper()
	want := []string{"date", "from", "subject", "message-id", "mime-version", "content-type"}
	for name, list := range map[string][]mail.Address{"reply-to": m.ReplyTo, "cc": m.Cc} {
		if len(list) > 0 {
			want = append(want, name)
		}
	}
	if len(m.To) > 0 || len(m.Cc) == 0 {
		want = append(want, "to")
	}
	single := m.HTML == "" && len(m.Attachments)+len(m.Inline) == 0
	if single || bytes.Contains(raw, []byte("\r\nContent-Transfer-Encoding: 8bit\r\n")) {
		want = append(want, "content-transfer-encoding")
	}
	automatic := "auto-submitted"
	for _, h := range m.Headers {
		want = append(want, strings.ToLower(h.Name))
		if strings.EqualFold(h.Name, "Auto-Submitted") {
			automatic = ""
		}
	}
	if automatic != "" {
		want = append(want, automatic)
	}
	if got := headerNames(raw); !slices.Equal(got, sorted(want)) {
		t.Errorf("header names\n%q, want\n%q\n%s", got, sorted(want), raw)
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for _, h := range m.Headers {
		name := strings.ToLower(h.Name)
		values[name] = append(values[name], h.Value)
	}
	for name, want := range values {
		var got []string
		for key, list := range parsed.Header { // the parser's canonical form leaves odd names alone
			if strings.EqualFold(key, name) {
				got = append(got, list...)
			}
		}
		for i := range min(len(got), len(want)) {
			if oneSpaced(decode(got[i])) != oneSpaced(want[i]) && got[i] != want[i] {
				t.Errorf("header %s: %q, want %q", name, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("header %s stands %d times, want %d", name, len(got), len(want))
		}
	}
}

// oneSpaced: net/mail joins folded lines with one space, whatever blank stood there.
func oneSpaced(s string) string { return strings.Join(strings.Fields(s), " ") }

func decode(s string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	return decoded
}

// headerNames lists the fields of the raw header, lower case and sorted.
func headerNames(raw []byte) []string {
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	var names []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(line, ":")
			names = append(names, strings.ToLower(name))
		}
	}
	return sorted(names)
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// checkWire checks what SMTP asks of the octets, and that the header is folded.
func checkWire(t *testing.T, raw []byte) {
	t.Helper()
	checkOctets(t, raw)
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(line) > shortLine && strings.Contains(strings.TrimLeft(line, " "), " ") && !strings.HasPrefix(line, "Message-ID") {
			t.Errorf("header line could be folded: %q", line)
		}
	}
}

// checkOctets checks what SMTP asks of the octets.
func checkOctets(t *testing.T, raw []byte) {
	t.Helper()
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("does not end in CRLF")
	}
	inHead := true
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\r\n"), "\r\n") {
		inHead = inHead && line != ""
		switch {
		case strings.ContainsAny(line, "\r\n\x00"):
			t.Errorf("bare CR, LF or NUL in %q", line)
		case len(line) > maxLine:
			t.Errorf("line of %d octets", len(line))
		case inHead && strings.Trim(line, " \t") == "":
			t.Error("a header line of blanks only")
		}
	}
}

func readStandard(raw []byte) (content, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return content{}, err
	}
	c := content{Subject: decode(m.Header.Get("Subject")), MessageID: m.Header.Get("Message-Id")}
	if c.Date, err = m.Header.Date(); err != nil {
		return c, err
	}
	c.Date = c.Date.UTC()
	for name, into := range map[string]*[]mail.Address{"From": &c.From, "Reply-To": &c.ReplyTo, "To": &c.To, "Cc": &c.Cc} {
		if m.Header.Get(name) == "" {
			continue
		}
		list, err := m.Header.AddressList(name)
		if err != nil {
			return c, err
		}
		*into = ours(list)
	}
	c.Parts, err = readParts(m.Header.Get, m.Body)
	return c, err
}

// readParts reads a part and those within it.
func readParts(field func(string) string, body io.Reader) ([]part, error) {
	mediaType, params, err := mime.ParseMediaType(field("Content-Type"))
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		text, err := decodeBody(field("Content-Transfer-Encoding"), body)
		p := part{Type: mediaType, ContentID: field("Content-Id"), Text: text}
		if value := field("Content-Disposition"); err == nil && value != "" {
			var file map[string]string
			p.Disposition, file, err = mime.ParseMediaType(value)
			if p.Name = file["filename"]; decode(params["name"]) != p.Name {
				err = errors.Join(err, fmt.Errorf("named %q and %q", params["name"], p.Name))
			}
		}
		return []part{p}, err
	}
	var parts []part
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		} else if err != nil {
			return parts, err
		}
		within, err := readParts(p.Header.Get, p)
		if err != nil {
			return parts, err
		}
		parts = append(parts, within...)
	}
}

func decodeBody(encoding string, r io.Reader) (string, error) {
	switch encoding {
	case quotedPrintable:
		r = quotedprintable.NewReader(r)
	case base64Encoding:
		r = base64.NewDecoder(base64.StdEncoding, r)
	case sevenBit, eightBit:
	default:
		return "", errors.New("transfer encoding " + encoding)
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

func ours(list []*netmail.Address) []mail.Address {
	var out []mail.Address
	for _, a := range list {
		local, host, _ := strings.Cut(a.Address, "@")
		out = append(out, mail.Address{Name: a.Name, Local: local, Host: host})
	}
	return out
}

func readEmersion(raw []byte) (content, error) {
	entity, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		return content{}, err
	}
	h := gomail.Header{Header: entity.Header}
	c := content{MessageID: h.Get("Message-ID")}
	if c.Subject, err = h.Subject(); err != nil {
		return c, err
	}
	if c.Date, err = h.Date(); err != nil {
		return c, err
	}
	c.Date = c.Date.UTC()
	for name, into := range map[string]*[]mail.Address{"From": &c.From, "Reply-To": &c.ReplyTo, "To": &c.To, "Cc": &c.Cc} {
		list, err := h.AddressList(name)
		if err != nil {
			return c, err
		}
		*into = ours(list)
	}
	err = entity.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) {
			return err
		}
		mediaType, params, err := e.Header.ContentType()
		if err != nil || strings.HasPrefix(mediaType, "multipart/") {
			return err
		}
		p := part{Type: mediaType, ContentID: e.Header.Get("Content-ID")}
		if e.Header.Has("Content-Disposition") {
			file := gomail.AttachmentHeader{Header: e.Header}
			if p.Name, err = file.Filename(); err != nil {
				return err
			}
			if p.Disposition, _, err = e.Header.ContentDisposition(); err != nil {
				return err
			}
		} else if params["charset"] != "utf-8" {
			return errors.New("charset " + params["charset"])
		}
		text, err := io.ReadAll(e.Body)
		p.Text = string(text)
		c.Parts = append(c.Parts, p)
		return err
	})
	return c, err
}
