package fence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// Marked takes in how the mark of a taken row went: err is what Store.Mark returned. Without an error the mail counts as handed over from now on,
// and the witnesses are told; recipients is who it was marked for, nil for the only one. A mark that has found the database older has the next
// look come at once.
func (f *Fence) Marked(row db.Row, recipients []db.Recipient, err error) {
	var older *db.OlderError
	switch {
	case err == nil:
		f.note(row, what(recipients, db.RecipientSending))
	case errors.As(err, &older):
		f.suspect()
	}
}

// Settled tells the witnesses the outcome of a mail that was marked. recipients are those that the row has, nil for a single one; the
// settlement's own go before them.
func (f *Fence) Settled(row db.Row, recipients []db.Recipient, t db.Settlement) {
	if len(t.Recipients) > 0 {
		recipients = t.Recipients
	}
	alone := db.RecipientOpen
	switch t.State {
	case db.Sent:
		alone = db.RecipientAccepted
	case db.Uncertain:
		alone = db.RecipientUncertain
	case db.Failed:
		alone = db.RecipientFailed
	}
	f.note(row, what(recipients, alone))
}

// note tells the witnesses what becomes of a mail that is handed over: first that it is marked, then its outcome.
func (f *Fence) note(row db.Row, what string) {
	if what == "" {
		return
	}
	r := witness.Record{Mail: mailOf(row), At: time.Now().UnixMilli(), What: what}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warn(f.c.Memory.Handed(f.of, r))
	f.pending.Add(r)
	f.moved = true
	if f.seen != nil {
		f.seen.Add(r.Mail)
	}
}

func mailOf(row db.Row) witness.Mail {
	return witness.Mail{ID: row.ID, Created: row.CreatedAt.UnixMicro()}
}

var letterOf = map[db.RecipientState]string{db.RecipientSending: string(witness.Marked), db.RecipientAccepted: string(witness.Accepted),
	db.RecipientUncertain: string(witness.Uncertain), db.RecipientFailed: string(witness.Failed), db.RecipientOpen: string(witness.Open),
	db.RecipientSuppressed: string(witness.Failed)}

// what is a letter for each recipient, alone the one of a row with a single recipient.
func what(all []db.Recipient, alone db.RecipientState) string {
	if len(all) == 0 {
		return letterOf[alone]
	}
	var b strings.Builder
	for _, r := range all {
		b.WriteString(letterOf[r.State])
	}
	return b.String()
}

// Admit looks whether rows that were just taken were handed over before, and whether the database still knows of that. It
// returns those that may be sent; an error means that none may.
func (f *Fence) Admit(ctx context.Context, rows []db.Row) ([]db.Row, error) {
	f.mu.Lock()
	var met []db.Row
	for _, r := range rows {
		if f.seen != nil && f.seen.Has(mailOf(r)) {
			met = append(met, r)
		}
	}
	f.mu.Unlock()
	if len(met) == 0 {
		return rows, nil
	}
	ids := make([]uint64, len(met))
	for i, r := range met {
		ids[i] = r.ID
	}
	tries, err := f.c.Store.Tries(ctx, ids)
	if err != nil {
		return nil, err
	}
	var again []witness.Mail
	for _, r := range met {
		// Refused and taken again, or uncertain and resent: the tries say so, and those who have it stand in outbox_recipient.
		switch t := tries[r.ID]; {
		case t.Marked > 0 && (t.Accepted == 0 || len(r.Known) > 0):
		case t.Marked > 0 && !r.First:
			rows = f.withdraw(rows, r)
		default: // taken for the first time, as the row says
			again = append(again, mailOf(r))
		}
	}
	if len(again) == 0 {
		return rows, nil
	}
	f.look.Lock()
	defer f.look.Unlock()
	f.warn(f.c.Memory.Note(witness.Identity{Identity: f.said.Identity, Addresses: f.c.Reached, Beats: f.said.Beats, Again: again}))
	f.close(evidence{again: again[0].ID}.sentAgain())
	return nil, f.Err()
}

const acceptedBefore = "a server has accepted it before: its answer came after the mail was queued again, or the row was set back. If it is to go once more: outboxd queue release"

// withdraw holds one of the rows that were taken, and returns the others.
func (f *Fence) withdraw(rows []db.Row, one db.Row) []db.Row {
	f.o.Settle(db.Settlement{Lease: one.Lease, Change: db.Change{State: db.Queued, Held: true, GivenBack: true, Lane: one.Lane, LastError: acceptedBefore}})
	return slices.DeleteFunc(slices.Clone(rows), func(r db.Row) bool { return r.ID == one.ID })
}

// remember reads what was handed over before, by this daemon and by others, when the first rows are to be taken, and then
// what others have handed over since.
func (f *Fence) remember(ctx context.Context) {
	if !f.said.Tables {
		return
	}
	seen := f.seen
	if seen == nil {
		seen = &witness.Seen{}
		f.warn(f.c.Memory.Records(octetsInMind, func(identity string, r witness.Record) {
			if identity == f.said.Identity {
				seen.Add(r.Mail)
			}
		}))
	}
	if !f.mute && time.Since(f.silent) >= silentTime {
		ctx, cancel := context.WithTimeout(ctx, listsTime)
		defer cancel()
		if err := f.readLists(ctx, seen); err != nil {
			f.silent = time.Now()
			f.warn(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for mail := range f.pending {
		seen.Add(mail)
	}
	f.seen = seen
}

func (f *Fence) readLists(ctx context.Context, seen *witness.Seen) (err error) {
	if f.listed == 0 {
		if f.listed, err = f.c.Control.HandedBefore(ctx, f.c.Name, listsInMind); err != nil {
			return err
		}
	}
	f.listed, err = f.c.Control.Handed(ctx, f.c.Name, f.listed, func(list db.Handed) error {
		if list.Identity != f.said.Identity {
			return nil
		}
		records, err := witness.Read(list)
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range records {
			seen.Add(r.Mail)
		}
		return err
	})
	return err
}

// Turn is the fence's part of the housekeeping: a beat after mail was handed over, and what it was into the control
// database. With nothing handed over it costs nothing.
func (f *Fence) Turn(ctx context.Context, last bool) {
	f.look.Lock()
	defer f.look.Unlock()
	if f.Err() != nil || f.looked.IsZero() {
		return
	}
	f.mu.Lock()
	moved := f.moved
	f.moved = false
	f.mu.Unlock()
	if moved && f.said.Tables {
		f.advance(ctx)
	}
	if f.c.Control.SameDatabase(f.c.Store) && time.Since(f.looked) >= lookEvery/2 {
		// A restore takes back this witness too: what other daemons did must be remembered here.
		if err := f.examine(ctx); err != nil {
			f.o.Report(err)
			return
		}
	}
	f.flush(ctx, last)
	f.warn(f.c.Memory.Rest())
}

// Watchful tells whether the fence wants its turn although the company is idle.
func (f *Fence) Watchful() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved || f.c.Control.SameDatabase(f.c.Store)
}

// advance counts the beat up and tells the witnesses.
func (f *Fence) advance(ctx context.Context) {
	next, err := f.c.Store.NextBeat(ctx, f.c.Instance, f.beat)
	var older *db.OlderError
	if errors.As(err, &older) {
		err = f.examine(ctx)
	} else if err == nil && next != f.beat {
		f.beat = next
		f.said.Beats[f.c.Instance] = next
		f.tell(ctx, nil)
		return
	}
	f.mu.Lock()
	f.moved = true
	f.mu.Unlock()
	if fenced := new(Error); err != nil && !errors.As(err, &fenced) {
		f.o.Report(err)
	}
}

// suspect has the next look come at once.
func (f *Fence) suspect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suspected = true
}

// fresh tells whether the last look is good enough.
func (f *Fence) fresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	suspected := f.suspected
	f.suspected = false
	return !suspected && time.Since(f.looked) < lookEvery
}

// flush writes what was handed over into the control database, in few and large pieces.
func (f *Fence) flush(ctx context.Context, last bool) {
	f.mu.Lock()
	n := len(f.pending)
	due := n > 0 && (last || n >= flushMany || time.Since(f.flushed) >= flushEvery)
	var records []witness.Record
	if due = due && !f.mute && time.Since(f.silent) >= silentTime; due {
		for _, r := range f.pending {
			records = append(records, r)
		}
		f.pending, f.flushed = witness.Outcomes{}, time.Now()
	}
	f.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	for part := range slices.Chunk(records, flushMany) {
		if err := f.c.Control.NoteHanded(ctx, db.Known{Company: f.c.Name, Identity: f.of, Instance: f.c.Instance}, len(part), witness.Pack(part)); err != nil {
			f.silent = time.Now()
			f.warn(err)
			f.giveBack(part)
		}
	}
}

const mostPending = 200_000 // mails that wait for the control database; more are in the state directory alone

func (f *Fence) giveBack(records []witness.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		if len(f.pending) < mostPending {
			f.pending.Add(r)
		}
	}
}

// End tells the witnesses what they do not know yet, when the company's work has ended.
func (f *Fence) End(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	f.Turn(ctx, true)
	if err := f.c.Memory.Close(); err != nil {
		f.o.Log.Warn(eventWitness, zap.Error(err))
	}
}
