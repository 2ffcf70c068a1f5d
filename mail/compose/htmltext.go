package compose

import (
	"net/url"
	"strconv"
	"strings"
)

// textFromHTML makes plain text of an HTML body: what a browser would show, in reading order, with LF line ends and
// no wrapping. Links show their address, lists their marks, table rows are lines with cells divided by " | ", quotations start
// with "> ". Scripts, styles, titles and templates are left out; all other text is kept.
//
// It reads tokens and builds no tree, so time and memory grow with the input only, however deep or broken the nesting is.
func textFromHTML(s string) string {
	w := walker{out: textWriter{buf: make([]byte, 0, len(s)/2), linkStart: noLink}}
	r := tagReader{s: s, walker: &w}
	r.read()
	w.endLink()
	return w.out.String()
}

// walker turns tags into what textWriter knows about.
type walker struct {
	out       textWriter
	hidden    string // the script, style or title that is open
	templates int    // depth of open templates
	pre       int    // depth of open preformatted elements
	preStart  bool   // the next line feed belongs to the tag <pre>
	link      string // the address of the open <a>
	lists     stack[list]
}

// list is one open <ul> or <ol>.
type list struct {
	ordered bool
	next    int
}

// blockGap says how many line feeds stand around a block element at least: 2 make an empty line.
func blockGap(name string) int {
	switch name {
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "dl", "pre", "listing", "xmp", "plaintext", "textarea":
		return 2
	case "div", "address", "article", "aside", "body", "caption", "center", "dd", "details", "dt", "fieldset", "figcaption", "figure",
		"footer", "form", "header", "html", "legend", "li", "main", "nav", "optgroup", "option", "section", "summary":
		return 1
	}
	return 0
}

func isPre(name string) bool {
	switch name {
	case "pre", "listing", "xmp", "plaintext", "textarea":
		return true
	}
	return false
}

func (w *walker) text(s string) {
	switch {
	case w.hidden != "" || w.templates > 0:
	case w.pre == 0:
		w.out.write(s)
	default:
		if w.preStart {
			s = strings.TrimPrefix(s, "\n") // the tokenizer has made CRLF into LF
		}
		w.preStart = false
		w.out.writePre(s)
	}
}

func (w *walker) start(t *tag) {
	name := t.name
	switch name {
	case "script", "style", "title":
		w.hidden = name // all up to its end tag comes as text
		return
	case "template":
		w.templates++
	}
	if w.templates > 0 {
		return
	}
	w.out.block(blockGap(name))
	switch name {
	case "a":
		w.endLink()
		w.startLink(t.attribute("href"))
	case "ul", "ol":
		w.out.block(listGap(w.lists.depth()))
		w.lists.push(list{name == "ol", number(t.attribute("start"), 1)})
	case "li":
		w.item(t.attribute("value"))
	case "blockquote":
		w.out.quote++
	case "table":
		w.out.startTable()
	case "tr":
		w.out.startRow()
	case "td", "th":
		w.out.startCell()
	case "br":
		w.out.lineBreak(w.pre > 0)
	case "hr":
		w.out.block(1)
		w.out.write("----------")
		w.out.block(1)
	case "img", "area":
		w.out.space()
		w.out.write(t.attribute("alt"))
		w.out.space()
	}
	if isPre(name) {
		w.pre++
		w.preStart = true
	}
}

func (w *walker) end(name string) {
	if name != "" && name == w.hidden {
		w.hidden = ""
		return
	}
	if w.templates > 0 {
		if name == "template" {
			w.templates--
		}
		return
	}
	switch name {
	case "a":
		w.endLink()
	case "ul", "ol":
		w.out.marker = ""
		w.lists.pop()
		w.out.block(listGap(w.lists.depth()))
	case "li":
		w.out.marker = ""
	case "blockquote":
		w.out.quote = max(0, w.out.quote-1)
	case "table":
		w.out.endTable()
	case "tr":
		w.out.endRow()
	case "td", "th":
		w.out.endCell()
	case "br":
		w.out.lineBreak(w.pre > 0) // </br> is shown as <br>
	}
	if isPre(name) {
		w.pre = max(0, w.pre-1)
	}
	w.out.indent = w.lists.depth()
	w.out.block(blockGap(name))
}

// listGap: a list has an empty line around it, a list within a list has not.
func listGap(depth int) int {
	if depth == 0 {
		return 2
	}
	return 1
}

// item starts a list item. Outside a list it has a dot like any other.
func (w *walker) item(value string) {
	w.out.marker = ""
	w.out.block(1)
	w.out.indent = w.lists.depth()
	w.out.marker = "- "
	if l := w.lists.top(); l != nil && l.ordered {
		n := number(value, l.next)
		l.next = n + 1
		w.out.marker = strconv.Itoa(n) + ". "
	}
}

// startLink remembers where a link leads; "" when that is of no use on paper.
func (w *walker) startLink(href string) {
	href = strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1 // URL standard: line feeds and tabs within an address do not count
		}
		return r
	}, strings.TrimSpace(href))
	scheme, rest, _ := strings.Cut(href, ":")
	switch strings.ToLower(scheme) {
	case "mailto", "tel":
		href, _, _ = strings.Cut(rest, "?")
		if plain, err := url.PathUnescape(href); err == nil {
			href = plain
		}
	case "javascript", "data", "cid":
		href = ""
	}
	if strings.HasPrefix(href, "#") {
		href = ""
	}
	w.link = href
	w.out.linkStart = linkAhead
}

// endLink writes the address behind the text, unless the text says the same.
func (w *walker) endLink() {
	text, href := w.out.linkText(), w.link
	w.link = ""
	switch {
	case href == "" || sameLink(text, href):
	case text == "":
		w.out.space()
		w.out.write(href)
		w.out.space()
	default:
		w.out.writeBehind(" (" + href + ")")
	}
}

// sameLink reports whether a reader would take the text for the address.
func sameLink(text, href string) bool {
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "http://"), "https://")
		return strings.TrimSuffix(strings.TrimPrefix(s, "mailto:"), "/")
	}
	return bare(text) == bare(href)
}

// number reads an integer attribute.
func number(s string, otherwise int) int {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32); err == nil {
		return int(n)
	}
	return otherwise
}
