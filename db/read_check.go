package db

import (
	"slices"
	"strings"
)

// readVerbs are the words that a statement which reads can begin with, beside a parenthesis.
var readVerbs = []string{"SELECT", "WITH", "TABLE", "VALUES"}

// unreadable are words, and pairs of words, that no statement needs to read. All but the last are reserved: they cannot be names
// without quotes.
var unreadable = map[string]string{
	"INTO":      "INTO writes into a file or a variable; a query only returns rows",
	"UPDATE":    "UPDATE changes rows or locks them; a query does neither",
	"DELETE":    "DELETE removes rows; a query only reads",
	"FOR SHARE": "FOR SHARE locks rows; leave it out",
	"LOCK IN":   "LOCK IN SHARE MODE locks rows; leave it out",
	"LOAD_FILE": "LOAD_FILE reads files of the server's computer; a query reads tables",
}

// checkRead returns the one statement of a text, without what follows it, or a *ReadError when it does more than read. The session
// and the rights of its user keep it from changing data; here is refused what they may not keep it from: files on the server's
// computer, locks, and a second statement.
func checkRead(text string) (statement string, err error) {
	all, err := tokens(text)
	if err != nil {
		return "", err
	}
	last, length, begun, ended := "", 0, false, false
	for i, t := range all {
		if !ended && t.text != ";" {
			length += len(t.text)
		}
		if t.kind == spaceToken {
			continue
		}
		word := keyword(all[:i], t)
		switch {
		case ended:
			return "", refused("after the semicolon stands a second statement: give one")
		case t.kind == codeToken:
			return "", refused("it contains a comment that is executed (%s): write a plain one", cut(t.text, 40))
		case t.text == ";" && begun:
			ended = true
		case !begun && t.text != "(" && !slices.Contains(readVerbs, word):
			return "", refused("it begins with %s: a query begins with %s or (", cut(t.text, 40), strings.Join(readVerbs, ", "))
		}
		for _, w := range []string{word, last + " " + word} {
			if why := unreadable[w]; why != "" {
				return "", refused("%s", why)
			}
		}
		begun, last = true, word
	}
	if !begun {
		return "", refused("there is no statement")
	}
	return text[:length], nil
}

// keyword is what a token is to the server's grammar, in capitals; "" when it is no word. After a table's name and a point there
// is a column, whatever it is called; but `1.` is a number. A function may be called by its quoted name.
func keyword(before []token, t token) string {
	n := len(before)
	switch {
	case t.kind == nameToken && strings.EqualFold(strings.Trim(t.text, "`"), "LOAD_FILE"):
		return "LOAD_FILE"
	case t.kind != wordToken:
		return ""
	case n > 1 && before[n-1].text == "." && (before[n-2].kind == nameToken || before[n-2].kind == wordToken && !isDigit(before[n-2].text[0])):
		return ""
	}
	return strings.ToUpper(t.text)
}
