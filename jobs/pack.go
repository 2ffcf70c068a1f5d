package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail/compose"
	"outboxd/mail/compose/template"
)

// packer makes the messages of a company's rows. It is the same for sending and for a look beforehand. It needs no network
// but the company's database.
type packer struct {
	place     *Place
	account   *jobfile.Account
	forbidden []string    // types of attachments that the job does not send
	maxSize   int64       // octets of a message
	windows   []db.Window // of the account
	sources   *sources    // nil when nobody is told of their trouble

	suppressed func(ctx context.Context, addresses []string) (suppressed, error) // who gets no mail
	content    func(context.Context, db.Row) (db.Content, error)                 // what belongs to a row beside its own columns
	attached   func(context.Context, db.Attachment) ([]byte, error)              // the content of an attachment that is stored
	run        *knownRun                                                         // of rows that are in no table: a plan's; nil asks for that of each row
}

// defaultSize is the largest message where the account states no max_size, in octets.
const defaultSize = 50_000_000

func newPacker(place *Place, account *jobfile.Account, job *jobfile.Deliver) *packer {
	k := &packer{place: place, account: account, forbidden: job.ForbiddenTypes, maxSize: account.MaxSize, windows: accountBucket(account).Windows,
		suppressed: place.list.of, content: place.Store.Content, attached: place.Store.AttachmentContent}
	if k.maxSize == 0 {
		k.maxSize = defaultSize
	}
	return k
}

// pack makes the parcel of a row that goes this way. Everything that can fail without a mail server fails here: a *rowError, *skipError, *suppressedError or
// *waitError says what becomes of the row, any other error is the database's. room is what a large message has to ask for; nil
// bounds nothing.
func (k *packer) pack(ctx context.Context, row db.Row, w way, room *share) (*parcel, error) {
	p := &parcel{row: row, messageID: row.MessageID}
	l := &letter{row: row, way: w, octets: row.Size, room: room}
	how := k.compose
	if row.Raw {
		how = k.forward
	}
	if err := k.weigh(ctx, l); err != nil {
		return nil, err
	}
	attached, err := k.load(ctx, l)
	if err == nil {
		err = k.recheck(ctx, l)
	}
	if err == nil {
		err = how(ctx, l, p, attached)
	}
	if err == nil {
		p.message, err = k.place.signers.sign(p.domain, p.message)
	}
	if err == nil {
		err = k.admits(p)
	}
	if err != nil {
		return nil, meaning(err)
	}
	room.keep(int64(len(p.message)))
	return p, nil
}

const (
	paramsRoom  = 40        // octets in memory for each octet of params, for a list of small numbers
	largeParams = 512 << 10 // octets; smaller ones are not weighed
)

// load reads what else belongs to the row, and how large it is. A plain row costs nothing.
func (k *packer) load(ctx context.Context, l *letter) ([]db.Attachment, error) {
	if l.run = k.run; l.run == nil && l.row.Run != 0 {
		var err error
		if l.run, err = k.place.runs.of(ctx, l.row.Run); err != nil {
			return nil, err
		}
	}
	if l.row.Template == "" && !l.row.Raw && !l.row.Attached {
		return nil, nil
	}
	content, err := k.content(ctx, l.row)
	l.params = content.Params
	if err == nil && len(l.params) > largeParams {
		err = l.room.want(ctx, paramsRoom*int64(len(l.params)))
	}
	l.octets += content.RawSize
	return content.Attachments, err
}

// admits refuses what the account's own limits could never let through.
func (k *packer) admits(p *parcel) error {
	if most := k.account.MaxSize; most > 0 && int64(len(p.message)) > most {
		return k.tooLarge(fmt.Sprintf("the message is %d octets", len(p.message)))
	}
	for _, w := range k.windows {
		if w.Recipients && len(p.envelope.To) > w.N {
			return &rowError{fmt.Sprintf("%d recipients, and the account's limits let %d through in %s: insert several rows", len(p.envelope.To), w.N, w.Per)}
		}
	}
	return nil
}

// rowError says what is wrong with a row: it fails before anything is sent, since waiting does not help.
type rowError struct{ text string }

func (e *rowError) Error() string { return e.text }

// skipError says that a row is not to be sent, as it says itself: a query that it rests on has brought nothing.
type skipError struct{ text string }

func (e *skipError) Error() string { return e.text }

// waitError says that something is in the way which is not the row's fault: it is given back, and waits.
type waitError struct {
	reason string
	wait   time.Duration
}

func (e *waitError) Error() string { return e.reason }

// readerWait is how long a row waits whose query could not be asked.
const readerWait = 10 * time.Second

// meaning says what an error of a part means for the row. One that it does not know is the database's.
func meaning(err error) error {
	if wait, ok := errors.AsType[*waitError](err); ok {
		return wait
	}
	if read, ok := errors.AsType[*db.ReadError](err); ok && read.Reason == db.ReadUnreachable {
		return &waitError{err.Error(), readerWait}
	}
	_, skip := errors.AsType[*skipError](err)
	_, skipped := errors.AsType[*template.SkipError](err)
	if skip || skipped {
		return &skipError{err.Error()}
	}
	if isRowError(err) {
		return &rowError{err.Error()}
	}
	return err
}

// isRowError tells whether an error is the row's own fault.
func isRowError(err error) bool {
	_, own := errors.AsType[*rowError](err)
	_, content := errors.AsType[*db.ContentError](err)
	_, read := errors.AsType[*db.ReadError](err)
	_, field := errors.AsType[*compose.FieldError](err)
	_, made := errors.AsType[*template.Error](err)
	return own || content || read || field || made
}
