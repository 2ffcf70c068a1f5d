package jobfile

import (
	"slices"
	"strings"
)

// statement is what can be told of an SQL statement without a server.
type statement struct {
	first  string   // its first word in capitals, or (
	params []string // the names behind a colon, each once, in order
}

// Words that a statement may begin with.
var (
	queryWords  = []string{"SELECT", "WITH", "TABLE", "VALUES", "("}
	changeWords = []string{"UPDATE", "INSERT", "DELETE", "REPLACE"}
	ownWords    = []string{"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA", "LOCK", "UNLOCK", "USE", "SET"} // what a job's transaction and session have themselves
	schemaWords = []string{"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE", "REPAIR"}  // what commits at once
)

// sqlFault is what is wrong with a statement, and what to do.
type sqlFault struct{ message, hint string }

// parseStatement divides a statement as the server does in a session of outboxd: a backslash escapes, " begins a text. A parameter is a
// colon with a word right behind it, outside of texts, comments and quoted names; :: and := are none.
func parseStatement(text string) (s statement, fault *sqlFault) {
	ended := false
	for rest := text; rest != ""; {
		n := sqlPart(rest)
		if n < 0 {
			return s, &sqlFault{"has a text, name or comment without an end, at " + short(rest, 20), "close it: ' \" and ` end with themselves, /* with */"}
		}
		part := rest[:n]
		rest = rest[n:]
		switch {
		case isSQLSpace(part):
			continue
		case ended:
			return s, &sqlFault{"has a second statement, at " + short(part+rest, 20), "one statement"}
		case part == ";" && s.first == "":
			continue
		case part == ";":
			ended = true
			continue
		case s.first == "":
			s.first = strings.ToUpper(part)
		}
		switch {
		case part == "?":
			return s, &sqlFault{"has the placeholder ?, for which there is no value", "values have names, as :customer_id"}
		case part == ":" && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, "=")):
			rest = rest[1:]
		case part == ":" && rest != "" && isSQLWord(rest[0]):
			name := rest[:sqlPart(rest)]
			rest = rest[len(name):]
			if !slices.Contains(s.params, name) {
				s.params = append(s.params, name)
			}
		}
	}
	if s.first == "" {
		return s, &sqlFault{"has no statement, only blanks and comments", "write it, or remove the key"}
	}
	return s, nil
}

// sqlPart is the length of what a text begins with: a quoted text or name, a comment, a word, or one character; -1 without an end.
func sqlPart(s string) int {
	switch c := s[0]; {
	case c == '\'' || c == '"' || c == '`':
		return quotedPart(s, c)
	case strings.HasPrefix(s, "/*"):
		if i := strings.Index(s[2:], "*/"); i >= 0 {
			return i + 4
		}
		return -1
	case c == '#' || strings.HasPrefix(s, "--") && (len(s) == 2 || s[2] <= ' ' || s[2] == 0x7f):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return i + 1
		}
		return len(s)
	case isSQLWord(c):
		n := 1
		for n < len(s) && isSQLWord(s[n]) {
			n++
		}
		return n
	}
	return 1
}

// quotedPart is the length of a quoted text, in which two quotes stand for one.
func quotedPart(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return -1
}

// isSQLSpace tells a part that says nothing: a blank, or a comment that no server executes.
func isSQLSpace(part string) bool {
	comment := strings.HasPrefix(part, "/*") && !strings.HasPrefix(part, "/*!") && !strings.HasPrefix(part, "/*M!")
	return comment || part[0] == '#' || strings.HasPrefix(part, "--") || strings.TrimSpace(part) == ""
}

func isSQLWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
}

// checkStatement reports what is wrong with the statement at a path. wanted are the words that it may begin with, none: any; what
// it is then called.
func checkStatement(s *source, path, text string, wanted []string, what string) (statement, bool) {
	if !s.has(path) {
		return statement{}, false
	}
	parsed, fault := parseStatement(text)
	switch {
	case fault != nil:
		s.wrong(path, "", fault.message, fault.hint)
		return parsed, false
	case len(wanted) > 0 && !slices.Contains(wanted, parsed.first):
		s.wrong(path, short(parsed.first, 20), "is no "+what, "it begins with "+oneOf(strings.Join(slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return w == "(" }), "|")))
		return parsed, false
	}
	return parsed, true
}

// checkQuery is checkStatement for one that only reads.
func checkQuery(s *source, path, text string) (statement, bool) {
	return checkStatement(s, path, text, queryWords, "query")
}
