package jobs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"outboxd/mail/page"
)

// dated are the fields in which a sample differs from what arrives: a mail is dated when it is let go.
var dated = regexp.MustCompile(`(?m)^Date: .*\r\n`)

// TestWhatWasApprovedIsWhatGoes: between the proof and the approval the template, a file and the customer's data are changed, and one
// customer pays. The mails that go are those of the proof's samples, octet for octet, and the one who has paid gets none.
func TestWhatWasApprovedIsWhatGoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(5)
	s.db.Exec(t, `ALTER TABLE {db}.customer ADD COLUMN paid TINYINT NOT NULL DEFAULT 0`)
	templates := folder(t, map[string]string{"statement/subject.txt": "Statement {{.id}}", "statement/body.html": "<p>Old text for customer {{.id}}</p>"})
	files := map[string]string{}
	for i := 1; i <= 4; i++ {
		files[fmt.Sprintf("%d.pdf", i)] = fmt.Sprintf("%%PDF-1.7 old %d", i)
	}
	dir := folder(t, files)
	text := s.mailingFile(`attach: [{file: "{id}.pdf", name: "statement-{id}.pdf"}, {query: "SELECT email FROM customer WHERE id = :id", as: csv, name: customer.csv}],
        recheck: "SELECT 1 FROM customer WHERE id = :id AND paid = 0", on_sent: "UPDATE customer SET mailed_at = :sent_at WHERE id = :id",
        proof: {to: [starter], samples: 3}, approval: {by: [jan], within: 8h}, summary: [eva]`)
	text = strings.Replace(text, "    jobs:\n", "    templates: "+templates+"\n    attachments: "+dir+"\n    "+reader+"\n    jobs:\n", 1)
	s.db.Exec(t, `DELETE FROM {db}.outbox_template`)
	id := s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.messages(2) // the proof, to whoever started it and to whoever may approve
	samples := s.proofOf(id)
	for name, content := range map[string]string{"statement/subject.txt": "New {{.id}} {{.gone}}", "statement/body.html": "<p>New text</p>"} {
		if err := os.WriteFile(filepath.Join(templates, filepath.FromSlash(name)), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.customer SET paid = 1 WHERE id = 2`)
	s.db.Exec(t, `UPDATE {db}.customer SET email = CONCAT('new-', email)`)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER() WHERE id = ?`, id)
	// The fifth has no file; the second has paid.
	s.await("done 5 3 1 1 0", runSum)
	s.messages(2 + 3 + 1)
	var sent [][]byte
	for _, m := range s.smtp.Messages() {
		if strings.HasSuffix(m.To[0], "@kunde.example") {
			sent = append(sent, dated.ReplaceAll(m.Data, nil))
		}
	}
	for i, sample := range samples {
		found := slices.ContainsFunc(sent, func(m []byte) bool { return bytes.Equal(m, dated.ReplaceAll(sample, nil)) })
		if !found {
			t.Errorf("sample %d did not go as it was shown:\n%s\nsent were\n%s", i+1, sample, bytes.Join(sent, []byte("\n\n")))
		}
	}
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(id ORDER BY id) FROM {db}.customer WHERE mailed_at IS NOT NULL`); got != "1,3,4" {
		t.Errorf("customers %s are noted as mailed", got)
	}
	wantParts(t, s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT(state, ': ', last_error) ORDER BY id) FROM {db}.outbox WHERE run_id = ? AND state <> 'sent'`, id), "skipped: recheck: ", `failed: attachment "statement-5.pdf": file "5.pdf" is not in`)
	summary := page.Read(s.smtp.Messages()[5].Data)
	wantParts(t, summary.Get("Subject")+summary.Text, "3 of 5 mails sent", "  Ended  ", "3 sent + 1 failed + 1 skipped = 5", "c5@kunde.example", `"5.pdf" is not in`, "recheck: ")
	if csv := fileOf(t, summary, fmt.Sprintf("not-sent-%d.csv", id)); strings.Count(csv, "\r\n") != 3 {
		t.Errorf("the file of those who have not got it is %q", csv)
	}
}

// proofOf looks at the proof of a run, which was sent to two, and returns the samples in it.
func (s *site) proofOf(id uint64) (samples [][]byte) {
	s.t.Helper()
	var to []string
	for _, m := range s.smtp.Messages() {
		to = append(to, m.To...)
		shown := page.Read(m.Data)
		wantParts(s.t, shown.Get("Subject")+shown.Text, "Proof of statements", "Rows of the audience", fmt.Sprintf("outboxd mailing approve acme/%d", id), fmt.Sprintf("SET approved_by = USER() WHERE id = %d;", id))
		samples = nil
		for _, f := range shown.Files {
			if strings.HasPrefix(f.Name, "sample-") {
				samples = append(samples, f.Content)
			}
		}
		if n := bytes.Count(m.Data, []byte("Content-Type: message/rfc822;")); n != len(samples) || n < 2 {
			s.t.Errorf("%d samples, %d of them as messages", len(samples), n)
		}
	}
	slices.Sort(to)
	if got := strings.Join(to, " "); got != "eva@acme.example jan@acme.example" {
		s.t.Errorf("the proof went to %s", got)
	}
	return samples
}
