package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// flood is the guard of a job's hold_above: rows beyond so many in the hour before each of them are held. It reads every row once, in the
// order of their numbers, and no row is taken before that. All that it knows comes from the table: another daemon, and
// the next life of this one, judge alike.
type flood struct {
	r    *runner
	most int // rows an hour

	// Of the look alone.
	hour    []time.Time // when the last rows came, at most most of them, as a ring
	oldest  int         // in the ring
	at      uint64      // rows up to this number have been read
	begun   bool
	alarmed bool

	mu   sync.Mutex
	open bool     // the guard has no table to work with: all rows go
	from uint64   // rows below this number are not judged
	last uint64   // and those above this one have just come
	seen []uint64 // one bit for each number from there on
	met  uint64   // the lowest number that a claim met and that was passed by, as it was not committed then; 0 for none
}

const (
	floodWindow = time.Hour
	// floodMemory is how long before the start of the daemon a row may have come to be judged.
	floodMemory = 24 * time.Hour
	floodBatch  = 5000
	// floodLook bounds one look; the next one goes on behind it.
	floodLook = time.Second
)

func newFlood(r *runner) *flood {
	if r.job.HoldAbove == nil {
		return nil
	}
	return &flood{r: r, most: r.job.HoldAbove.N}
}

// admit tells whether the row may be taken.
func (g *flood) admit(id uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.open || id < g.from && g.from > 0:
		return true
	case id > g.last:
		return false
	case g.seen[(id-g.from)/64]&(1<<((id-g.from)%64)) != 0:
		return true
	}
	g.again(id)
	return false
}

// again has a row, and what came after it, read again. The caller holds the lock.
func (g *flood) again(id uint64) {
	if g.met == 0 || id < g.met {
		g.met = id
	}
}

// look reads what has come since the last one, and holds the surplus.
func (g *flood) look(ctx context.Context) error {
	err := g.read(ctx)
	missing := db.NoTable(err)
	g.mu.Lock()
	told := g.open
	g.open = missing
	g.mu.Unlock()
	key := g.key() + " guard"
	switch {
	case missing && !told:
		g.r.c.e.alerts.Start(key, fmt.Sprintf("company %s: hold_above of job %s does not guard", g.r.c.name, g.r.job.Name),
			"The table outbox_surplus is missing, so nothing is held however much arrives; all else works.\n\nRun outboxd migrate.")
	case err == nil:
		g.r.c.e.alerts.End(key, fmt.Sprintf("company %s: hold_above of job %s guards", g.r.c.name, g.r.job.Name))
	}
	if missing {
		return nil
	}
	return err
}

func (g *flood) read(ctx context.Context) error {
	if err := g.begin(ctx); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < floodLook; {
		rows, err := g.r.c.place.Store.Arrivals(ctx, g.at, floodBatch)
		if err != nil {
			return err
		}
		if err := g.judge(ctx, rows); err != nil {
			return err
		}
		if len(rows) < floodBatch {
			break
		}
	}
	if !g.full(time.Now()) {
		g.alarmed = false
		g.r.c.e.alerts.End(g.key(), fmt.Sprintf("company %s: fewer mails arrive than hold_above of job %s allows", g.r.c.name, g.r.job.Name))
	}
	return nil
}

// begin finds where to read from: an hour before the first row that waits; and anew before a row that was committed so
// late that it had been passed by.
func (g *flood) begin(ctx context.Context) error {
	g.mu.Lock()
	met := g.met
	g.met = 0
	g.mu.Unlock()
	store, since := g.r.c.place.Store, time.Now()
	if g.begun && met == 0 {
		return nil
	}
	if !g.begun {
		err := store.CheckSurplus(ctx)
		if err != nil {
			return err
		}
		if met, err = store.FirstWaiting(ctx); err != nil {
			return err
		}
	}
	row, there, err := store.Arrived(ctx, met)
	if err != nil {
		return err
	}
	if there && met > 0 && row.CreatedAt.Before(since) {
		since = row.CreatedAt
	}
	if earliest := time.Now().Add(-floodMemory); since.Before(earliest) {
		since = earliest
	}
	at, err := store.ArrivedBefore(ctx, since.Add(-floodWindow))
	if err != nil {
		return err
	}
	g.hour, g.oldest = nil, 0
	if g.begun {
		g.at = min(g.at, at, met-1)
		return nil
	}
	g.begun, g.at = true, at
	g.mu.Lock()
	g.from, g.last = at+1, at
	g.mu.Unlock()
	return nil
}

// judge notes when the rows came and holds those that are too many, before any of them may be taken.
func (g *flood) judge(ctx context.Context, rows []db.Arrival) error {
	var surplus []uint64
	for _, row := range rows {
		if row.Cancelled || row.Run > 0 || !g.takes(row) { // a run's mails were counted and approved
			continue
		}
		if g.full(row.CreatedAt) {
			surplus = append(surplus, row.ID)
		}
		g.note(row.CreatedAt)
	}
	why := fmt.Sprintf("held: more than %d mails arrived within an hour (hold_above of job %s). Release it if it is wanted: outboxd queue release; or cancel it", g.most, g.r.job.Name)
	held, locked, err := g.r.c.place.Store.HoldSurplus(ctx, g.r.job.Name, why, surplus)
	if held > 0 {
		g.tell(held)
	}
	slices.Sort(locked)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.again(rows[0].ID)
		return err
	}
	for _, row := range rows {
		_, later := slices.BinarySearch(locked, row.ID)
		g.see(row.ID, !later)
	}
	if len(rows) > 0 {
		g.at = rows[len(rows)-1].ID
	}
	return nil
}

// full tells whether a row that comes at t has so many before it within its hour that it is one too many.
func (g *flood) full(t time.Time) bool {
	return len(g.hour) == g.most && t.Sub(g.hour[g.oldest]) < floodWindow
}

func (g *flood) note(t time.Time) {
	if len(g.hour) < g.most {
		g.hour = append(g.hour, t)
		return
	}
	g.hour[g.oldest] = t
	g.oldest = (g.oldest + 1) % g.most
}

// see notes that the row was read, and whether it was judged. The caller holds the lock.
func (g *flood) see(id uint64, judged bool) {
	if id < g.from {
		return
	}
	word := int((id - g.from) / 64)
	for len(g.seen) <= word {
		g.seen = append(g.seen, 0)
	}
	if judged {
		g.seen[word] |= 1 << ((id - g.from) % 64)
	}
	g.last = max(g.last, id)
}

// takes tells whether the row is one of the job's.
func (g *flood) takes(row db.Arrival) bool {
	if !slices.Contains(g.r.priorities(), row.Priority) {
		return false
	}
	if len(g.r.job.Accounts) == 0 {
		return true
	}
	w, err := g.r.c.resolver.resolve(row.Account, row.From)
	return err == nil && slices.Contains(g.r.job.Accounts, w.account.Name)
}

func (g *flood) key() string { return "flood " + g.r.c.name + "/" + g.r.job.Name }

// tell tells a person, once.
func (g *flood) tell(held int) {
	g.r.log.Warn(eventSurplusHeld, zap.Int("rows", held))
	g.alarmed = true
	c := g.r.c.name
	g.r.c.e.alerts.Start(g.key(), fmt.Sprintf("company %s: more mails arrive than %s", c, g.r.job.HoldAbove),
		fmt.Sprintf("More mails of company %s arrive than hold_above of job %s allows (%s). The surplus is held, and nothing of it is sent; what was first in the hour goes.\n"+
			"Is a program or a trigger running in circles? See them:\n\n  outboxd queue list --company %s --held\n\nThen let them go, or end them:\n\n"+
			"  outboxd queue release --company %s --surplus --reason TEXT\n  outboxd queue cancel --company %s --surplus --reason TEXT",
			c, g.r.job.Name, g.r.job.HoldAbove, c, c, c))
}

// guards tells whether there is a job with hold_above, named COMPANY/JOB. The caller holds the lock.
func (e *Engine) guards(name string) bool {
	company, job, _ := strings.Cut(name, "/")
	p := e.world.Place(company)
	return p != nil && slices.ContainsFunc(p.Company.Jobs.Deliver, func(j *jobfile.Deliver) bool { return j.Name == job && j.HoldAbove != nil })
}
