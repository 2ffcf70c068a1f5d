package jobs_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/page"
)

var updateLetters = flag.Bool("update", false, "write the letters in testdata anew")

// offices is a company with people, in no database.
func offices(t *testing.T) (*jobfile.File, *jobs.Place) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Bratislava")
	if err != nil {
		t.Fatal(err)
	}
	c := &jobfile.Company{Name: "acme", Database: "acme_db", Timezone: zone, People: []*jobfile.Person{
		{Name: "eva", Email: "eva@acme.example", May: []string{"start"}}, {Name: "jan", Email: "jan@acme.example", May: []string{"approve"}},
		{Name: "ida", Email: "ida@acme.example", May: []string{"start", "approve"}},
	}}
	file := &jobfile.File{Companies: []*jobfile.Company{c}, Accounts: []*jobfile.Account{{Name: "system", From: "Acme <noreply@acme.example>"}, {Name: "invoices", From: "Acme invoices <invoices@acme.example>"}}}
	return file, &jobs.Place{Company: c}
}

var (
	scheduled = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	proved    = time.Date(2026, 12, 1, 7, 0, 5, 0, time.UTC) // 08:00:05 in Bratislava
)

// letterMessage is a letter as it would go out.
func letterMessage(t *testing.T, m db.NewMail) []byte {
	t.Helper()
	to, err := mail.ParseAddressList(m.Recipients)
	if err != nil {
		t.Fatal(err)
	}
	message := compose.Message{From: mail.Address{Name: "Acme", Local: "noreply", Host: "acme.example"}, To: to, Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		MessageID: "<letter@acme.example>", Date: proved}
	for _, a := range m.Attachments {
		message.Attachments = append(message.Attachments, compose.Attachment{Name: a.Name, Type: a.Type, Content: a.Content})
	}
	raw, err := compose.Build(message)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// goldenLetter compares a letter with the one in testdata.
func goldenLetter(t *testing.T, name string, m db.NewMail) {
	t.Helper()
	got := letterMessage(t, m)
	path := filepath.Join("testdata", "letters", name+".eml")
	if *updateLetters {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; after a wanted change run the test with -update\n%s", path, got)
	}
	if faults := page.Read(got).Faults; len(faults) > 0 {
		t.Errorf("%s: %q", name, faults)
	}
	if m.Account != "system" || m.Priority != 2 {
		t.Errorf("account %s, priority %d", m.Account, m.Priority)
	}
}

func pointer[T any](v T) *T { return &v }

// statements is a run of the example, and what its plan says.
func statements() (db.Run, mailing.Spec, mailing.Figures) {
	spec := mailing.Spec{Kind: "mailing", Job: "statements", OncePer: "month", Account: "invoices", Proof: &mailing.Proof{To: []string{"starter", "eva", "audit@elsewhere.example"}, Samples: 3},
		Approval: &mailing.Approval{By: []string{"jan", "ida"}, Within: 8 * time.Hour, Else: "cancel"}, Summary: []string{"eva"}}
	run := db.Run{ID: 12, Job: "statements", Kind: "mailing", Scheduled: scheduled, StartedBy: "ida", Period: "2026-12", StartedAt: proved.Add(-time.Minute), EndedAt: pointer(proved.Add(time.Hour))}
	figures := mailing.Figures{Audience: 1240, Previous: pointer(int64(1200)), Sendable: 1234, NoAddress: 2, BadAddress: 1, Duplicate: 1, Already: 2,
		Troubles: []mailing.Trouble{{Line: 7, Key: "4711", Reason: "recipients is empty: there is no address; enter one where the query takes it from"},
			{Line: 9, Key: "4713", Address: "eva at home", Reason: "recipients: no @; correct it where the query takes it from"}},
		Accounts: []mailing.AccountShare{{Account: "invoices", Mails: 1234}}, Finish: pointer(proved.Add(62 * time.Minute)), FinishNote: "at 1200 an hour"}
	return run, spec, figures
}

// sampleMessage is a mail that a sample shows.
func sampleMessage(to, subject string) jobs.Sample {
	message := "From: invoices@acme.example\r\nTo: " + to + "\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nYour statement.\r\n"
	return jobs.Sample{To: to, Subject: subject, PreviewReply: jobs.PreviewReply{Row: "acme/17", Message: []byte(message)}}
}

func TestAProofIsWhatItsPeopleNeed(t *testing.T) {
	file, place := offices(t)
	run, spec, figures := statements()
	samples := []jobs.Sample{sampleMessage("first@kunde.example", "Statement of November"), sampleMessage("last@kunde.example", "Statement of November"), {To: "paid@kunde.example", Trouble: "recheck: the query finds nothing for this row any more, so the mail is not sent"}}
	link := func(p *jobfile.Person) string { return "https://mail.acme.example/approve/acme/12/" + p.Name + "/0f0f" }
	mails, err := jobs.ProofMails(file, place, run, spec, figures, samples, proved, link)
	if err != nil {
		t.Fatal(err)
	}
	var to []string
	for _, m := range mails {
		to = append(to, m.Recipients)
		name, _, _ := strings.Cut(m.Recipients, "@")
		goldenLetter(t, "proof-"+name, m)
		shown := page.Read(letterMessage(t, m))
		if got := fileOf(t, shown, "sample-1.eml"); got != string(samples[0].Message) {
			t.Errorf("the first sample of %s is %q", m.Recipients, got)
		}
		if own := strings.Contains(m.HTML, "/approve/acme/12/"+name) && strings.Contains(m.Text, "/approve/acme/12/"+name); own != (name == "jan") || strings.Count(m.HTML, "https://") > 2 {
			t.Errorf("%s has a link of its own: %t", m.Recipients, own)
		}
	}
	// Ida has started it, and so may not approve it.
	if got := strings.Join(to, " "); got != "ida@acme.example eva@acme.example audit@elsewhere.example jan@acme.example" {
		t.Errorf("proofs go to %s", got)
	}
	raw := letterMessage(t, mails[0])
	if n := bytes.Count(raw, []byte("Content-Type: message/rfc822;")); n != 2 {
		t.Errorf("%d samples go as messages", n)
	}
	spec.Approval.Starter = true
	mails, err = jobs.ProofMails(file, place, run, spec, figures, samples, proved, link)
	if err != nil || !strings.Contains(mails[0].Text, "/approve/acme/12/ida") {
		t.Errorf("whoever started it may approve it: %v\n%s", err, mails[0].Text)
	}
}

func TestAProofWithoutApprovalSaysHowToStop(t *testing.T) {
	file, place := offices(t)
	run, spec, figures := statements()
	spec.Approval, run.StartedBy, figures.Previous, figures.Finish, figures.FinishNote, figures.Troubles = nil, "schedule", nil, nil, "the account invoices is not active", nil
	mails, err := jobs.ProofMails(file, place, run, spec, figures, nil, proved, nil)
	if err != nil || len(mails) != 2 {
		t.Fatal(len(mails), err)
	}
	goldenLetter(t, "proof-no-approval", mails[0])
	spec.Proof = nil
	if mails, err := jobs.ProofMails(file, place, run, spec, figures, nil, proved, nil); err != nil || len(mails) != 0 {
		t.Errorf("nobody is to get a proof, and %d do: %v", len(mails), err)
	}
	spec.Approval = &mailing.Approval{By: []string{"jan"}}
	if mails, err := jobs.ProofMails(file, place, run, spec, figures, nil, proved, nil); err != nil || len(mails) != 1 || mails[0].Recipients != "jan@acme.example" {
		t.Errorf("whoever may approve has to see what: %+v %v", mails, err)
	}
}

func TestSamplesThatAreTooLargeAreNotAttached(t *testing.T) {
	file, place := offices(t)
	run, spec, figures := statements()
	file.Accounts[0].MaxSize = 10_000
	large := sampleMessage("a@kunde.example", "Large")
	large.Message = append(large.Message, bytes.Repeat([]byte("x\r\n"), 2000)...)
	mails, err := jobs.ProofMails(file, place, run, spec, figures, []jobs.Sample{large, sampleMessage("b@kunde.example", "Small")}, proved, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := mails[0].Attachments; len(a) != 1 || a[0].Name != "sample-2.eml" || !strings.Contains(mails[0].Text, "too large") || !strings.Contains(mails[0].Text, "outboxd message preview acme/17") {
		t.Errorf("%d samples\n%s", len(a), mails[0].Text)
	}
}

func TestASummaryAddsUp(t *testing.T) {
	_, place := offices(t)
	run, spec, _ := statements()
	run.State, run.Audience = db.RunDone, pointer(int64(1240))
	run.RunCounts = db.RunCounts{Sent: 1230, Failed: 2, Partial: 1, Skipped: 6, Expired: 1}
	failed := []db.RunMail{
		{ID: 17, Key: "4711", Recipients: "gone@kunde.example", State: db.Failed, Code: 550, Enhanced: "5.1.1", LastError: "550 5.1.1 no such user. The address does not exist. Ask the recipient for the right one and correct it where the address is kept."},
		{ID: 18, Key: "4712", State: db.Skipped, LastError: "recipients is empty: there is no address; enter one where the query takes it from"},
	}
	tried := db.Tried{Step: "rcpt", Code: 550, Enhanced: "5.1.1", Reply: "550 5.1.1 no such user"}
	m, err := jobs.SummaryLetter(place, run, spec, failed, tried)
	if err != nil {
		t.Fatal(err)
	}
	goldenLetter(t, "summary", m)
	if want := "1\u00a0230 sent + 1 sent in part + 2 failed + 6 skipped + 1 expired = 1\u00a0240"; !strings.Contains(m.Text, want) {
		t.Errorf("no %q in\n%s", want, m.Text)
	}
	run.Gone, run.Sent = 0, 1229
	if m, err = jobs.SummaryLetter(place, run, spec, nil, db.Tried{}); err != nil || !strings.Contains(m.Text, "do not add up") {
		t.Errorf("%v\n%s", err, m.Text)
	}
	run.RunCounts = db.RunCounts{Sent: 1240}
	if m, err = jobs.SummaryLetter(place, run, spec, nil, db.Tried{}); err != nil || len(m.Attachments) != 0 {
		t.Errorf("%v: %d files", err, len(m.Attachments))
	}
	goldenLetter(t, "summary-all-sent", m)
}

func TestASummaryOfARunThatDidNotEndWell(t *testing.T) {
	_, place := offices(t)
	run, spec, _ := statements()
	run.Audience, run.Cancelled = pointer(int64(3)), 3
	for state, c := range map[db.RunState]struct {
		audience int64
		note     string
		want     []string
	}{
		db.RunFailed:    {0, "its audience cannot be read: audience open-items: error 1054", []string{"has failed: 0 of 0", "and nobody was mailed", "No mail was made.", "error 1054"}},
		db.RunCancelled: {3, "cancelled: not approved within 8h by jan", []string{"was cancelled: 0 of 3 mails sent", "and nobody was mailed", "3 cancelled = 3", "not approved within 8h by jan"}},
		db.RunDone:      {0, "", []string{"has ended.", "The audience had no rows."}},
	} {
		run.State, run.Audience, run.Cancelled, run.Note = state, &c.audience, c.audience, c.note
		m, err := jobs.SummaryLetter(place, run, spec, nil, db.Tried{})
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, m.Subject+"\n"+m.Text, c.want...)
	}
}

func TestASummaryShowsTheFirstHundredAndEnclosesAll(t *testing.T) {
	_, place := offices(t)
	run, spec, _ := statements()
	run.Audience, run.Failed = pointer(int64(250)), 250
	var failed []db.RunMail
	for i := range 250 {
		failed = append(failed, db.RunMail{ID: uint64(i + 1), Key: fmt.Sprint(i), Recipients: "=1+1@kunde.example", State: db.Failed, LastError: "refused"})
	}
	m, err := jobs.SummaryLetter(place, run, spec, failed, db.Tried{})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(m.Text, "=1+1@kunde.example"); n != 100 || !strings.Contains(m.Text, "the first 100 of 250") {
		t.Errorf("%d in the letter", n)
	}
	if len(m.Attachments) != 1 || bytes.Count(m.Attachments[0].Content, []byte("\r\n")) != 251 || bytes.Contains(m.Attachments[0].Content, []byte(",=1+1")) {
		t.Errorf("the file beside it: %d, %.200s", len(m.Attachments), m.Attachments[0].Content)
	}
}

// hostile is what may stand in any value.
const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{.x}}\r\nBcc: eve@evil.example\u2028\u202e\x00\xff"

// TestHostileValuesStayText: whatever stands in names, addresses and reasons, a letter has no script, no picture and no other header.
func TestHostileValuesStayText(t *testing.T) {
	file, place := offices(t)
	run, spec, figures := statements()
	plain := map[string]int{}
	for i, value := range []string{"plain", hostile} {
		run.Job, run.Period, run.Note, run.LastError, place.Company.Database = value, value, value, value, value
		run.Audience, run.Failed = pointer(int64(1)), 1
		figures.Troubles = []mailing.Trouble{{Line: 1, Key: value, Address: value, Reason: value}}
		figures.Accounts, figures.FinishNote = []mailing.AccountShare{{Account: value, Mails: 1}}, value
		sample := sampleMessage("a@kunde.example", "x")
		sample.To, sample.Subject = value, value
		mails, err := jobs.ProofMails(file, place, run, spec, figures, []jobs.Sample{sample, {To: value, Trouble: value}}, proved, func(*jobfile.Person) string { return value })
		if err != nil {
			t.Fatal(err)
		}
		m, err := jobs.SummaryLetter(place, run, spec, []db.RunMail{{ID: 1, Key: value, Recipients: value, State: db.Failed, LastError: value + "; " + value},
			{ID: 2, Recipients: value, State: db.Sent, BouncedAt: &proved, Bounce: value + strings.Repeat(value, 1000)}}, db.Tried{})
		if err != nil {
			t.Fatal(err)
		}
		for n, letter := range append(mails, m) {
			raw := letterMessage(t, letter)
			shown := page.Read(raw)
			if shown.Get("Bcc") != "" || strings.Contains(shown.Get("Subject"), "\n") {
				t.Errorf("letter %d has another header:\n%s", n, raw)
			}
			for name, count := range tags(t, letter.HTML) {
				key := fmt.Sprint(n, name)
				if i == 0 {
					plain[key] = count
				} else if plain[key] != count {
					t.Errorf("letter %d has %d <%s>, and with plain values %d", n, count, name, plain[key])
				}
			}
		}
	}
}

// tags counts the elements of a document, and the attributes that act.
func tags(t *testing.T, document string) map[string]int {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		found[n.Data]++
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") {
				found[n.Data+" "+a.Key]++
			}
		}
	}
	return found
}

func TestWhoGetsALetter(t *testing.T) {
	_, place := offices(t)
	for _, c := range []struct {
		names   string
		starter string
		want    string
	}{
		{"eva", "jan", "eva@acme.example"},
		{"starter eva", "eva", "eva@acme.example"},
		{"starter", "schedule", ""},
		{"nobody EVA@acme.example eva other@x.example", "", "EVA@acme.example other@x.example"},
	} {
		if got := strings.Join(jobs.Addressees(place.Company, strings.Fields(c.names), c.starter), " "); got != c.want {
			t.Errorf("%s, started by %s: %q, want %q", c.names, c.starter, got, c.want)
		}
	}
}
