package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/compose"
	"outboxd/mail/page"
)

// Sample is a mail of a mailing as it will arrive: octet for octet, but for its Date and a signature's time. Of a plan it has no number yet,
// and so another Message-ID.
type Sample struct {
	PreviewReply
	Key      string `json:"key,omitempty"`
	To       string `json:"to"`                 // as the audience has it
	Language string `json:"language,omitempty"` // as the audience has it
	Subject  string `json:"subject,omitempty"`
	Trouble  string `json:"trouble,omitempty"` // why this one is not mailed; there is no message then
}

// sampler makes samples of a mailing.
type sampler struct {
	file  *jobfile.File
	place *Place
	now   func() time.Time
	run   db.Run // of a plan without a number: Job, Scheduled and Period
	spec  mailing.Spec

	planned  *pinned // templates as they are now
	encloser *encloser
}

// sampleMails makes samples of some of a run's mails by the code that sends them: of its rows, which are there, with what the run has kept
// and enclosed; or, where the run has no number, of mails that would be enqueued now, with the templates and files as they are now. Nothing is
// changed and nothing taken.
//
// A mail that has ended as skipped or failed has the reason as its Trouble. One of which no message can be made is the error, for the
// others would be no better: a *rowError, wrapped; a *waitError says that something is away.
func sampleMails(ctx context.Context, file *jobfile.File, p *Place, now func() time.Time, r db.Run, spec mailing.Spec, mails []db.NewMail) ([]Sample, error) {
	s := &sampler{file: file, place: p, now: now, run: r, spec: spec}
	all := make([]Sample, 0, len(mails))
	for _, m := range mails {
		one, err := s.sample(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("the mail to %s: %w", cmp.Or(m.Recipients, "nobody"), meaning(err))
		}
		one.Key, one.To, one.Language = m.Key, m.Recipients, m.Language
		if len(one.Message) > 0 {
			one.Subject = page.Read(one.Message).Get("Subject")
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *sampler) sample(ctx context.Context, m db.NewMail) (one Sample, err error) {
	make := s.plan
	if s.run.ID != 0 {
		make = s.enqueued
	}
	if one.PreviewReply, err = make(ctx, m); err == nil {
		return one, nil
	}
	var skip *skipError
	var ended *endedError
	switch {
	case errors.As(err, &ended):
		one.Trouble = ended.why
	case errors.As(meaning(err), &skip):
		one.Trouble = skip.Error()
	case isSuppressed(err):
		one.Trouble = err.Error()
	default:
		return one, err
	}
	return one, nil
}

// endedError says that a mail ended when it was enqueued.
type endedError struct{ why string }

func (e *endedError) Error() string { return e.why }

// ended is an *endedError of a mail that is not to be sent.
func ended(state db.State, why string) error {
	if state == "" || state == db.Queued {
		return nil
	}
	return &endedError{cmp.Or(why, string(state))}
}

// enqueued makes the message of a row of the run.
func (s *sampler) enqueued(ctx context.Context, m db.NewMail) (PreviewReply, error) {
	id, err := s.place.Store.RunMailID(ctx, s.run.ID, m.Identity)
	if err != nil {
		return PreviewReply{}, err
	}
	detail, err := s.place.Store.Show(ctx, id)
	if err == nil {
		err = ended(detail.State, detail.LastError)
	}
	if err != nil {
		return PreviewReply{}, err
	}
	name := RowName{s.place.Company.Name, id}.String()
	look, err := s.look(name, detail.Account, detail.From, detail.Priority)
	if err != nil {
		return PreviewReply{}, err
	}
	row, err := s.place.Store.Row(ctx, id, look.domain(), look.packer.maxSize)
	if err != nil {
		return PreviewReply{}, err
	}
	reply, err := look.make(ctx, row)
	reply.Row = name
	return reply, err
}

// look finds how a mail would go.
func (s *sampler) look(what, account, from string, priority int) (*sight, error) {
	look := &sight{file: s.file, now: s.now, place: s.place, what: what}
	return look, look.by(account, from, priority)
}

// plan makes the message of a mail that would be enqueued now.
func (s *sampler) plan(ctx context.Context, m db.NewMail) (PreviewReply, error) {
	if s.spec.Kind != mailing.KindReport { // whose mail has all that it carries
		if err := s.prepare(ctx); err != nil {
			return PreviewReply{}, err
		}
		if err := s.encloser.enclose(ctx, &m); err != nil {
			return PreviewReply{}, err
		}
	}
	if err := ended(m.State, m.LastError); err != nil {
		return PreviewReply{}, err
	}
	row := rowOf(m)
	look, err := s.look("the message", row.Account, row.From, row.Priority)
	if err != nil {
		return PreviewReply{}, err
	}
	sender, _ := parseSender(row.From) // what is no address was refused before
	if row.MessageID, err = compose.NewMessageID(cmp.Or(sender.Host, look.domain()), rand.Reader); err != nil {
		return PreviewReply{}, err
	}
	row.CreatedAt = s.now()
	if row.Ready = row.CreatedAt; m.SendAfter != nil && m.SendAfter.After(row.Ready) {
		row.Ready = *m.SendAfter
	}
	k := look.packer
	k.run = &knownRun{Run: s.run, spec: s.spec, planned: s.planned}
	k.content = func(context.Context, db.Row) (db.Content, error) {
		return db.Content{Params: m.Params, Attachments: attachmentsOf(m)}, nil
	}
	k.attached = func(_ context.Context, a db.Attachment) ([]byte, error) { return m.Attachments[a.ID].Content, nil }
	return look.make(ctx, row)
}

// prepare reads the templates as they are now, once.
func (s *sampler) prepare(ctx context.Context) error {
	if s.planned != nil {
		return nil
	}
	content, err := pinNow(ctx, s.place, s.spec)
	if err != nil {
		return err
	}
	s.encloser = newEncloser(s.file, s.place, s.run, s.spec, nil)
	s.planned, err = openPin(content)
	return err
}

// attachmentsOf are those of a mail as the outbox would have them; their numbers are their places.
func attachmentsOf(m db.NewMail) []db.Attachment {
	all := make([]db.Attachment, len(m.Attachments))
	for i, a := range m.Attachments {
		all[i] = db.Attachment{ID: uint64(i), Name: a.Name, Type: a.Type, ContentID: a.ContentID, Stored: true, Size: int64(len(a.Content))}
	}
	return all
}
