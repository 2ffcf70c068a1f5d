package jobs_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"outboxd/jobs"
)

// previewRows are messages of every plain kind; the last one carries what a person has set about its time.
const previewRows = `INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, reply_to, subject, body_text, body_html, headers, send_after) VALUES
	('a@kunde.example', NULL, NULL, NULL, NULL, 'text', 'Hello', NULL, NULL, NULL),
	('Žofia <b@kunde.example>', 'c@kunde.example', 'hidden@kunde.example', 'Účtáreň <uctaren@acme.example>', 'r@acme.example', 'Faktúra', NULL, '<h1>Faktúra</h1>', '{"X-Invoice": "4711"}', NULL),
	('d@kunde.example', NULL, NULL, NULL, NULL, 'ready later', 'Hello', NULL, NULL, NOW(6) - INTERVAL 1 SECOND)`

var signature = regexp.MustCompile(`(?m)^DKIM-Signature:.*\r\n(?:[ \t].*\r\n)*`)

// unsigned is a message without its signature, whose time is another each time.
func unsigned(message []byte) string { return signature.ReplaceAllString(string(message), "") }

// previews makes the messages of the rows 1 to n.
func previews(t *testing.T, d *jobs.Desk, n int) map[string]jobs.PreviewReply {
	t.Helper()
	all := map[string]jobs.PreviewReply{}
	for i := range n {
		row := fmt.Sprintf("acme/%d", i+1)
		reply, err := d.Preview(t.Context(), jobs.PreviewRequest{Row: row})
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if reply.Row != row || reply.Size != int64(len(reply.Message)) || !bytes.Contains(reply.Message, []byte("Message-ID: "+reply.MessageID)) {
			t.Errorf("%+v", reply)
		}
		all[reply.MessageID] = reply
	}
	return all
}

// TestPreviewIsWhatIsSent: rows that were never claimed are looked at, sent, and looked at again.
func TestPreviewIsWhatIsSent(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited), "")
	s.db.Exec(t, previewRows)
	const n = 3
	before := previews(t, s.desk(text, nil), n)
	s.start(text, "one")
	s.messages(n)
	s.await(fmt.Sprint(n), `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	after := previews(t, s.engine.Desk(), n)
	for _, m := range s.smtp.Messages() {
		for when, looked := range map[string]jobs.PreviewReply{"before": before[m.MessageID], "after": after[m.MessageID]} {
			if unsigned(looked.Message) != unsigned(m.Data) {
				t.Errorf("%s is sent as\n%s\nand was shown %s as\n%s", m.MessageID, m.Data, when, looked.Message)
			}
			if looked.EnvelopeFrom != m.From || strings.Join(looked.EnvelopeTo, " ") != strings.Join(m.To, " ") || looked.Account != "main" || looked.Company != "acme" {
				t.Errorf("%+v, and sent from %s to %v", looked, m.From, m.To)
			}
		}
		if w := after[m.MessageID].Warnings; len(before[m.MessageID].Warnings) != 0 || len(w) != 1 || !strings.Contains(w[0], "is sent: this is made anew") {
			t.Errorf("warnings: %q", w)
		}
	}
}

// TestPreviewSaysWhatLastErrorWill: in the same words, and before anything was tried.
func TestPreviewSaysWhatLastErrorWill(t *testing.T) {
	s := newSite(t)
	text := s.with("  main: "+s.account(unlimited+", max_size: 64KB, sender_domains: [acme.example]"), "", "accounts: [main]")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, account, from_address, headers) VALUES
		('eva at kunde', 'x', 'x', NULL, NULL, NULL), ('a@kunde.example', 'a\nb', 'x', NULL, NULL, NULL), ('a@kunde.example', 'x', REPEAT('x', 70000), NULL, NULL, NULL),
		('a@kunde.example', 'x', 'x', 'nobody', NULL, NULL), ('a@kunde.example', 'x', 'x', NULL, 'a@other.example', NULL), ('a@kunde.example', 'x', 'x', NULL, NULL, '{"To": "x"}')`)
	const n = 6
	d := s.desk(text, nil)
	said := make([]string, n)
	for i := range n {
		_, err := d.Preview(t.Context(), jobs.PreviewRequest{Row: fmt.Sprint(i + 1)})
		said[i] = askError(t, err).Text
	}
	s.start(text, "one")
	s.await(fmt.Sprint(n), `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'failed'`)
	for i := range n {
		if want := fmt.Sprintf("acme/%d would fail: %s", i+1, s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = ?`, i+1)); said[i] != want {
			t.Errorf("said  %s\nwants %s", said[i], want)
		}
	}
	if n := len(s.smtp.Messages()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// TestPreviewOfWhatIsNeverSent: purged content, and a key that a purged row has used up.
func TestPreviewOfWhatIsNeverSent(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited), "")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, dedupe_key) VALUES ('a@kunde.example', NULL), ('b@kunde.example', 'k')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_purged (outbox_id, text_hash) VALUES (1, SHA2('x', 256))`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, outbox_id, at) VALUES ('dedupe', 'k', 0, NOW())`)
	d := s.desk(text, nil)
	said := make([]string, 2)
	for i := range said {
		_, err := d.Preview(t.Context(), jobs.PreviewRequest{Row: fmt.Sprint(i + 1)})
		said[i] = askError(t, err).Text
	}
	s.start(text, "one")
	s.awaitRows("1 failed 1", "2 skipped 1")
	for i, end := range []string{"would fail", "would end as skipped"} {
		if want := fmt.Sprintf("acme/%d %s: %s", i+1, end, s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = ?`, i+1)); said[i] != want {
			t.Errorf("said  %s\nwants %s", said[i], want)
		}
	}
}

// TestPreviewTouchesNothing: whatever state a row is in, it can be looked at, and stays as it is.
func TestPreviewTouchesNothing(t *testing.T) {
	s, d := deskSite(t)
	const all = `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, held, claims, attempts, updated_at, COALESCE(message_id, '-'), COALESCE(last_error, '-')) ORDER BY id) FROM {db}.outbox`
	before := s.db.Read(t, all)
	for row, warning := range map[string]string{
		"acme/1": "", "acme/2": "is held", "acme/5": "is sent: this is made anew", "acme/6": "is failed: it is not sent", "acme/7": "is uncertain", "acme/8": "is expired",
		"acme/9": "is cancelled", "acme/11": "resting is not active", "acme/12": "it ends as expired",
	} {
		reply, err := d.Preview(t.Context(), jobs.PreviewRequest{Row: row})
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if got := strings.Join(reply.Warnings, " "); !strings.Contains(got, warning) || (got == "") != (warning == "") {
			t.Errorf("%s: %q, want something about %q", row, got, warning)
		}
	}
	if after := s.db.Read(t, all); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_attempt`); n != "0" {
		t.Errorf("%s attempts", n)
	}
	for q, usage := range map[jobs.PreviewRequest]bool{{Row: "acme/99"}: false, {Row: "x"}: true, {Company: "nemo", Template: "x"}: false, {Company: "acme"}: true, {Template: "x", From: "nobody"}: false} {
		if _, err := d.Preview(t.Context(), q); askError(t, err).Usage != usage {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestPreviewShowsTheDivertedMail(t *testing.T) {
	s := newSite(t)
	text := strings.Replace(s.file("  main: "+s.account(unlimited), ""), "    jobs:", "    divert: test@acme.example\n    jobs:", 1)
	s.db.Exec(t, previewRows)
	reply, err := s.desk(text, nil).Preview(t.Context(), jobs.PreviewRequest{Row: "2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(reply.EnvelopeTo, " "); got != "test@acme.example" || len(reply.Warnings) != 1 || !strings.Contains(reply.Warnings[0], "diverts") {
		t.Errorf("%+v", reply)
	}
	if !bytes.Contains(reply.Message, []byte("\r\nTo: test@acme.example\r\n")) || !bytes.Contains(reply.Message, []byte("\r\nX-Outboxd-Bcc: hidden@kunde.example\r\n")) {
		t.Errorf("%s", reply.Message)
	}
}
