package db

import "strings"

// tokenKind is what a part of a statement is to the server.
type tokenKind uint8

const (
	signToken   tokenKind = iota // one character that is nothing else
	wordToken                    // a keyword, a bare name, or a number up to its point
	stringToken                  // 'text' or "text"
	nameToken                    // `name`
	spaceToken                   // white space, or a comment
	codeToken                    // a comment that the server executes: /*! or /*M!
)

// token is a part of a statement, as it stands there. The texts of all its tokens are the statement.
type token struct {
	kind tokenKind
	text string
}

// tokens divides a statement as the server does in a session of outboxd: a backslash escapes, and " begins a text (sqlMode has
// neither NO_BACKSLASH_ESCAPES nor ANSI_QUOTES). A text, name or comment without an end is a *ReadError.
func tokens(statement string) ([]token, error) {
	var all []token
	for rest := statement; rest != ""; {
		kind, n := nextToken(rest)
		if n < 0 {
			begin := []rune(rest)
			return nil, refused("what begins with %s has no end", string(begin[:min(len(begin), 20)]))
		}
		all = append(all, token{kind, rest[:n]})
		rest = rest[n:]
	}
	return all, nil
}

// nextToken tells what s begins with, and for how many octets; fewer than none when it does not end.
func nextToken(s string) (tokenKind, int) {
	c := s[0]
	switch {
	case c == '\'' || c == '"':
		return stringToken, quotedEnd(s, c, true)
	case c == '`':
		return nameToken, quotedEnd(s, c, false)
	case strings.HasPrefix(s, "/*!"), strings.HasPrefix(s, "/*M!"):
		return codeToken, endAfter(s, 2, "*/")
	case strings.HasPrefix(s, "/*"):
		return spaceToken, endAfter(s, 2, "*/")
	case c == '#', strings.HasPrefix(s, "--") && (len(s) == 2 || s[2] <= ' ' || s[2] == 0x7f):
		if n := endAfter(s, 1, "\n"); n > 0 {
			return spaceToken, n
		}
		return spaceToken, len(s)
	case isSpace(c):
		return spaceToken, 1
	case isWord(c):
		n := 1
		for n < len(s) && isWord(s[n]) {
			n++
		}
		return wordToken, n
	}
	return signToken, 1
}

// quotedEnd is the length of a quoted text, in which two quotes stand for one; -1 without an end.
func quotedEnd(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return -1
}

// endAfter is the length of s up to and with the first end from an offset on; -1 when there is none.
func endAfter(s string, from int, end string) int {
	i := strings.Index(s[from:], end)
	if i < 0 {
		return -1
	}
	return from + i + len(end)
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func isWord(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
