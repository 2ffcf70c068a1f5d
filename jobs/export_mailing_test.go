package jobs

import (
	"context"
	"maps"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/compose/template"
)

// ProofMails are the mails of a run's proof.
func ProofMails(file *jobfile.File, p *Place, r db.Run, spec mailing.Spec, f mailing.Figures, samples []Sample, now time.Time, link func(*jobfile.Person) string) ([]db.NewMail, error) {
	return (&proof{file, p, r, spec, f, samples, now, link}).mails()
}

// SummaryLetter is the summary of a run with these failures, and the file beside it.
func SummaryLetter(p *Place, r db.Run, spec mailing.Spec, failed []db.RunMail, last db.Tried) (db.NewMail, error) {
	s := &summary{place: p, run: r, spec: spec}
	for _, m := range failed {
		if m.Code == 0 {
			last = db.Tried{} // no server was asked
		}
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

// Archive is what a run keeps of these files, and of a row with a name if there is one.
func Archive(language, zone string, files map[string]string, row string) []byte {
	p := pin{locale: locale{language, zone}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		p.files = append(p.files, templateFile{path, []byte(files[path])})
	}
	if row != "" {
		p.rows = []template.Row{{Name: row, Subject: "x", Text: "x"}}
	}
	content, err := p.archive()
	if err != nil {
		panic(err)
	}
	return content
}

// OpenPin reads an archive, and a template of it.
func OpenPin(content []byte, name string) error {
	p, err := openPin(content)
	if err == nil {
		_, err = p.template(name)
	}
	return err
}

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
