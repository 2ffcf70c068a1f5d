package fence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// Fence stands before one company's database. It looks before rows are taken, once in a few seconds, and it is the mark's guard
// in between. All methods may be called by several at once, but for Reopen, Open and End, by which the company's work begins and ends.
type Fence struct {
	c Company
	o Options

	look   sync.Mutex // one look or turn at a time
	looked time.Time
	said   db.Fence
	beat   db.Beat
	seen   *witness.Seen // nil until it is needed
	listed uint64        // the last list of the control database that is in seen

	silent time.Time // when the control database was asked last and did not answer
	mute   bool      // the control database has no tables for it yet

	mu      sync.Mutex
	why     string // why the database is a copy, "" when it is none
	since   time.Time
	shut    context.CancelFunc // ends the company's work
	of      string             // the identity that mail is handed over from
	pending witness.Outcomes   // not yet in the control database
	flushed time.Time
	moved   bool // mail was handed over since the last beat

	suspected bool // a mark has found the database older

	telling  sync.Mutex
	warned   string // the last trouble with a witness that was told of
	warnedAt time.Time
}

const (
	lookEvery    = 5 * time.Second  // a look is good for so long
	doubtTime    = 10 * time.Second // how long a database may seem a copy until it counts as one: a node may lag behind
	witnessTime  = 3 * time.Second  // for a question to the control database
	listsTime    = 10 * time.Second // for all that it has about mails that were handed over
	endTime      = 5 * time.Second  // for what the witnesses do not know yet, at the end
	warnEvery    = time.Minute      // for the same trouble with a witness
	silentTime   = time.Minute      // until a control database that did not answer is asked again
	flushEvery   = time.Minute      // what was handed over stands in the control database after so long
	flushMany    = 2000             // mails, or at once
	listsInMind  = 20000            // of the control database, that are read before the first mail
	octetsInMind = 64 << 20         // of the state directory, the same
)

// Options are what a fence needs of the engine that it stands in.
type Options struct {
	Doubt  time.Duration // how long a database may seem a copy until it counts as one: a node may lag behind; 0 for ten seconds
	Log    *zap.Logger   // of the company
	Key    string        // of the alert that the company is fenced
	Alerts interface {
		Start(key, subject, text string)
		End(key, subject string)
	}
	Report func(error)         // is told how a statement in the company's database went, where no caller is
	Settle func(db.Settlement) // writes what becomes of a row that was taken
}

// The mail log's events of a fence; docs/operations.md lists them all.
const (
	eventFenced   = "fenced"   // the company's database is a copy, or was restored: nothing is sent
	eventUnfenced = "unfenced" // it was adopted, or the right one is back
	eventWitness  = "witness"  // what is known outside of the database could not be read or written
)

// New makes a company's fence. It asks nothing before Reopen.
func New(c Company, o Options) *Fence {
	if o.Doubt == 0 {
		o.Doubt = doubtTime
	}
	return &Fence{c: c, o: o, pending: witness.Outcomes{}, flushed: time.Now()}
}

// Err is an *Error while the company is fenced, as the last look has found, else nil.
func (f *Fence) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why != "" {
		return &Error{f.c.Name, f.why, f.since}
	}
	return nil
}

// Pass is called before rows are taken, and before whatever else an engine begins: nil means that it may. It looks when the last look is too long ago. The error
// is an *Error, or says why it cannot be told whether the database is a copy: then nothing may begin either.
func (f *Fence) Pass(ctx context.Context) error {
	f.look.Lock()
	defer f.look.Unlock()
	if err := f.Err(); err != nil {
		return err
	}
	if f.fresh() {
		if f.seen == nil {
			f.remember(ctx)
		}
		return nil
	}
	if err := f.examine(ctx); err != nil {
		return err
	}
	f.remember(ctx)
	return nil
}

// Reopen looks anew at the start, and again and again while the company is fenced; nil means that its work may begin. The caller is
// the only one at work. It asks a control database that was silent too: where many companies start at once, it may only have been busy.
func (f *Fence) Reopen(ctx context.Context) error {
	f.look.Lock()
	defer f.look.Unlock()
	f.silent = time.Time{}
	if err := f.examine(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	was := f.why
	f.why = ""
	f.mu.Unlock()
	if was != "" {
		f.o.Log.Info(eventUnfenced)
	}
	f.o.Alerts.End(f.o.Key, fmt.Sprintf("company %s: its database is in order and sends again", f.c.Name))
	return nil
}

// examine gathers the evidence and acts on it. What seems to be a copy is looked at again for a while before it counts as
// one, unless that is known already.
func (f *Fence) examine(ctx context.Context) error {
	deadline := time.Now().Add(f.o.Doubt)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		e, err := f.gather(ctx)
		if err != nil {
			return err
		}
		v := e.judge()
		if v.fenced == "" {
			return f.accept(ctx, e, v)
		}
		if known := f.Err() != nil; known || time.Now().After(deadline) {
			f.close(v.fenced)
			return f.Err()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gather asks the database and the witnesses.
func (f *Fence) gather(ctx context.Context) (evidence, error) {
	var silent error
	e, err := f.c.gather(ctx, f.askControl, &silent)
	f.warn(silent)
	return e, err
}

// askControl asks the control database, unless it was silent lately.
func (f *Fence) askControl(ctx context.Context, identity string) ([]db.Known, error) {
	if time.Since(f.silent) < silentTime {
		return nil, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	known, has, err := f.c.Control.Witness(ctx, identity, f.c.Name)
	if f.mute = err == nil && !has; err != nil {
		f.silent = time.Now()
	}
	return known, err
}

var errSilent = errors.New("the control database did not answer lately")

// accept opens the database: it gets what it lacks, the marks their guard, and the witnesses what they do not know yet.
func (f *Fence) accept(ctx context.Context, e evidence, v verdict) error {
	store, instance := f.c.Store, f.c.Instance
	var err error
	switch {
	case v.first:
		if err = store.Identify(ctx, e.said.Place); err == nil {
			e.said, err = store.Fence(ctx)
		}
	case v.moved:
		err = store.NotePlace(ctx, e.said.Place)
	}
	if err != nil {
		return err
	}
	beat, there := e.said.Beats[instance]
	if !there {
		if beat, err = store.JoinBeat(ctx, instance); err != nil {
			return err
		}
		e.said.Beats[instance] = beat
	}
	store.Guard(instance, beat)
	f.said, f.beat, f.looked = e.said, beat, time.Now()
	f.flush(ctx, f.of != "" && f.of != e.said.Identity)
	f.mu.Lock()
	if f.of != e.said.Identity { // adopted meanwhile: numbers of before say nothing
		f.of, f.pending, f.seen, f.listed = e.said.Identity, witness.Outcomes{}, nil, 0
	}
	f.mu.Unlock()
	f.tell(ctx, e.control)
	return nil
}

// tell lets the witnesses know how far the database has come. What they know already is not told again.
func (f *Fence) tell(ctx context.Context, control []db.Known) {
	now := db.Known{Identity: f.said.Identity, Instance: f.c.Instance, Company: f.c.Name, Beat: f.beat}
	f.warn(f.c.Memory.Note(witness.Identity{Identity: now.Identity, Addresses: f.c.Reached, Beats: f.said.Beats}))
	if f.mute || time.Since(f.silent) < silentTime || slices.Contains(control, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	f.warn(f.c.Control.NoteWitness(ctx, now))
}

// warn tells of a witness that could not be written. The other one still knows.
func (f *Fence) warn(err error) {
	if err == nil {
		return
	}
	f.telling.Lock()
	defer f.telling.Unlock()
	if err.Error() == f.warned && time.Since(f.warnedAt) < warnEvery {
		return
	}
	f.warned, f.warnedAt = err.Error(), time.Now()
	f.o.Log.Warn(eventWitness, zap.Error(err))
}

// close ends the company's work: its database is a copy.
func (f *Fence) close(why string) {
	f.mu.Lock()
	known, shut := f.why != "", f.shut
	if !known {
		f.why, f.since = why, time.Now()
	}
	f.mu.Unlock()
	if known {
		return
	}
	if shut != nil {
		shut()
	}
	f.flush(context.Background(), true)
	remedy := Remedy(f.c.Name)
	f.o.Log.Error(eventFenced, zap.String("reason", why), zap.String("remedy", remedy))
	f.o.Alerts.Start(f.o.Key, fmt.Sprintf("company %s sends nothing: its database is not the one it was", f.c.Name),
		fmt.Sprintf("%v.\n\nNothing is sent and no row is changed.\n\nWhat to do: %s.", f.Err(), remedy))
}

// Open begins the company's work: the context ends with stop, when the database turns out to be a copy, or by the function that it returns.
func (f *Fence) Open(stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(stop)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut = cancel; f.why != "" {
		cancel()
	}
	return ctx, cancel
}
