package jobs_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/mailing"
	"outboxd/mail/page"
)

// sampled is a company with a mailing that has everything, and its jobs.yaml.
func (s *site) sampled() (text string, spec mailing.Spec) {
	s.t.Helper()
	s.items()
	dir := folder(s.t, map[string]string{"letter/subject.txt": "Invoice {{.number}}", "letter/subject.sk.txt": "Faktúra {{.number}}", "letter/body.html": `<p>{{money .total "EUR"}}</p>{{table (query "items" "send")}}<img src="cid:logo.png">`,
		"letter/body.sk.html": `<p>Spolu {{money .total "EUR"}}</p>`, "letter/items.sql": "SELECT name, price FROM item WHERE customer = :customer ORDER BY price", "letter/logo.png": "\x89PNG\r\n\x1a\nlogo"})
	files := folder(s.t, map[string]string{"4711.pdf": "%PDF-1.7 4711"})
	spec = letterSpec()
	spec.Attach = []mailing.Attach{{File: "{number}.pdf"}, {Query: "SELECT name FROM item WHERE customer = :customer", As: "csv", Name: "items.csv"}}
	spec.Recheck = "SELECT 1 FROM DUAL WHERE :number <> 9"
	return s.with("  main: "+s.account(unlimited+", connections: 1, reply_to: office@acme.example"), "", "templates: "+dir, "attachments: "+files, "timezone: Europe/Bratislava", reader), spec
}

// sampleMail is a mail of that mailing.
func sampleMail(number, language string) db.NewMail {
	return db.NewMail{Recipients: "Eva <eva@kunde.example>", Cc: "ida@kunde.example", Template: "letter", Language: language, Key: number,
		Params: `{"number": ` + number + `, "total": 12.40, "customer": 9007199254740993}`}
}

// changing are what two makings of one mail may differ in where the mail has no number yet.
var changing = regexp.MustCompile(`(?m)^(Date|Message-ID): .*\r\n|=_[0-9a-f]{32}|image1\.[0-9a-f]{32}`)

// TestSamplesAreWhatArrives: those of a run octet for octet, those of a plan but for Date and Message-ID.
func TestSamplesAreWhatArrives(t *testing.T) {
	s := newSite(t)
	text, spec := s.sampled()
	w, place := s.world(text)
	plan := []db.NewMail{sampleMail("4711", ""), sampleMail("4711", "sk")}
	planned, err := jobs.SampleMails(t.Context(), w.File, place, time.Now, db.Run{Job: spec.Job, Scheduled: scheduled, Period: "2026-12"}, spec, plan)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.db.Read(t, `SELECT (SELECT COUNT(*) FROM {db}.outbox) + (SELECT COUNT(*) FROM {db}.outbox_pin) + (SELECT COUNT(*) FROM {db}.outbox_content)`); got != "0" {
		t.Errorf("a plan has left %s rows behind", got)
	}
	run := s.sendingRun(place, spec)
	enclose := jobs.Encloser(w.File, place, run, spec)
	for i := range plan {
		m := plan[i]
		if err := enclose(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
		id := s.runMail(run, m.Recipients, m.Template, m.Params, "cc, language, held|'"+m.Cc+"', NULLIF('"+m.Language+"', ''), 2")
		for _, a := range m.Attachments {
			s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, type, content) VALUES (?, ?, NULLIF(?, ''), ?)`, id, a.Name, a.Type, a.Content)
		}
		plan[i].Identity = identity(id)
	}
	made, err := jobs.SampleMails(t.Context(), w.File, place, time.Now, run, spec, plan)
	if err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 0`)
	s.start(text, "one")
	s.awaitRows("1 sent 1", "2 sent 1")
	for i, sent := range s.smtp.Messages() {
		if !bytes.Equal(made[i].Message, sent.Data) {
			t.Errorf("the sample of a row is\n%s\nand sent was\n%s", made[i].Message, sent.Data)
		}
		if got, want := changing.ReplaceAll(planned[i].Message, nil), changing.ReplaceAll(sent.Data, nil); !bytes.Equal(got, want) {
			t.Errorf("the plan's sample is\n%s\nand sent was\n%s", got, want)
		}
		if subject := []string{"Invoice 4711", "Faktúra 4711"}[i]; made[i].Subject != subject || planned[i].Subject != subject || made[i].Account != "main" || made[i].Key != "4711" || made[i].Row == "" {
			t.Errorf("%+v", made[i])
		}
		if m := page.Read(sent.Data); fileOf(t, m, "4711.pdf") != "%PDF-1.7 4711" || !strings.HasPrefix(fileOf(t, m, "items.csv"), "name\r\n") {
			t.Error("the attachments are not those of the mailing")
		}
	}
}

// TestASampleOfAMailThatDoesNotGo says why; one that cannot be made is an error that the run fails of, or waits for.
func TestASampleOfAMailThatDoesNotGo(t *testing.T) {
	s := newSite(t)
	text, spec := s.sampled()
	w, place := s.world(text)
	none := sampleMail("4712", "")
	bad := db.NewMail{Recipients: "nobody", State: db.Skipped, LastError: "recipients: no @; correct it"}
	run := db.Run{Job: spec.Job, Scheduled: scheduled}
	rechecked := sampleMail("9", "")
	spec.Attach[0].File = "4711.pdf"
	file := spec
	file.Attach = []mailing.Attach{{File: "{number}.pdf"}}
	for name, c := range map[string]struct {
		spec mailing.Spec
		mail db.NewMail
		want string
	}{
		"no address": {spec, bad, "recipients: no @; correct it"}, "its file is not there": {file, none, `"4712.pdf" is not in`}, "paid meanwhile": {spec, rechecked, "recheck: "},
	} {
		got, err := jobs.SampleMails(t.Context(), w.File, place, time.Now, run, c.spec, []db.NewMail{c.mail})
		if err != nil || !strings.Contains(got[0].Trouble, c.want) || len(got[0].Message) > 0 {
			t.Errorf("%s: %v %+v", name, err, got)
		}
	}
	incomplete := sampleMail("4711", "")
	incomplete.Params = `{"number": 4711, "customer": 1}`
	gone, wrong := spec, spec
	gone.Template, wrong.Recheck = "nowhere", "SELECT 1 FROM nowhere"
	named := sampleMail("4711", "")
	named.Account = "nobody"
	for name, c := range map[string]struct {
		spec mailing.Spec
		mail db.NewMail
		want string
	}{
		"a column that is missing": {spec, incomplete, "total"}, "no template": {gone, sampleMail("4711", ""), "nowhere"}, "a recheck that is none": {wrong, sampleMail("4711", ""), "recheck: "},
	} {
		_, err := jobs.SampleMails(t.Context(), w.File, place, time.Now, run, c.spec, []db.NewMail{c.mail})
		if err == nil || !jobs.IsFault(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "eva@kunde.example") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := jobs.SampleMails(t.Context(), w.File, place, time.Now, run, spec, []db.NewMail{named}); err != nil && !jobs.IsFault(err) {
		t.Errorf("an account that there is not: %v %+v", err, got)
	}
}
