package compose

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

var htmlCases = []struct{ name, in, want string }{
	{"empty", "", ""},
	{"plain text", "Dear Ann", "Dear Ann"},
	{"blanks only", " <p> \n </p> &nbsp; ", ""},
	{"white space", " <p> Dear \r\n\t Ann,</p> <p>thank <b>you</b> <i> all</i>.</p> ", "Dear Ann,\n\nthank you all."},
	{"word in pieces", "un<b>break</b>able", "unbreakable"},
	{"no-break space", "<p>1&nbsp;234,00&nbsp;&euro;</p>", "1 234,00 €"},
	{"invisible characters", "a&shy;b\u200bc\ufeffd&#1;e\u0085f", "abcdef"},
	{"joined emoji", "👩‍👩‍👧", "👩‍👩‍👧"},
	{"entities", "&lt;b&gt; &amp; &quot;&#8364;&#x20ac;&unknown;", `<b> & "€€&unknown;`},
	{"comparison", "5 < 6 and 7 > 3", "5 < 6 and 7 > 3"},
	{"line breaks", "a<br>b<br/>c<br><br>d<br><br><br><br>e<br>", "a\nb\nc\n\nd\n\ne"},
	{"breaks and paragraphs", "<p>a<br></p><p><br>b</p>", "a\n\nb"},
	{"blocks", "a<div>b<div>c</div></div>d", "a\nb\nc\nd"},
	{"unclosed paragraphs", "<p>a<p>b<p>c", "a\n\nb\n\nc"},
	{"headings", "<h1>One</h1>text<h2>Two</h2><p>more", "One\n\ntext\n\nTwo\n\nmore"},
	{"rule", "a<hr>b<hr/><p>c", "a\n----------\nb\n----------\n\nc"},
	{"hidden", "<head><title>T</title><style>p{}</style></head><p>a<script>if (a<b) '</p>'</script>b<template>x<template>y</template>z</template>c", "abc"},
	{"unclosed head", "<head><title>T</title><p>a", "a"},
	{"comment", "a<!-- <p>no</p> --><!--[if mso]>no<![endif]--><![if !mso]>b<![endif]>", "ab"},
	{"noscript", "<noscript><p>please &amp; thank you</p></noscript><iframe>x</iframe>", "please & thank you\n\nx"},
	{"unordered list", "Items:<ul><li>a</li><li>b<br>c</li><li></li></ul>end", "Items:\n\n- a\n- b\n  c\n\nend"},
	{"ordered list", "<ol><li>a<li>b</ol><ol start=7><li>c<li value=20>d<li>e<li value=x>f</ol>", "1. a\n2. b\n\n7. c\n20. d\n21. e\n22. f"},
	{"list in list", "<ul><li>a<ol><li>b</li></ol></li><li>c</li></ul>", "- a\n  1. b\n- c"},
	{"paragraphs in items", "<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>", "- a\n\n  b\n\n- c"},
	{"item without list", "<li>a<li>b", "- a\n- b"},
	{"empty item at the end", "<ul><li>a<li></ul>b", "- a\n\nb"},
	{"definitions", "<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"},
	{"table", "<p>x</p><table><thead><tr><th>Item</th><th>Price</th></tr></thead>\n<tr> <td>Nails</td> <td>5</td> </tr></table>y",
		"x\n\nItem | Price\nNails | 5\n\ny"},
	{"table without ends", "<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d"},
	{"table without rows", "<table><td>a<td>b</table>", "a | b"},
	{"empty cells", "<table><tr><td></td><td>b</td><td>&nbsp;</td><td>d</td><td></td></tr><tr><td>e</td></tr></table>", "| b | | d\ne"},
	{"empty rows", "<table><tr><td>a</td></tr><tr><td></td><td></td></tr><tr><td>b</td></tr></table>", "a\nb"},
	{"paragraphs in cells", "<table><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><p>c</p></td><td><div>d</div></td></tr></table>", "a | b\nc | d"},
	{"cell of lines", "<table><tr><td>a<br>b</td><td>c</td></tr><tr><td>d</td></tr></table>", "a\nb\nc\nd"},
	{"layout table", "<table><tr><td><table><tr><td>a</td></tr></table></td></tr><tr><td><p>b</p><p>c</p></td></tr></table>", "a\nb\n\nc"},
	{"table in second cell", "<table><tr><td>a</td><td><table><tr><td></td></tr><tr><td>b</td><td>c</td></tr></table></td></tr></table>", "a | b | c"},
	{"caption", "<table><caption>Prices</caption><tr><td>a</td></tr></table>", "Prices\na"},
	{"cells without table", "a<td>b</td>c<tr>d", "a b c\nd"},
	{"list in cell", "<table><tr><td>a</td><td><ul><li>b</li><li>c</li></ul></td></tr></table>", "a | - b\n- c"},
	{"text between cells", "<table><tr><td>a</td>b<td>c</td></tr></table>", "a b | c"},
	{"link", `see <a href="https://a.example/x?y=1&amp;z">our page</a>.`, "see our page (https://a.example/x?y=1&z)."},
	{"link to itself", `<a href="https://www.a.example/">www.a.example</a> <a href="HTTP://A.example">http://a.example/</a>`, "www.a.example http://a.example/"},
	{"mail link", `<a href="mailto:a%2Bb@c.example?subject=x">write</a> <a href="mailto:a@c.example">a@c.example</a>`, "write (a+b@c.example) a@c.example"},
	{"phone link", `<a href="tel:+391234">call</a>`, "call (+391234)"},
	{"mail link with line feed", `<a href="mailto:a%0Ab">x</a>`, "x (a b)"},
	{"useless links", `<a href="#top">a</a> <a href="javascript:x()">b</a> <a href="data:text/plain,x">c</a> <a name="n">d</a> <a href="">e</a>`, "a b c d e"},
	{"link with line feed", "<a href=' https://a.example/\n\tb '>x</a>", "x (https://a.example/b)"},
	{"image link", `<a href="https://a.example"><img src="x" alt="Logo"></a>`, "Logo (https://a.example)"},
	{"link without text", `a<a href="https://a.example"><img src="x"></a>b`, "a https://a.example b"},
	{"block link", `<a href="https://a.example"><div>a</div></a>b`, "a (https://a.example)\nb"},
	{"link left open", `<a href="https://a.example">a <a href="https://b.example">b`, "a (https://a.example) b (https://b.example)"},
	{"link over cells", `<table><tr><a href="u"><td>a</td><td></a>b</td></tr></table>`, "a (u) | b"},
	{"link over items", `<ul><li><a href="u">a<li></a>b</ul>`, "- a (u)\n- b"},
	{"images", `<img alt="Logo"><img src=x><img alt="">text<IMG ALT="End &amp; all">`, "Logo text End & all"},
	{"quotation", "a<blockquote>b<br>c<p>d</p><blockquote>e</blockquote></blockquote>f", "a\n\n> b\n> c\n>\n> d\n>\n> > e\n\nf"},
	{"end tags only", "</blockquote></ul></table></td></tr></pre></a></template></script>a</p>", "a"},
	{"preformatted", "<pre>\n  a\n\n\n\tb  \n</pre>c", "  a\n\n\n\tb\n\nc"},
	{"preformatted with tags", "x<pre>a <b>b</b>&nbsp; c<br>d</pre>", "x\n\na b  c\nd"},
	{"textarea", "<textarea>\n a\n<b></textarea>", " a\n<b>"},
	{"options", "<select><option>a<option>b</select>", "a\nb"},
	{"broken tag at the end", "a<b", "a"},
}

func TestTextFromHTML(t *testing.T) {
	for _, c := range htmlCases {
		t.Run(c.name, func(t *testing.T) {
			if got := textFromHTML(c.in); got != c.want {
				t.Errorf("%s\n%q, want\n%q", c.in, got, c.want)
			}
		})
	}
}

// Hostile nesting must cost time and memory in proportion to its size only.
func TestTextFromHTMLDeep(t *testing.T) {
	const depth = 100_000
	for _, tags := range []string{
		"<div>", "<b>", "<blockquote>", "<ul><li>", "<ol>", "<table>", "<table><tr><td>", "<td>", "<pre>", "<template>", "<a href=x>",
		"</ul>", "</td></tr></table>", "<blockquote>x", "<ul><li>x", "<table><tr><td>x", "<li>", "<br>", "<hr>", "<pre>\n",
	} {
		in := strings.Repeat(tags, depth) + "end" + strings.Repeat("</table></ul></blockquote>x", depth/10)
		out := textFromHTML(in) // if it were quadratic, the test would not end
		if len(out) > 5*len(in) {
			t.Errorf("%s: %d bytes became %d", tags, len(in), len(out))
		}
		if tags != "<template>" && !strings.Contains(out, "end") {
			t.Errorf("%s: the text is lost", tags)
		}
	}
}

// The walker sees tags by the names that package atom knows.
func TestTagNamesAreKnown(t *testing.T) {
	for name := range strings.FieldsSeq(`script style title template noscript noframes noembed iframe a ul ol li blockquote table tr td th br hr
		img area p h1 h2 h3 h4 h5 h6 dl pre listing xmp plaintext textarea div address article aside body caption center dd details dt
		fieldset figcaption figure footer form header html legend main nav optgroup option section summary`) {
		if atom.Lookup([]byte(name)) == 0 {
			t.Errorf("tag %q is not known", name)
		}
	}
}

// visible lists the characters that a tokenizer sees outside of what is hidden.
func visible(s string) string {
	var b strings.Builder
	hidden := 0
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.WriteString(strings.Map(func(r rune) rune {
					if unicode.IsSpace(r) || isInvisible(r) {
						return -1
					}
					return r
				}, string(z.Text())))
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "template", "iframe", "noscript", "noframes", "noembed":
				hidden++ // from here on anything goes: only text before is compared
			}
		}
	}
}

// containsInOrder reports whether all of part's characters stand in whole in the same order.
func containsInOrder(whole, part string) bool {
	rest := []rune(part)
	for _, r := range whole {
		if len(rest) > 0 && rest[0] == r {
			rest = rest[1:]
		}
	}
	return len(rest) == 0
}
