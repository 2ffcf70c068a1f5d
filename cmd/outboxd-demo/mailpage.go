package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"

	"outboxd/mail/smtptest"
)

//go:embed templates/mail.html templates/index.html
var pageFiles embed.FS

// caught is one mail as a person sees it.
type caught struct {
	Number    int
	Row       string // acme/1; "" when no row has its Message-ID
	MessageID string
	Envelope  []string // who got it, also those that no header names
	Time      time.Time
	Headers   []header
	To        string
	Subject   string
	Text      string
	HTML      string
	Page, EML string // file names
}

type header struct{ Name, Value string }

// readMail takes a caught message apart.
func readMail(number int, m smtptest.Message) (caught, error) {
	c := caught{
		Number: number, MessageID: m.MessageID, Envelope: m.To, Time: m.Time,
		Page: fmt.Sprintf("mail-%03d.html", number), EML: fmt.Sprintf("mail-%03d.eml", number),
	}
	r, err := mail.CreateReader(bytes.NewReader(m.Data))
	if err != nil {
		return c, fmt.Errorf("read mail %d: %w", number, err)
	}
	for _, name := range []string{"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-Id"} {
		value, err := r.Header.Text(name)
		if err != nil {
			return c, fmt.Errorf("read mail %d, %s: %w", number, name, err)
		}
		if value != "" {
			c.Headers = append(c.Headers, header{name, value})
		}
		switch name {
		case "To":
			c.To = value
		case "Subject":
			c.Subject = value
		}
	}
	return c, c.readParts(r)
}

func (c *caught) readParts(r *mail.Reader) error {
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read mail %d: %w", c.Number, err)
		}
		inline, ok := part.Header.(*mail.InlineHeader)
		if !ok {
			continue
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return fmt.Errorf("read mail %d: %w", c.Number, err)
		}
		kind, _, err := inline.ContentType()
		if err != nil {
			return fmt.Errorf("read mail %d: %w", c.Number, err)
		}
		switch kind {
		case "text/plain":
			c.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
		case "text/html":
			c.HTML = string(body)
		}
	}
}

// writeMail writes the mail into the folder, as a page for the browser and as it was sent.
func writeMail(folder string, c caught, raw []byte) error {
	if err := os.WriteFile(filepath.Join(folder, c.EML), raw, 0o600); err != nil {
		return err
	}
	return writePage(filepath.Join(folder, c.Page), "mail.html", c)
}

// writePage writes one of the pages of the templates folder.
func writePage(path, name string, data any) error {
	t, err := template.New(name).Funcs(template.FuncMap{"clock": clock}).ParseFS(pageFiles, "templates/"+name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// clock shows a time of today.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }
