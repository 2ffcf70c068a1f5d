package jobs

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// The letters that outboxd writes to people about a run: as HTML, in which every value is escaped for its place, and as text.
//
//go:embed letters
var letterFiles embed.FS

var (
	htmlLetters = htmltemplate.Must(htmltemplate.ParseFS(letterFiles, "letters/*.html"))
	textLetters = texttemplate.Must(texttemplate.ParseFS(letterFiles, "letters/*.txt"))
)

// figure is a line of a table of numbers.
type figure struct{ Name, Value, Note string }

// Line is the figure in a text.
func (f figure) Line() string {
	return strings.TrimRight(fmt.Sprintf("  %-26s %10s  %s", f.Name, f.Value, f.Note), " ")
}

// Grouped writes a number with a gap between thousands: neither a comma nor a point, which stand for other things in other countries.
func Grouped(n int64) string {
	text := strconv.FormatInt(max(n, -n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u00a0" + text[i:]
	}
	if n < 0 {
		text = "-" + text
	}
	return text
}

// mailCount says how many mails.
func mailCount(n int64) string {
	if n == 1 {
		return "1 mail"
	}
	return Grouped(n) + " mails"
}

// addressee is who gets a letter.
type addressee struct {
	person  *jobfile.Person // nil for a bare address
	address string
}

// addressees are whom names mean: people, whoever started the run (starter), and addresses; each once. A person who is no longer in jobs.yaml
// is left out.
func addressees(c *jobfile.Company, names []string, startedBy string) (all []addressee) {
	add := func(a addressee) {
		if a.address != "" && !slices.ContainsFunc(all, func(b addressee) bool { return strings.EqualFold(a.address, b.address) }) {
			all = append(all, a)
		}
	}
	for _, name := range names {
		if name == jobfile.Starter {
			name = startedBy
		}
		i := slices.IndexFunc(c.People, func(p *jobfile.Person) bool { return p.Name == name })
		switch {
		case i >= 0:
			add(addressee{c.People[i], c.People[i].Email})
		case strings.Contains(name, "@"):
			add(addressee{nil, name})
		}
	}
	return all
}

// writeLetter writes a letter as a mail of the general account, outside of any run.
func writeLetter(name, subject, to string, about any) (db.NewMail, error) {
	var text, html bytes.Buffer
	if err := textLetters.ExecuteTemplate(&text, name+".txt", about); err != nil {
		return db.NewMail{}, fmt.Errorf("write the %s: %w", name, err)
	}
	if err := htmlLetters.ExecuteTemplate(&html, name+".html", about); err != nil {
		return db.NewMail{}, fmt.Errorf("write the %s: %w", name, err)
	}
	return db.NewMail{Recipients: to, Subject: oneLine(subject), Text: mended(text.String()), HTML: mended(html.String()), Account: jobfile.GeneralAccount, Priority: letterPriority}, nil
}

const letterPriority = 2 // before mass mail: somebody waits for it

// mended is a text without what no mail can carry: people's values may hold anything.
func mended(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// oneLine makes a subject of a text that may hold what people have written.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), " ")
}
