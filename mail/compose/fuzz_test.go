package compose

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"outboxd/mail"
)

// Whatever the columns hold: an error that names a column, or a message that two parsers read back equal, with no
// header that nobody asked for.
func FuzzBuild(f *testing.F) {
	for _, m := range goldenMessages() {
		h := Header{"X-A", "b"}
		if len(m.Headers) > 0 {
			h = m.Headers[len(m.Headers)-1]
		}
		f.Add(m.From.Name, m.From.Local, m.From.Host, m.Subject, m.Text, m.HTML, h.Name, h.Value, m.MessageID, uint8(len(m.To)))
	}
	f.Add("a\r\nBcc: x", "a\nb", "h\r\n", "s\r\nBcc: x", "\r.\r\n", "<p>\n.\n", "Bcc", "\r\n\r\nbody", "<a@b>\r\nBcc: x", uint8(2))
	f.Add(" a\"\\", "ü", "h", "\t", "\x7f\xc2\x80", "<a href=x>\x01", "List-X", "=?a?= \t b", "<a@b>", uint8(3))
	f.Fuzz(func(t *testing.T, name, local, host, subject, text, html, headerName, headerValue, id string, recipients uint8) {
		m := plainMessage()
		who := mail.Address{Name: name, Local: local, Host: host}
		m.From, m.Subject, m.Text, m.HTML, m.MessageID = who, subject, text, html, id
		m.Headers = []Header{{headerName, headerValue}}
		m.To = nil
		for i := range recipients % 8 {
			switch i % 3 {
			case 0:
				m.To = append(m.To, who)
			case 1:
				m.Cc = append(m.Cc, who)
			default:
				m.ReplyTo = append(m.ReplyTo, who)
			}
		}
		raw, err := Build(m)
		if err != nil {
			checkFieldError(t, err, err.(*FieldError).Field, "")
			return
		}
		checkWire(t, raw)
		checkReadBack(t, m, raw)
	})
}

// What ParseHeaders accepts, Build accepts.
func FuzzParseHeaders(f *testing.F) {
	f.Add(`{"X-B": "2", "X-A": ["1", "\u00e9"], "List-Id": "<a.b>"}`)
	f.Add(`{"X-A": 1}`)
	f.Add(`{"X-A": ["\r\nBcc: x"]}`)
	f.Add(`[`)
	f.Add(`{"": null, "Auto-Submitted": "no"}`)
	f.Fuzz(func(t *testing.T, text string) {
		headers, err := ParseHeaders(text)
		if err != nil {
			checkFieldError(t, err, "headers", "")
			return
		}
		m := plainMessage()
		m.Headers = headers
		raw, err := Build(m)
		if err != nil {
			t.Fatalf("Build refuses what ParseHeaders accepts: %v", err)
		}
		checkWire(t, raw)
		checkReadBack(t, m, raw)
	})
}

// Whatever a file is called: an error for the column attachment, or a name that two parsers read as it is.
func FuzzFiles(f *testing.F) {
	for _, m := range goldenMessages() {
		for _, a := range append(m.Attachments, m.Inline...) {
			f.Add(a.Name, a.Type, a.Content, a.ContentID, m.HTML)
		}
	}
	f.Add("a\r\nBcc: x", "text/plain\r\nBcc: x", []byte("\r\n.\r\n"), "a\r\n", "<img src=cid:a")
	f.Add("a\"b;c*0='%41.pdf", "text/plain; charset=\"a\\\"b\"; x=", []byte{0, 0xff}, "a&b", "<style>cid:a&amp;b</style><!--cid:a&b")
	f.Fuzz(func(t *testing.T, name, mediaType string, content []byte, id, html string) {
		m := plainMessage()
		m.HTML = html
		m.Attachments = []Attachment{{Name: name, Type: mediaType, Content: content}}
		m.Inline = []Attachment{{Name: "x.png", Content: content, ContentID: id}}
		if id == "" {
			m.Inline = nil
		}
		raw, err := Build(m)
		if err != nil {
			checkFieldError(t, err, err.(*FieldError).Field, "")
			return
		}
		if len(m.Inline) > 0 && !strings.Contains(strings.ToLower(html), "cid:") {
			if same, _, _ := (&builder{boundary: boundary(m.MessageID)}).inline(&m); same != html {
				t.Errorf("%q became %q", html, same)
			}
		}
		checkWire(t, raw)
		checkReadBack(t, m, raw)
	})
}

// Whatever a finished message holds: an error for the column raw, or a message that can travel, keeps its fields and its body, names
// no hidden recipient and needs nothing more when it is read again.
func FuzzRaw(f *testing.F) {
	for _, c := range rawMessages {
		f.Add([]byte(c.text))
	}
	for _, m := range goldenMessages() {
		if raw, err := Build(m); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, given []byte) {
		r, err := ParseRaw(given)
		if err != nil {
			checkFieldError(t, err, "raw", "")
			return
		}
		built, err := r.Build(rawID, rawDate)
		if err != nil {
			t.Fatal(err)
		}
		checkOctets(t, built)
		checkRawAgain(t, r, built)
		head, body, _ := bytes.Cut(built, []byte("\r\n\r\n"))
		if want := normalise(string(given[r.body:])); string(body) != want {
			t.Errorf("the body became %q, want %q", body, want)
		}
		var kept string
		for _, field := range r.fields {
			if !isRemoved(field.name) {
				kept += normalise(string(given[field.at:field.end]))
			}
		}
		if !strings.HasPrefix(string(head)+"\r\n", kept) {
			t.Errorf("the header became %q, want %q first", head, kept)
		}
		for _, name := range headerNames(built) {
			if isRemoved(name) {
				t.Errorf("%s goes out", name)
			}
		}
	})
}

// No text is lost, none is invisible, and no line feed stands at an end.
func FuzzTextFromHTML(f *testing.F) {
	f.Add("<p>a<ul><li>b<ol start=3><li>c</ol></ul><table><tr><td>d<td>e</table><a href=x>f</a>")
	f.Add("<blockquote>a<pre>\n b\n\nc</pre></blockquote><hr><img alt=x>&nbsp;&#0;<br>")
	f.Add("<table><tr><td><table><td></table><td>x<li><a href=y><tr>z</a>")
	f.Add("<template>a</template><script>b</script><textarea>c<title>d")
	f.Fuzz(func(t *testing.T, in string) {
		out := textFromHTML(in)
		if !utf8.ValidString(out) {
			t.Errorf("not UTF-8: %q", out)
		}
		if i := strings.IndexFunc(out, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }); i >= 0 {
			t.Errorf("control character at %d: %q", i, out)
		}
		if strings.HasPrefix(out, "\n") || strings.HasSuffix(out, "\n") {
			t.Errorf("line feed at an end: %q", out)
		}
		if want := visible(strings.ToValidUTF8(in, "\ufffd")); utf8.ValidString(in) && !containsInOrder(out, want) {
			t.Errorf("lost text: %q of %q became %q", want, in, out)
		}
		if out != textFromHTML(in) {
			t.Error("converted twice, two results")
		}
	})
}

// What the tag reader reads itself, it reads as the tokenizer does.
func FuzzTagReader(f *testing.F) {
	f.Add("<p class=\"a\" id='b'>a &amp; b</p><br/><img alt=\"&lt;x&gt;\" alt=y><a HREF='x?a=1&amp;b=2'>c</a><!-- d --><ol start=\"3\" ><li>e")
	f.Add("<!DOCTYPE html><title>t</title>x<style>a{}</style><p a=b>c<p a b/>d<p a = 'b'>e</p >f<a href=\"x>y\">g</a>")
	f.Add("a\r\nb\rc < d <e<f &lt <g\x00 h=\"\x00\"><!--> x --><!-- --!> y --><!--->z-->")
	f.Add("<plaintext>a<b>c</plaintext>")
	f.Fuzz(func(t *testing.T, in string) {
		read := func(asked int) string {
			w := walker{out: textWriter{linkStart: noLink}}
			r := tagReader{s: in, asked: asked, walker: &w}
			if asked > 0 {
				r.tokens()
			} else {
				r.read()
			}
			w.endLink()
			return w.out.String()
		}
		if fast, slow := read(0), read(maxAsked); fast != slow {
			t.Errorf("%q is read as %q, not %q", in, fast, slow)
		}
	})
}

// Quoted-printable as the standard library reads it, in lines of 76 columns.
func FuzzQuotedPrintable(f *testing.F) {
	f.Add("a \r\nb\t\r\n= \r\n" + strings.Repeat("x", 74) + "  \r\n" + strings.Repeat("é", 40) + "\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		in = normalise(in)
		out := appendQuotedPrintable(nil, in)
		for line := range strings.SplitSeq(string(out), "\r\n") {
			if len(line) > 76 || strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
				t.Errorf("%q becomes the line %q", in, line)
			}
		}
		back, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(out)))
		if err != nil || string(back) != in {
			t.Errorf("%q reads back as %q, %v", in, back, err)
		}
	})
}
