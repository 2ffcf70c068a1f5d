package jobfile

import (
	"strings"
	"testing"
)

func TestProblemString(t *testing.T) {
	p := Problem{File: "jobs.yaml", Line: 5, Column: 9, Path: "accounts.a.rate", Value: "50/hour", Message: "is low", Hint: "raise it"}
	if got, want := p.String(), "jobs.yaml:5:9: accounts.a.rate: is low (50/hour); raise it"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p = Problem{Line: 1, Column: 1, Message: "is odd", Warning: true}
	if got, want := p.String(), "1:1: warning: is odd"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestProblems(t *testing.T) {
	ps := Problems{{Line: 2, Column: 1, Message: "c"}, {Line: 1, Column: 5, Message: "b", Warning: true}, {Line: 1, Column: 2, Message: "a"}}
	ps.sortByPlace()
	if got, want := ps.String(), "1:2: a\n1:5: warning: b\n2:1: c"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := ps.Errors().String(); got != "1:2: a\n2:1: c" {
		t.Errorf("errors: %s", got)
	}
	if got := ps.Warnings().String(); got != "1:5: warning: b" {
		t.Errorf("warnings: %s", got)
	}
}

func TestShown(t *testing.T) {
	for value, want := range map[string]string{
		"plain": "plain", "": "", "a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, strings.Repeat("é", 61): strings.Repeat("é", 60) + "…",
		"mysql://u:hunter2@db": "", "x password: hunter2": "", "a@b.example": "a@b.example", "Acme <a@b.example>": "Acme <a@b.example>",
	} {
		if got := shown(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	if got := clean("a\nb\x1bc é"); got != "a\ufffdb\ufffdc é" {
		t.Errorf("%q", got)
	}
}

func TestPaths(t *testing.T) {
	if got := join(join("", "accounts"), "a b"); got != `accounts."a b"` {
		t.Error(got)
	}
	if got := indexed("limits", 2); got != "limits[2]" {
		t.Error(got)
	}
	for path, want := range map[string]string{"a.b[1]": "a.b", "a.b": "a", "a": "", "": ""} {
		if got := parent(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	data := []byte("ab\néx\n")
	for offset, want := range map[int][2]int{0: {1, 1}, 1: {1, 2}, 3: {2, 1}, 5: {2, 2}, 7: {3, 1}} {
		if line, column := placeOf(data, offset); line != want[0] || column != want[1] {
			t.Errorf("%d: %d:%d, want %v", offset, line, column, want)
		}
	}
	if charAt(data, 2, 1) != 'é' || charAt(data, 2, 9) != 0 || charAt(data, 9, 1) != 0 {
		t.Error("charAt")
	}
}
