package compose

import (
	"runtime"
	"strings"
	"testing"
)

func TestFilesAreRefused(t *testing.T) {
	named := func(name string) Attachment { return Attachment{Name: name} }
	typed := func(mediaType string) Attachment { return Attachment{Name: "a.pdf", Type: mediaType} }
	for _, c := range []struct {
		file   Attachment
		reason string
	}{
		{named(""), `number 2 (""): the file has no name`},
		{named("a\xff.pdf"), "not valid UTF-8"},
		{named(strings.Repeat("ü", 256)), "more than 255 characters"},
		{named("../secret.pdf"), "path separator"},
		{named(`C:\secret.pdf`), "path separator"},
		{named("."), "begins or ends with a dot"},
		{named(".htaccess"), "begins or ends with a dot"},
		{named("invoice.exe."), "begins or ends with a dot"},
		{named(" a.pdf"), "begins or ends with a blank"},
		{named("a.pdf\u00a0"), "begins or ends with a blank"},
		{named("a\r\nBcc: x.pdf"), "invisible character U+000D"},
		{named("a\x00.pdf"), "U+0000"},
		{named("a\x7f.pdf"), "U+007F"},
		{named("a\u0085.pdf"), "U+0085"},
		{named("a\u2028.pdf"), "U+2028"},
		{named("invoice\u202efdp.exe"), "U+202E"},
		{named("a\u2066b.pdf"), "U+2066"},
		{named("=?utf-8?q?a?=.pdf"), "encoded word"},
		{typed("pdf"), "is no media type"},
		{typed("application/"), "is no media type"},
		{typed("/pdf"), "is no media type"},
		{typed("application/pdf/x"), "is no media type"},
		{typed("application/p df"), "is no media type"},
		{typed("application/pdf\r\nBcc: x@y"), "must be a media type"},
		{typed("application/" + strings.Repeat("x", 127)), "must be a media type"},
		{typed("application/pdf; a"), "is no media type"},
		{typed("application/pdf; name=b.exe"), `parameter "name"`},
		{typed("application/pdf; name*=utf-8''b.exe"), `parameter "name"`},
		{typed("application/pdf; boundary=x"), `parameter "boundary"`},
		{typed("text/plain; a*=utf-8''%0d%0a"), `parameter "a"`},
		{typed("message/partial; id=1"), "is not possible for a file; write application/octet-stream"},
		{typed("Multipart/Mixed; boundary=x"), "is not possible for a file"},
	} {
		m := plainMessage()
		m.Attachments = []Attachment{{Name: "good.pdf"}, c.file}
		raw, err := Build(m)
		if raw != nil {
			t.Errorf("%+v was built", c.file)
		}
		checkFieldError(t, err, "attachment", c.reason)
	}
}

func TestInlineImagesAreRefused(t *testing.T) {
	for id, reason := range map[string]string{
		"":                       `inline image 2 ("b.png"): an inline image needs a content_id`,
		strings.Repeat("x", 256): "1 to 255 characters",
		"<b>":                    "without < > and",
		`b"`:                     "may not stand there",
		"b\n":                    "may not stand there",
		" b":                     "may not stand there",
		"b\xff":                  "may not stand there",
		"a":                      `the content_id "a" is another image's too`,
	} {
		m := plainMessage()
		m.HTML = "<img src=cid:a>"
		m.Inline = []Attachment{{Name: "a.png", ContentID: "a"}, {Name: "b.png", ContentID: id}}
		_, err := Build(m)
		checkFieldError(t, err, "attachment", reason)
	}
}

func TestTypeOf(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.PDF", "", "application/pdf"},
		{"a.tar.gz", "", "application/gzip"},
		{"a.docx", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"umsätze.csv", "a;b", "text/csv"},
		{"a.eml", "Subject: x\n\n", "application/octet-stream"},
		{"a.unknown", "%PDF-1.4", "application/pdf"},
		{"photo", "\xff\xd8\xff", "image/jpeg"},
		{"photo", pixel, "image/png"},
		{"README", "hello", "text/plain"},
		{"README", "\x00\x01", "application/octet-stream"},
		{"page", "<html>", "text/html"},
		{"empty", "", "text/plain"},
	} {
		if got := TypeOf(c.name, []byte(c.content)); got != c.want {
			t.Errorf("%s %.10q: %s, want %s", c.name, c.content, got, c.want)
		}
	}
	for extension, mediaType := range typesByExtension {
		if _, params, reason := parseType(mediaType); reason != "" || len(params) > 0 {
			t.Errorf("%s: %s %v %s", extension, mediaType, params, reason)
		}
	}
}

// A message with large files is written once, in its final size, and nothing else of that size is made.
func TestLargeFilesAreEncodedOnce(t *testing.T) {
	m := plainMessage()
	m.HTML = "<p>Dear Ann</p><img src='cid:a'>"
	m.Inline = []Attachment{{Name: "a.png", ContentID: "a", Content: make([]byte, 1<<20)}}
	m.Attachments = []Attachment{{Name: "a.pdf", Content: make([]byte, 20<<20)}, {Name: "b.pdf", Content: []byte("b")}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	raw, err := Build(m)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	made := after.TotalAlloc - before.TotalAlloc
	t.Logf("a message of %d octets, %d octets allocated", len(raw), made)
	if cap(raw)-len(raw) != signatureRoom {
		t.Errorf("%d octets in room for %d", len(raw), cap(raw))
	}
	if made > uint64(len(raw))*101/100 {
		t.Errorf("%d octets allocated", made)
	}
}

// References are known in every form that HTML knows, longer names before shorter ones; all else stays octet for octet.
func TestReferencesToImages(t *testing.T) {
	const id1, id2, id3 = "image1.HASH@acme.example", "image2.HASH@acme.example", "image3.HASH@acme.example"
	for in, want := range map[string]string{
		`<img src="cid:a">`:                             `<img src="cid:` + id1 + `">`,
		`<IMG SRC=Cid:a><img src='cid:a.png'>`:          `<IMG SRC=Cid:` + id1 + `><img src='cid:` + id2 + `'>`,
		`<img src="cid:b &amp; c"><img src=cid:b%20&`:   `<img src="cid:` + id3 + `"><img src=cid:b%20&`,
		`<img src="cid:b%20&amp;%20c">`:                 `<img src="cid:` + id3 + `">`,
		`<img src="cid:b%20&%20c"/>`:                    `<img src="cid:` + id3 + `"/>`,
		`<img srcset="cid:a 1x, cid:a.png 2x">`:         `<img srcset="cid:` + id1 + ` 1x, cid:` + id2 + ` 2x">`,
		`<p style="background:url(&quot;cid:a&quot;)">`: `<p style="background:url(&quot;cid:` + id1 + `&quot;)">`,
		`<style>x{y:url(cid:a)}</style>cid:a`:           `<style>x{y:url(cid:` + id1 + `)}</style>cid:a`,
		`<STYLE type=x>cid:a</STYLE><styles>cid:a`:      `<STYLE type=x>cid:` + id1 + `</STYLE><styles>cid:a`,
		`<!--[if mso]><v:fill src="cid:a"><![endif]-->`: `<!--[if mso]><v:fill src="cid:` + id1 + `"><![endif]-->`,
		`<img alt="1" src="cid:b & c">`:                 `<img alt="1" src="cid:` + id3 + `">`,
		`<img src="cid:A">`:                             `<img src="cid:A">`,
		`<img src="cid:ab"><img src="acid:a">`:          `<img src="cid:ab"><img src="acid:a">`,
		`<img src="cid:">cid:a <b>"cid:a"</b>`:          `<img src="cid:">cid:a <b>"cid:a"</b>`,
		"<P>\r\nx\ry &nbsp;<script>'cid:a'</script>":    "<P>\r\nx\ry &nbsp;<script>'cid:a'</script>",
		`<img src="cid:a`:                               `<img src="cid:a`,
	} {
		m := Message{HTML: in, MessageID: "<x@acme.example>", Inline: []Attachment{{ContentID: "a"}, {ContentID: "a.png"}, {ContentID: "b & c"}, {ContentID: "b"}}}
		got, images, others := (&builder{boundary: "=_HASH"}).inline(&m)
		if got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", in, got, want)
		}
		if shown := strings.Contains(got, "HASH"); shown != (len(images) > 0) || len(images)+len(others) != 4 {
			t.Errorf("%s: images %v, others %v", in, images, others)
		}
	}
}

// A file's content cannot end its part, and a text cannot that knows the boundaries.
func TestBoundariesInContent(t *testing.T) {
	m := plainMessage()
	b := boundary(m.MessageID)
	lines := "--mixed" + b + "--\n--related" + b + "\n--" + b + "--\n"
	m.Text, m.HTML = lines, "<img src=cid:a>"+lines
	m.Inline = []Attachment{{Name: "a.png", ContentID: "a", Content: []byte(lines)}}
	m.Attachments = []Attachment{{Name: "a.txt", Content: []byte(lines)}}
	raw, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), b); n != 3+9 {
		t.Errorf("the boundaries stand in %d places, want 3 fields and 9 delimiters:\n%s", n, raw)
	}
	checkReadBack(t, m, raw)
}

// 8bit is for messages that travel by SMTPUTF8 alone.
func TestEightBit(t *testing.T) {
	for _, c := range []struct {
		local, text, want string
	}{
		{"ann", "Grüße", quotedPrintable},
		{"jürgen", "Grüße", eightBit},
		{"jürgen", "hello", sevenBit},
		{"jürgen", "Привет, мир", eightBit},
		{"jürgen", "Grüße \a", quotedPrintable},
		{"jürgen", strings.Repeat("ü", 500), base64Encoding},
	} {
		m := plainMessage()
		m.To[0].Local, m.Text = c.local, c.text
		raw, err := Build(m)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), "\r\nContent-Transfer-Encoding: "+c.want+"\r\n") {
			t.Errorf("%s %q: not %s\n%s", c.local, c.text, c.want, raw)
		}
		checkWire(t, raw)
		checkReadBack(t, m, raw)
	}
}
