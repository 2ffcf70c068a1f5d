package jobs

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

// fence keeps a company from sending from a copy of its database: one that was restored, also in place, or that stands
// somewhere else. It looks before rows are taken, once in a few seconds, and it is the mark's guard in between.
type fence struct {
	c       *company
	control *db.Store
	memory  *witness.Company
	reached []string // see addressesOf

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
	lookEvery    = housekeeping     // a look is good for so long
	doubtTime    = 10 * time.Second // how long a database may seem a copy until it counts as one: a node may lag behind
	witnessTime  = 3 * time.Second  // for a question to the control database
	endTime      = 5 * time.Second  // for what the witnesses do not know yet, at the end
	warnEvery    = time.Minute      // for the same trouble with a witness
	silentTime   = time.Minute      // until a control database that did not answer is asked again
	flushEvery   = time.Minute      // what was handed over stands in the control database after so long
	flushMany    = 2000             // mails, or at once
	listsInMind  = 20000            // of the control database, that are read before the first mail
	octetsInMind = 64 << 20         // of the state directory, the same
)

// FencedError says that a company's database is a copy, and that nothing is sent from it.
type FencedError struct{ Company, Why string }

// Error names the company and the reason.
func (e *FencedError) Error() string {
	return fmt.Sprintf("company %s sends nothing, for its database is not the one it was: %s", e.Company, e.Why)
}

// fenceRemedy says what a person can do about it.
func fenceRemedy(company string) string {
	return fmt.Sprintf("if this database is to go on: outboxd adopt %[1]s marks as sent what is known to be sent, holds all else and shows how much that is; then outboxd adopt %[1]s --send lets it go. If it is a copy to test with: give the company divert: ADDRESS before. If it is a mistake: put back the database that it was, and outboxd goes on by itself", company)
}

func newFence(c *company, w *World, memory *witness.Folder) *fence {
	return &fence{c: c, control: w.Control, memory: memory.Company(c.name), reached: addressesOf(w, c.place), pending: witness.Outcomes{},
		flushed: time.Now()}
}

// addressesOf is how jobs.yaml says that a company's database is reached: as host:port/database for each of its server's hosts.
func addressesOf(w *World, p *Place) []string {
	var all []string
	for _, host := range w.File.Server(p.Company.Server).Addresses() {
		all = append(all, host+"/"+p.Company.Database)
	}
	return all
}

// status tells why the company is fenced, "" when it is not, and since when.
func (f *fence) status() (why string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why, f.since
}

// err is a *FencedError while the company is fenced.
func (f *fence) err() error {
	if why, _ := f.status(); why != "" {
		return &FencedError{f.c.name, why}
	}
	return nil
}

// pass is called before rows are taken: nil means that they may be. It looks when the last look is too long ago.
func (f *fence) pass(ctx context.Context) error {
	f.look.Lock()
	defer f.look.Unlock()
	if err := f.err(); err != nil {
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

// reopen looks anew at the start, and again and again while the company is fenced. The caller is the only one at work. It
// asks a control database that was silent too: where many companies start at once, it may only have been busy.
func (f *fence) reopen(ctx context.Context) error {
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
		f.c.log.Info(eventUnfenced)
	}
	f.c.e.alerts.End(f.alertKey(), fmt.Sprintf("company %s: its database is in order and sends again", f.c.name))
	return nil
}

// examine gathers the evidence and acts on it. What seems to be a copy is looked at again for a while before it counts as
// one, unless that is known already.
func (f *fence) examine(ctx context.Context) error {
	deadline := time.Now().Add(f.c.e.doubt)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		e, err := f.gather(ctx)
		if err != nil {
			return err
		}
		v := e.judge()
		if v.fenced == "" {
			return f.accept(ctx, e, v)
		}
		if known := f.err() != nil; known || time.Now().After(deadline) {
			f.close(v.fenced)
			return f.err()
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// gather asks the database and the witnesses.
func (f *fence) gather(ctx context.Context) (evidence, error) {
	var silent error
	e, err := gatherEvidence(ctx, f.c.place, f.askControl, f.memory, f.c.e.instance.ID, f.reached, &silent)
	f.warn(silent)
	return e, err
}

// askControl asks the control database, unless it was silent lately.
func (f *fence) askControl(ctx context.Context, identity string) ([]db.Known, error) {
	if time.Since(f.silent) < silentTime {
		return nil, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	known, has, err := f.control.Witness(ctx, identity, f.c.name)
	if f.mute = err == nil && !has; err != nil {
		f.silent = time.Now()
	}
	return known, err
}

var errSilent = errors.New("the control database did not answer lately")

// gatherEvidence asks a company's database and its witnesses. A witness that does not answer is told of in silent; where it
// is the only one that might know something, that is the error.
func gatherEvidence(ctx context.Context, p *Place, control func(context.Context, string) ([]db.Known, error), memory *witness.Company,
	instance string, reached []string, silent *error) (evidence, error) {
	e := evidence{company: p.Company.Name, instance: instance, reached: reached}
	var err error
	if e.said, err = p.Store.Fence(ctx); err != nil {
		return e, err
	}
	remembered, err := memory.Known()
	if err != nil {
		*silent = err
	}
	said, err := control(ctx, e.said.Identity)
	if err != nil {
		if len(remembered) == 0 {
			return e, fmt.Errorf("ask the control database about %s, which nobody else knows: %w", p.Company.Name, err)
		}
		if !errors.Is(err, errSilent) {
			*silent = errors.Join(*silent, err)
		}
	}
	e.control, e.known = said, append(remembered, said...)
	if own, there := memory.Own(e.said.Identity); there {
		e.own = &own
		e.again, err = waitAgain(ctx, p.Store, own.Again)
	}
	return e, err
}

// waitAgain returns one of the mails that waits, 0 for none.
func waitAgain(ctx context.Context, s *db.Store, mails []witness.Mail) (uint64, error) {
	if len(mails) == 0 {
		return 0, nil
	}
	var ids []uint64
	for _, m := range mails {
		ids = append(ids, m.ID)
	}
	waiting, err := s.Waiting(ctx, ids)
	for _, m := range mails {
		if at, there := waiting[m.ID]; there && at.UnixMicro() == m.Created {
			return m.ID, err
		}
	}
	return 0, err
}

// accept opens the database: it gets what it lacks, the marks their guard, and the witnesses what they do not know yet.
func (f *fence) accept(ctx context.Context, e evidence, v verdict) error {
	store, instance := f.c.place.Store, f.c.e.instance.ID
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
func (f *fence) tell(ctx context.Context, control []db.Known) {
	now := db.Known{Identity: f.said.Identity, Instance: f.c.e.instance.ID, Company: f.c.name, Beat: f.beat}
	f.warn(f.memory.Note(witness.Identity{Identity: now.Identity, Addresses: f.reached, Beats: f.said.Beats}))
	if f.mute || time.Since(f.silent) < silentTime || slices.Contains(control, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	f.warn(f.control.NoteWitness(ctx, now))
}

// warn tells of a witness that could not be written. The other one still knows.
func (f *fence) warn(err error) {
	if err == nil {
		return
	}
	f.telling.Lock()
	defer f.telling.Unlock()
	if err.Error() == f.warned && time.Since(f.warnedAt) < warnEvery {
		return
	}
	f.warned, f.warnedAt = err.Error(), time.Now()
	f.c.log.Warn(eventWitness, zap.Error(err))
}

func (f *fence) alertKey() string { return "fence " + f.c.name }

// close ends the company's work: its database is a copy.
func (f *fence) close(why string) {
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
	remedy := fenceRemedy(f.c.name)
	f.c.log.Error(eventFenced, zap.String("reason", why), zap.String("remedy", remedy))
	f.c.e.alerts.Start(f.alertKey(), fmt.Sprintf("company %s sends nothing: its database is not the one it was", f.c.name),
		fmt.Sprintf("%v.\n\nNothing is sent and no row is changed.\n\nWhat to do: %s.", f.err(), remedy))
}

// open begins the company's work: the context ends with stop, or when the database turns out to be a copy.
func (f *fence) open(stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(stop)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut = cancel; f.why != "" {
		cancel()
	}
	return ctx, cancel
}
