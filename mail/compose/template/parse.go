package template

import (
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// parseSource reads one file into its trees: the file's own, under the name of the file, and one for each {{define}}.
// Whether functions exist is looked at later, with their places.
func parseSource(src source) (map[string]*parse.Tree, *Problem) {
	trees, err := parseText(src.file, src.text)
	if err != nil {
		p := src.explain(err)
		return nil, &p
	}
	return trees, nil
}

func parseText(file, text string) (map[string]*parse.Tree, error) {
	trees := map[string]*parse.Tree{}
	t := parse.New(file)
	t.Mode = parse.SkipFuncCheck
	_, err := t.Parse(text, "", "", trees)
	return trees, err
}

// parseError is what package parse says: template: FILE:LINE: MESSAGE.
var parseError = regexp.MustCompile(`(?s)^template: .*?:(\d+): (.*)$`)

// explain finds the column of an error, which package parse does not tell.
func (s source) explain(err error) Problem {
	m := parseError.FindStringSubmatch(err.Error())
	if m == nil {
		return s.at(0, err.Error(), "")
	}
	line, _ := strconv.Atoi(m[1])
	message := m[2]
	switch {
	case message == "unexpected EOF":
		return s.unclosed()
	case strings.HasPrefix(message, "unclosed"), strings.HasPrefix(message, "unterminated"):
		end := lineStart(s.text, line+1)
		if end <= lineStart(s.text, line) {
			end = len(s.text)
		}
		return s.at(strings.LastIndex(s.text[:end], "{{"), message, hintOf(message))
	}
	return s.at(s.culprit(line, err.Error()), message, hintOf(message))
}

// culprit returns where the action begins that gives the error: the first one of its line up to whose end the text gives
// the same error.
func (s source) culprit(line int, message string) int {
	begin := lineStart(s.text, line)
	end := begin + len(firstLine(s.text[begin:]))
	all := slices.DeleteFunc(actions(s.text), func(a span) bool { return a.end <= begin || a.start > end })
	i := sort.Search(len(all), func(i int) bool {
		_, err := parseText(s.file, s.text[:all[i].end])
		return err != nil && err.Error() == message
	})
	switch {
	case i < len(all):
		return all[i].start
	case len(all) > 0:
		return max(begin, all[0].start)
	}
	return begin
}

// span is an action {{...}} of a text. keyword is its first word.
type span struct {
	start, end int
	keyword    string
}

// actionMark finds actions as far as needed to place an error: strings and comments may hold braces.
var actionMark = regexp.MustCompile("(?s)" + `\{\{-?\s*(?:/\*.*?\*/|(\w*)(?:"(?:\\.|[^"\\])*"|` + "`[^`]*`" + `|'(?:\\.|[^'\\])*'|[^"` + "`" + `'}]|\}[^}])*?)\s*-?\}\}`)

func actions(text string) []span {
	var all []span
	for _, m := range actionMark.FindAllStringSubmatchIndex(text, -1) {
		a := span{start: m[0], end: m[1]}
		if m[2] >= 0 {
			a.keyword = text[m[2]:m[3]]
		}
		all = append(all, a)
	}
	return all
}

// unclosed names the block that has no end.
func (s source) unclosed() Problem {
	var open []span
	for _, a := range actions(s.text) {
		switch a.keyword {
		case "if", "range", "with", "define", "block":
			open = append(open, a)
		case "end":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return s.at(len(s.text), "the file ends within an action", "")
	}
	last := open[len(open)-1]
	return s.at(last.start, "{{"+last.keyword+"}} is never closed", "write {{end}} where it ends")
}

// tagMark finds whole tags and comments, whose attributes may hold actions.
var tagMark = regexp.MustCompile(`(?s)<!--.*?-->|<[a-zA-Z/!](?:"[^"]*"|'[^']*'|[^"'>])*>`)

// openTag returns where the tag begins that has no end: what looks like a tag behind the last whole one.
func openTag(text string) int {
	blank := []byte(text)
	for _, a := range actions(text) {
		for i := a.start; i < a.end; i++ {
			blank[i] = ' '
		}
	}
	end := 0
	for _, m := range tagMark.FindAllIndex(blank, -1) {
		end = m[1]
	}
	if i := strings.IndexByte(string(blank[end:]), '<'); i >= 0 {
		return end + i
	}
	return end
}

// lineStart returns the offset at which a line begins.
func lineStart(text string, line int) int {
	offset := 0
	for ; line > 1; line-- {
		next := strings.IndexByte(text[offset:], '\n')
		if next < 0 {
			break
		}
		offset += next + 1
	}
	return offset
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// hintOf says what to do about the errors that people make.
func hintOf(message string) string {
	switch {
	case strings.Contains(message, "unexpected {{end}}"):
		return "there is one {{end}} more than blocks"
	case strings.Contains(message, "unclosed action"), strings.Contains(message, `unexpected "}"`):
		return "an action ends with two braces: }}"
	case strings.Contains(message, "undefined variable"):
		return "a variable is first set: {{$total := sum .items \"amount\"}}"
	case strings.Contains(message, "bad character"), strings.Contains(message, `unexpected "-"`):
		return `a parameter whose name is not letters, digits and underscores is written {{index . "the-name"}}`
	}
	return ""
}
