package jobfile

import (
	"slices"
	"strings"
	"testing"
)

func TestParseStatement(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1": "SELECT",
		"  -- all\n/* of them */ # now\nselect 1 ; -- end": "SELECT",
		"(SELECT 1)":    "(",
		";;SELECT 1":    "SELECT",
		"CALL remind()": "CALL",
		"UPDATE t SET a = :a, b = :b_2, c = :a WHERE d = :1":                              "UPDATE a b_2 1",
		"SELECT ':no', \":no\", `:no`, '\\':no', ''':no' /* :no */ -- :no\n# :no\n, :yes": "SELECT yes",
		"SELECT @a := 1, x::int, :účet":                                                   "SELECT účet",
		"SELECT 5--:a":                                                                    "SELECT a",
		"SELECT `a\\`, :b":                                                                "SELECT b",
		"/*!50000 SELECT 1 */":                                                            "/*!50000 SELECT 1 */",
		"":                                                                                "has no statement, only blanks and comments",
		" ; ;":                                                                            "has no statement, only blanks and comments",
		"-- nothing":                                                                      "has no statement, only blanks and comments",
		"SELECT 1; SELECT 2":                                                              "has a second statement, at SELECT 2",
		"SELECT 1; /*! SELECT 2 */":                                                       "has a second statement, at /*! SELECT 2 */",
		"SELECT ?":                                                                        "has the placeholder ?, for which there is no value",
		"SELECT 'a":                                                                       "has a text, name or comment without an end, at 'a",
		"SELECT \"a\\\"":                                                                  "has a text, name or comment without an end, at \"a\\\"",
		"SELECT `a``":                                                                     "has a text, name or comment without an end, at `a``",
		"SELECT 1 /* and so on, and so on, /":                                             "has a text, name or comment without an end, at /* and so on, and so…",
	} {
		got, fault := parseStatement(text)
		have := strings.Join(append([]string{got.first}, got.params...), " ")
		if fault != nil {
			have = fault.message
			if fault.hint == "" {
				t.Errorf("%q: no hint", text)
			}
		}
		if have != want {
			t.Errorf("%q: %s, want %s", text, have, want)
		}
	}
}

// FuzzParseStatement: a parameter is a name that stands behind a colon in the text, once.
func FuzzParseStatement(f *testing.F) {
	for _, text := range []string{"SELECT :a", "'", "/*", "--", "#\n:a", "`a`::b", "a:=:b;", "\\", ":", "SELECT 1 /*!", "é:é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, fault := parseStatement(text)
		if fault == nil && s.first == "" {
			t.Fatalf("%q: neither a statement nor a fault", text)
		}
		for i, name := range s.params {
			if name == "" || !strings.Contains(text, ":"+name) || slices.Contains(s.params[:i], name) {
				t.Fatalf("%q: parameters %q", text, s.params)
			}
		}
	})
}
