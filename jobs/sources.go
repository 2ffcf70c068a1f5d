package jobs

import (
	"context"
	"errors"

	"outboxd/db"
	"outboxd/jobs/mailing"
)

// sources are what a company's mails are made from beside its tables. Rows that need one that is in trouble wait, and a person
// is told.
type sources struct{ reader, files, spool *outage }

func newSources(c *company) *sources {
	s := &sources{
		reader: c.e.newOutage(c.log, readerKey(c.name), "company "+c.name+": the user that runs its queries", "Rows whose template or attachments need a query wait.", c.place.Company.Timezone),
		files:  c.e.newOutage(c.log, filesKey(c.name), "company "+c.name+": its attachments folder", "Rows that name a file wait.", c.place.Company.Timezone),
		spool:  c.e.newOutage(c.log, spoolKey(c.name), "company "+c.name+": the folder in which audiences are kept", "Mailings wait that were to begin.", c.place.Company.Timezone),
	}
	s.reader.down, s.reader.up = eventReaderDown, eventReaderUp
	s.files.down, s.files.up = eventFilesDown, eventFilesUp
	s.spool.down, s.spool.up = eventSpoolDown, eventSpoolUp
	return s
}

func readerKey(company string) string { return "reader " + company }
func filesKey(company string) string  { return "files " + company }
func spoolKey(company string) string  { return "spool " + company }

// noteQuery notes how a query went. What a stop cut off says nothing.
func (s *sources) noteQuery(ctx context.Context, err error) {
	if s == nil || ctx.Err() != nil {
		return
	}
	if read, ok := errors.AsType[*db.ReadError](err); !ok || read.Reason != db.ReadUnreachable {
		err = nil
	}
	s.reader.note(err)
}

// noteFile notes how a look at a file went.
func (s *sources) noteFile(err error) {
	if s == nil {
		return
	}
	if _, ok := errors.AsType[*awayError](err); !ok {
		err = nil
	}
	s.files.note(err)
}

// noteSpool notes how it went to keep an audience. Any other trouble says nothing.
func (s *sources) noteSpool(err error) {
	if _, ok := errors.AsType[*mailing.SpoolError](err); ok || err == nil {
		s.spool.note(err)
	}
}
