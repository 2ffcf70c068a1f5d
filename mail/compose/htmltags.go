package compose

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// tagReader hands a document to a walker, tag by tag. What nearly all mail consists of (tags in small letters, attributes in
// quotes) it reads itself, several times as fast as the tokenizer. Anything else it leaves to the tokenizer, one token at a
// time; and after maxAsked of those, all the rest.
type tagReader struct {
	s     string // what is left
	asked int    // how often the tokenizer was needed
	*walker
}

const maxAsked = 100

// tag is a start tag. Its attributes stand in source, or are still to be read from the tokenizer.
type tag struct {
	name   string // "" for a tag that HTML does not know
	source string // the whole of it
	z      *html.Tokenizer
	more   bool
}

func (r *tagReader) read() {
	for r.s != "" {
		i := strings.IndexByte(r.s, '<')
		switch {
		case i < 0:
			r.plain(len(r.s))
		case i > 0:
			r.plain(i)
		case !r.tag():
			r.asked++
			r.tokens()
		}
	}
}

// plain takes n octets of text.
func (r *tagReader) plain(n int) {
	text := r.s[:n]
	r.s = r.s[n:]
	if strings.IndexByte(text, '\r') >= 0 {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	}
	if strings.IndexByte(text, '&') >= 0 {
		text = html.UnescapeString(text)
	}
	r.text(text)
}

// tag takes a tag or a comment of the usual form, or reports that it is of another.
func (r *tagReader) tag() bool {
	switch {
	case strings.HasPrefix(r.s, "<!--"):
		end := strings.Index(r.s, "-->")
		if end < len("<!--") || strings.Contains(r.s[:end], "--!>") || strings.HasPrefix(r.s, "<!-->") || strings.HasPrefix(r.s, "<!--->") {
			return false
		}
		r.s = r.s[end+len("-->"):]
		return true
	case strings.HasPrefix(r.s, "</"):
		n := nameLength(r.s[2:])
		if n == 0 || len(r.s) < n+3 || r.s[n+2] != '>' {
			return false
		}
		r.end(known(r.s[2 : n+2]))
		r.s = r.s[n+3:]
		return true
	}
	n := nameLength(r.s[1:])
	end := tagEnd(r.s, n+1)
	name := known(r.s[1 : n+1])
	if n == 0 || end < 0 || isRaw(name) {
		return false
	}
	source := r.s[:end]
	r.s = r.s[end:]
	r.start(&tag{name: name, source: source})
	return true
}

// tokens takes one token, and behind a tag whose content is no HTML that content too; or all that is left.
func (r *tagReader) tokens() {
	z := html.NewTokenizer(strings.NewReader(r.s))
	all := r.asked >= maxAsked
	for {
		raw := false
		kind := z.Next()
		r.s = r.s[len(z.Raw()):]
		switch kind {
		case html.ErrorToken: // the end: a string has no other error
			r.s = ""
			return
		case html.TextToken:
			r.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			t := &tag{name: atom.Lookup(name).String(), z: z, more: more}
			switch t.name {
			case "noscript", "noframes", "noembed", "iframe":
				z.NextIsNotRawText() // a mail reader shows what is in there
			}
			raw = isRaw(t.name)
			r.start(t)
		case html.EndTagToken:
			name, _ := z.TagName()
			r.end(atom.Lookup(name).String())
		}
		if !all && !raw {
			return
		}
	}
}

// isRaw reports whether the content of an element is taken as it stands.
func isRaw(name string) bool {
	switch name {
	case "script", "style", "title", "textarea", "xmp", "plaintext":
		return true
	}
	return false
}

// known returns the name of a tag if HTML knows it.
func known(name string) string {
	var buf [16]byte // the longest has ten letters
	return atom.Lookup(append(buf[:0], name...)).String()
}

// nameLength counts the small letters and digits that s begins with; 0 if the first is no letter.
func nameLength(s string) int {
	i := 0
	for i < len(s) && ('a' <= s[i] && s[i] <= 'z' || i > 0 && '0' <= s[i] && s[i] <= '9') {
		i++
	}
	return i
}

// tagEnd returns where a start tag ends whose name ends at i; -1 for one that is not of the usual form.
func tagEnd(s string, i int) int {
	for i < len(s) {
		begin := i
		for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t') {
			i++
		}
		switch {
		case i == len(s):
			return -1
		case s[i] == '>':
			return i + 1
		case strings.HasPrefix(s[i:], "/>"):
			return i + 2
		case i == begin:
			return -1
		}
		n := keyLength(s[i:])
		if n == 0 {
			return -1
		}
		if i += n; i+1 < len(s) && s[i] == '=' {
			close := -1
			if s[i+1] == '"' || s[i+1] == '\'' {
				close = strings.IndexByte(s[i+2:], s[i+1])
			}
			if close < 0 {
				return -1
			}
			i += 2 + close + 1
		}
	}
	return -1
}

// keyLength counts the characters of an attribute's name.
func keyLength(s string) int {
	i := 0
	for i < len(s) && ('a' <= s[i] && s[i] <= 'z' || 'A' <= s[i] && s[i] <= 'Z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-' || s[i] == '_' || s[i] == ':') {
		i++
	}
	return i
}

// attribute returns the first attribute of that name. It may be asked for once a tag.
func (t *tag) attribute(name string) string {
	if t.z == nil {
		value, plain := t.find(name)
		if plain {
			return value
		}
		t.z = html.NewTokenizer(strings.NewReader(t.source))
		t.z.Next()
		_, t.more = t.z.TagName()
	}
	for t.more {
		var key, value []byte
		key, value, t.more = t.z.TagAttr()
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}

// find looks into a tag of the usual form. It is not plain where the value has to be decoded.
func (t *tag) find(name string) (value string, plain bool) {
	s := t.source[1+nameLength(t.source[1:]):]
	for {
		s = strings.TrimLeft(s, " \n\t")
		n := keyLength(s)
		if n == 0 {
			return "", true
		}
		key := s[:n]
		s = s[n:]
		value = ""
		if s[0] == '=' {
			close := strings.IndexByte(s[2:], s[1])
			value, s = s[2:2+close], s[2+close+1:]
		}
		if strings.EqualFold(key, name) {
			return value, !strings.ContainsAny(value, "&\r\x00")
		}
	}
}
