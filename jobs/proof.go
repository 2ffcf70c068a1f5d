package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// proof is what people are shown of a run before its mails go: the figures of a plan, and samples as they will arrive.
type proof struct {
	file    *jobfile.File
	place   *Place
	run     db.Run
	spec    mailing.Spec
	figures mailing.Figures
	samples []Sample
	now     time.Time                    // the time for a decision runs from here
	link    func(*jobfile.Person) string // a person's own link to approve; nil where there are none
}

// mails are the proof's, one for each who gets it: those whom the job names, those who may approve, and whoever started the run.
func (p *proof) mails() (all []db.NewMail, err error) {
	var names []string
	if p.spec.Proof != nil {
		names = slices.Clone(p.spec.Proof.To)
	}
	if p.spec.Approval != nil {
		names = append(names, p.approvers()...)
	}
	if len(names) == 0 {
		return nil, nil
	}
	letter := p.letter()
	for _, to := range addressees(p.place.Company, append(names, jobfile.Starter), p.run.StartedBy) {
		own := letter
		if letter.Approval != nil {
			own.Approval = p.approval(to.person)
		}
		m, err := writeLetter("proof", letter.Title, to.address, own)
		if err != nil {
			return nil, err
		}
		m.Reference = p.run.Job
		m.Attachments = letter.files
		all = append(all, m)
	}
	return all, nil
}

// approvers are the people who may approve this run.
func (p *proof) approvers() []string { return p.spec.Approval.Names(p.run.StartedBy) }

// proofLetter is what its template knows.
type proofLetter struct {
	Title, Lead       string
	Figures           []figure
	Samples           []proofSample
	Troubles          []mailing.Trouble
	More              string
	Approval          *proofApproval
	Stop, StopCommand string

	files []db.NewAttachment
}

type proofSample struct{ File, To, Subject string }

type proofApproval struct{ Who, Until, Name, Link, Command, SQL, Database string }

func (p *proof) letter() proofLetter {
	c, name := p.place.Company, p.name()
	l := proofLetter{
		Title: fmt.Sprintf("Proof of %s for %s: %s", p.run.Job, OnClocks(p.run.Scheduled), mailCount(p.figures.Sendable)),
		Lead:  fmt.Sprintf("This is what %s of %s would send. Its run is %s%s.", p.run.Job, c.Name, name, p.starter()),
		Stop:  "Its mails go now. This stops what has not gone yet:", StopCommand: "outboxd mailing stop " + name,
		Figures: p.lines(), Troubles: p.figures.Troubles,
	}
	if bad := p.figures.Audience - p.figures.Sendable; bad > int64(len(l.Troubles)) && len(l.Troubles) > 0 {
		l.More = fmt.Sprintf("These are the first %d of %s rows. All of them: outboxd mailing report %s", len(l.Troubles), Grouped(bad), name)
	}
	if p.spec.Approval != nil {
		l.Stop, l.StopCommand = "If it is not to go at all:", "outboxd mailing stop "+name+" --cancel"
		l.Approval = &proofApproval{}
	}
	l.Samples, l.files = p.attach()
	return l
}

func (p *proof) name() string { return runName(p.place, p.run.ID) }

func (p *proof) starter() string {
	if i := slices.IndexFunc(p.place.Company.People, func(who *jobfile.Person) bool { return who.Name == p.run.StartedBy }); i >= 0 {
		return ", started by " + p.run.StartedBy
	}
	return ""
}

// lines are the figures as a person reads them. Those that are zero are left out, but for the audience.
func (p *proof) lines() []figure {
	f := p.figures
	lines := []figure{{"Rows of the audience", Grouped(f.Audience), p.change()}, {"Would get it", Grouped(f.Sendable), ""}}
	for _, one := range []struct {
		name string
		n    int64
		note string
	}{
		{"No address", f.NoAddress, "skipped"}, {"Bad address", f.BadAddress, "skipped"}, {"Unusable", f.Unusable, "skipped"},
		{"Suppressed", f.Suppressed, "on the company's list of those who get no mail"}, {"Duplicate key", f.Duplicate, "the first one is mailed"},
		{"Mailed before", f.Already, "in " + cmp.Or(p.run.Period, "this run") + ", and not again"},
	} {
		if one.n > 0 {
			lines = append(lines, figure{one.name, Grouped(one.n), one.note})
		}
	}
	for _, a := range f.Accounts {
		lines = append(lines, figure{"By account " + a.Account, Grouped(a.Mails), p.sender(a.Account)})
	}
	if f.Finish != nil {
		lines = append(lines, figure{"Would end", f.Finish.In(p.place.Company.Timezone).Format("2006-01-02 15:04"), f.FinishNote})
	} else if f.FinishNote != "" {
		lines = append(lines, figure{"Would end", "", f.FinishNote})
	}
	return lines
}

// change compares with the run before it.
func (p *proof) change() string {
	if p.figures.Previous == nil {
		return "the first run"
	}
	before := *p.figures.Previous
	switch d := p.figures.Audience - before; {
	case d == 0:
		return "as many as the last time"
	case before == 0:
		return "none the last time"
	default:
		return fmt.Sprintf("%s the last time, %+.0f %%", Grouped(before), 100*float64(d)/float64(before))
	}
}

// sender is as whom an account sends, where the audience does not say.
func (p *proof) sender(account string) string {
	if a := p.file.Account(account); a != nil {
		return "from " + a.From
	}
	return ""
}

// approval is how this person, or a bare address, lets the run go.
func (p *proof) approval(who *jobfile.Person) *proofApproval {
	a := p.spec.Approval
	l := &proofApproval{Who: "Nothing goes until " + cmp.Or(orList(p.approvers()), "somebody who may") + " has approved it.",
		Command: "outboxd mailing approve " + p.name(), Database: p.place.Company.Database,
		SQL: fmt.Sprintf("UPDATE outbox_run SET approved_by = USER() WHERE id = %d;", p.run.ID)}
	if a.Within > 0 {
		l.Until = fmt.Sprintf("It waits until %s; then %s.", p.now.Add(a.Within).In(p.place.Company.Timezone).Format("2006-01-02 15:04"), otherwise(a))
	}
	if who != nil && p.link != nil && slices.Contains(p.approvers(), who.Name) {
		l.Name, l.Link = who.Name, p.link(who)
	}
	return l
}

// attach are the samples, as files, as far as they fit into a mail of the general account.
func (p *proof) attach() (list []proofSample, files []db.NewAttachment) {
	room := int64(defaultSize)
	if a := p.file.Account(jobfile.GeneralAccount); a != nil && a.MaxSize > 0 {
		room = a.MaxSize
	}
	room /= 2 // for the letter itself, and for samples that have to be encoded
	for i, s := range p.samples {
		one := proofSample{File: fmt.Sprintf("sample-%d.eml", i+1), To: s.To, Subject: s.Subject}
		switch size := int64(len(s.Message)); {
		case s.Trouble != "":
			one.File, one.Subject = "none", "not mailed: "+s.Trouble
		case size > room:
			one.File, one.Subject = "too large", s.Subject+" (outboxd message preview "+s.Row+")"
		default:
			room -= size
			files = append(files, db.NewAttachment{Name: one.File, Type: enclosed, Content: s.Message})
		}
		list = append(list, one)
	}
	return list, files
}
