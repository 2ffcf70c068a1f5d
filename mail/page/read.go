package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"outboxd/mail"
)

// What a page has room for.
const (
	maxBody  = 4 << 20  // octets of a text or an HTML part
	maxFile  = 5 << 20  // octets of one file
	maxFiles = 20 << 20 // octets of all files together
	maxParts = 500
	maxDepth = 20 // multiparts within multiparts
)

var errTooMany = errors.New("the message has more parts than a page has room for: the rest is not shown")

// Read takes a message apart.
func Read(raw []byte) *Message {
	r := &reader{m: &Message{}, room: maxFiles}
	entity, err := message.Read(bytes.NewReader(raw))
	if entity == nil {
		r.fault("the header cannot be read: %v", err)
		return r.m
	}
	r.readHeader(entity.Header)
	r.encoding(err)
	if err := entity.Walk(r.part); err != nil {
		r.fault("%v", err)
	}
	return r.m
}

type reader struct {
	m     *Message
	parts int
	room  int64 // octets of files that the page still takes
}

func (r *reader) fault(format string, args ...any) {
	r.m.Faults = append(r.m.Faults, shownText(fmt.Sprintf(format, args...)))
}

func (r *reader) readHeader(h message.Header) {
	words := mime.WordDecoder{CharsetReader: mail.CharsetReader}
	for fields := h.Fields(); fields.Next(); {
		value, err := words.DecodeHeader(fields.Value())
		if err != nil { // of an unknown character set: as it is written
			value = fields.Value()
		}
		name := fields.Key()
		if line, err := fields.Raw(); err == nil { // as it is written: MIME-Version, and not Mime-Version
			name, _, _ = strings.Cut(string(line), ":")
		}
		r.m.Header = append(r.m.Header, Field{shownText(name), shownText(value)})
	}
}

// encoding notes that a part's encoding is unknown: its octets are as they were sent.
func (r *reader) encoding(err error) {
	if err != nil && message.IsUnknownEncoding(err) {
		r.fault("a part is shown as it was sent: %v", err)
	}
}

// part reads one part. Walk's err says that its encoding or its character set is unknown.
func (r *reader) part(path []int, e *message.Entity, err error) error {
	if r.parts++; r.parts > maxParts || len(path) > maxDepth {
		return errTooMany
	}
	r.encoding(err)
	kind, params, err := e.Header.ContentType()
	if err != nil && e.Header.Get("Content-Type") != "" {
		r.fault("a part's Content-Type cannot be read: %v", err)
		kind = "application/octet-stream"
	}
	if strings.HasPrefix(kind, "multipart/") {
		return nil
	}
	disposition, shown, _ := e.Header.ContentDisposition()
	body := disposition != "attachment" && shown["filename"]+params["name"] == ""
	switch {
	case body && kind == "text/plain" && r.m.Text == "":
		r.m.Text = strings.ReplaceAll(r.text(e.Body, params["charset"], "text"), "\r\n", "\n")
	case body && kind == "text/html" && r.m.HTML == "":
		r.m.HTML = r.text(e.Body, params["charset"], "HTML")
	default:
		r.file(e, kind, params["name"])
	}
	return nil
}

// text reads a text or HTML part.
func (r *reader) text(body io.Reader, charset, what string) string {
	content, size, err := r.read(body, maxBody)
	if err != nil {
		r.fault("the %s part cannot be read to its end: %v", what, err)
	}
	if size > maxBody {
		r.fault("only the first %s of the %s part are shown", sizeText(maxBody), what)
	}
	switch strings.ToLower(charset) {
	case "", "utf-8", "us-ascii":
	default:
		decoder, err := mail.CharsetReader(charset, bytes.NewReader(content))
		if err == nil {
			content, err = io.ReadAll(decoder)
		}
		if err != nil {
			r.fault("the %s part is in a character set that is not known here: %v", what, err)
		}
	}
	if !utf8.Valid(content) {
		r.fault("the %s part holds octets that are no text in its character set", what)
	}
	return strings.ToValidUTF8(string(content), "\uFFFD")
}

// file reads any other part.
func (r *reader) file(e *message.Entity, kind, name string) {
	disposition, params, _ := e.Header.ContentDisposition()
	if params["filename"] != "" {
		name = params["filename"]
	}
	f := File{Name: shownText(name), Type: shownText(kind), ContentID: strings.Trim(e.Header.Get("Content-Id"), " <>")}
	f.Inline = f.ContentID != "" && disposition != "attachment"
	content, size, err := r.read(e.Body, min(maxFile, r.room))
	if err != nil {
		r.fault("the part %q cannot be read to its end: %v", f.Name, err)
	}
	if f.Size = size; int64(len(content)) == size {
		f.Content = content
		r.room -= size
	}
	r.m.Files = append(r.m.Files, f)
}

// read returns at most most octets, and how many there are.
func (r *reader) read(body io.Reader, most int64) ([]byte, int64, error) {
	content, err := io.ReadAll(io.LimitReader(body, most))
	if err != nil {
		return content, int64(len(content)), err
	}
	rest, err := io.Copy(io.Discard, body)
	return content, int64(len(content)) + rest, err
}

// shownText is foreign text in one line, without what would not be seen.
func shownText(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\r' || c == '\n':
			return ' '
		case c < ' ' || c == 0x7f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069: // controls, changes of direction
			return utf8.RuneError
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
