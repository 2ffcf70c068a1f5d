package jobs

import (
	"context"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// ProofMails are the mails of a run's proof.
func ProofMails(file *jobfile.File, p *Place, r db.Run, spec mailing.Spec, f mailing.Figures, samples []Sample, now time.Time, link func(*jobfile.Person) string) ([]db.NewMail, error) {
	return (&proof{file, p, r, spec, f, samples, now, link}).mails()
}

// SummaryLetter is the summary of a run with these failures, and the file beside it.
func SummaryLetter(p *Place, r db.Run, spec mailing.Spec, failed []db.RunMail, last db.Tried) (db.NewMail, error) {
	s := &summary{place: p, run: r, spec: spec}
	for _, m := range failed {
		s.failures = append(s.failures, failureOf(p, m, last))
	}
	m, err := writeLetter("summary", s.letter().Title, "eva@acme.example", s.letter())
	if err == nil {
		m.Attachments, err = s.file()
	}
	return m, err
}

// What a run is made from.
var (
	PinTemplates = pinTemplates
	PinNow       = pinNow
	SampleMails  = sampleMails
	SummaryMails = summaryMails
	WriteBackOf  = writeBackOf
)

// IsWait tells whether a run waits for what the error says.
func IsWait(err error) bool {
	_, wait := meaning(err).(*waitError)
	return wait
}

// IsFault tells whether the error is the row's or the run's own fault.
func IsFault(err error) bool { return isRowError(err) }

// ReportMail makes the mail of a report's run.
func ReportMail(ctx context.Context, file *jobfile.File, p *Place, r db.Run, spec mailing.Spec) (db.NewMail, error) {
	return reportMail(ctx, file, p, r, spec, nil)
}

// Encloser gives mails of a run what goes with them.
func Encloser(file *jobfile.File, p *Place, r db.Run, spec mailing.Spec) func(context.Context, *db.NewMail) error {
	return newEncloser(file, p, r, spec, nil).enclose
}

// Addressees are the addresses that names mean.
func Addressees(c *jobfile.Company, names []string, startedBy string) (all []string) {
	for _, a := range addressees(c, names, startedBy) {
		all = append(all, a.address)
	}
	return all
}

// ApprovalURL is a person's link.
var ApprovalURL = approvalURL
