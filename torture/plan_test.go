//go:build unix

package torture

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"outboxd/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// The flags of make torture. Without them TestTorture is the short form.
var (
	flagSeed    = flag.Uint64("seed", 1, "which rows and faults")
	flagKills   = flag.Int("kills", 0, "how many daemons are killed; 0 is the short form")
	flagRows    = flag.Int("rows", 100_000, "how many rows are inserted")
	flagDaemons = flag.Int("daemons", 3, "how many daemons run at once, 1 to 3")
	flagMinutes = flag.Float64("minutes", 30, "the longest time for all of it")
)

// plan says what a run has to withstand.
type plan struct {
	seed    uint64
	kills   int
	rows    int
	daemons int
	limit   time.Duration // a run that takes longer has failed
	every   time.Duration // about how often the database has trouble; 0 is never
	lasting float64       // how long its troubles last: a factor
	idle    time.Duration // how long a kill waits for mails to flow
	frozen  time.Duration // one daemon is frozen so long, past its lease; 0 is none
	refuse  float64       // share of steps at which the server refuses a mail, or breaks off
	ail     float64       // share of steps at which the server itself is in trouble, so that an account pauses
	slow    float64       // share of steps at which the server takes its time
	paced   int           // mails that the limited account may send in any minute
	offered int           // how many mails it has waiting
	forge   float64       // share of kills before which leases end early
}

// short takes some ten seconds.
func short(seed uint64) plan {
	return plan{seed: seed, kills: 10, rows: 1000, daemons: 2, limit: 2 * time.Minute, every: 150 * time.Millisecond, lasting: 0.15, idle: 400 * time.Millisecond,
		refuse: 0.03, ail: 0.0005, slow: 0.05, forge: 0.2, paced: 600, offered: 30}
}

// full is what make torture runs.
func full() plan {
	p := plan{seed: *flagSeed, kills: *flagKills, rows: *flagRows, daemons: min(3, max(1, *flagDaemons)),
		limit: time.Duration(*flagMinutes * float64(time.Minute)), every: 4 * time.Second, lasting: 1, idle: 1500 * time.Millisecond,
		refuse: 0.02, ail: 0.0003, slow: 0.02, forge: 0.1, paced: 240, offered: 40}
	if p.kills >= 100 { // longer than it sleeps
		p.frozen = 66 * time.Second
	}
	return p
}

// rand is the randomness of one part of the plan: parts that run side by side do not disturb each other's.
func (p plan) rand(part uint64) *rand.Rand { return rand.New(rand.NewPCG(p.seed, part)) }

// The parts with a randomness of their own. Writers count on from partWriter.
const (
	partKills uint64 = iota
	partDatabase
	partLink
	partWriter
)

// TestTorture attacks outboxd as it is. See the package for what counts as a break.
func TestP1P2P3_Torture(t *testing.T) {
	t.Parallel() // most of it is waiting
	p := short(*flagSeed)
	if *flagKills > 0 {
		p = full()
	}
	r := p.run(t, build(t, nil))
	t.Logf("\n%s", r)
	for _, b := range r.first(20) {
		t.Error(b)
	}
	if r.kills < p.kills {
		t.Errorf("only %d of %d kills in %s", r.kills, p.kills, p.limit)
	}
}
