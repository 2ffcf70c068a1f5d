package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/compose"
	"outboxd/mail/compose/table"
)

// encloser gives the mails of a run what goes with them, when they are enqueued: files are read and queries asked then, and what they give
// stays as it is. Several may use it at a time. A file that is the same for all, and a query without parameters, is read and asked once a run.
type encloser struct {
	file     *jobfile.File
	place    *Place
	run      *knownRun
	resolver *resolver
	sources  *sources // nil when nobody is told of their trouble

	mu    sync.Mutex
	fixed map[int]fixedFile // those that are the same for all, by their number in the spec
}

// fixedFile is an attachment that is the same for all mails, or why there is none.
type fixedFile struct {
	compose.Attachment
	err error
}

// newEncloser is for one run, or, for a plan, for one that there is not: then its number is 0.
func newEncloser(file *jobfile.File, p *Place, r db.Run, spec mailing.Spec, s *sources) *encloser {
	return &encloser{file: file, place: p, run: &knownRun{Run: r, spec: spec}, resolver: newResolver(file, p.Company), sources: s, fixed: map[int]fixedFile{}}
}

// changeTries is how often a file is read that is being written, before its row fails: one that never rests must not keep the run.
const changeTries = 3

// enclose adds to a mail what goes with it. What is wrong with this mail's own files, or found by its own queries, ends it at once as skipped
// or failed, with the reason. An error means that the run has to wait: for a folder, for the reader, for the database.
func (e *encloser) enclose(ctx context.Context, m *db.NewMail) error {
	if len(e.run.spec.Attach) == 0 || m.State != "" && m.State != db.Queued {
		return nil
	}
	err := e.all(ctx, m)
	_, changes := errors.AsType[*changingError](err)
	for try := 1; changes && try < changeTries; try++ {
		if !sleep(ctx, changePause) {
			return ctx.Err()
		}
		err = e.all(ctx, m)
		_, changes = errors.AsType[*changingError](err)
	}
	if err == nil {
		return nil
	}
	m.Attachments = nil
	err = meaning(err)
	var skip *skipError
	var wrong *rowError
	switch {
	case errors.As(err, &skip):
		m.State, m.LastError = db.Skipped, skip.Error()
	case errors.As(err, &wrong), changes:
		m.State, m.LastError = db.Failed, err.Error()
	default:
		return err
	}
	return nil
}

// changePause is the time between two looks at a file that is being written.
const changePause = 2 * time.Second

func (e *encloser) all(ctx context.Context, m *db.NewMail) error {
	row := rowOf(*m)
	k, err := e.packer(row)
	if err != nil {
		return err
	}
	l := &letter{row: row, run: e.run, params: m.Params, octets: row.Size}
	m.Attachments = nil
	for i, a := range e.run.spec.Attach {
		file, err := e.one(ctx, k, l, i, a)
		if err != nil {
			return err
		}
		if l.octets += compose.EncodedSize(len(file.Content)); l.octets > k.maxSize {
			return k.tooLarge(fmt.Sprintf("with attachment %q the mail is %d octets", file.Name, l.octets))
		}
		m.Attachments = append(m.Attachments, db.NewAttachment{Name: file.Name, Type: file.Type, Content: file.Content})
	}
	return nil
}

// packer is of the account and the job that will send the mail, for their limits.
func (e *encloser) packer(row db.Row) (*packer, error) {
	goes, err := e.resolver.resolve(row.Account, row.From)
	if err != nil {
		return nil, err
	}
	job, _ := jobFor(e.place.Company, goes.account.Name, row.Priority)
	if job == nil {
		job = &jobfile.Deliver{}
	}
	k := newPacker(e.place, goes.account, job)
	k.sources = e.sources
	return k, nil
}

// one makes one of the spec's attachments for a mail.
func (e *encloser) one(ctx context.Context, k *packer, l *letter, number int, a mailing.Attach) (compose.Attachment, error) {
	if !e.isFixed(a) {
		return k.enclosed(ctx, l, a)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if known, ok := e.fixed[number]; ok {
		return known.Attachment, cmp.Or(known.err, k.allowed(known.Name, known.Type))
	}
	file, err := k.enclosed(ctx, l, a)
	if err == nil || endsRow(err) {
		e.fixed[number] = fixedFile{file, err}
	}
	return file, err
}

// isFixed tells whether an attachment is the same for all mails.
func (e *encloser) isFixed(a mailing.Attach) bool {
	for _, text := range []string{a.File, a.Name} {
		if _, err := e.run.fill("attach", text, nil); err != nil {
			return false
		}
	}
	_, _, err := db.Bind(a.Query, e.run.values())
	return err == nil
}

// enclosed makes one attachment with the row's values.
func (k *packer) enclosed(ctx context.Context, l *letter, a mailing.Attach) (file compose.Attachment, err error) {
	row, err := l.values()
	if err != nil {
		return file, err
	}
	return k.enclosedBy(ctx, l.run, row, a, func(ctx context.Context, statement string) (*table.Result, error) { return k.query(ctx, l, statement) })
}

// enclosedBy is enclosed with queries that are asked, or were, by somebody else, and a row that may be nil.
func (k *packer) enclosedBy(ctx context.Context, run *knownRun, row map[string]any, a mailing.Attach, ask func(context.Context, string) (*table.Result, error)) (file compose.Attachment, err error) {
	name, err := run.fill("attach: name", a.Name, row)
	if err != nil {
		return file, err
	}
	if a.Query != "" {
		file.Name = name
		if file.Content, err = k.written(ctx, db.Attachment{Name: name, Query: a.Query, Format: a.As, Options: a.Options}, ask); err != nil {
			return file, fmt.Errorf("attachment %q: %w", name, err)
		}
	} else {
		where, err := run.fill("attach: file", a.File, row)
		if err != nil {
			return file, err
		}
		file.Name = cmp.Or(name, path.Base(where))
		if file.Content, err = k.below(where); err != nil {
			return file, fmt.Errorf("attachment %q: %w", file.Name, err)
		}
	}
	if err := compose.CheckFileName(file.Name); err != nil {
		return file, err
	}
	file.Type = compose.TypeOf(file.Name, file.Content)
	return file, k.allowed(file.Name, file.Type)
}

// below reads a file of the company's folder, unless it is too large for the account.
func (k *packer) below(name string) ([]byte, error) {
	info, err := statBelow(k.place.Company.Attachments, name)
	if k.sources.noteFile(err); err != nil {
		return nil, err
	}
	if info.Size() > k.maxSize {
		return nil, k.tooLarge(fmt.Sprintf("file %q has %d octets", name, info.Size()))
	}
	content, err := readBelow(k.place.Company.Attachments, name, info)
	k.sources.noteFile(err)
	return content, err
}

// rowOf is the row of the outbox that a mail would be.
func rowOf(m db.NewMail) db.Row {
	row := db.Row{Recipients: m.Recipients, Cc: m.Cc, Bcc: m.Bcc, From: m.From, ReplyTo: m.ReplyTo, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Headers: m.Headers,
		Template: m.Template, Language: m.Language, Account: m.Account, Reference: m.Reference, Priority: cmp.Or(m.Priority, usualPriority),
		Size: int64(len(m.Text) + len(m.HTML) + len(m.Headers)), Attached: len(m.Attachments) > 0}
	return row
}

// endsRow tells whether an error ends a row, as failed or skipped: waiting does not help.
func endsRow(err error) bool {
	err = meaning(err)
	_, skip := errors.AsType[*skipError](err)
	_, wrong := errors.AsType[*rowError](err)
	return skip || wrong
}
