package jobs

import (
	"context"
	"fmt"
	"strings"

	"outboxd/db"
	"outboxd/mail"
)

// MailingReportRequest asks what became of the mails of a run, page by page.
type MailingReportRequest struct {
	Run    string `json:"run"`
	Failed bool   `json:"failed,omitempty"` // only those that have ended and that nobody, or not everybody, has got, and those that came back
	After  uint64 `json:"after,omitempty"`  // MailingReportReply.Next of the page before
	Limit  int    `json:"limit,omitempty"`  // 0 means 50, at most 1000
}

// MailingReportReply is one page of a run's mails, in the order of the audience, as they are now.
type MailingReportReply struct {
	Info  RunInfo      `json:"run"`
	Mails []MailReport `json:"mails"`
	Next  uint64       `json:"next,omitempty"` // where the next page begins; 0: this was the last
}

// MailReport is what became of one mail.
type MailReport struct {
	Row string `json:"row"` // as acme/17
	db.RunMail
	Reply  string `json:"smtp_reply,omitempty"` // what the server said last
	Cause  string `json:"cause,omitempty"`      // why it was not sent, or not yet, or why it came back
	Remedy string `json:"remedy,omitempty"`     // what a person can do
}

// MailingReport tells what became of every mail of a run.
func (d *Desk) MailingReport(ctx context.Context, q MailingReportRequest) (MailingReportReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, r, err := d.run(ctx, q.Run)
	if err != nil {
		return MailingReportReply{}, err
	}
	limit := limitOf(q.Limit)
	mails, err := p.Store.RunMails(ctx, r.ID, db.RunMailFilter{After: q.After, Failed: q.Failed, Limit: limit})
	if err != nil {
		return MailingReportReply{}, runError(p, r.ID, err)
	}
	ids := make([]uint64, len(mails))
	for i, m := range mails {
		ids[i] = m.ID
	}
	tries, err := p.Store.LastTries(ctx, ids)
	if err != nil {
		return MailingReportReply{}, runError(p, r.ID, err)
	}
	reply := MailingReportReply{Info: d.runInfo(ctx, p, r), Mails: make([]MailReport, len(mails))}
	for i, m := range mails {
		reply.Mails[i] = reportOf(p, m, tries[m.ID])
	}
	if len(mails) == limit {
		reply.Next = mails[len(mails)-1].ID
	}
	return reply, nil
}

// reportOf tells of one mail what the server said, why it was not sent, and what to do.
func reportOf(p *Place, m db.RunMail, last db.Tried) MailReport {
	r := MailReport{Row: RowName{p.Company.Name, m.ID}.String(), RunMail: m, Reply: last.Reply, Cause: m.LastError}
	switch m.State {
	case db.Sent:
		r.Cause = ""
		r.bounce()
		return r
	case db.Uncertain:
		r.Remedy = fmt.Sprintf("ask the recipient, or look into the account's sent mail; then: outboxd queue settle %s --as sent --reason TEXT (or --as failed)", r.Row)
		return r
	case db.Suppressed:
		r.Remedy = unsuppress(r.Row)
		return r
	}
	if o, ok := mail.Recall(last.Step, last.Code, last.Enhanced, last.Reply); ok && o.Remedy != "" {
		r.Remedy = o.Remedy
		r.Cause = strings.TrimRight(strings.TrimSuffix(m.LastError, o.Remedy), ". ")
	}
	r.bounce()
	return r
}
