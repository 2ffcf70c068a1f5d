package jobs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/jobs/mailing"
	"outboxd/mail/page"
)

var letterFiles = map[string]string{
	"letter/subject.txt": "Old subject for {{.name}}", "letter/body.html": `<p>Old text, {{.name}}: {{money .total "EUR"}}</p>{{template "footer" .}}<img src="cid:logo.png">`,
	"letter/logo.png": "\x89PNG\r\n\x1a\nold", "_shared/footer.html": "<p>Old footer</p>", "other/subject.txt": "Other", "other/body.txt": "Other",
	"letter/.subject.txt.swp": "left behind", "letter/body.html~": "left behind",
}

// TestARunsMailsAreMadeOfWhatItHasKept: templates that are changed after a run has enqueued its mails are for other mails.
func TestARunsMailsAreMadeOfWhatItHasKept(t *testing.T) {
	s := newSite(t)
	dir := folder(t, letterFiles)
	text := s.with("  main: "+s.account(unlimited+", connections: 1"), "", "templates: "+dir, "language: sk", "timezone: Europe/Bratislava")
	_, place := s.world(text)
	run := s.sendingRun(place, letterSpec())
	for name, content := range map[string]string{"letter/subject.txt": "New subject for {{.name}}", "letter/body.html": "<p>New text, {{.name}} {{.more}}</p>", "_shared/footer.html": "<p>New footer</p>"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	s.runMail(run, "eva@kunde.example", "letter", `{"name": "Eva", "total": 1234.5}`, "")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, template, params) VALUES ('ida@kunde.example', 'letter', '{"name": "Ida", "more": "today"}')`)
	s.runMail(run, "jan@kunde.example", "other", `{}`, "")
	// The company's language is another one by now.
	s.start(strings.Replace(text, "language: sk", "language: en", 1), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 failed 1")
	messages := s.smtp.Messages()
	old, fresh := page.Read(messages[0].Data), page.Read(messages[1].Data)
	wantParts(t, old.Get("Subject")+old.HTML, "Old subject for Eva", "Old text, Eva: 1\u00a0234,50", "Old footer")
	if got := fileOf(t, old, "logo.png"); got != letterFiles["letter/logo.png"] {
		t.Errorf("the image is %q", got)
	}
	wantParts(t, fresh.Get("Subject")+fresh.HTML, "New subject for Ida", "New text, Ida today")
	wantParts(t, s.lastError(3), `there is no template "other"`)
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_pin`); got != "1" {
		t.Errorf("%s are kept", got)
	}
	if preview, err := s.engine.Desk().Preview(t.Context(), jobs.PreviewRequest{Row: "1"}); err != nil || page.Read(preview.Message).Get("Subject") != "Old subject for Eva" {
		t.Errorf("a preview of it is %q: %v", preview.Message, err)
	}
}

// TestTheSameTemplatesAreKeptOnce: by runs of two jobs, and whatever else is in the folder.
func TestTheSameTemplatesAreKeptOnce(t *testing.T) {
	s := newSite(t)
	dir := folder(t, letterFiles)
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+dir)
	_, place := s.world(text)
	spec := letterSpec()
	first, err := jobs.PinTemplates(t.Context(), place, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other", "body.txt"), []byte("changed"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, later := s.world(text)
	spec.Job = "reminders"
	second, err := jobs.PinTemplates(t.Context(), later, spec)
	if err != nil || first != second || len(first) != 64 {
		t.Errorf("%s and %s: %v", first, second, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_shared", "footer.html"), []byte("changed"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, changed := s.world(text)
	if third, err := jobs.PinTemplates(t.Context(), changed, spec); err != nil || third == first {
		t.Errorf("%s with another part: %v", third, err)
	}
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_pin`); got != "2" {
		t.Errorf("%s are kept", got)
	}
}

func TestRowsOfOutboxTemplateAreKeptToo(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited+", connections: 1"), "")
	s.db.Exec(t, `INSERT INTO {db}.outbox_template (name, language, subject, text) VALUES ('hello', '', 'Hello {{.name}}', 'Old {{.name}}, {{template "bye" .}}'),
		('_bye', '', NULL, 'old bye'), ('unused', '', 'x', 'x')`)
	_, place := s.world(text)
	spec := letterSpec()
	spec.Template = "hello"
	run := s.sendingRun(place, spec)
	s.db.Exec(t, `UPDATE {db}.outbox_template SET text = 'New {{.gone}}'`)
	s.runMail(run, "eva@kunde.example", "hello", `{"name": "Eva"}`, "")
	s.start(text, "one")
	s.awaitRows("1 sent 1")
	m := page.Read(s.smtp.Messages()[0].Data)
	if got := m.Get("Subject") + ": " + m.Text; got != "Hello Eva: Old Eva, old bye\n" {
		t.Errorf("it says %q", got)
	}
}

// TestAPersonsSubjectAndBodyAreATemplate of a mailing that was started by hand.
func TestAPersonsSubjectAndBodyAreATemplate(t *testing.T) {
	for kind, spec := range map[string]mailing.Spec{
		"text": {Kind: mailing.KindMailing, Job: "@staff", Subject: "News for {{.name}}", Text: "Dear {{.name}},\n1 < 2 & so on.\n"},
		"html": {Kind: mailing.KindMailing, Job: "@staff", Subject: "News for {{.name}}", HTML: "<p>Dear {{.name}},</p>"},
	} {
		t.Run(kind, func(t *testing.T) {
			s := newSite(t)
			text := s.file("  main: "+s.account(unlimited+", connections: 1"), "")
			_, place := s.world(text)
			run := s.sendingRun(place, spec)
			s.runMail(run, "eva@kunde.example", spec.TemplateName(), `{"name": "Eva <b>"}`, "")
			s.start(text, "one")
			s.awaitRows("1 sent 1")
			m := page.Read(s.smtp.Messages()[0].Data)
			want := map[string]string{"text": "Dear Eva <b>,\n1 < 2 & so on.\n", "html": "<p>Dear Eva &lt;b&gt;,</p>"}[kind]
			if m.Get("Subject") != "News for Eva <b>" || !strings.Contains(strings.ReplaceAll(m.Text+m.HTML, "\r\n", "\n"), want) {
				t.Errorf("%q: %q %q", m.Get("Subject"), m.Text, m.HTML)
			}
		})
	}
}

// TestWhatCannotBeKeptFailsTheRun, with what is wrong and what to do.
func TestWhatCannotBeKeptFailsTheRun(t *testing.T) {
	s := newSite(t)
	noise := make([]byte, 9_000_000)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	dir := folder(t, map[string]string{"letter/subject.txt": "x", "letter/body.txt": "x", "large/subject.txt": "x", "large/body.txt": "x", "large/a.png": string(noise), "large/b.png": string(noise)})
	_, place := s.world(s.with("  main: "+s.account(unlimited), "", "templates: "+dir))
	for name, c := range map[string]struct {
		spec mailing.Spec
		want string
	}{
		"no template":      {mailing.Spec{Template: "nowhere"}, `there is no template "nowhere"`},
		"too large":        {mailing.Spec{Template: "large"}, "at most 16000000"},
		"a body with code": {mailing.Spec{Subject: "x", Text: "{{.name"}, "unclosed"},
		"no body at all":   {mailing.Spec{Subject: "x"}, "there is no template"},
	} {
		_, err := jobs.PinTemplates(t.Context(), place, c.spec)
		if err == nil || !jobs.IsFault(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	content, err := jobs.PinNow(t.Context(), place, letterSpec())
	again, againErr := jobs.PinNow(t.Context(), place, letterSpec())
	if err != nil || againErr != nil || !bytes.Equal(content, again) {
		t.Errorf("made twice, two archives: %v %v", err, againErr)
	}
}

// TestWhatARunHasKeptCannotBeChanged: what was approved is what goes.
func TestWhatARunHasKeptCannotBeChanged(t *testing.T) {
	s := newSite(t)
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+folder(t, letterFiles))
	_, place := s.world(text)
	run := s.sendingRun(place, letterSpec())
	s.runMail(run, "eva@kunde.example", "letter", `{"name": "Eva", "total": 1}`, "")
	other := letterSpec()
	other.Template = "other"
	content, err := jobs.PinNow(t.Context(), place, other)
	if err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_pin SET content = ?`, content)
	s.start(text, "one")
	s.awaitRows("1 failed 1")
	wantParts(t, s.lastError(1), "outbox_pin", "is not what it was", "start it anew")
}

// FuzzPin: whatever stands in outbox_pin, reading it ends, and what it says is a template's or the run's fault.
func FuzzPin(f *testing.F) {
	for _, seed := range []string{"", "PK\x05\x06" + strings.Repeat("\x00", 18), "no archive"} {
		f.Add([]byte(seed))
	}
	f.Add(jobs.Archive("sk", "Europe/Bratislava", map[string]string{"letter/subject.txt": "x", "letter/body.txt": "{{.name}}", "_shared/a.html": "{{"}, "hello"))
	f.Add(jobs.Archive("??", "Nowhere/Town", nil, ""))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := jobs.OpenPin(content, "letter"); err != nil && !jobs.IsFault(err) {
			t.Errorf("%v", err)
		}
	})
}

// TestARowWhoseRunIsGone fails; one of a run that this version does not understand waits.
func TestARowWhoseRunIsGone(t *testing.T) {
	s := newSite(t)
	dir := folder(t, letterFiles)
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+dir)
	_, place := s.world(text)
	gone, strange, unpinned := s.sendingRun(place, letterSpec()), s.sendingRun(place, mailing.Spec{Kind: "mailing", Job: "a", Template: "letter"}), s.sendingRun(place, mailing.Spec{Kind: "mailing", Job: "b", Template: "letter"})
	for _, run := range []uint64{gone.ID, strange.ID, unpinned.ID} {
		r := gone
		r.ID = run
		s.runMail(r, "eva@kunde.example", "letter", `{"name": "Eva", "total": 1}`, "")
	}
	s.db.Exec(t, `DELETE FROM {db}.outbox_run WHERE id = ?`, gone.ID)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET spec = '{"kind": "poll"}' WHERE id = ?`, strange.ID)
	s.db.Exec(t, `DELETE FROM {db}.outbox_pin`)
	s.start(text, "one")
	s.awaitRows("1 failed 1", "2 queued 0", "3 failed 1")
	wantParts(t, s.lastError(1), "gone from outbox_run", "start the mailing anew")
	s.await("1", `SELECT last_error LIKE '%newer one%' AND available_at > UTC_TIMESTAMP(6) + INTERVAL 30 SECOND FROM {db}.outbox WHERE id = 2`)
	wantParts(t, s.lastError(3), "outbox_pin")
}
