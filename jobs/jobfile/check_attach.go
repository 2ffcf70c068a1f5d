package jobfile

import (
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

// attach checks what goes with a mail. dates are the placeholders that a report may name; nil: the columns of a mailing, which only
// the database knows.
func (m *mailer) attach(at string, a *Attach, dates []string) {
	s := m.src
	if !s.has(at) {
		return
	}
	file, query := s.written(at+".file"), s.written(at+".query")
	switch {
	case file == query:
		s.wrong(at, "", "has exactly one of file and query", `{file: "{pdf}"}, or {query: "SELECT ...", as: xlsx, name: statement.xlsx}`)
		return
	case file:
		m.attachFile(at, a, dates)
	default:
		m.attachQuery(at, a, dates)
	}
	if s.has(at + ".name") {
		checkPlaceholders(s, at+".name", a.Name, dates)
		if strings.ContainsAny(a.Name, `/\`) && a.As != HTML {
			s.wrong(at+".name", a.Name, "is a path, not the name of a file", "what the receiver sees: "+path.Base(strings.ReplaceAll(a.Name, `\`, "/")))
		}
	}
}

func (m *mailer) attachFile(at string, a *Attach, dates []string) {
	for _, key := range []string{".as", ".options"} {
		if m.src.written(at + key) {
			m.src.wrong(at+key, a.As, "is of a query's result, and this is a file", "remove it")
		}
	}
	if at += ".file"; !m.src.has(at) {
		return
	}
	checkPlaceholders(m.src, at, a.File, dates)
	switch name := strings.ReplaceAll(a.File, `\`, "/"); {
	case strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), ".."):
		m.src.wrong(at, a.File, "leads out of the company's attachments folder", "a path below that folder, without .. and without a slash in front")
	case !m.src.written(m.path + ".attachments"):
		m.src.wrong(at, a.File, "the company has no folder of files to attach", "attachments: /srv/acme/documents, for the company")
	}
}

func (m *mailer) attachQuery(at string, a *Attach, dates []string) {
	s := m.src
	q, ok := checkQuery(s, at+".query", a.Query)
	if ok && dates != nil {
		for _, name := range q.params {
			if known := slices.Concat(implicit, dates); !slices.Contains(known, name) {
				s.wrong(at+".query", ":"+name, "is a parameter that a report has not", knownHint(name, known))
			}
		}
	}
	for _, need := range []struct{ key, hint string }{{".as", "xlsx, csv, or in a report html"}, {".name", "what the receiver sees, as statement.xlsx"}} {
		if !s.written(at + need.key) {
			s.wrong(at+need.key, "", "is missing", need.hint)
		}
	}
	if !s.has(at + ".as") {
		return
	}
	if a.As == HTML && dates == nil {
		s.wrong(at+".as", a.As, "a table in the text is of reports", "in a mailing a query block of the template makes it; or as: xlsx")
	}
	if s.has(at + ".name") {
		for _, other := range []string{XLSX, CSV} {
			if a.As != HTML && other != a.As && strings.HasSuffix(strings.ToLower(a.Name), "."+other) {
				s.wrong(at+".name", a.Name, "ends as another kind of file than it is, "+a.As, "one of as and name")
			}
		}
	}
	if a.Options != nil && s.has(at+".options") {
		checkTable(s, at+".options", a.As, a.Options)
	}
}

// checkTable checks how a result is written.
func checkTable(s *source, path, as string, o *TableOptions) {
	for key, of := range map[string]string{".separator": CSV, ".decimal": CSV, ".bom": CSV, ".sheet": XLSX, ".filter": XLSX} {
		if s.has(path+key) && as != of {
			s.wrong(path+key, "", "is of "+of+", and this is "+as, "remove it")
		}
	}
	if at := path + ".separator"; s.has(at) && !slices.Contains([]string{",", ";", "tab"}, o.Separator) {
		s.wrong(at, o.Separator, "is no separator", `",", ";" or tab`)
	}
	if at := path + ".decimal"; s.has(at) && !slices.Contains([]string{".", ","}, o.Decimal) {
		s.wrong(at, o.Decimal, "is no decimal sign", `"." or ","`)
	}
	if at := path + ".sheet"; s.has(at) && (len(utf16.Encode([]rune(o.Sheet))) > 31 || strings.ContainsAny(o.Sheet, `:\/?*[]`) || strings.Trim(o.Sheet, "'") != o.Sheet) {
		s.wrong(at, o.Sheet, "is no name of a sheet", `at most 31 characters, without : \ / ? * [ ], and no ' at its ends`)
	}
	if at := path + ".totals_label"; s.has(at) && !s.written(path+".totals") {
		s.wrong(at, o.TotalsLabel, "stands in the row of the totals, and there are none", "totals: [amount]")
	}
}

// checkPlaceholders checks the names in braces. Two braces stand for one. known are the names that there are; nil: any.
func checkPlaceholders(s *source, path, text string, known []string) {
	if !s.has(path) {
		return
	}
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			return
		}
		sign, rest := text[i], text[i+1:]
		end := strings.IndexByte(rest, '}')
		switch {
		case rest != "" && rest[0] == sign:
			text = rest[1:]
			continue
		case sign == '}' || end < 0:
			s.wrong(path, text[i:], "has a brace that stands alone", "a name between two braces, as {"+exampleOf(known)+"}; for a brace write two of it")
			return
		}
		name := strings.TrimSpace(rest[:end])
		switch {
		case name == "":
			s.wrong(path, text[i:], "has braces without a name", "as {"+exampleOf(known)+"}")
			return
		case known != nil && !slices.Contains(known, name):
			s.wrong(path, "{"+name+"}", "is not known here", knownHint(name, known))
		}
		text = rest[end+1:]
	}
}

func exampleOf(known []string) string {
	if len(known) > 0 {
		return known[0]
	}
	return "invoice"
}
