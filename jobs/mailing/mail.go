package mailing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"outboxd/db"
	"outboxd/mail"
)

// verdict is what becomes of a line.
type verdict uint8

const (
	sendable verdict = iota
	noAddress
	badAddress
	unusable
	duplicate
	noRecipient // all of them are suppressed
)

// made is the mail of a line.
type made struct {
	db.NewMail
	verdict verdict
}

// Limits of a mail that an audience makes.
const (
	maxAddresses = 100     // as in any row of the outbox
	maxText      = 60_000  // octets of a TEXT, with room
	maxSender    = 998     // characters
	maxSubject   = 998     // characters
	maxReference = 255     // characters
	maxParams    = 4 << 20 // octets
	maxShown     = 300     // characters of an address that is none
)

// The times that a TIMESTAMP has on every server.
var (
	firstTime = time.Unix(24*3600, 0)
	lastTime  = time.Unix(1<<31-1, 0)
)

// mail is that of a line. It never fails: what cannot be mailed has ended as skipped, with the reason.
func (l *layout) mail(values []any, h hash, r repeat) *made {
	s := &l.spec
	m := &made{NewMail: db.NewMail{Identity: h.identity(r.times), State: db.Queued, Account: s.Account, Priority: s.Priority, Template: s.TemplateName()}}
	if m.Template != BodyTemplate {
		m.Subject = s.Subject
	}
	texts, known := l.keyTexts(values)
	if known {
		m.Key = keyText(texts, h)
	}
	wrong := l.fill(m, values)
	l.address(m, values)
	switch {
	case m.State != db.Queued:
	case r.times > 0 && len(l.key) == 0:
		m.skip(duplicate, fmt.Sprintf("duplicate: line %d of the audience is the same; that one counts", r.first))
	case r.times > 0:
		m.skip(duplicate, fmt.Sprintf("duplicate of line %d of the audience, which has the same key: that one counts", r.first))
	case len(l.key) > 0 && !known:
		m.skip(unusable, fmt.Sprintf("the key (%s) is NULL in part, so nobody can tell whether it was mailed before: let the query return a value, as by COALESCE", strings.Join(s.Key, ", ")))
	case wrong != "":
		m.skip(unusable, wrong)
	}
	return m
}

// skip ends the mail.
func (m *made) skip(v verdict, why string) {
	m.State, m.LastError, m.verdict = db.Skipped, why, v
}

// address reads who gets it. The columns are parsed as they are when the mail is sent.
func (l *layout) address(m *made, values []any) {
	n := 0
	for _, c := range []struct {
		name string
		to   *string
		most int
	}{{"recipients", &m.Recipients, maxText}, {"cc", &m.Cc, maxText}, {"bcc", &m.Bcc, maxText}, {"from_address", &m.From, maxSender}, {"reply_to", &m.ReplyTo, maxSender}} {
		i, ok := l.own[c.name]
		if !ok || values[i] == nil {
			continue
		}
		text, _ := valueText(l.columns[i].Kind, values[i])
		list, err := mail.ParseAddressList(text)
		switch {
		case len(text) > c.most:
			err = fmt.Errorf("it has %d octets, and at most %d are possible", len(text), c.most)
		case err == nil && c.name == "from_address" && len(list) > 1:
			err = errors.New("a mail has one sender")
		}
		if err != nil {
			*c.to = cut(oneLine(text), maxShown)
			m.skip(badAddress, fmt.Sprintf("%s: %v; correct it where the query takes it from", c.name, err))
			continue
		}
		if len(list) > 0 {
			*c.to = text
		}
		if slices.Contains([]string{"recipients", "cc", "bcc"}, c.name) {
			n += len(list)
		}
	}
	switch {
	case m.State != db.Queued:
	case strings.TrimSpace(m.Recipients) == "":
		m.skip(noAddress, "recipients is empty: there is no address; enter one where the query takes it from")
	case n > maxAddresses:
		m.skip(unusable, fmt.Sprintf("it has %d addresses in recipients, cc and bcc together, and at most %d go into one mail: let the query return several rows", n, maxAddresses))
	}
}

// fill takes the other columns of the row, and returns what is wrong with them.
func (l *layout) fill(m *made, values []any) (wrong string) {
	note := func(why string) { wrong = cmp.Or(wrong, why) }
	for _, c := range []struct {
		name string
		to   *string
		most int
	}{{"reference", &m.Reference, maxReference}, {"language", &m.Language, 35}, {"subject", &m.Subject, maxSubject}} {
		text, ok := l.text(c.name, values)
		if !ok {
			continue
		}
		if why := lineTrouble(text, c.most); why != "" {
			note(c.name + " " + why)
			continue
		}
		*c.to = cmp.Or(text, *c.to)
	}
	if _, err := language.Parse(m.Language); m.Language != "" && err != nil {
		note(fmt.Sprintf("language: %q is none: write it like sk or pt-BR", m.Language))
		m.Language = ""
	}
	if text, ok := l.text("priority", values); ok && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 5 {
			note(fmt.Sprintf("priority %q is none: 1 is very high, 5 very low", cut(oneLine(text), 20)))
		} else {
			m.Priority = n
		}
	}
	m.SendAfter, m.ExpiresAt = l.moment("send_after", values, note), l.moment("expires_at", values, note)
	m.Params = l.json(values, note)
	return wrong
}

// text is one of the row's own columns, without blanks around it; not ok when it is not there or NULL.
func (l *layout) text(name string, values []any) (text string, ok bool) {
	i, ok := l.own[name]
	if !ok || values[i] == nil {
		return "", false
	}
	text, _ = valueText(l.columns[i].Kind, values[i])
	return strings.TrimSpace(text), true
}

// lineTrouble is what keeps a text from being one line of so many characters; "" when nothing does.
func lineTrouble(text string, most int) string {
	switch i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); {
	case !utf8.ValidString(text):
		return "holds bytes that are no text (UTF-8): convert it, as by CONVERT(column USING utf8mb4)"
	case i >= 0 && (text[i] == '\n' || text[i] == '\r'):
		return "holds a line break, and has to be one line"
	case i >= 0:
		return fmt.Sprintf("holds the control character U+%04X", text[i])
	}
	if n := utf8.RuneCountInString(text); n > most {
		return fmt.Sprintf("has %d characters, and at most %d are possible", n, most)
	}
	return ""
}

// moment is a time of the row's own columns. Those without a zone are UTC, as NOW() is for the query.
func (l *layout) moment(name string, values []any, note func(string)) *time.Time {
	i, ok := l.own[name]
	if !ok || values[i] == nil || values[i] == "" {
		return nil
	}
	t, ok := values[i].(time.Time)
	if !ok {
		note(fmt.Sprintf("%s: %v is no time: let the query return a TIMESTAMP or a DATETIME in UTC", name, cut(oneLine(fmt.Sprint(values[i])), 40)))
		return nil
	}
	if t.Before(firstTime) || t.After(lastTime) {
		note(fmt.Sprintf("%s: %s is not between the years 1970 and 2038", name, t.Format(time.DateOnly)))
		return nil
	}
	return &t
}

// json is what the template is filled with: an object with the columns that are not the row's own.
func (l *layout) json(values []any, note func(string)) string {
	b := []byte{'{'}
	for n, i := range l.params {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, l.names[n]...)
		if values[i] == nil {
			b = append(b, "null"...)
			continue
		}
		text, number := valueText(l.columns[i].Kind, values[i])
		switch {
		case number:
			b = appendNumber(b, text)
		case !utf8.ValidString(text):
			note(fmt.Sprintf("column %s holds bytes that are no text (UTF-8): leave it out of the query, or convert it, as by HEX(%[1]s)", cut(oneLine(l.columns[i].Name), 64)))
			b = append(b, "null"...)
		case strings.IndexByte(text, 0) >= 0:
			note(fmt.Sprintf("column %s holds a NUL character: leave it out of the query, or mend the value", cut(oneLine(l.columns[i].Name), 64)))
			b = append(b, "null"...)
		default:
			b = appendText(b, text)
		}
	}
	if len(b) >= maxParams {
		note(fmt.Sprintf("its values have %d octets, and at most %d are possible: let the query return less", len(b), maxParams))
		return "{}"
	}
	return string(append(b, '}'))
}
