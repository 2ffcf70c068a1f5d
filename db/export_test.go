package db

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Mishap is what happens to a transaction of a simulated database.
type Mishap int

// The mishaps.
const (
	NoMishap  Mishap = iota
	Unreached        // it does not take place
	ReplyLost        // it takes place, and nobody is told
)

var errMishap = errors.New("the database is away")

// Inject has the buckets read the server's clock, in µs, from the test, and asks it before each transaction for a mishap.
func (b *Buckets) Inject(clock func() int64, mishap func() Mishap) {
	within := b.within
	b.within = func(ctx context.Context, f func(ledger) error) error {
		meets := mishap()
		if meets == Unreached {
			return errMishap
		}
		err := within(ctx, func(l ledger) error { return f(withClock{l, clock}) })
		if meets == ReplyLost && err == nil {
			return errMishap
		}
		return err
	}
}

type withClock struct {
	ledger
	server func() int64
}

func (c withClock) clock() (int64, error) { return c.server(), nil }

// Memory is a database of buckets without a database: the rows that the statements would read and write.
type Memory struct {
	buckets map[string]bucketRow
	usage   map[string][]usage // by name, oldest first
}

// NewMemory is empty.
func NewMemory() *Memory {
	return &Memory{buckets: map[string]bucketRow{}, usage: map[string][]usage{}}
}

// Buckets returns the buckets of one daemon.
func (m *Memory) Buckets(mono func() time.Duration) *Buckets {
	return &Buckets{database: "memory", mono: mono, seen: map[string]watch{}, newest: true,
		within: func(_ context.Context, f func(ledger) error) error { return f(m) }}
}

// Pacing is what a bucket remembers of its pace.
type Pacing struct{ p pacing }

// Pacing of a bucket.
func (m *Memory) Pacing(name string) *Pacing { return &Pacing{m.buckets[name].pacing} }

// Slowed is how many mails an hour throttling left the bucket so long after it was throttled; 0 for as many as before.
func (p *Pacing) Slowed(k Bucket, passed time.Duration) int {
	return p.p.slowed(k.full(), p.p.SlowSince+passed.Microseconds())
}

// Full is how many mails an hour the bucket's windows allow.
func Full(k Bucket) int { return k.full() }

// WarmAt is how many mails an hour a warm-up allows after so long; 0 for as many as full.
func WarmAt(w *Warmup, full int, passed time.Duration) int {
	return pacing{WarmSince: 1}.warm(w, full, 1+passed.Microseconds())
}

func (m *Memory) create(name string) error {
	if _, known := m.buckets[name]; !known {
		m.buckets[name] = bucketRow{Name: name}
	}
	return nil
}

func (m *Memory) lock(names []string) (rows []bucketRow, err error) {
	for _, name := range names {
		if row, known := m.buckets[name]; known {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(x, y bucketRow) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return rows, nil
}

func (m *Memory) read(name string) ([]bucketRow, error) { return m.lock([]string{name}) }

func (m *Memory) clock() (int64, error) { return 0, errors.New("no clock was injected") }

func (m *Memory) write(row bucketRow) error {
	row.pacing = m.buckets[row.Name].pacing
	m.buckets[row.Name] = row
	return nil
}

func (m *Memory) writePacing(name string, p pacing) error {
	row := m.buckets[name]
	row.pacing = p
	m.buckets[name] = row
	return nil
}

// at is where the slot stands, or would.
func (m *Memory) at(name string, slot int64) int {
	i, _ := slices.BinarySearchFunc(m.usage[name], slot, func(u usage, slot int64) int { return int(u.Slot - slot) })
	return i
}

func (m *Memory) slots(name string, from int64) ([]usage, error) {
	return m.usage[name][m.at(name, from):], nil
}

func (m *Memory) sum(name string, from int64) (total usage, err error) {
	for _, u := range m.usage[name][m.at(name, from):] {
		total.Slot = u.Slot
		total.Mails += u.Mails
		total.Recipients += u.Recipients
	}
	return total, nil
}

func (m *Memory) add(all []usage) error {
	for _, u := range all {
		i := m.at(u.Name, u.Slot)
		if i == len(m.usage[u.Name]) || m.usage[u.Name][i].Slot != u.Slot {
			m.usage[u.Name] = slices.Insert(m.usage[u.Name], i, usage{Name: u.Name, Slot: u.Slot})
		}
		m.usage[u.Name][i].Mails += u.Mails
		m.usage[u.Name][i].Recipients += u.Recipients
	}
	return nil
}

func (m *Memory) remove(u usage) error {
	rows := m.usage[u.Name]
	if i := m.at(u.Name, u.Slot); i < len(rows) && rows[i].Slot == u.Slot && rows[i].Mails >= u.Mails && rows[i].Recipients >= u.Recipients {
		rows[i].Mails -= u.Mails
		rows[i].Recipients -= u.Recipients
	}
	return nil
}

func (m *Memory) dropBefore(name string, slot int64) error {
	m.usage[name] = slices.Delete(m.usage[name], 0, m.at(name, slot))
	return nil
}

func (m *Memory) dropAfter(name string, slot int64) error {
	m.usage[name] = m.usage[name][:m.at(name, slot+1)]
	return nil
}

func (m *Memory) dropAbandoned(string, int64) error { return nil } // no bucket has been for so long

// SetClusterClock has the pool's cluster go by another clock.
func (p *Pool) SetClusterClock(now func() time.Time) { p.cluster.now = now }

// OneConnection has the pool use a single connection.
func (p *Pool) OneConnection() { p.db.SetMaxOpenConns(1) }

// Questions is how many statements that connection has run, with this one.
func (p *Pool) Questions(ctx context.Context) (n int, err error) {
	var name string
	err = p.db.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Questions'").Scan(&name, &n)
	return n, err
}

// InsertAsIf inserts mails as if their numbers were so far apart.
func (s *Store) InsertAsIf(ctx context.Context, step uint64, mails []NewMail) error {
	return s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		_, err := s.insertChunk(ctx, tx, 1, mails, inserter{Step: step, Packet: 1 << 20})
		return err
	})
}

// SetWriteBackClock has the pause after a write-back that was held up go by another clock.
func (s *Store) SetWriteBackClock(now func() time.Time) { s.backs.now = now }

// BeatEvery has the lease of a run be prolonged so often while its statement runs.
func (s *Store) BeatEvery(d time.Duration) { s.beatEvery = d }

// CheckWriteBack tells whether a statement may be a write-back.
var CheckWriteBack = checkWriteBack
