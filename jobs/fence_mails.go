package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// note tells the witnesses what becomes of a mail that is handed over: first that it is marked, then its outcome.
func (f *fence) note(row db.Row, what string) {
	if what == "" {
		return
	}
	r := witness.Record{Mail: mailOf(row), At: time.Now().UnixMilli(), What: what}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warn(f.memory.Handed(f.of, r))
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
	db.RecipientUncertain: string(witness.Uncertain), db.RecipientFailed: string(witness.Failed), db.RecipientOpen: string(witness.Open)}

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

// outcome is what a settlement says about a mail that was marked.
func (p *parcel) outcome(t db.Settlement) string {
	all := p.all
	if len(t.Recipients) > 0 {
		all = t.Recipients
	}
	switch t.State {
	case db.Sent:
		return what(all, db.RecipientAccepted)
	case db.Uncertain:
		return what(all, db.RecipientUncertain)
	case db.Failed:
		return what(all, db.RecipientFailed)
	}
	return what(all, db.RecipientOpen)
}

// admit looks whether rows that were just taken were handed over before, and whether the database still knows of that. It
// returns those that may be sent; an error means that none may.
func (f *fence) admit(ctx context.Context, rows []db.Row) ([]db.Row, error) {
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
	tries, err := f.c.place.Store.Tries(ctx, ids)
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
	f.warn(f.memory.Note(witness.Identity{Identity: f.said.Identity, Addresses: f.reached, Beats: f.said.Beats, Again: again}))
	f.close(evidence{again: again[0].ID}.sentAgain())
	return nil, f.err()
}

const acceptedBefore = "a server has accepted it before: its answer came after the mail was queued again, or the row was set back. If it is to go once more: outboxd queue release"

// withdraw holds one of the rows that were taken, and returns the others.
func (f *fence) withdraw(rows []db.Row, one db.Row) []db.Row {
	f.c.settle(db.Settlement{Lease: one.Lease, Change: db.Change{State: db.Queued, Held: true, GivenBack: true, Lane: one.Lane, LastError: acceptedBefore}})
	return slices.DeleteFunc(slices.Clone(rows), func(r db.Row) bool { return r.ID == one.ID })
}

// remember reads what was handed over before, by this daemon and by others, when the first rows are to be taken, and then
// what others have handed over since.
func (f *fence) remember(ctx context.Context) {
	if !f.said.Tables {
		return
	}
	seen := f.seen
	if seen == nil {
		seen = &witness.Seen{}
		f.warn(f.memory.Records(octetsInMind, func(identity string, r witness.Record) {
			if identity == f.said.Identity {
				seen.Add(r.Mail)
			}
		}))
	}
	if !f.mute && time.Since(f.silent) >= silentTime {
		ctx, cancel := context.WithTimeout(ctx, askTime)
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

func (f *fence) readLists(ctx context.Context, seen *witness.Seen) (err error) {
	if f.listed == 0 {
		if f.listed, err = f.control.HandedBefore(ctx, f.c.name, listsInMind); err != nil {
			return err
		}
	}
	f.listed, err = f.control.Handed(ctx, f.c.name, f.listed, func(list db.Handed) error {
		if list.Identity != f.said.Identity {
			return nil
		}
		records, err := witness.Unpack(list.Records)
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range records {
			seen.Add(r.Mail)
		}
		return wrapList(list.ID, err)
	})
	return err
}

func wrapList(id uint64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("list %d in outbox_handed: %w", id, err)
}

// turn is the fence's part of the housekeeping: a beat after mail was handed over, and what it was into the control
// database. With nothing handed over it costs nothing.
func (f *fence) turn(ctx context.Context, last bool) {
	f.look.Lock()
	defer f.look.Unlock()
	if f.err() != nil || f.looked.IsZero() {
		return
	}
	f.mu.Lock()
	moved := f.moved
	f.moved = false
	f.mu.Unlock()
	if moved && f.said.Tables {
		f.advance(ctx)
	}
	if f.control.SameDatabase(f.c.place.Store) && time.Since(f.looked) >= lookEvery/2 {
		// A restore takes back this witness too: what other daemons did must be remembered here.
		if err := f.examine(ctx); err != nil {
			f.c.report(err)
			return
		}
	}
	f.flush(ctx, last)
	f.warn(f.memory.Rest())
}

// watchful tells whether the fence wants its turn although the company is idle.
func (f *fence) watchful() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved || f.control.SameDatabase(f.c.place.Store)
}

// advance counts the beat up and tells the witnesses.
func (f *fence) advance(ctx context.Context) {
	next, err := f.c.place.Store.NextBeat(ctx, f.c.e.instance.ID, f.beat)
	var older *db.OlderError
	if errors.As(err, &older) {
		err = f.examine(ctx)
	} else if err == nil && next != f.beat {
		f.beat = next
		f.said.Beats[f.c.e.instance.ID] = next
		f.tell(ctx, nil)
		return
	}
	f.mu.Lock()
	f.moved = true
	f.mu.Unlock()
	if fenced := new(FencedError); err != nil && !errors.As(err, &fenced) {
		f.c.report(err)
	}
}

// suspect has the next look come at once.
func (f *fence) suspect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suspected = true
}

// fresh tells whether the last look is good enough.
func (f *fence) fresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	suspected := f.suspected
	f.suspected = false
	return !suspected && time.Since(f.looked) < lookEvery
}

// flush writes what was handed over into the control database, in few and large pieces.
func (f *fence) flush(ctx context.Context, last bool) {
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
		if err := f.control.NoteHanded(ctx, db.Known{Company: f.c.name, Identity: f.of, Instance: f.c.e.instance.ID}, len(part), witness.Pack(part)); err != nil {
			f.silent = time.Now()
			f.warn(err)
			f.giveBack(part)
		}
	}
}

const mostPending = 200_000 // mails that wait for the control database; more are in the state directory alone

func (f *fence) giveBack(records []witness.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		if len(f.pending) < mostPending {
			f.pending.Add(r)
		}
	}
}

// end tells the witnesses what they do not know yet, when the company's work has ended.
func (f *fence) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	f.turn(ctx, true)
	if err := f.memory.Close(); err != nil {
		f.c.log.Warn(eventWitness, zap.Error(err))
	}
}
