package main

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"

	"outboxd/mail/page"
	"outboxd/mail/smtptest"
)

// caught is one mail as a person sees it.
type caught struct {
	Row       string   // acme/1; "" when no row has its Message-ID
	Envelope  []string // who got it, also those that no header names
	Time      time.Time
	To        string
	Subject   string
	Files     []string // names of what goes with it, and of pictures in it
	Page, EML string   // file names
}

// writeMail writes the mail into the folder, as a page for the browser and as it was sent.
func writeMail(folder string, number int, row string, m smtptest.Message) (c caught, err error) {
	read := page.Read(m.Data)
	c = caught{
		Row: row, Envelope: m.To, Time: m.Time, To: read.Get("To"), Subject: read.Get("Subject"),
		Page: fmt.Sprintf("mail-%03d.html", number), EML: fmt.Sprintf("mail-%03d.eml", number),
	}
	for _, f := range read.Files {
		c.Files = append(c.Files, f.Name)
	}
	view := page.View{
		Links: []page.Link{{Text: "All mails and rows", To: "index.html"}, {Text: "As it was sent", To: c.EML}},
		Facts: []page.Field{{Name: "delivered to", Value: strings.Join(m.To, ", ")}},
	}
	if row != "" {
		view.Facts = append(view.Facts, page.Field{Name: "row", Value: row})
	}
	if err := os.WriteFile(filepath.Join(folder, c.EML), m.Data, 0o600); err != nil {
		return c, err
	}
	f, err := os.OpenFile(filepath.Join(folder, c.Page), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return c, err
	}
	return c, errors.Join(read.Write(f, view), f.Close())
}

//go:embed templates/index.html
var indexText string

var indexTemplate = template.Must(template.New("index").Funcs(template.FuncMap{"clock": clock}).Parse(indexText))

// writeIndex writes the page of all rows and mails.
func writeIndex(folder string, data any) error {
	var b strings.Builder
	if err := indexTemplate.Execute(&b, data); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "index.html"), []byte(b.String()), 0o600)
}

// clock shows a time of today.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }
