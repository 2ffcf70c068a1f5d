package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// ApprovalPath begins personal links, behind the url of `public` in jobs.yaml.
const ApprovalPath = "/approve/"

// ErrNoLink is what a link is that was not made here, or whose run or person is gone. Which of these nobody is told.
var ErrNoLink = errors.New("there is no such link")

// ApprovalLink names one person's approval of one run.
type ApprovalLink struct {
	Company string
	Run     uint64
	Person  string
	MAC     string
}

// newLinkKey is what the links of one run are signed with.
func newLinkKey() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails: see crypto/rand
	return key
}

// sign is a link's message authentication code (RFC 2104) under the run's key.
func (l ApprovalLink) sign(key []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "approve\n%s\n%d\n%s", l.Company, l.Run, l.Person)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// approvalURL is the link by which a person approves a run; "" where no pages are served.
func approvalURL(public *jobfile.Public, key []byte, company string, run uint64, person string) string {
	if public == nil || len(key) == 0 {
		return ""
	}
	l := ApprovalLink{Company: company, Run: run, Person: person}
	return strings.TrimSuffix(public.URL, "/") + ApprovalPath +
		strings.Join([]string{url.PathEscape(company), strconv.FormatUint(run, 10), url.PathEscape(person), l.sign(key)}, "/")
}

// Approval is a run as a person sees it who may be the one to approve it.
type Approval struct {
	Company  string
	Job      string
	Person   string
	Address  string // the person's, hardly readable
	Open     bool   // it waits for approval, and the person may give it
	Standing string // where it stands
	Facts    []ApprovalFact
	Troubles []ApprovalTrouble // of those who get nothing, the first ones
}

// ApprovalFact is one thing about a run.
type ApprovalFact struct{ Name, Value string }

// ApprovalTrouble is a row of the audience that gets no mail.
type ApprovalTrouble struct{ Key, Recipient, Reason string }

// troublesShown is how many rows a page shows that get no mail.
const troublesShown = 50

// linked is what a link leads to.
type linked struct {
	place  *Place
	run    db.Run
	spec   mailing.Spec
	person *jobfile.Person
}

// follow finds what a link leads to. A link that is none is ErrNoLink.
func (d *Desk) follow(ctx context.Context, l ApprovalLink) (linked, error) {
	p := d.world.Place(l.Company)
	if p == nil {
		return linked{}, ErrNoLink
	}
	r, err := p.Store.Run(ctx, l.Run)
	var none *db.NoRunError
	switch {
	case errors.As(err, &none):
		return linked{}, ErrNoLink
	case err != nil:
		return linked{}, &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	case len(r.LinkKey) == 0 || !hmac.Equal([]byte(l.sign(r.LinkKey)), []byte(l.MAC)):
		return linked{}, ErrNoLink
	}
	i := slices.IndexFunc(p.Company.People, func(who *jobfile.Person) bool { return who.Name == l.Person })
	if i < 0 {
		return linked{}, ErrNoLink
	}
	spec, err := mailing.Parse(r.Spec)
	if err != nil {
		return linked{}, &AskError{Text: err.Error(), Hint: "stop the run with outboxd mailing stop --cancel", Err: err}
	}
	return linked{p, r, spec, p.Company.People[i]}, nil
}

// mayApprove tells whether the person may let the run go now.
func (l linked) mayApprove() error {
	if l.run.State != db.RunHeld {
		return &AskError{Text: fmt.Sprintf("The run is %s: only a held one can be approved.", l.run.State)}
	}
	return mayApproveRun(l.place.Company, l.run, l.spec, l.person, l.person.Name)
}

// linkApproves tells whether the person may let the run go now, and the company sends at all.
func (d *Desk) linkApproves(ctx context.Context, l linked) error {
	if err := l.mayApprove(); err != nil {
		return err
	}
	return d.notFenced(ctx, l.place)
}

// Approval is what a link shows. It changes nothing.
func (d *Desk) Approval(ctx context.Context, q ApprovalLink) (Approval, error) {
	l, err := d.follow(ctx, q)
	if err != nil {
		return Approval{}, err
	}
	a := Approval{Company: l.place.Company.Name, Job: l.run.Job, Person: l.person.Name, Address: maskAddress(l.person.Email), Facts: l.facts()}
	err = l.mayApprove()
	var ask *AskError
	switch {
	case err == nil:
		a.Open, a.Standing = true, "It waits for approval."
	case l.run.State == db.RunHeld && errors.As(err, &ask):
		a.Standing = "It waits for approval, but not for yours: " + ask.Text + ". " + ask.Hint + "."
	default:
		a.Standing = l.standing()
	}
	if !a.Open { // addresses are for whoever decides, while they do
		return a, nil
	}
	mails, err := l.place.Store.RunMails(ctx, l.run.ID, db.RunMailFilter{Failed: true, Limit: troublesShown})
	if err != nil {
		return a, &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	for _, m := range mails {
		a.Troubles = append(a.Troubles, ApprovalTrouble{m.Key, m.Recipients, m.LastError})
	}
	return a, nil
}

// standing is where a run stands that does not wait for approval.
func (l linked) standing() string {
	text := fmt.Sprintf("It is %s.", l.run.State)
	if by := l.run.ApprovedBy; by != "" && by != approvedByNobody && l.run.ApprovedAt != nil {
		text = fmt.Sprintf("It was approved by %s at %s, and is %s.", l.run.ApprovedBy, timeText(*l.run.ApprovedAt, l.place.Company.Timezone), l.run.State)
	}
	if l.run.Note != "" {
		text += " " + l.run.Note
	}
	return text
}

// facts are the plan's figures, as the run counted them.
func (l linked) facts() []ApprovalFact {
	r, zone := l.run, l.place.Company.Timezone
	all := []ApprovalFact{{"Run", runName(l.place, r.ID)}, {"Scheduled", OnClocks(r.Scheduled)}}
	add := func(name, value string) {
		if value != "" {
			all = append(all, ApprovalFact{name, value})
		}
	}
	add("Started by", r.StartedBy)
	add("Audience", l.spec.Audience)
	if r.Audience != nil {
		add("Rows of the audience", Grouped(*r.Audience))
	}
	add("Get a mail", Grouped(r.Enqueued-r.Skipped-r.Suppressed-r.Failed-r.Cancelled-r.Expired-r.Gone))
	add("Get nothing", Grouped(r.Skipped+r.Suppressed+r.Failed+r.Cancelled+r.Expired+r.Gone))
	add("Template", l.spec.Template)
	add("Subject", l.spec.Subject)
	add("Account", l.spec.Account)
	if c := l.spec.Canary; c != nil {
		add("Begins with", fmt.Sprintf("%s, the others %s after they all have ended, unless more than %s of them fail or come back", mailCount(c.First), lengthText(c.Wait), jobfile.Percent(c.StopAbove)))
	}
	if r.State == db.RunHeld && r.DecideUntil != nil && l.spec.Approval != nil {
		add("Until", timeText(*r.DecideUntil, zone)+", then "+otherwise(l.spec.Approval))
	}
	return all
}

// maskAddress shows enough of an address for the one whose it is.
func maskAddress(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	first := []rune(local)
	if len(first) == 0 {
		return "…@" + domain
	}
	return string(first[:1]) + "…@" + domain
}

const codeDigits = 8

// MailCode mails a one-time code to the person's own address: who has the link of somebody else does not get it.
func (d *Desk) MailCode(ctx context.Context, q ApprovalLink) error {
	l, err := d.follow(ctx, q)
	if err != nil {
		return err
	}
	if err := d.linkApproves(ctx, l); err != nil {
		return err
	}
	c := db.Code{Run: l.run.ID, Person: l.person.Name}
	if err := l.place.Store.CodeMayCome(ctx, c); err != nil { // before the audit: whoever has the link may ask as often as he likes
		return codeAsk(err)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return err
	}
	code := fmt.Sprintf("%0*d", codeDigits, n)
	name := runName(l.place, l.run.ID)
	if err := d.audit(ctx, By{Actor: l.person.Name}, "mailing code", name, "mailed to "+l.person.Email); err != nil {
		return err
	}
	until := d.now().Add(codeMail)
	c.Hash = codeHash(l.run, l.person, code)
	err = l.place.Store.PutCode(ctx, c, db.NewMail{
		Recipients: l.person.Email, Account: jobfile.GeneralAccount, Priority: 1, ExpiresAt: &until, Reference: "run:" + strconv.FormatUint(l.run.ID, 10),
		Subject: fmt.Sprintf("Code to approve %s of %s", l.run.Job, l.place.Company.Name),
		Text: fmt.Sprintf("The code to approve the mailing %s (run %s) is\n\n    %s %s\n\nIt holds for 15 minutes, and for one approval. Enter it on the page that asked for it.\n\n"+
			"If it was not you who opened the link of the proof: somebody else has it. Without this code nobody can use it; keep the code to yourself.\n", l.run.Job, name, code[:4], code[4:]),
	})
	return codeAsk(err)
}

// codeMail is for how long the mail with a code may wait to go.
const codeMail = 14 * time.Minute

// codeHash is what is kept of a code.
func codeHash(r db.Run, who *jobfile.Person, code string) string {
	h := hmac.New(sha256.New, r.LinkKey)
	fmt.Fprintf(h, "code\n%d\n%s\n%s", r.ID, who.Name, code)
	return hex.EncodeToString(h.Sum(nil))
}

// ApproveByCode lets the run go, if the code is the one that was mailed last.
func (d *Desk) ApproveByCode(ctx context.Context, q ApprovalLink, code string) error {
	l, err := d.follow(ctx, q)
	if err != nil {
		return err
	}
	if err := d.linkApproves(ctx, l); err != nil {
		return err
	}
	digits := strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code)
	if len(digits) != codeDigits {
		return &AskError{Text: fmt.Sprintf("A code has %d digits.", codeDigits), Hint: "Copy it from the mail that brought it."}
	}
	if err := l.place.Store.TakeCode(ctx, db.Code{Run: l.run.ID, Person: l.person.Name, Hash: codeHash(l.run, l.person, digits)}); err != nil {
		return codeAsk(err)
	}
	return approve(ctx, d.world, l.place, l.run, l.person, approval{Actor: l.person.Name, How: "by link"})
}

// codeAsk puts the trouble with a code into words for the one who reads the page.
func codeAsk(err error) error {
	var wrong *db.CodeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	case wrong.Problem == db.CodeTooSoon:
		return &AskError{Text: "A code was mailed a moment ago.", Hint: fmt.Sprintf("Look into your mailbox; in %d seconds another one can be asked for.", int(wrong.Wait/time.Second))}
	case wrong.Problem == db.CodeTooMany:
		return &AskError{Text: "Too many codes were asked for.", Hint: "Approve it with outboxd mailing approve, or by SQL."}
	case wrong.Problem == db.CodeWrong && wrong.Left > 0:
		return &AskError{Text: "That is not the code that was mailed last.", Hint: fmt.Sprintf("Look again: %d more tries.", wrong.Left)}
	}
	return &AskError{Text: "The code does not hold any more.", Hint: "Ask for another one."}
}
