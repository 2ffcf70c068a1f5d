package jobs

import (
	"context"
	"errors"
	"time"

	"outboxd/db"
	"outboxd/mail/smtpout"
)

// errLost says that the slot went to somebody else: the row is given back and waits for the next one.
var errLost = errors.New("the slot was taken by another")

// shipment is one try to send a parcel.
type shipment struct {
	*parcel
	f      *feeder
	sender *sender
	slot   *slot
}

// send makes the transaction on the sender's session. A session that had died while it rested is replaced once: nothing
// was sent on it.
func (s *shipment) send(work context.Context) (smtpout.Result, error) {
	for fresh := false; ; fresh = true {
		result := s.sender.session.Send(work, smtpout.Delivery{
			From: s.envelope.From, To: s.envelope.To, Message: s.message, UTF8: s.utf8, DSN: s.notifications(),
			BeforeData: s.slot.use,
			Mark: func(ctx context.Context, accepted []bool) error {
				return s.mark(ctx, s.marked(accepted))
			},
		})
		s.sender.mails++
		var stale *smtpout.StaleError
		if fresh || !errors.As(result.Stopped, &stale) {
			return result, nil
		}
		if err := s.f.a.ready(work, s.sender); err != nil {
			return smtpout.Result{}, err
		}
	}
}

// mark commits that the mail is handed over, and has it noted outside of the database too.
func (s *shipment) mark(ctx context.Context, recipients []db.Recipient) error {
	c := s.f.r.c
	if err := c.fence.Err(); err != nil {
		return err
	}
	s.asked = true
	err := c.place.Store.Mark(ctx, db.Mark{Lease: s.row.Lease, Account: s.f.a.conf.Name, Daemon: c.e.host, Recipients: recipients})
	if err == nil {
		s.handed = true
	}
	c.fence.Marked(s.row, recipients, err)
	return err
}

// deliver sends one taken row and settles it, whatever happens. The sender goes on to the next row while the outcome is
// written. decided is called as soon as the slot is: the next mail may ask for its own then.
func (f *feeder) deliver(work context.Context, row db.Row, s *sender, p *permit, decided func()) {
	e := &errand{f: f, sender: s, permit: p, decided: decided, room: f.r.c.e.weigher.share(f.r.c.name, f.a.conf.Name)}
	settlement := f.try(work, &row, e)
	e.end()
	f.addWriteBack(context.WithoutCancel(f.r.c.stop), &settlement, row)
	f.r.c.settle(settlement)
	f.logOutcome(settlement, row, e.way)
}

// refuseSpent ends a row that is never to be sent, whatever it waits for.
func refuseSpent(why error) db.Change {
	var used *db.KeyUsedError
	if errors.As(why, &used) {
		return db.Change{State: db.Skipped, Verdict: true, LastError: why.Error() + ": an old mail is not sent again. If this is another one, insert it with another key"}
	}
	return db.Change{State: db.Failed, Verdict: true, LastError: why.Error() + ": insert a new row to send the mail again"}
}

// notReady is how long a row waits that was taken and then had no session: the account pauses in most cases.
const notReady = time.Second

// givenBack lets a row wait that was not tried. The reason, where there is one, is for a person.
func givenBack(row db.Row, reason string, wait time.Duration) db.Settlement {
	return db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Queued, GivenBack: true, Lane: row.Lane, Wait: wait, LastError: reason}}
}

// unpacked says what becomes of a row of which no message could be made.
func (f *feeder) unpacked(row db.Row, err error) db.Settlement {
	var wrong *rowError
	var skip *skipError
	var nobody *suppressedError
	var wait *waitError
	var gone *db.NoRowError
	var lost *db.LeaseLostError
	switch {
	case f.r.stop.Err() != nil, errors.As(err, &gone), errors.As(err, &lost):
		return givenBack(row, "", 0)
	case errors.As(err, &wrong):
		return unmade(row, db.Failed, err)
	case errors.As(err, &skip):
		return unmade(row, db.Skipped, err)
	case errors.As(err, &nobody): // no verdict: nothing was tried
		return db.Settlement{Lease: row.Lease, Change: db.Change{State: nobody.state, LastError: nobody.text}, Recipients: nobody.each}
	case errors.As(err, &wait):
		return givenBack(row, wait.reason, wait.wait)
	}
	f.r.c.report(err)
	return givenBack(row, "", notReady)
}

// unmade ends a row of which no message is made any more. Some of its recipients may have it since an earlier try.
func unmade(row db.Row, alone db.State, why error) db.Settlement {
	rest, end := db.EndRest(row.Known, alone, why.Error())
	return db.Settlement{Lease: row.Lease, Change: db.Change{State: end, Verdict: true, LastError: why.Error()}, Recipients: rest}
}

// name writes the Message-ID of a finished message into its row, before anything is sent.
func (f *feeder) name(work context.Context, row *db.Row, p *parcel) error {
	if row.MessageID == p.messageID {
		return nil
	}
	err := f.r.c.place.Store.NameMessage(work, row.Lease, p.messageID)
	row.MessageID, p.row.MessageID = p.messageID, p.messageID
	return err
}

// try does everything up to the settlement.
func (f *feeder) try(work context.Context, row *db.Row, e *errand) db.Settlement {
	if f.r.stop.Err() != nil {
		return givenBack(*row, "", 0) // the stop came while it was being taken
	}
	if row.Expired {
		rest, end, reason := db.ExpireRest(row.Known)
		return db.Settlement{Lease: row.Lease, Change: db.Change{State: end, Verdict: true, LastError: reason}, Recipients: rest}
	}
	if row.Spent != nil {
		return db.Settlement{Lease: row.Lease, Change: refuseSpent(row.Spent)}
	}
	w, err := f.r.c.resolver.resolve(row.Account, row.From)
	if err == nil && !f.serves(*row, w) {
		return f.elsewhere(*row, w)
	}
	e.way = w
	var parcel *parcel
	if err == nil {
		parcel, err = e.pack(*row)
	}
	if err == nil {
		err = f.name(work, row, parcel)
	}
	if err != nil {
		return f.unpacked(*row, meaning(err))
	}
	return f.hand(work, *row, parcel, e)
}

// hand gives a parcel to the account's server, once it has a slot.
func (f *feeder) hand(work context.Context, row db.Row, parcel *parcel, e *errand) db.Settlement {
	back := func(reason string, wait time.Duration) db.Settlement { return givenBack(row, reason, wait) }
	if wait, reason := f.a.refused.left(parcel.from); wait > 0 {
		return back(reason, wait)
	}
	if err := f.a.ready(work, e.sender); err != nil {
		return back("", notReady)
	}
	slot, err := f.takeSlot(work, parcel.envelope.To)
	e.endTurn()
	var full *domainFullError
	switch {
	case errors.As(err, &full):
		return f.stepAside(row, full)
	case errors.Is(err, errLost):
		return back("", 0)
	case err != nil:
		return back("", limitsPause)
	}
	ship := &shipment{parcel: parcel, f: f, sender: e.sender, slot: slot}
	result, err := ship.send(work)
	if !slot.used {
		slot.refund(context.WithoutCancel(work))
	}
	if err != nil {
		return back("", notReady)
	}
	t := f.decide(parcel, result)
	if parcel.handed {
		f.r.c.fence.Settled(row, parcel.all, t)
	}
	return t
}
