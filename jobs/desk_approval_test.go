package jobs_test

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

const approvers = `    people:
      eva: {email: eva@acme.example, may: [start]}
      ida: {email: ida@acme.example, may: [approve]}
      jan: {email: jan@acme.example, may: [start, approve]}
`

// approvalSite is a held run of a mailing that jan alone may approve, and the desk that is asked.
func approvalSite(t *testing.T, s *site, live func() jobs.Live) (desk *jobs.Desk, run uint64, link func(person string) jobs.ApprovalLink) {
	t.Helper()
	text := strings.Replace(s.file("  main: "+s.account(unlimited), ""), "    jobs:\n", approvers+"    jobs:\n", 1)
	w, p := s.world(text)
	spec := mailing.Spec{Kind: mailing.KindMailing, Job: "letters", Subject: "News", Text: "x", OncePer: "run"}
	spec.Approval = &mailing.Approval{By: []string{"jan"}, Within: 8 * time.Hour, Else: jobfile.Cancel}
	spec.Canary = &mailing.Canary{First: 5, Wait: time.Minute, StopAbove: 5}
	r := s.sendingRun(p, spec)
	key := []byte(strings.Repeat("k", 32))
	s.db.Exec(t, `UPDATE {db}.outbox_run SET state = 'held', audience = 12, enqueued = 12, skipped = 2, link_key = ?, decide_until = UTC_TIMESTAMP(6) + INTERVAL 8 HOUR WHERE id = ?`, key, r.ID)
	return jobs.NewDesk(w, live, jobs.OpenState("", "one")), r.ID, func(person string) jobs.ApprovalLink {
		u, err := url.Parse(jobs.ApprovalURL(&jobfile.Public{URL: "https://mail.acme.example"}, key, "acme", r.ID, person))
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(strings.TrimPrefix(u.Path, jobs.ApprovalPath), "/")
		if len(parts) != 4 || u.Host != "mail.acme.example" {
			t.Fatalf("the link is %s", u)
		}
		return jobs.ApprovalLink{Company: parts[0], Run: r.ID, Person: parts[2], MAC: parts[3]}
	}
}

var mailedCode = regexp.MustCompile(`\b([0-9]{4}) ([0-9]{4})\b`)

func TestApprovalByLink(t *testing.T) {
	s := newSite(t)
	desk, run, link := approvalSite(t, s, nil)
	a, err := desk.Approval(t.Context(), link("jan"))
	if err != nil || !a.Open || a.Address != "j…@acme.example" {
		t.Fatalf("jan's link: %+v %v", a, err)
	}
	facts := map[string]string{}
	for _, f := range a.Facts {
		facts[f.Name] = f.Value
	}
	if facts["Begins with"] != "5 mails, the others 1m after they all have ended, unless more than 5% of them fail or come back" || facts["Get a mail"] != "10" || facts["Get nothing"] != "2" || !strings.Contains(facts["Until"], "then it is cancelled") {
		t.Errorf("facts: %v", facts)
	}
	if err := desk.MailCode(t.Context(), link("jan")); err != nil {
		t.Fatal(err)
	}
	for range 3 { // who has the link asks again and again: neither the person's mailbox nor the audit fills with it
		var ask *jobs.AskError
		if err := desk.MailCode(t.Context(), link("jan")); !errors.As(err, &ask) || !strings.Contains(ask.Text, "a moment ago") {
			t.Errorf("another code at once: %v", err)
		}
	}
	if got := s.db.Read(t, `SELECT CONCAT(recipients, ' ', account, ' ', priority, ' ', state) FROM {db}.outbox`); got != "jan@acme.example system 1 queued" {
		t.Errorf("the code went as %s", got)
	}
	m := mailedCode.FindStringSubmatch(s.db.Read(t, `SELECT body_text FROM {db}.outbox`))
	if m == nil {
		t.Fatal("the mail has no code")
	}
	wrong := strconv.Itoa(10 - int(m[1][0]-'0'))[:1] + m[1][1:] + m[2]
	if wrong == m[1]+m[2] {
		wrong = "0" + wrong[1:]
	}
	for _, code := range []string{"", "123", wrong} {
		var ask *jobs.AskError
		if err := desk.ApproveByCode(t.Context(), link("jan"), code); !errors.As(err, &ask) || ask.Err != nil {
			t.Errorf("the code %q: %v", code, err)
		}
	}
	if got := s.db.Read(t, `SELECT state FROM {db}.outbox_run`); got != "held" {
		t.Fatalf("the run is %s without a code", got)
	}
	if err := desk.ApproveByCode(t.Context(), link("jan"), " "+m[1]+" "+m[2]+" "); err != nil {
		t.Fatal(err)
	}
	if got := s.db.Read(t, `SELECT CONCAT(state, ' ', approved_by, ' ', allowed, ' ', approved_at IS NOT NULL) FROM {db}.outbox_run WHERE id = ?`, run); got != "sending jan 5 1" {
		t.Errorf("the run is %s", got)
	}
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(actor, ' ', action, ' ', target ORDER BY id) FROM {db}.outbox_audit`); got != "jan mailing code acme/1,jan mailing approve acme/1" {
		t.Errorf("the audit says %s", got)
	}
	if a, err := desk.Approval(t.Context(), link("jan")); err != nil || a.Open || !strings.Contains(a.Standing, "approved by jan") {
		t.Errorf("afterwards: %+v %v", a, err)
	}
	if err := desk.MailCode(t.Context(), link("jan")); err == nil {
		t.Error("a code was mailed for a run that goes")
	}
}

func TestALinkIsForItsPersonAlone(t *testing.T) {
	s := newSite(t)
	desk, run, link := approvalSite(t, s, nil)
	stolen := link("ida")
	stolen.Person = "jan"
	other := link("jan")
	other.Run++
	cut := link("jan")
	cut.MAC = cut.MAC[:len(cut.MAC)-1]
	elsewhere := link("jan")
	elsewhere.Company = "beta"
	for what, l := range map[string]jobs.ApprovalLink{"another's": stolen, "another run's": other, "a cut one": cut, "none": {Company: "acme", Run: run, Person: "jan"},
		"another company's": elsewhere, "of nobody": link("otto")} {
		if _, err := desk.Approval(t.Context(), l); !errors.Is(err, jobs.ErrNoLink) {
			t.Errorf("%s shows the run: %v", what, err)
		}
		if err := desk.MailCode(t.Context(), l); !errors.Is(err, jobs.ErrNoLink) {
			t.Errorf("%s has a code mailed: %v", what, err)
		}
		if err := desk.ApproveByCode(t.Context(), l, "12345678"); !errors.Is(err, jobs.ErrNoLink) {
			t.Errorf("%s approves: %v", what, err)
		}
	}
	for _, person := range []string{"eva", "ida"} { // a link of their own is one, and lets them do nothing
		a, err := desk.Approval(t.Context(), link(person))
		if err != nil || a.Open || !strings.Contains(a.Standing, "not for yours") {
			t.Errorf("%s's: %+v %v", person, a, err)
		}
		if err := desk.MailCode(t.Context(), link(person)); err == nil {
			t.Errorf("a code was mailed to %s", person)
		}
	}
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox`); got != "0" {
		t.Errorf("%s mails with a code", got)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET link_key = NULL`)
	if _, err := desk.Approval(t.Context(), link("jan")); !errors.Is(err, jobs.ErrNoLink) {
		t.Errorf("a run without a key has links: %v", err)
	}
}

// TestP8_NoLinkApprovesInACopy: a copy mails no code, which would never come, and uses up none.
func TestP8_NoLinkApprovesInACopy(t *testing.T) {
	s := newSite(t)
	desk, _, link := approvalSite(t, s, func() jobs.Live {
		return jobs.Live{Companies: map[string]jobs.Health{"acme": {Fenced: &jobs.Fenced{Why: "it was restored", Hint: "outboxd adopt acme"}}}}
	})
	for what, err := range map[string]error{"a code": desk.MailCode(t.Context(), link("jan")), "an approval": desk.ApproveByCode(t.Context(), link("jan"), "12345678")} {
		if ask := askError(t, err); !strings.Contains(ask.Text, "it was restored") || ask.Hint != "outboxd adopt acme" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox`); got != "0" {
		t.Errorf("%s mails with a code", got)
	}
}

// TestALinkShowsAddressesOnlyToDecide: who gets nothing is shown as long as the run waits; a link that lies about says no more than how the run stands.
func TestALinkShowsAddressesOnlyToDecide(t *testing.T) {
	s := newSite(t)
	desk, run, link := approvalSite(t, s, nil)
	s.runMail(db.Run{ID: run}, "no address", "", "{}", "state, last_error|'skipped', 'there is no @'")
	for state, want := range map[string]int{"held": 1, "sending": 0, "done": 0, "cancelled": 0} {
		s.db.Exec(t, `UPDATE {db}.outbox_run SET state = ?`, state)
		a, err := desk.Approval(t.Context(), link("jan"))
		if err != nil || len(a.Troubles) != want {
			t.Errorf("%s: %+v %v", state, a, err)
		}
	}
}
