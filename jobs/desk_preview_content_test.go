package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/compose/dkim"
	"outboxd/mail/page"
)

// furnished is a jobs.yaml of a company with a key, a template with an image and a query, and a folder of files.
func (s *site) furnished() string {
	s.dkimKey("acme.example", dkim.RSA)
	templates := folder(s.t, map[string]string{
		"invoice/subject.txt": "Invoice {{.number}}", "invoice/subject.sk.txt": "Faktúra {{.number}}",
		"invoice/body.html":    `<p>Total {{money .total "EUR"}}</p>`,
		"invoice/body.sk.html": `<img src="cid:logo.png"><p>Spolu {{money .total "EUR"}}</p>{{table (query "items" "send")}}`,
		"invoice/items.sql":    `SELECT 'tea' AS name, 12.40 AS price, :customer AS customer`,
		"invoice/logo.png":     "\x89PNG\r\n\x1a\nlogo",
	})
	files := folder(s.t, map[string]string{"2026/terms.pdf": "%PDF-1.7 terms"})
	return signedBy("acme.example", "") + s.with("  main: "+s.account(unlimited), "", "templates: "+templates, "attachments: "+files, reader, "language: en", "timezone: Europe/Bratislava")
}

// everything are rows with all that can belong to one.
var everything = []string{
	`INSERT INTO {db}.outbox (recipients, template, params, language) VALUES ('eva@kunde.example', 'invoice', '{"number": "2026/17", "total": 12.40, "customer": 9007199254740993}', 'sk-SK')`,
	`INSERT INTO {db}.outbox_content (content) VALUES ('shared text')`,
	`INSERT INTO {db}.outbox_attachment (outbox_id, name, content, hash, file, query, format) VALUES (1, 'faktúra.pdf', '%PDF-1.7 invoice', NULL, NULL, NULL, NULL),
		(1, 'shared.txt', NULL, SHA2('shared text', 256), NULL, NULL, NULL), (1, 'terms.pdf', NULL, NULL, '2026/terms.pdf', NULL, NULL),
		(1, 'items.csv', NULL, NULL, NULL, 'SELECT :number AS number, 0.10 AS price', 'csv'), (1, 'items.xlsx', NULL, NULL, NULL, 'SELECT :number AS number, 0.10 AS price', 'xlsx')`,
	`INSERT INTO {db}.outbox (recipients, raw) VALUES ('raw@kunde.example', 'From: a@acme.example\r\nSubject: raw\r\nBcc: x@kunde.example\r\n\r\nHello\r\n')`,
	`INSERT INTO {db}.outbox (recipients, raw) VALUES ('', 'From: a@acme.example\r\nTo: own@kunde.example\r\nMessage-ID: <own@acme.example>\r\nDate: Sun, 22 Nov 2026 01:00:00 +0100\r\n\r\nHello\r\n')`,
}

// TestPreviewOfAllThatBelongsToARow: the same octets before it is sent, as it is sent, and afterwards; only the signature's time
// is another.
func TestPreviewOfAllThatBelongsToARow(t *testing.T) {
	s := newSite(t)
	text := s.furnished()
	for _, statement := range everything {
		s.db.Exec(t, statement)
	}
	const n = 3
	before := previews(t, s.desk(text, nil), n)
	s.start(text, "one")
	s.await(fmt.Sprint(n), `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	after := previews(t, s.engine.Desk(), n)
	for _, m := range s.smtp.Messages() {
		for when, looked := range map[string]jobs.PreviewReply{"before": before[m.MessageID], "after": after[m.MessageID]} {
			if !strings.HasPrefix(string(looked.Message), "DKIM-Signature:") || unsigned(looked.Message) != unsigned(m.Data) {
				t.Errorf("%s is sent as\n%s\nand was shown %s as\n%s", m.MessageID, m.Data, when, looked.Message)
			}
		}
	}
	shown := page.Read(before[s.db.Read(t, `SELECT message_id FROM {db}.outbox WHERE id = 1`)].Message)
	if shown.Get("Subject") != "Faktúra 2026/17" || !strings.Contains(shown.HTML, "12,40") || len(shown.Files) != 6 || len(shown.Faults) > 0 {
		t.Errorf("%+v", shown)
	}
}

func TestPreviewOfATemplate(t *testing.T) {
	s := newSite(t)
	d := s.desk(s.furnished(), nil)
	q := jobs.PreviewRequest{Template: "invoice", Params: `{"number": 4711, "total": 0.10, "customer": 9007199254740993}`, Language: "sk", To: "Eva <eva@kunde.example>"}
	reply, err := d.Preview(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	shown := page.Read(reply.Message)
	if reply.Row != "" || reply.Account != "main" || strings.Join(reply.EnvelopeTo, " ") != "eva@kunde.example" || shown.Get("Subject") != "Faktúra 4711" ||
		shown.Get("To") != "Eva <eva@kunde.example>" || !strings.Contains(shown.HTML, "9007199254740993") || shown.Get("Message-ID") != reply.MessageID {
		t.Errorf("%+v\n%+v", reply, shown)
	}
	q.To, q.Language, q.From = "", "", "Eva <eva@other.example>"
	if reply, err = d.Preview(t.Context(), q); err != nil || !strings.HasSuffix(reply.MessageID, "@other.example>") || reply.EnvelopeFrom != "eva@other.example" {
		t.Errorf("%+v, %v", reply, err)
	}
	q.From = ""
	if reply, err = d.Preview(t.Context(), q); err != nil || strings.Join(reply.EnvelopeTo, " ") != "noreply@acme.example" || page.Read(reply.Message).Get("Subject") != "Invoice 4711" {
		t.Errorf("%+v, %v", reply, err)
	}
	for want, change := range map[string]func(*jobs.PreviewRequest){
		`the message would fail: template: there is no template "nowhere"`: func(q *jobs.PreviewRequest) { q.Template = "nowhere" },
		"the message would fail: template: invoice/body.html:":             func(q *jobs.PreviewRequest) { q.Params = `{"number": 1}` },
		"the message would fail: recipients:":                              func(q *jobs.PreviewRequest) { q.To = "eva at kunde" },
		"the message would fail: template: params":                         func(q *jobs.PreviewRequest) { q.Params = `{"number":` },
		"there is no company":                                              func(q *jobs.PreviewRequest) { q.Company = "nemo" },
	} {
		wrong := q
		change(&wrong)
		if _, err := d.Preview(t.Context(), wrong); !strings.HasPrefix(askError(t, err).Text, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox`); n != "0" {
		t.Errorf("%s rows", n)
	}
}
