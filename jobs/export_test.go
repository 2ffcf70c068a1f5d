package jobs

import "time"

// StuckFor lists the loops that have made no progress for so long.
func (e *Engine) StuckFor(d time.Duration) []string { return e.pulses.stuck(d) }

// SetPatience sets how long a database is out of reach before a person is told.
func (e *Engine) SetPatience(d time.Duration) { e.patience, e.control.after = d, d }

// Idle counts the jobs that are asked for together with others.
func (e *Engine) Idle() (n int) {
	e.watches.mu.Lock()
	defer e.watches.mu.Unlock()
	for _, some := range e.watches.all {
		for _, w := range some {
			w.mu.Lock()
			n += len(w.idle)
			w.mu.Unlock()
		}
	}
	return n
}

// SetDoubt sets how long a database may seem a copy until it counts as one.
func (e *Engine) SetDoubt(d time.Duration) { e.doubt = d }

// HeldByAdopt is the note of a row that an adoption has held.
const HeldByAdopt = heldByAdopt

// SkipRuns is what an adoption does to the runs of a company's jobs.
var SkipRuns = skipRuns

// SetRoom sets how much memory heavy messages may take, in octets.
func (e *Engine) SetRoom(octets int64) { e.weigher.room = octets }

// SetPackTime sets how long the making of a message may keep a sender.
func (e *Engine) SetPackTime(d time.Duration) { e.packTime = d }

// Patience is how long a message that is made may wait for its turn.
var Patience = patience

// SetNow sets the clock by which sending windows open.
func (e *Engine) SetNow(now func() time.Time) { e.now = now }

// SetTroubles sets the factor of the pauses of accounts, and how long one is slowed before a person is told; 0 leaves them.
func (e *Engine) SetTroubles(pauses float64, slowed time.Duration) {
	if pauses != 0 {
		e.troubles.pauses = pauses
	}
	if slowed != 0 {
		e.troubles.slowed = slowed
	}
}
