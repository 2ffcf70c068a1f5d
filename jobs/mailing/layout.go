package mailing

import (
	"fmt"
	"slices"
	"strings"

	"outboxd/db"
)

// ownColumns are the columns of an audience that say where and how a mail goes. All others are values for its template.
var ownColumns = []string{"recipients", "cc", "bcc", "from_address", "reply_to", "reference", "language", "subject", "priority", "send_after", "expires_at"}

// layout is what the columns of an audience are for.
type layout struct {
	spec    Spec
	columns []db.ReadColumn
	own     map[string]int // of ownColumns, by name
	params  []int          // the others, in order
	names   [][]byte       // of params, as they begin in JSON
	key     []int
}

// newLayout refuses columns that no mail can be made of.
func newLayout(s Spec, columns []db.ReadColumn) (*layout, error) {
	l := &layout{spec: s, columns: columns, own: map[string]int{}}
	seen := map[string]bool{}
	for i, c := range columns {
		name := strings.ToLower(c.Name)
		if seen[name] {
			return nil, &AudienceError{Audience: s.Audience, Kind: Twice, Text: fmt.Sprintf("two of its columns are called %s", cut(oneLine(c.Name), 64)),
				Remedy: fmt.Sprintf("name the columns in the SELECT, and one of these otherwise, as by AS other_%s", cut(oneLine(name), 58))}
		}
		seen[name] = true
		if slices.Contains(ownColumns, name) {
			l.own[name] = i
			continue
		}
		l.params = append(l.params, i)
		l.names = append(l.names, append(appendText(nil, c.Name), ':'))
	}
	if _, ok := l.own["recipients"]; !ok {
		return nil, l.noAddress()
	}
	for _, name := range s.Key {
		i := l.find(name)
		if i < 0 {
			return nil, &AudienceError{Audience: s.Audience, Kind: NoKey, Text: fmt.Sprintf("it has no column %s, which key names; it has %s", cut(name, 64), l.list()),
				Remedy: "let the query return it, or mend key"}
		}
		l.key = append(l.key, i)
	}
	return l, nil
}

// find returns the place of a column, whose name is that of the server: capitals are no difference; -1 without one.
func (l *layout) find(name string) int {
	return slices.IndexFunc(l.columns, func(c db.ReadColumn) bool { return strings.EqualFold(c.Name, name) })
}

// list names the columns, for people.
func (l *layout) list() string {
	const most = 20
	var names []string
	for _, c := range l.columns[:min(len(l.columns), most)] {
		names = append(names, cut(oneLine(c.Name), 64))
	}
	if more := len(l.columns) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func (l *layout) noAddress() error {
	likely := slices.IndexFunc(l.columns, func(c db.ReadColumn) bool {
		name := strings.ToLower(c.Name)
		return strings.Contains(name, "mail") || strings.Contains(name, "address") || strings.Contains(name, "recipient")
	})
	column := "email"
	if likely >= 0 {
		column = l.columns[likely].Name
	}
	return &AudienceError{Audience: l.spec.Audience, Kind: NoAddress, Text: "it has no column recipients, which says whom each mail goes to; it has " + l.list(),
		Remedy: fmt.Sprintf("name the one with the address so: %s AS recipients", cut(oneLine(column), 64))}
}
