package jobs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"outboxd/db"
	"outboxd/jobs/mailing"
	"outboxd/mail/compose/table"
)

const (
	summaryShown = 100       // failures in the letter itself
	summaryMost  = 10_000    // in the file beside it; more are in the report alone
	summaryFile  = 2_000_000 // octets of that file
	summaryPage  = 1000      // failures that are read at a time
)

// summaryMails tell whom the job names what became of a run that closes now: r has its counts and its end.
func summaryMails(ctx context.Context, p *Place, r db.Run, spec mailing.Spec) (all []db.NewMail, err error) {
	to := addressees(p.Company, spec.Summary, r.StartedBy)
	if len(to) == 0 {
		return nil, nil
	}
	failures, err := failuresOf(ctx, p, r)
	if err != nil {
		return nil, err
	}
	s := &summary{place: p, run: r, spec: spec, failures: failures}
	letter := s.letter()
	file, err := s.file()
	if err != nil {
		return nil, err
	}
	for _, one := range to {
		m, err := writeLetter("summary", letter.Title, one.address, letter)
		if err != nil {
			return nil, err
		}
		m.Reference, m.Attachments = r.Job, file
		all = append(all, m)
	}
	return all, nil
}

// failuresOf reads the mails of a run that were not sent, or not to everybody, or came back: as many as a summary can hold, and one.
func failuresOf(ctx context.Context, p *Place, r db.Run) (all []failure, err error) {
	for after := uint64(0); len(all) <= summaryMost; {
		page, err := p.Store.RunMails(ctx, r.ID, db.RunMailFilter{After: after, Failed: true, Limit: summaryPage})
		if err != nil {
			return nil, err
		}
		ids := make([]uint64, len(page))
		for i, m := range page {
			ids[i], after = m.ID, m.ID
		}
		tries, err := p.Store.LastTries(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			all = append(all, failureOf(p, m, tries[m.ID]))
		}
		if len(page) < summaryPage {
			break
		}
	}
	return all, nil
}

// failure is a mail that somebody has not got.
type failure struct {
	Row, Key, To, State, Cause, Remedy string
	bounced                            bool // it was sent, and came back
}

func failureOf(p *Place, m db.RunMail, last db.Tried) failure {
	r := reportOf(p, m, last)
	return failure{r.Row, m.Key, cmp.Or(m.Recipients, "no address"), WithBounce(string(m.State), m.BouncedAt), r.Cause, r.Remedy, m.BouncedAt != nil}
}

type summary struct {
	place    *Place
	run      db.Run
	spec     mailing.Spec
	failures []failure
}

// summaryLetter is what its template knows.
type summaryLetter struct {
	Title, Lead, Sum, Note string
	Figures                []figure
	Failures               []failure
	More, Again, Report    string
}

func (s *summary) letter() summaryLetter {
	r := s.run
	audience := int64(0)
	if r.Audience != nil {
		audience = *r.Audience
	}
	l := summaryLetter{
		Title:  fmt.Sprintf("%s for %s%s: %s of %s sent", r.Job, OnClocks(r.Scheduled), endText(r), Grouped(r.Sent), mailCount(audience)) + s.back(", %s came back"),
		Lead:   s.lead(audience) + s.back(" Of these %s came back."),
		Sum:    sumText(r, audience),
		Note:   r.Note,
		Report: "outboxd mailing report " + s.name(),
	}
	l.Figures = s.figures(audience)
	l.Failures = s.failures[:min(len(s.failures), summaryShown)]
	if n := len(s.failures); n > summaryShown {
		l.More = fmt.Sprintf("These are the first %d of %s.", summaryShown, Grouped(int64(n)))
		if n > summaryMost {
			l.More = fmt.Sprintf("These are the first %d of more than %s.", summaryShown, Grouped(summaryMost))
		}
	}
	l.Again = s.again()
	return l
}

// back says how many mails came back; nothing where none did by now.
func (s *summary) back(format string) string {
	n := int64(0)
	for _, f := range s.failures {
		if f.bounced {
			n++
		}
	}
	switch {
	case n == 0:
		return ""
	case len(s.failures) > summaryMost: // there are more of them
		return fmt.Sprintf(format, "at least "+Grouped(n))
	}
	return fmt.Sprintf(format, Grouped(n))
}

// again says how those are mailed who have not got it.
func (s *summary) again() string {
	text := "Where a server or a full mailbox was in the way, outboxd queue retry with the mail's number sends it again, to the same address. " +
		"Where the address is wrong, correct it where it is kept"
	if s.run.Period == "" {
		text += ", for the next mailing."
	} else {
		text += fmt.Sprintf("; another run of the job within the same period (%s) mails those who were not mailed, and nobody twice.", s.run.Period)
	}
	if s.back("%s") != "" {
		text += " What came back counts as sent."
	}
	return text
}

func (s *summary) name() string { return runName(s.place, s.run.ID) }

func (s *summary) lead(audience int64) string {
	r := s.run
	head := fmt.Sprintf("The run %s of %s of %s%s", s.name(), r.Job, s.place.Company.Name, cmp.Or(endText(r), " has ended"))
	switch {
	case r.State != db.RunDone && r.Sent == 0:
		return head + ", and nobody was mailed."
	case audience == 0:
		return head + "."
	case r.Sent == audience:
		return head + ", and the server has taken every mail."
	}
	return fmt.Sprintf("%s. Of %s the server has taken %s.", head, mailCount(audience), Grouped(r.Sent))
}

// endText says that a run did not end as it should.
func endText(r db.Run) string {
	switch r.State {
	case db.RunFailed:
		return " has failed"
	case db.RunCancelled:
		return " was cancelled"
	}
	return ""
}

// endings are how mails end, in the words of a summary.
func endings(c db.RunCounts) []figure {
	var all []figure
	for _, one := range []struct {
		name string
		n    int64
		note string
	}{
		{"Sent", c.Sent, "the server has taken them"},
		{"Sent in part", c.Partial, "some of the recipients have not got it"},
		{"Failed", c.Failed, "refused for good, or given up"},
		{"Skipped", c.Skipped, "not to be sent: no address, twice, mailed before, or paid meanwhile"},
		{"Suppressed", c.Suppressed, "on the company's list of those who get no mail"},
		{"Cancelled", c.Cancelled, ""},
		{"Expired", c.Expired, "not sent in time"},
		{"Gone", c.Gone, "deleted from the outbox before they ended"},
	} {
		if one.n > 0 {
			all = append(all, figure{one.name, Grouped(one.n), one.note})
		}
	}
	return all
}

func (s *summary) figures(audience int64) []figure {
	all := append([]figure{{"Rows of the audience", Grouped(audience), ""}}, endings(s.run.RunCounts)...)
	if n := s.back("%s"); n != "" {
		all = append(all, figure{"Of those sent came back", n, "a server further on could not deliver them"})
	}
	zone := s.place.Company.Timezone
	return append(all, figure{"Begun", s.run.StartedAt.In(zone).Format("2006-01-02 15:04"), ""}, figure{"Ended", s.run.EndedAt.In(zone).Format("2006-01-02 15:04"), ""})
}

// EndTexts say how many mails have come to which end: 6 sent, 1 failed.
func EndTexts(c db.RunCounts) (texts []string) {
	for _, f := range endings(c) {
		texts = append(texts, f.Value+" "+strings.ToLower(f.Name))
	}
	return texts
}

// sumText says that the counts of a run that has ended add up to its audience, or that they do not.
func sumText(r db.Run, audience int64) string {
	sum := strings.Join(EndTexts(r.RunCounts), " + ")
	switch {
	case audience == 0 && r.Sum() == 0 && r.State != db.RunDone: // nobody knows how many rows there are
		return "No mail was made."
	case audience == 0 && r.Sum() == 0:
		return "The audience had no rows."
	case r.Sum() == audience:
		return fmt.Sprintf("The counts add up: %s = %s, the rows of the audience. Every one has an end.", sum, Grouped(audience))
	}
	text := fmt.Sprintf("The counts do not add up: %s = %s, and the audience had %s.", cmp.Or(sum, "none"), Grouped(r.Sum()), mailCount(audience))
	if lost := audience - r.Sum(); lost > 0 {
		text += fmt.Sprintf(" What became of %s nobody knows: outbox_run_mail or outbox_run was changed by hand.", Grouped(lost))
	}
	return text
}

// file is a CSV of all failures, when it is small enough to go with a letter.
func (s *summary) file() ([]db.NewAttachment, error) {
	if len(s.failures) == 0 || len(s.failures) > summaryMost {
		return nil, nil
	}
	r := &table.Result{}
	for _, name := range []string{"mail", "key", "recipients", "state", "cause", "remedy"} {
		r.Columns = append(r.Columns, table.Column{Name: name, Kind: table.Text})
	}
	for _, f := range s.failures {
		r.Rows = append(r.Rows, []any{f.Row, f.Key, f.To, f.State, f.Cause, f.Remedy})
	}
	var b bytes.Buffer
	if err := table.WriteCSV(&b, r, table.Options{BOM: true}); err != nil {
		return nil, fmt.Errorf("write the failures of run %d: %w", s.run.ID, err)
	}
	if b.Len() > summaryFile {
		return nil, nil
	}
	return []db.NewAttachment{{Name: fmt.Sprintf("not-sent-%d.csv", s.run.ID), Type: "text/csv", Content: b.Bytes()}}, nil
}
