package page

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const invoice = "From: =?utf-8?q?=C3=9A=C4=8Dt=C3=A1re=C5=88?= <a@acme.example>\r\nTo: Eva <eva@example.org>\r\n" +
	"Subject: =?iso-8859-2?Q?Fakt=FAra?= <1>\r\nMessage-ID: <1@x>\r\nImportance: high\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=m\r\n\r\n" +
	"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n" +
	"--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n" +
	"--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nDobr=C3=BD\r\nde=C5=88\r\n" +
	"--a\r\nContent-Type: text/html; charset=iso-8859-2\r\n\r\n<p style=\"background: url('cid:logo%40x')\">Zapla\xbbte</p><img src=\"cid:logo@x\" alt=\"logo\"><img src=cid:gone>\r\n--a--\r\n" +
	"--r\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline; filename=logo.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--r--\r\n" +
	"--m\r\nContent-Type: text/csv; charset=iso-8859-2\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BA%C4%8Det.csv\r\n\r\n\xb5;1\r\n" +
	"--m\r\nContent-Type: text/plain\r\n\r\nA second text.\r\n--m--\r\n"

func TestMessageIsTakenApart(t *testing.T) {
	m := Read([]byte(invoice))
	if m.Get("subject") != "Faktúra <1>" || m.Get("From") != "Účtáreň <a@acme.example>" || m.Text != "Dobrý\ndeň" || !strings.Contains(m.HTML, "Zaplaťte") {
		t.Errorf("%+v", m)
	}
	want := []File{
		{Name: "logo.png", Type: "image/png", ContentID: "logo@x", Inline: true, Size: 4, Content: []byte("\x89PNG")},
		{Name: "účet.csv", Type: "text/csv", Size: 3, Content: []byte("\xb5;1")}, // its octets as they are
		{Type: "text/plain", Size: 14, Content: []byte("A second text.")},
	}
	if got := fmt.Sprintf("%+v", m.Files); got != fmt.Sprintf("%+v", want) || len(m.Faults) != 0 {
		t.Errorf("got  %s\nwant %+v\n%q", got, want, m.Faults)
	}
}

func TestMessageBecomesAPage(t *testing.T) {
	page, frame := written(t, []byte(invoice), View{Links: []Link{{"All", "index.html"}, {"As it was sent", `a:b %"?.eml`}}, Facts: []Field{{"row", "acme/17"}}})
	for _, part := range []string{
		"Faktúra &lt;1&gt;", "<td>Účtáreň &lt;a@acme.example&gt;</td>", "Dobrý\ndeň", `<a href="./index.html">All</a>`, `<a href="./a:b%20%25%22%3F.eml">As it was sent</a>`, "<td>acme/17</td>", "<td>high</td>",
		`href="data:application/octet-stream;base64,tTsx" download="účet.csv">účet.csv</a>`, "14 octets", "(without a name)", "within the HTML part",
		"the HTML part refers to cid:gone, and no part has that Content-ID",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	for _, part := range []string{"Content-Security-Policy", "Zaplaťte", `url('data:image/png;base64,iVBORw==')`, `<img src="data:image/png;base64,iVBORw==" alt="logo"/>`, "cid:gone"} {
		if !strings.Contains(html.UnescapeString(frame), part) {
			t.Errorf("the frame lacks %q:\n%s", part, frame)
		}
	}
}

// written returns the page and, decoded, the document in its frame.
func written(t *testing.T, raw []byte, v View) (page, frame string) {
	t.Helper()
	var b bytes.Buffer
	if err := Read(raw).Write(&b, v); err != nil {
		t.Fatal(err)
	}
	for _, n := range elements(t, b.String()) {
		if n.Data == "iframe" {
			frame = attribute(n, "srcdoc")
		}
	}
	return b.String(), frame
}

func elements(t *testing.T, page string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// skeleton is what a browser makes of a page, but for its texts.
func skeleton(t *testing.T, page string) []string {
	var all []string
	for _, n := range elements(t, page) {
		text := n.Data
		for _, a := range n.Attr {
			text += " " + a.Key
			if (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "data:application/octet-stream;base64,") {
				text += "=" + a.Val
			}
		}
		all = append(all, text)
	}
	return all
}

// What a hostile mail holds, wherever it stands.
var hostile = []string{
	`<script>alert(1)</script>`, `</pre></iframe></table><script src=https://evil.example/x.js></script>`, `"><img src=x onerror=alert(1)>`,
	`' onload='alert(1)`, `<a href="javascript:alert(1)">pay</a>`, `javascript:alert(1)`, `</title><style>@import 'https://evil.example'</style>`,
	`<img src=https://evil.example/track.png>`, `<meta http-equiv=refresh content="0;url=https://evil.example">`, `--><svg onload=alert(1)>`,
	`&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;`, `{{.Header}}<!--`, `]]><iframe srcdoc="<script>parent.alert(1)</script>">`, "\x00<\x00script>alert(1)</script>",
}

// mailWith is a mail that holds a text in every place that the page shows.
func mailWith(text string) []byte {
	word := "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
	name := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\x00", "").Replace(text)
	return []byte("From: " + word + " <a@acme.example>\r\nSubject: " + word + "\r\nTo: eva@example.org\r\nX-Evil: " + word + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n" +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + text + "\r\n" +
		"--b\r\nContent-Type: image/png\r\nContent-ID: <" + name + ">\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + text + "\r\n--b--\r\n")
}

func TestHostileMailsStayWithinTheirPlaces(t *testing.T) {
	harmless, _ := written(t, mailWith("harmless"), View{})
	want := skeleton(t, harmless)
	for _, text := range hostile {
		page, frame := written(t, mailWith(text), View{})
		if got := skeleton(t, page); !slices.Equal(got, want) {
			t.Errorf("%q changes the page:\n%q\n%q", text, got, want)
		}
		if strings.Count(page, "<iframe sandbox=\"\" ") != 1 || !strings.HasPrefix(frame, frameHead) {
			t.Errorf("%q: the frame is not closed up:\n%s", text, page)
		}
	}
}

// The frame's sandbox and policy hold against all else: these were seen to open connections in a browser, or could soften the policy.
func TestFrameLeavesOutWhatActsUnseen(t *testing.T) {
	for _, hidden := range []string{"%s", "<noscript>%s</noscript>", "<svg><style><foreignObject>%s", "<p title='<style>'>%s", "<math><mtext>%s"} {
		text := fmt.Sprintf(hidden, `<LINK rel=preconnect href=//evil.example><meta http-equiv="x-dns-prefetch-control" content=on><base href=//evil.example>`+
			`<link rel=stylesheet href=//evil.example /><iframe src=//evil.example></iframe>`)
		_, frame := written(t, []byte("Content-Type: text/html\r\n\r\n<p>Hi</p>"+text), View{})
		if strings.Contains(frame, "evil.example") || !strings.Contains(frame, "<p>Hi</p>") {
			t.Errorf("got %q", frame)
		}
	}
}

func TestOnlyPicturesStandInTheFrame(t *testing.T) {
	raw := "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:a><img src=cid:b><a href=\"x\">cid:c</a><style>p { background: url(CID:c) }</style>\r\n"
	for id, kind := range map[string]string{"a": "text/html", "b": `image/svg+xml" onload="x`, "c": "image/gif"} {
		raw += "--b\r\nContent-Type: " + kind + "\r\nContent-ID: <" + id + ">\r\n\r\nGIF\r\n"
	}
	_, frame := written(t, []byte(raw+"--b--\r\n"), View{})
	want := `<html><head></head><body><img src="cid:a"/><img src="cid:b"/><a href="x">cid:c</a><style>p { background: url(data:image/gif;base64,R0lG) }</style></body></html>`
	if strings.TrimPrefix(frame, frameHead) != want {
		t.Errorf("got %q", frame)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	for raw, want := range map[string]string{
		"no header": "the header cannot be read",
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x":                                        "EOF",
		"Content-Type: text/html; charset=klingon\r\n\r\nHi":                                          "klingon",
		"Content-Transfer-Encoding: morse\r\n\r\n.-":                                                  "morse",
		"Content-Transfer-Encoding: base64\r\n\r\n!!!!":                                               "the text part cannot be read to its end",
		"Content-Type: ;;\r\n\r\nHi":                                                                  "Content-Type",
		"Subject: x\r\n\r\n\xff":                                                                      "octets that are no text",
		"\r\n" + strings.Repeat("x", maxBody+1):                                                       "only the first 4.0 MiB of the text part",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 501): "more parts",
		nested(30): "more parts",
	} {
		m := Read([]byte(raw))
		if got := strings.Join(m.Faults, "; "); !strings.Contains(got, want) {
			t.Errorf("%.60q: %q, want something about %q", raw, got, want)
		}
		if err := m.Write(new(bytes.Buffer), View{}); err != nil {
			t.Error(err)
		}
	}
}

// nested is a multipart in a multipart in a multipart.
func nested(depth int) string {
	raw := ""
	for i := range depth {
		raw += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return raw + "\r\nHi"
}

func TestLargeFilesAreOnlyNamed(t *testing.T) {
	big := strings.Repeat("x", maxFile+1)
	m := Read([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf; name=big.pdf\r\n\r\n" + big + "\r\n" +
		strings.Repeat("--b\r\nContent-Type: image/png\r\nContent-ID: <p>\r\n\r\n"+big[:maxFile]+"\r\n", 5) + "--b\r\nContent-Type: text/html\r\n\r\n" +
		strings.Repeat("<img src=cid:p>", 100) + "\r\n--b--\r\n"))
	kept := 0
	for _, f := range m.Files {
		kept += len(f.Content)
	}
	if kept != maxFiles || m.Files[0].Content != nil || m.Files[0].Size != maxFile+1 || m.Files[0].Name != "big.pdf" {
		t.Errorf("%d octets kept", kept)
	}
	m.Files = m.Files[1:2]
	frame, faults := m.frame()
	if len(frame) > maxFrame+1<<10 || len(faults) != 1 || !strings.Contains(faults[0], "no room for the picture cid:p") {
		t.Errorf("%d octets, %q", len(frame), faults)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(invoice))
	for _, text := range hostile {
		f.Add(mailWith(text))
	}
	own := []string{"html", "head", "meta", "title", "style", "body", "p", "a", "h1", "h2", "ul", "li", "table", "tbody", "tr", "th", "td", "iframe", "pre", "details", "summary"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		page, _ := written(t, raw, View{})
		for _, n := range elements(t, page) {
			if !slices.Contains(own, n.Data) {
				t.Errorf("the page has an element %s", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "data:application/octet-stream;") {
					t.Errorf("%s has %s=%.50q", n.Data, a.Key, a.Val)
				}
			}
		}
	})
}

func TestFileURL(t *testing.T) {
	for path, want := range map[string]string{
		"/tmp/a b/index.html":   "file:///tmp/a%20b/index.html",
		"C:/Users/x/index.html": "file:///C:/Users/x/index.html",
	} {
		if got := FileURL(path); got != want {
			t.Errorf("FileURL(%q) is %q", path, got)
		}
	}
}
