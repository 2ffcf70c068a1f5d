// Package page shows a message as one HTML page for a browser, before or after it was sent.
//
// It promises: the page is one file that needs no other and loads nothing. Whatever the message holds, nothing of it becomes
// part of the page itself: texts are escaped, the HTML part stands in a sandboxed frame without scripts, forms, links that
// lead anywhere, or anything from the network, and what is attached can only be saved. Pictures of the message (cid:) are
// shown from the page itself.
//
// Its failure rule: a message is never refused. What cannot be read, or is too much for a page, is named in Message.Faults,
// which the page shows first. A page has some 100 MB at most, whatever the message holds.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// Message is a message taken apart.
type Message struct {
	Header []Field // all fields, in their order
	Text   string  // the first text part, with line feeds
	HTML   string  // the first HTML part, as it was sent: not fit for a page of one's own
	Files  []File  // all other parts, in their order
	Faults []string
}

// Field is one header field, decoded and in one line.
type Field struct{ Name, Value string }

// File is a part that is neither the text nor the HTML.
type File struct {
	Name      string // "" when the part has none
	Type      string // as the part states it
	ContentID string // without angle brackets; "" when the part has none
	Inline    bool   // shown within the HTML, not beside it
	Size      int64  // octets, decoded
	Content   []byte // nil when it is too large to stand in the page
}

// View is what the page tells beside the message.
type View struct {
	Links []Link  // above it, to other files
	Facts []Field // below the header: envelope, row
}

// Link leads to another file: its path from the page's folder.
type Link struct{ Text, To string }

// Get returns the first field of that name, "" when there is none.
func (m *Message) Get(name string) string {
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// chief are the fields that a reader of mail shows.
var chief = []string{"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID"}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"save": saveLink, "size": sizeText, "path": pathURL}).Parse(pageText))

// Write writes the page.
func (m *Message) Write(w io.Writer, v View) error {
	frame, faults := m.frame()
	var shown []Field
	for _, name := range chief {
		if value := m.Get(name); value != "" {
			shown = append(shown, Field{name, value})
		}
	}
	return pageTemplate.Execute(w, map[string]any{
		"Subject": m.Get("Subject"), "Chief": shown, "Header": m.Header, "Text": m.Text, "Frame": frame, "Files": m.Files,
		"Faults": append(faults, m.Faults...), "View": v,
	})
}

// saveLink is a file as an address from which a browser can only save it: of no type that it would show.
func saveLink(f File) template.URL {
	return template.URL(dataURI("application/octet-stream", f.Content))
}

// sizeText is a size for people.
func sizeText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d octets", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// FileURL is a file as browsers open it and most terminals make a link of it. The path is absolute.
func FileURL(path string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/...
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

// pathURL is a relative path as an address. The dot keeps a name with a colon from being taken for a scheme.
func pathURL(path string) string {
	return "./" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
}
