package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

const twoParts = "From: =?utf-8?q?=C3=9A=C4=8Dt=C3=A1re=C5=88?= <a@acme.example>\r\nTo: Eva <eva@example.org>\r\n" +
	"Subject: =?utf-8?q?Fakt=C3=BAra?= <1>\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nDobr=C3=BD de=C5=88\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+PHNjcmlwdD54PC9zY3JpcHQ+PC9wPg==\r\n--b--\r\n"

func TestMailBecomesAPage(t *testing.T) {
	m := smtptest.Message{To: []string{"eva@example.org", "hidden@example.org"}, MessageID: "<1@x>", Data: []byte(twoParts)}
	c, err := readMail(7, m)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "Faktúra <1>" || c.Headers[0].Value != "Účtáreň <a@acme.example>" || c.Text != "Dobrý deň" || c.HTML != "<p><script>x</script></p>" {
		t.Errorf("read: %+v", c)
	}
	folder := t.TempDir()
	if err := writeMail(folder, c, m.Data); err != nil {
		t.Fatal(err)
	}
	page := readFile(t, filepath.Join(folder, "mail-007.html"))
	for _, part := range []string{"Faktúra &lt;1&gt;", "hidden@example.org", "Dobrý deň", `<iframe sandbox srcdoc="&lt;p&gt;&lt;script&gt;`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	if raw := readFile(t, filepath.Join(folder, "mail-007.eml")); raw != twoParts {
		t.Errorf("the file holds %q", raw)
	}
}

func TestMailThatIsNoneStillHasAPage(t *testing.T) {
	c, err := readMail(1, smtptest.Message{Data: []byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x")})
	if err == nil {
		t.Error("no error")
	}
	if err := writeMail(t.TempDir(), c, nil); err != nil {
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
