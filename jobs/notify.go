package jobs

import (
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtpout"
)

var notifyWords = map[string]smtpout.Notify{jobfile.Failure: smtpout.NotifyFailure, jobfile.Delay: smtpout.NotifyDelay,
	jobfile.Success: smtpout.NotifySuccess, jobfile.Never: smtpout.NotifyNever}

// notifications are what a job asks a row's server to report. Each report names the row.
func (s *shipment) notifications() smtpout.DSN {
	conf := s.f.r.job.DSN
	if conf == nil {
		return smtpout.DSN{}
	}
	d := smtpout.DSN{ID: RowName{s.f.r.c.name, s.row.ID}.String()}
	for _, when := range conf.Notify {
		d.Notify |= notifyWords[when]
	}
	switch conf.Return {
	case jobfile.Headers:
		d.Return = smtpout.ReturnHeaders
	case jobfile.Full:
		d.Return = smtpout.ReturnFull
	}
	return d
}
