package jobs

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"outboxd/db"
)

// errand is one row in hand, with a sender and, on a limited account, the turn to ask for a slot. Both go back while the row's
// message takes long to make: nobody else's mail waits for a slow query or for memory.
type errand struct {
	f       *feeder
	sender  *sender
	permit  *permit
	decided func() // tells that the next mail may ask for its slot
	room    *share // of its message, in memory
	way     way    // set before it is packed

	mu   sync.Mutex
	made bool // the message: there is nothing to give back for any more
	left bool // sender and turn were given back
}

const (
	// packTime is how long the making of a message may keep a sender, unless a test says otherwise.
	packTime = time.Second
	// backTime is the least time that a message that is made may wait for a sender.
	backTime = time.Minute
	// backTurns is for how many turns of a limited account or job it may wait: others may be before it.
	backTurns = 10
	// latePerSender bounds the rows without a sender whose messages are being made.
	latePerSender = 2
)

// crowdWait is how long a row waits that found too many others before it whose messages take long.
func crowdWait() time.Duration { return time.Duration((15 + 15*rand.Float64()) * float64(time.Second)) }

// endTurn lets the next mail ask for its slot.
func (e *errand) endTurn() {
	e.permit.endTurn()
	e.decided()
}

// end gives back what is left.
func (e *errand) end() {
	e.endTurn()
	if e.sender != nil {
		e.f.a.free(e.sender)
	}
	e.room.end()
}

// pack makes the row's message. That of a row with nothing but its columns never takes long.
func (e *errand) pack(row db.Row) (*parcel, error) {
	if row.Template == "" && !row.Raw && !row.Attached && row.Run == 0 {
		return e.f.packer.pack(e.f.r.stop, row, e.way, e.room)
	}
	ctx, cancel := context.WithCancelCause(e.f.r.stop)
	defer cancel(nil)
	leave := func() { e.leave(cancel) }
	e.room.waits = leave
	timer := time.AfterFunc(e.keepTime(), leave)
	p, err := e.f.packer.pack(ctx, row, e.way, e.room)
	timer.Stop()
	e.mu.Lock()
	e.made = true
	left := e.left
	e.mu.Unlock()
	if left {
		defer func() { <-e.f.late }()
	}
	switch cause, late := context.Cause(ctx).(*waitError); {
	case err != nil && late:
		return nil, cause
	case err == nil && left:
		err = e.comeBack(row)
	}
	return p, err
}

// keepTime is how long the making may keep the sender: less while it could only go back, or many slow rows would each cost the
// others that time.
func (e *errand) keepTime() time.Duration {
	if len(e.f.late) == cap(e.f.late) {
		return e.f.r.c.e.packTime / 10
	}
	return e.f.r.c.e.packTime
}

// leave gives sender and turn back, unless there are too many that did: then the row has to come again.
func (e *errand) leave(cancel context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.made || e.left {
		return
	}
	select {
	case e.f.late <- struct{}{}:
	default:
		cancel(&waitError{"waits for others of the same account whose messages take long to make", crowdWait()})
		return
	}
	e.left = true
	e.f.a.free(e.sender)
	e.sender = nil
	e.f.a.line.unused(e.permit.who)
	e.endTurn()
}

// comeBack waits for a sender and a turn as a row does that is not taken yet.
func (e *errand) comeBack(row db.Row) error {
	ctx, cancel := context.WithTimeout(e.f.r.stop, patience(e.f.a.windows(), e.f.r.bucket.Windows))
	defer cancel()
	e.f.a.line.work(e.f.who)
	defer e.f.a.line.rest(e.f.who)
	p, err := e.f.permit(ctx, 1)
	if err != nil {
		return &waitError{"", notReady}
	}
	e.permit, e.sender, e.decided = p, p.take(), sync.OnceFunc(e.f.decided)
	over, err := e.f.r.c.place.Store.Overdue(e.f.r.stop, row.ID)
	if over {
		return &waitError{"", 0} // the next claim ends it
	}
	return err
}

// patience is how long a message may wait for its turn in all these windows. Were it shorter, on a slow account the same row
// would be made again and again, and others go before it.
func patience(limits ...[]db.Window) time.Duration {
	most := backTime
	for _, windows := range limits {
		for _, w := range windows {
			most = max(most, backTurns*w.Per/time.Duration(w.N))
		}
	}
	return most
}
