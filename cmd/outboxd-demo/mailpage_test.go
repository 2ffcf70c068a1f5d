package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

func TestMailBecomesAPage(t *testing.T) {
	folder := t.TempDir()
	m := smtptest.Message{To: []string{"eva@example.org", "hidden@example.org"}, MessageID: "<1@x>",
		Data: []byte("To: Eva <eva@example.org>\r\nSubject: =?utf-8?q?Fakt=C3=BAra?= <1>\r\n\r\nHello\r\n")}
	c, err := writeMail(folder, 7, "acme/1", m)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "Faktúra <1>" || c.To != "Eva <eva@example.org>" || c.Page != "mail-007.html" {
		t.Errorf("%+v", c)
	}
	page := readFile(t, filepath.Join(folder, c.Page))
	for _, part := range []string{"Faktúra &lt;1&gt;", "hidden@example.org", "<td>acme/1</td>", `href="./index.html"`, `href="./mail-007.eml"`, "Hello"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	if raw := readFile(t, filepath.Join(folder, c.EML)); raw != string(m.Data) {
		t.Errorf("the file holds %q", raw)
	}
}

func TestMailThatIsNoneStillHasAPage(t *testing.T) {
	folder := t.TempDir()
	c, err := writeMail(folder, 1, "", smtptest.Message{Data: []byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x")})
	if err != nil || !strings.Contains(readFile(t, filepath.Join(folder, c.Page)), "EOF") {
		t.Error(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
