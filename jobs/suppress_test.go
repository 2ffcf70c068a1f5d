package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/smtptest"
)

// suppress puts addresses on the company's list, as a DBA does.
func (s *site) suppress(addresses ...string) {
	s.t.Helper()
	for _, address := range addresses {
		s.db.Exec(s.t, `INSERT INTO {db}.outbox_suppression (address, reason) VALUES (?, 'asked by phone')`, address)
	}
}

// retry queues a row again, as outboxd queue retry does.
func (s *site) retry(d *jobs.Desk, id string) {
	s.t.Helper()
	if reply, err := d.QueueRetry(s.t.Context(), jobs.ChangeRequest{By: jobs.By{Actor: "eva(1000)"}, Rows: []string{"acme/" + id}}); err != nil || !reply.Results[0].Done {
		s.t.Fatalf("%+v, %v", reply, err)
	}
}

const eachRecipient = `SELECT GROUP_CONCAT(CONCAT_WS(' ', address, state) ORDER BY outbox_id, position) FROM {db}.outbox_recipient`

// A row whose recipients are all suppressed ends so, with no try; of others only those get it who are not.
func TestSuppressedRecipientsGetNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("Eva@Kunde.example", "@rival.example", "gone@bücher.example", "josé@kunde.example")
	s.mail("Eva <EVA@kunde.example>")
	s.mail("jan@kunde.example, eva@kunde.example, boss@rival.example")
	s.mail("eva@kunde.example; boss@rival.example")
	s.mail("gone@xn--bcher-kva.example")
	s.mail("jose@kunde.example")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, body_text) VALUES ('eva@kunde.example', 'jan@kunde.example', 'x@sub.rival.example', 'x')`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 suppressed 0", "2 partial 1", "3 suppressed 0", "4 suppressed 0", "5 sent 1", "6 partial 1")
	s.await("jan@kunde.example accepted,eva@kunde.example suppressed,boss@rival.example suppressed,eva@kunde.example suppressed,boss@rival.example suppressed,"+
		"eva@kunde.example suppressed,jan@kunde.example accepted,x@sub.rival.example accepted", eachRecipient)
	got := s.envelopes()
	slices.Sort(got)
	if want := []string{"jan@kunde.example", "jan@kunde.example x@sub.rival.example", "jose@kunde.example"}; !slices.Equal(got, want) {
		t.Errorf("sent to %q", got)
	}
	for _, m := range s.smtp.Messages() { // the header says whom the sender wrote to
		if text := string(m.Data); len(m.To) == 1 && m.To[0] == "jan@kunde.example" && !strings.Contains(text, "eva@kunde.example") {
			t.Errorf("the header has lost a recipient:\n%s", text)
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for id, want := range map[int]string{1: "EVA@kunde.example is suppressed since " + today + ": asked by phone",
		2: "2 of 3 recipients, first eva@kunde.example: suppressed since " + today + ": asked by phone",
		3: "2 of 2 recipients, first eva@kunde.example: suppressed since " + today + ": asked by phone"} {
		if got := s.lastError(id); got != want {
			t.Errorf("row %d: %s", id, got)
		}
	}
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox_recipient WHERE outbox_id = 2 AND position = 2`); !strings.Contains(text, "as everybody at rival.example: asked by phone") {
		t.Error(text)
	}
	if n, text := s.events("suppressed"), s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_attempt`); n != 3 || text != "3" {
		t.Errorf("%d events, %s attempts", n, text)
	}
}

// What a person retries is looked up anew: nothing goes as long as the entry is there, all of it once it is gone.
func TestRetriedRowIsLookedUpAnew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("eva@kunde.example")
	s.mail("eva@kunde.example")
	s.mail("eva@kunde.example, jan@kunde.example")
	text := s.file("  main: "+s.account(unlimited), "")
	s.start(text, "one")
	s.awaitRows("1 suppressed 0", "2 partial 1")
	d := s.desk(text, nil)
	retry := func() {
		t.Helper()
		for _, id := range []string{"1", "2"} {
			s.retry(d, id)
		}
	}
	retry()
	s.awaitEvent("suppressed", 2)
	s.awaitRows("1 suppressed 0", "2 partial 0")
	s.db.Exec(t, `DELETE FROM {db}.outbox_suppression`)
	retry()
	s.awaitRows("1 sent 1", "2 sent 1")
	got := s.envelopes()
	slices.Sort(got)
	if want := []string{"eva@kunde.example", "eva@kunde.example", "jan@kunde.example"}; !slices.Equal(got, want) {
		t.Errorf("sent to %q", got)
	}
}

// The list is asked before each try, and for those alone who wait for one.
func TestSuppressedBetweenTwoTries(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("b@kunde.example")
	for _, name := range []string{"a", "c"} {
		later := rcpt(name+"@kunde.example", "450 4.2.0 greylisted")
		later.Times = 1
		s.smtp.On(later)
	}
	s.smtp.On(rcpt("gone@kunde.example", "550 5.1.1 no such user"))
	s.mail("a@kunde.example, b@kunde.example, ok@kunde.example")
	s.mail("c@kunde.example, gone@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), "retry: {first: 1h, max: 1h}"), "one")
	s.awaitRows("1 queued 1", "2 queued 1")
	s.await("a@kunde.example open,b@kunde.example suppressed,ok@kunde.example accepted,c@kunde.example open,gone@kunde.example failed", eachRecipient)
	s.db.Exec(t, `DELETE FROM {db}.outbox_suppression`)
	s.suppress("a@kunde.example", "c@kunde.example", "ok@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.awaitRows("1 partial 2", "2 failed 1")
	s.await("a@kunde.example suppressed,b@kunde.example accepted,ok@kunde.example accepted,c@kunde.example suppressed,gone@kunde.example failed", eachRecipient)
}

// Recipients that stand in a finished message are looked up too; a letter that only one of them needs goes without.
func TestSuppressedRecipientsOfOtherRows(t *testing.T) {
	t.Parallel()
	s := newSite(t, smtptest.Without("SMTPUTF8"))
	s.suppress("eva@kunde.example", "josé@kunde.example")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, raw) VALUES ('', 'From: noreply@acme.example\r\nTo: eva@kunde.example\r\n\r\nx'),
		('', 'From: noreply@acme.example\r\nTo: eva@kunde.example, jan@kunde.example\r\n\r\nx'), ('eva@kunde.example', 'From: noreply@acme.example\r\nTo: jan@kunde.example\r\n\r\nx')`)
	var many []string
	for i := range 99 {
		many = append(many, fmt.Sprintf("r%d@kunde.example", i))
	}
	s.suppress(many[1:]...)
	s.mail(strings.Join(append(many, "eva@kunde.example"), "\n"))
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 suppressed 0", "2 partial 1", "3 suppressed 0", "4 partial 1")
	if got := s.envelopes(); len(got) != 2 || !slices.Contains(got, "jan@kunde.example") || !slices.Contains(got, "r0@kunde.example") {
		t.Errorf("sent to %q", got)
	}
}

// Where a company diverts its mail the address to which it goes is the one that counts.
func TestDivertedMailAndTheList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("a@kunde.example", "b@kunde.example")
	s.mail("a@kunde.example, b@kunde.example")
	s.start(s.diverting(""), "one")
	s.awaitRows("1 sent 1")
	s.suppress("Test@acme.example")
	s.mail("c@kunde.example")
	s.mail("c@kunde.example, d@kunde.example")
	s.awaitRows("1 sent 1", "2 suppressed 0", "3 suppressed 0")
	if text := s.lastError(2); !strings.HasPrefix(text, "c@kunde.example is diverted to test@acme.example, which is suppressed since") {
		t.Error(text)
	}
}

// P10: a list that cannot be read is not an empty one. Nothing goes, a person is told what is missing, and all goes on by itself.
func TestP10_ListThatCannotBeReadLetsNothingGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("eva@kunde.example")
	s.patience = time.Millisecond
	s.db.Exec(t, `RENAME TABLE {db}.outbox_suppression TO {db}.away`)
	s.mail("eva@kunde.example")
	s.mails(200)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 4"), ""), "one")
	s.awaitEvent("company_down", 1)
	s.awaitEvent("alert", 1)
	if text := fmt.Sprint(s.logs.FilterMessage("company_down").All()[0].ContextMap()); !strings.Contains(text, "outbox_suppression") || !strings.Contains(text, "outboxd check --online") {
		t.Error(text)
	}
	// Few rows are taken in vain, whatever waits.
	waited := s.events("store_error") + s.events("company_down")
	if !until(waitMost, func() bool { return s.events("given_back") > 0 }) {
		t.Error("no row was taken")
	}
	if n := s.events("given_back"); n > 16 {
		t.Errorf("%d rows were taken in vain, %d troubles", n, waited)
	}
	s.await("201 0", `SELECT CONCAT_WS(' ', COUNT(*), SUM(attempts)) FROM {db}.outbox WHERE state IN ('queued', 'sending')`)
	if n := len(s.smtp.Messages()); n != 0 {
		t.Fatalf("%d mails went", n)
	}
	s.db.Exec(t, `RENAME TABLE {db}.away TO {db}.outbox_suppression`)
	s.await("200 1", `SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'suppressed')) FROM {db}.outbox`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued'`)
	s.onceEach(200)
}

func specOf(file *jobfile.File) mailing.Spec {
	return mailing.FromJob(file.Companies[0], file.Companies[0].Jobs.Mailing[0])
}

const runSuppressed = `SELECT CONCAT_WS(' ', state, audience, sent, partial, failed, skipped, suppressed) FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`

// Those who are suppressed are rows of the run, with the reason, and use up no key: once their entry is gone the next run of the period reaches them.
func TestRunWithSuppressedCustomers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(6)
	s.db.Exec(t, `UPDATE {db}.customer SET email = IF(id = 3, 'c1@kunde.example, c3@kunde.example', IF(id = 4, 'c1@kunde.example, C2@kunde.example', 'nobody')) WHERE id IN (3, 4, 5)`)
	s.suppress("C1@kunde.example", "c2@kunde.example")
	text := s.mailingFile("once_per: month")
	s.begin(text)
	s.start(text, "one")
	s.await("done 6 1 1 0 1 3", runSuppressed)
	s.await("The counts add up: 1 sent + 1 sent in part + 1 skipped + 3 suppressed = 6, the rows of the audience. Every one has an end", runNote)
	s.await("1 suppressed 0,2 suppressed 0,3 partial 1,4 suppressed 0,5 skipped 0,6 sent 1", `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, claims) ORDER BY id) FROM {db}.outbox WHERE run_id = 1`)
	s.await("3,6", `SELECT GROUP_CONCAT(value ORDER BY value) FROM {db}.outbox_key WHERE kind = 'statements'`)
	if text := s.lastError(4); !strings.HasPrefix(text, "2 of 2 recipients, first c1@kunde.example: suppressed since") {
		t.Error(text)
	}
	s.db.Exec(t, `DELETE FROM {db}.outbox_suppression WHERE address_key = 'c1@kunde.example'`)
	s.beginSpec(text, specOf(s.write(text)), time.Now().Add(time.Second))
	s.await("done 6 1 1 0 3 1", runSuppressed)
	if got := []int{s.got("c1@kunde.example"), s.got("c2@kunde.example"), s.got("c3@kunde.example"), s.got("c6@kunde.example")}; !slices.Equal(got, []int{2, 0, 1, 1}) {
		t.Errorf("they got %v", got)
	}
}

// Who is suppressed between the proof and the sending gets nothing, and uses up no key either.
func TestSuppressedWhileTheRunWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.mailingFile("once_per: month, approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.suppress("c2@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("done 3 2 0 0 0 1", runSuppressed)
	s.await("1,3", `SELECT GROUP_CONCAT(value ORDER BY value) FROM {db}.outbox_key WHERE kind = 'statements'`)
	// A person sends it all the same, and the run counts it anew.
	s.db.Exec(t, `DELETE FROM {db}.outbox_suppression`)
	s.retry(s.desk(text, nil), "2")
	s.await("done 3 3 0 0 0 0", runSuppressed)
	s.await("1,2,3", `SELECT GROUP_CONCAT(value ORDER BY value) FROM {db}.outbox_key WHERE kind = 'statements'`)
}

// A run of which nobody may get anything asks nobody to approve it, and ends.
func TestRunOfSuppressedCustomersAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(2500)
	s.suppress("@kunde.example")
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("done 2500 0 0 0 0 2500", runSuppressed)
	if n := len(s.smtp.Messages()); n != 0 {
		t.Errorf("%d mails went", n)
	}
}

// A run waits with making its rows while the list cannot be read.
func TestP10_RunWaitsForTheList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	s.suppress("c2@kunde.example")
	s.db.Exec(t, `RENAME TABLE {db}.outbox_suppression TO {db}.away`)
	text := s.mailingFile("")
	s.begin(text)
	s.start(text, "one")
	s.awaitEvent("company_down", 1)
	s.await("running 0", `SELECT CONCAT_WS(' ', state, enqueued) FROM {db}.outbox_run`)
	s.db.Exec(t, `RENAME TABLE {db}.away TO {db}.outbox_suppression`)
	s.await("done 3 2 0 0 0 1", runSuppressed)
}

// What a plan counts is what a run does, whatever falls together.
func TestPlanCountsTheSuppressedAsTheRunDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(2200)
	s.db.Exec(t, `ALTER TABLE {db}.customer ADD COLUMN no INT NULL`)
	s.db.Exec(t, `UPDATE {db}.customer SET no = id`)
	s.db.Exec(t, `UPDATE {db}.customer SET no = 7 WHERE id = 1500`)           // twice in the audience
	s.db.Exec(t, `UPDATE {db}.customer SET no = 8 WHERE id = 1501`)           // the first of the two is suppressed
	s.db.Exec(t, `UPDATE {db}.customer SET email = 'nobody' WHERE id = 2200`) // no address
	s.db.Exec(t, `INSERT INTO {db}.outbox_suppression (address, reason) SELECT CONCAT('C', seq, '@KUNDE.example'), NULL FROM `+dbtest.Numbers(1200)+` WHERE seq % 2 = 0`)
	text := strings.Replace(strings.Replace(s.mailingFile("once_per: month"), "key: [id]", "key: [no]", 1), "AS recipients, id FROM", "AS recipients, id, no FROM", 1)
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('statements', '9', DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m'), 4711, NOW()), ('statements', '10', DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m'), 4711, NOW())`)
	plan, err := s.desk(text, nil).MailingPlan(t.Context(), jobs.MailingPlanRequest{Name: "statements"})
	if err != nil {
		t.Fatal(err)
	}
	f := plan.Figures
	if got := fmt.Sprint(f.Audience, f.Sendable, f.BadAddress, f.Suppressed, f.Duplicate, f.Already); got != "2200 1596 1 600 2 1" {
		t.Errorf("%s: %+v", got, f.Troubles)
	}
	if !strings.Contains(f.Troubles[0].Reason, "c2@kunde.example is suppressed since") || !strings.HasSuffix(f.Troubles[0].Reason, "no reason was given") {
		t.Errorf("%+v", f.Troubles[0])
	}
	s.begin(text)
	s.start(text, "one")
	s.await("done 2200 1596 0 0 4 600", runSuppressed)
}

// What outboxd itself writes to people is mail like any other.
func TestProofForASuppressedPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(1)
	s.suppress("eva@acme.example")
	text := s.mailingFile("proof: {to: [eva, jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("done 1 1 0 0 0 0", runSuppressed)
	s.await("jan@acme.example sent,eva@acme.example suppressed", `SELECT GROUP_CONCAT(DISTINCT recipients, ' ', state ORDER BY state) FROM {db}.outbox WHERE run_id IS NULL AND state <> 'queued'`)
}

// P10: whoever looks at such a row learns who said so, and what lets it go after all.
func TestP10_SuppressedRowSaysWhatHelps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.suppress("eva@kunde.example")
	s.mail("eva@kunde.example, jan@kunde.example")
	s.mail("eva@kunde.example")
	text := s.file("  main: "+s.account(unlimited), "")
	d := s.desk(text, nil)
	shown, err := d.Preview(t.Context(), jobs.PreviewRequest{Row: "acme/1"})
	if err != nil || !slices.Equal(shown.EnvelopeTo, []string{"jan@kunde.example"}) {
		t.Errorf("%+v, %v", shown, err)
	}
	_, err = d.Preview(t.Context(), jobs.PreviewRequest{Row: "acme/2"})
	if ask := askError(t, err); !strings.HasPrefix(ask.Text, "acme/2 would go to nobody: eva@kunde.example is suppressed since") || !strings.Contains(ask.Hint, "outbox_suppression") {
		t.Errorf("%+v", ask)
	}
	s.start(text, "one")
	s.awaitRows("1 partial 1", "2 suppressed 0")
	for row, want := range map[string]string{"acme/1": "eva@kunde.example: suppressed since", "acme/2": "Nobody is to get it: eva@kunde.example is suppressed since"} {
		why, err := d.QueueWhy(t.Context(), jobs.RowRequest{Row: row})
		if err != nil || !strings.Contains(fmt.Sprint(why.Reasons), want) || !strings.Contains(why.Next, "outboxd queue retry "+row) {
			t.Errorf("%+v, %v", why, err)
		}
	}
	why, _ := d.QueueWhy(t.Context(), jobs.RowRequest{Row: "acme/2"})
	if !strings.Contains(why.Next, "delete the entry from outbox_suppression") {
		t.Errorf("%+v", why)
	}
	// How it would have looked can still be seen.
	if shown, err = d.Preview(t.Context(), jobs.PreviewRequest{Row: "acme/2"}); err != nil || !slices.Equal(shown.EnvelopeTo, []string{"eva@kunde.example"}) {
		t.Errorf("%+v, %v", shown, err)
	}
}

// Whom the list leaves out of a mail was not refused: the canary goes on.
func TestSuppressedRecipientIsNoRefusalToTheCanary(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(20)
	s.db.Exec(t, `UPDATE {db}.customer SET email = CONCAT(email, ', archive@acme.example')`)
	s.suppress("archive@acme.example", "c3@kunde.example")
	text := s.mailingFile("canary: {first: 10, wait: 1s, stop_above: 5%}")
	s.begin(text)
	s.start(text, "one")
	s.await("done 20 0 19 0 0 1", runSuppressed)
}
