package jobs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"outboxd/db/dbtest"
	"outboxd/mail/page"
)

// folder writes files below a new folder and returns it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// with is the site's jobs.yaml with further keys of the company, a line each.
func (s *site) with(accounts, job string, keys ...string) string {
	text := s.file(accounts, job)
	for _, key := range keys {
		text = strings.Replace(text, "    jobs:\n", "    "+key+"\n    jobs:\n", 1)
	}
	return text
}

// reader lets the company's queries run.
const reader = "reader: {username: root, time: 1s, rows: 1000}"

// fileOf is the content of a file that a message carries.
func fileOf(t *testing.T, m *page.Message, name string) string {
	t.Helper()
	i := slices.IndexFunc(m.Files, func(f page.File) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no file %s among the %d", name, len(m.Files))
	}
	return string(m.Files[i].Content)
}

// lastError is the reason that stands in a row.
func (s *site) lastError(id int) string {
	s.t.Helper()
	return s.db.Read(s.t, `SELECT last_error FROM {db}.outbox WHERE id = ?`, id)
}

func TestAMailOfATemplateWithAllKindsOfAttachments(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `CREATE TABLE {db}.item (customer BIGINT, name VARCHAR(50), price DECIMAL(10,2)) CHARACTER SET utf8mb4`)
	s.db.Exec(t, `INSERT INTO {db}.item VALUES (9007199254740993, 'Čokoláda', 0.10), (9007199254740993, 'Káva', 12.30), (1, 'Čaj', 5)`)
	templates := folder(t, map[string]string{
		"invoice/subject.txt": "Invoice {{.number}}", "invoice/subject.sk.txt": "Faktúra {{.number}}",
		"invoice/body.html":    `<p>Total {{money .total "EUR"}}</p>`,
		"invoice/body.sk.html": `<img src="cid:logo.png"><p>Spolu {{money .total "EUR"}}</p>{{table (query "items" "send") "name=Názov" "price=Cena"}}`,
		"invoice/items.sql":    `SELECT name, price FROM item WHERE customer = :customer ORDER BY name`,
		"invoice/logo.png":     "\x89PNG\r\n\x1a\nlogo",
	})
	files := folder(t, map[string]string{"2026/terms.pdf": "%PDF-1.7 terms"})
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, template, params, language, reference) VALUES ('eva@kunde.example', 'invoice',
		'{"number": "2026/17", "total": 12.40, "customer": 9007199254740993}', 'sk-SK', 'invoice:17')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_content (content) VALUES ('shared text')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, type, content, hash, file, query, format, options) VALUES
		(1, 'faktúra.pdf', 'application/pdf', '%PDF-1.7 invoice', NULL, NULL, NULL, NULL, NULL),
		(1, 'shared.txt', NULL, NULL, SHA2('shared text', 256), NULL, NULL, NULL, NULL),
		(1, 'terms.pdf', NULL, NULL, NULL, '2026/terms.pdf', NULL, NULL, NULL),
		(1, 'items.csv', NULL, NULL, NULL, NULL, 'SELECT name, price, :reference AS reference FROM item WHERE customer = :customer ORDER BY name', 'csv', '{"decimal": ","}'),
		(1, 'items.xlsx', NULL, NULL, NULL, NULL, 'SELECT name, price FROM item', 'xlsx', NULL)`)
	s.start(s.with("  main: "+s.account(unlimited), "", "templates: "+templates, "attachments: "+files, reader, "language: en", "timezone: Europe/Bratislava"), "one")
	s.awaitRows("1 sent 1")
	m := page.Read(s.smtp.Messages()[0].Data)
	if m.Get("Subject") != "Faktúra 2026/17" || len(m.Faults) != 0 {
		t.Errorf("subject %q, %q", m.Get("Subject"), m.Faults)
	}
	if want := s.db.Read(t, `SELECT message_id FROM {db}.outbox`); m.Get("Message-ID") != want || !strings.HasSuffix(want, "@acme.example>") {
		t.Errorf("Message-ID %s, the row has %s", m.Get("Message-ID"), want)
	}
	for name, want := range map[string]string{"faktúra.pdf": "%PDF-1.7 invoice", "shared.txt": "shared text", "terms.pdf": "%PDF-1.7 terms",
		"items.csv": "name;price;reference\r\nČokoláda;0,10;invoice:17\r\nKáva;12,30;invoice:17\r\n", "logo.png": "\x89PNG\r\n\x1a\nlogo"} {
		if got := fileOf(t, m, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(m.HTML, "12,40") || !strings.Contains(m.HTML, "Káva") {
		t.Errorf("HTML %s", m.HTML)
	}
	if !strings.Contains(m.Text, "Spolu") {
		t.Errorf("text %s", m.Text)
	}
	if !strings.HasPrefix(fileOf(t, m, "items.xlsx"), "PK") {
		t.Error("items.xlsx is no XLSX")
	}
}

// bad is a row that cannot become a message, and why.
type bad struct {
	name   string
	row    string   // columns and values
	attach []string // columns and values
	want   []string // in last_error
	state  string   // "failed" when empty
}

// The statements of a bad row's parts: columns, then values.
const (
	intoOutbox     = `INSERT INTO {db}.outbox (recipients, subject, %s) VALUES ('a@kunde.example', 'x', %s)`
	intoAttachment = `INSERT INTO {db}.outbox_attachment (outbox_id, %s) VALUES (?, %s)`
)

var badRows = []bad{
	{name: "unknown template", row: `template|'nowhere'`, want: []string{`there is no template "nowhere"`}},
	{name: "template without a name", row: `template, params|'', '{}'`, want: []string{`there is no template " "`}},
	{name: "file without a name", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', ''`}, want: []string{`attachment "a.pdf": 0 of content, hash, file and query are given`}},
	{name: "missing parameter", row: `template, params|'letter', '{"other": 1}'`, want: []string{"letter/body.txt:1:9", "name"}},
	{name: "wrong JSON", row: `template, params|'letter', '{"name": '`, want: []string{"params"}},
	{name: "wrong JSON for a query", row: `body_text, params|'x', '[1]'`, attach: []string{`name, query, format|'a.csv', 'SELECT 1', 'csv'`}, want: []string{"params"}},
	{name: "no language", row: `template, params, language|'letter', '{"name": "x"}', 'sk_SK!'`, want: []string{"no language"}},
	{name: "template and body", row: `template, params, body_text|'letter', '{"name": "x"}', 'x'`, want: []string{"body_text"}},
	{name: "file gone", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', 'gone.pdf'`}, want: []string{`"gone.pdf" is not in`}},
	{name: "file above the root", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', '../letter/body.txt'`}, want: []string{"not below"}},
	{name: "absolute path", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', '/etc/hostname'`}, want: []string{"not below"}},
	{name: "link that leaves", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', 'link'`}, want: []string{"leads out"}},
	{name: "folder link that leaves", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', 'etc/hostname'`}, want: []string{"leads out"}},
	{name: "named pipe", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', 'pipe'`}, want: []string{"not a regular file"}},
	{name: "folder", row: `body_text|'x'`, attach: []string{`name, file|'a.pdf', 'sub'`}, want: []string{"not a regular file"}},
	{name: "query that writes", row: `body_text|'x'`, attach: []string{`name, query, format|'a.csv', 'DELETE FROM outbox', 'csv'`}, want: []string{`attachment "a.csv"`, "query refused"}},
	{name: "query with a mistake", row: `body_text|'x'`, attach: []string{`name, query, format|'a.csv', 'SELECT nothing FROM nowhere', 'csv'`}, want: []string{"query failed"}},
	{name: "query that names what is not there", row: `body_text|'x'`, attach: []string{`name, query, format|'a.csv', 'SELECT :customer', 'csv'`}, want: []string{"customer"}},
	{name: "query too slow", row: `body_text|'x'`, attach: []string{`name, query, format|'a.csv', 'SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c', 'csv'`}, want: []string{"query too slow", "1s"}},
	{name: "query with too many rows", row: `body_text|'x'`, attach: []string{`name, query, format|'a.csv', 'SELECT seq FROM ` + dbtest.Numbers(1001) + `', 'csv'`}, want: []string{"1000 rows"}},
	{name: "unknown format", row: `body_text|'x'`, attach: []string{`name, query, format|'a.pdf', 'SELECT 1', 'pdf'`}, want: []string{"csv or xlsx"}},
	{name: "wrong options", row: `body_text|'x'`, attach: []string{`name, query, format, options|'a.csv', 'SELECT 1', 'csv', '{"colour": 1}'`}, want: []string{"options"}},
	{name: "empty result that is an error", row: `body_text|'x'`, attach: []string{`name, query, format, options|'a.csv', 'SELECT 1 FROM DUAL WHERE 1 = 0', 'csv', '{"if_empty": "fail"}'`}, want: []string{"found nothing"}},
	{name: "empty result that skips", row: `body_text|'x'`, attach: []string{`name, query, format, options|'a.csv', 'SELECT 1 FROM DUAL WHERE 1 = 0', 'csv', '{"if_empty": "skip"}'`}, want: []string{"found nothing"}, state: "skipped"},
	{name: "empty result that skips, in the template", row: `template|'news'`, want: []string{"found nothing"}, state: "skipped"},
	{name: "shared content gone", row: `body_text|'x'`, attach: []string{`name, hash|'a.txt', SHA2('nothing', 256)`}, want: []string{"outbox_content"}},
	{name: "attachment too large", row: `body_text|'x'`, attach: []string{`name, content|'a.bin', REPEAT('x', 200001)`}, want: []string{"200002 octets", "max_size of account main is 200000"}},
	{name: "file too large", row: `body_text|'x'`, attach: []string{`name, file|'a.bin', 'large.bin'`}, want: []string{"max_size of account main is 200000"}},
	{name: "too large once it is encoded", row: `body_text|'x'`, attach: []string{`name, content|'a.bin', CAST(REPEAT(CHAR(255), 190000) AS BINARY)`}, want: []string{"the message is", "max_size of account main is 200000"}},
	{name: "forbidden extension", row: `body_text|'x'`, attach: []string{`name, type, content|'Run.EXE', 'application/pdf', 'x'`}, want: []string{".exe", "forbidden_types"}},
	{name: "forbidden type", row: `body_text|'x'`, attach: []string{`name, type, content|'a', 'image/png', 'x'`}, want: []string{"image/*"}},
	{name: "forbidden type that shows itself", row: `body_text|'x'`, attach: []string{"name, content|'a', X'89504E470D0A1A0A'"}, want: []string{"image/*"}},
	{name: "forbidden type in a message within", row: `body_text|'x'`, attach: []string{`name, type, content|'a.eml', 'message/rfc822', 'Subject: x\r\nContent-Type: image/png; name=a.png\r\n\r\nx'`}, want: []string{"image/*"}},
	{name: "raw and a body", row: `raw, body_text|'From: a@acme.example\r\n\r\nx', 'x'`, want: []string{"raw: the row has body_text too"}},
	{name: "raw that is none", row: `raw|'not a message'`, want: []string{"raw: "}},
	{name: "raw of a foreign sender", row: `raw|'From: a@other.example\r\n\r\nx'`, want: []string{"raw: its From is a@other.example"}},
	{name: "raw of a second sender who is foreign", row: `raw|'From: a@acme.example, b@other.example\r\nSender: a@acme.example\r\n\r\nx'`, want: []string{"raw: its From is b@other.example"}},
	{name: "raw sent by a foreigner", row: `raw|'From: a@acme.example\r\nSender: b@other.example\r\n\r\nx'`, want: []string{"raw: its Sender is b@other.example"}},
	{name: "raw with what is forbidden", row: `raw|'From: a@acme.example\r\nContent-Type: image/png; name=a.png\r\n\r\nx'`, want: []string{"image/*"}},
}

// TestBadContentFailsItsRowAlone has a row of every kind that cannot become a message, and good ones between them.
func TestBadContentFailsItsRowAlone(t *testing.T) {
	s := newSite(t)
	templates := folder(t, map[string]string{
		"letter/subject.txt": "Hello", "letter/body.txt": "Hello {{.name}}",
		"news/subject.txt": "News", "news/body.txt": `{{range (query "news" "skip").Rows}}{{.n}}{{end}}`, "news/news.sql": "SELECT 1 AS n FROM DUAL WHERE 1 = 0",
	})
	files := folder(t, map[string]string{"sub/x": "x", "large.bin": strings.Repeat("x", 200001)})
	for link, to := range map[string]string{"link": "/etc/hostname", "etc": "/etc"} {
		if err := os.Symlink(to, filepath.Join(files, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Command("mkfifo", filepath.Join(files, "pipe")).Run(); err != nil {
		t.Fatal(err)
	}
	for _, b := range badRows {
		columns, values, _ := strings.Cut(b.row, "|")
		s.db.Exec(t, fmt.Sprintf(intoOutbox, columns, values))
		id := s.db.Read(t, `SELECT MAX(id) FROM {db}.outbox`)
		for _, a := range b.attach {
			columns, values, _ := strings.Cut(a, "|")
			s.db.Exec(t, fmt.Sprintf(intoAttachment, columns, values), id)
		}
		s.mail("good@kunde.example")
	}
	s.start(s.with("  main: "+s.account(unlimited+", max_size: 200KB, sender_domains: [acme.example], connections: 4"), "forbidden_types: [.exe, image/*]",
		"templates: "+templates, "attachments: "+files, reader), "one")
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`)
	for i, b := range badRows {
		id := 2*i + 1
		state := s.db.Read(t, `SELECT state FROM {db}.outbox WHERE id = ?`, id)
		if want := map[bool]string{true: "failed", false: b.state}[b.state == ""]; state != want {
			t.Errorf("%s: %s, want %s: %s", b.name, state, want, s.lastError(id))
			continue
		}
		for _, want := range b.want {
			if got := s.lastError(id); !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %q", b.name, got, want)
			}
		}
	}
	good := len(badRows)
	s.await(fmt.Sprint(good), `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if c := s.smtp.Counts(); c.Transactions != good || c.Accepted != good {
		t.Errorf("%d transactions, %d accepted, want %d", c.Transactions, c.Accepted, good)
	}
}

func TestARowOfOutboxTemplate(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox_template (name, subject, text) VALUES ('hello', 'Hello {{.name}}', 'Dear {{.name}}')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, template, params) VALUES ('a@kunde.example', 'hello', '{"name": "Eva"}')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, template, params) VALUES ('a@kunde.example', 'My own', 'hello', '{"name": "Ida"}')`)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	s.awaitRows("1 sent 1", "2 sent 1")
	for i, want := range []string{"Hello Eva: Dear Eva\n", "My own: Dear Ida\n"} {
		m := page.Read(s.smtp.Messages()[i].Data)
		if got := m.Get("Subject") + ": " + m.Text; got != want {
			t.Errorf("mail %d is %q, want %q", i+1, got, want)
		}
	}
}

// finished is a message that somebody else has made.
const finished = "From: Eva <eva@acme.example>\nTo: a@kunde.example\nCc: b@kunde.example\nBcc: boss@acme.example\nSubject: Finished\n%s\nIt is done.\n"

func (s *site) raw(columns, values, extra string) {
	s.t.Helper()
	s.db.Exec(s.t, fmt.Sprintf(`INSERT INTO {db}.outbox (raw, %s) VALUES (?, %s)`, columns, values), fmt.Sprintf(finished, extra))
}

func TestFinishedMessages(t *testing.T) {
	s := newSite(t)
	s.raw("recipients", "''", "")
	s.raw("recipients, bcc", "'only@kunde.example', 'me@acme.example'", "Message-ID: <own@acme.example>\nDate: Fri, 20 Nov 2026 10:00:00 +0100\n")
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	s.awaitRows("1 sent 1", "2 sent 1")
	messages := s.smtp.Messages()
	for i, want := range []string{"eva@acme.example: a@kunde.example b@kunde.example boss@acme.example", "eva@acme.example: only@kunde.example me@acme.example"} {
		if got := messages[i].From + ": " + strings.Join(messages[i].To, " "); got != want {
			t.Errorf("envelope %s, want %s", got, want)
		}
		if id := s.db.Read(t, `SELECT message_id FROM {db}.outbox WHERE id = ?`, i+1); id != messages[i].MessageID {
			t.Errorf("the row has %s, the message %s", id, messages[i].MessageID)
		}
		if m := page.Read(messages[i].Data); m.Get("Bcc") != "" || m.Get("Date") == "" || m.Text != "It is done.\n" {
			t.Errorf("message %s", messages[i].Data)
		}
	}
	if got := messages[1].MessageID; got != "<own@acme.example>" {
		t.Errorf("Message-ID %s", got)
	}
	if got := messages[0].MessageID; !strings.HasSuffix(got, "@acme.example>") || !strings.Contains(got, ".1.") {
		t.Errorf("Message-ID %s", got)
	}
}

func TestDivertedFinishedMessage(t *testing.T) {
	s := newSite(t)
	s.raw("recipients", "''", "")
	s.start(s.diverting(""), "one")
	s.awaitRows("1 sent 1")
	m := s.smtp.Messages()[0]
	shown := page.Read(m.Data)
	if got := strings.Join(m.To, " "); got != "test@acme.example" {
		t.Errorf("sent to %s", got)
	}
	for name, want := range map[string]string{"To": "a@kunde.example", "X-Outboxd-To": "a@kunde.example", "X-Outboxd-Cc": "b@kunde.example", "X-Outboxd-Bcc": "boss@acme.example"} {
		if got := strings.Trim(shown.Get(name), "<>"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestAFolderThatIsAwayMakesRowsWait: the rows that need the folder wait, the others go, and nobody is failed for it.
func TestAFolderThatIsAwayMakesRowsWait(t *testing.T) {
	for name, path := range map[string]func(t *testing.T) string{
		"missing": func(t *testing.T) string { return filepath.Join(t.TempDir(), "away") },
		"empty":   func(t *testing.T) string { return t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			dir := path(t)
			s.mail("a@kunde.example")
			s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, file) VALUES (1, 'a.pdf', 'a.pdf')`)
			s.mail("b@kunde.example")
			s.start(s.with("  main: "+s.account(unlimited), "", "attachments: "+dir), "one")
			s.awaitRows("1 queued 0", "2 sent 1")
			s.awaitEvent("files_down", 1)
			s.await("1", `SELECT last_error LIKE '%mounted%' AND available_at > UTC_TIMESTAMP(6) + INTERVAL 30 SECOND FROM {db}.outbox WHERE id = 1`)
			if err := os.MkdirAll(dir, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "a.pdf"), []byte("%PDF"), 0o640); err != nil {
				t.Fatal(err)
			}
			s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
			s.awaitRows("1 sent 1", "2 sent 1")
			s.awaitEvent("files_up", 1)
		})
	}
}
