package compose

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// image is an inline attachment that the HTML shows.
type image struct {
	Attachment
	id string // its Content-ID on the wire, without angle brackets
}

// reference is one way in which HTML may write the name of an image behind cid:.
type reference struct {
	text  string
	image int // index in Message.Inline
}

// inline gives the images of a message their Content-IDs, which must be unique in the world (RFC 2045 7), and the HTML that
// names them so. What the HTML does not show is left over. A reference to no image stays as it is.
func (b *builder) inline(m *Message) (markup string, images []image, others []Attachment) {
	if len(m.Inline) == 0 {
		return m.HTML, nil, nil
	}
	_, host, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
	r := rewriter{used: make([]bool, len(m.Inline))}
	for i, a := range m.Inline {
		r.ids = append(r.ids, fmt.Sprintf("image%d.%s@%s", i+1, strings.TrimPrefix(b.boundary, "=_"), host))
		r.add(i, a.ContentID)
	}
	slices.SortStableFunc(r.references, func(a, b reference) int { return len(b.text) - len(a.text) })
	markup = r.document(m.HTML)
	for i, a := range m.Inline {
		if r.used[i] {
			images = append(images, image{a, r.ids[i]})
		} else {
			others = append(others, a)
		}
	}
	return markup, images, others
}

// rewriter writes HTML with other names behind cid:.
type rewriter struct {
	references []reference // the longest first
	ids        []string
	used       []bool
	out        strings.Builder
}

// add notes the forms in which HTML may name an image: as it is, as a URL, and either with a character reference.
func (r *rewriter) add(image int, name string) {
	for _, form := range []string{name, url.PathEscape(name)} {
		r.references = append(r.references, reference{form, image}, reference{strings.ReplaceAll(form, "&", "&amp;"), image})
	}
}

// document rewrites tags, comments (Outlook's conditions stand in them) and style sheets. The text that a person reads, and
// every other octet, stays as it is.
func (r *rewriter) document(s string) string {
	at, style := 0, false
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			r.out.WriteString(s[at:])
			return r.out.String()
		}
		token := s[at : at+len(z.Raw())]
		at += len(token)
		if kind == html.TextToken && !style {
			r.out.WriteString(token)
			continue
		}
		r.token(token)
		style = false
		if kind == html.StartTagToken && len(token) > len("<style") && strings.EqualFold(token[:len("<style")], "<style") {
			name, _ := z.TagName()
			style = string(name) == "style"
		}
	}
}

func (r *rewriter) token(s string) {
	for {
		colon := strings.IndexByte(s, ':')
		if colon < 0 {
			r.out.WriteString(s)
			return
		}
		scheme := s[:colon]
		r.out.WriteString(s[:colon+1])
		s = s[colon+1:]
		word := scheme[1+strings.LastIndexFunc(scheme, func(c rune) bool { return c > '~' || !isAlphaNum(byte(c)) }):]
		if strings.EqualFold(word, "cid") {
			s = r.name(s)
		}
	}
}

// name writes the Content-ID for the name that s begins with, if it is one, and returns the rest.
func (r *rewriter) name(s string) string {
	for _, ref := range r.references {
		rest, ok := strings.CutPrefix(s, ref.text)
		if ok && (rest == "" || strings.IndexByte("\"'()<>&,; \t\r\n\f", rest[0]) >= 0) {
			r.used[ref.image] = true
			r.out.WriteString(r.ids[ref.image])
			return rest
		}
	}
	return s
}
