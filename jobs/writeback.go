package jobs

import (
	"context"
	"time"

	"outboxd/db"
)

// ending is how a mail has ended, as a write-back tells it to the company's own tables.
type ending struct {
	state          db.State
	sentAt         *time.Time // nil: it was not sent; set by the database where the outcome is written with it
	messageID      string
	account        string
	code           int
	enhanced, text string // text: of last_error
}

// event is what is written back of an end; "" for nothing.
func (e ending) event() string {
	switch e.state {
	case db.Sent, db.Partial:
		return db.WroteSent
	case db.Failed, db.Expired:
		return db.WroteFailed
	}
	return ""
}

// statement is what the job has written back of an event; "" for nothing.
func (r *knownRun) statement(event string) string {
	switch event {
	case db.WroteSent:
		return r.spec.OnSent
	case db.WroteFailed:
		return r.spec.OnFailed
	}
	return ""
}

// writeBack is the statement of the run's job for a mail that has ended so; nil where the job has none. Its parameters are the mail's
// params and columns, and what became of it, which goes first; what is not known is NULL. The statement runs in a session of the company's
// zone: there a time is what its clocks show, and what a TIMESTAMP gets is the moment itself.
func (r *knownRun) writeBack(p *Place, row db.Row, params string, e ending) (*db.WriteBack, error) {
	event, statement := e.event(), r.statement(e.event())
	if statement == "" {
		return nil, nil
	}
	args, err := (&letter{row: row, run: r, params: params}).values()
	if err != nil {
		return nil, err
	}
	var sentAt any
	if e.sentAt != nil {
		sentAt = *e.sentAt
	}
	if at, ours := args["scheduled_at"].(time.Time); ours {
		args["scheduled_at"] = at.Format(time.DateTime) // a time is a moment here, and this is none
	}
	for name, value := range map[string]any{"state": string(e.state), "sent_at": sentAt, "message_id": orNull(e.messageID), "account": orNull(e.account), "smtp_code": orNull(e.code),
		"smtp_enhanced": orNull(e.enhanced), "error": orNull(e.text), "last_error": orNull(e.text)} {
		args[name] = value
	}
	return &db.WriteBack{Run: r.ID, Event: event, Statement: statement, Args: args, Zone: p.Company.Timezone}, nil
}

// orNull is NULL for what is empty.
func orNull[T comparable](v T) any {
	var none T
	if v == none {
		return nil
	}
	return v
}

// backLook is how long an outcome waits for what is to be written back with it.
const backLook = 5 * time.Second

// addWriteBack gives the settlement of a run's mail what is to be written back with it. Where that cannot be made now, the outcome is written
// alone, and the run's keeper finds that the write-back is missing.
func (f *feeder) addWriteBack(ctx context.Context, t *db.Settlement, row db.Row) {
	e := ending{state: t.State, messageID: row.MessageID, account: t.Account, code: t.Code, enhanced: t.Enhanced, text: t.LastError}
	if row.Run == 0 || e.event() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, backLook)
	defer cancel()
	r, err := f.r.c.place.runs.of(ctx, row.Run)
	if err != nil || r.statement(e.event()) == "" {
		return
	}
	content, err := f.packer.content(ctx, row)
	if err != nil {
		return
	}
	if t.WriteBack, err = r.writeBack(f.r.c.place, row, content.Params, e); err == nil && t.WriteBack != nil {
		t.WriteBack.Sent = e.event() == db.WroteSent
	}
}

// writeBackOf makes a write-back anew that was left for later, from the row as it stands there. nil: the job has none for how the mail has
// ended. A *db.NoRowError says that the row is gone by now, and with it what would have been written.
func writeBackOf(ctx context.Context, p *Place, run, id uint64) (*db.WriteBack, error) {
	r, err := p.runs.of(ctx, run)
	if err != nil {
		return nil, err
	}
	row, err := p.Store.Row(ctx, id, "", 0)
	if err != nil {
		return nil, err
	}
	content, err := p.Store.Content(ctx, row)
	if err != nil {
		return nil, err
	}
	d, err := p.Store.Show(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.writeBack(p, row, content.Params, ending{d.State, d.SentAt, d.MessageID, d.SentVia, d.Code, d.Enhanced, d.LastError})
}
