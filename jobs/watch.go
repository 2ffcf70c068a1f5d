package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"outboxd/db"
)

const (
	// watchSize is how many companies are asked for in one statement. It costs a company about a quarter of a statement
	// of its own, and is short enough to be made anew when one of its databases fails.
	watchSize = 20
	// idlePoll is how often an idle job looks for itself all the same.
	idlePoll = 3 * time.Minute
	// routesWatched is of how many routes an idle company may have rows that wait for their time.
	routesWatched = 4
)

// watches look for rows on behalf of idle jobs, so that a thousand companies with nothing to send cost little.
type watches struct {
	mu  sync.Mutex
	all map[watchKey][]*watch
}

// watchKey is what jobs that are watched together have in common.
type watchKey struct {
	pool *db.Pool
	poll time.Duration
}

// watch asks for a few companies in one statement, every poll. When that fails it does not find out whose database is to
// blame: each job is woken and looks for itself, and the one that fails stays out until it can look again.
type watch struct {
	watchKey
	members int
	end     context.CancelFunc

	mu   sync.Mutex
	idle map[chan struct{}]db.Watched // closed when there is something to see
}

func newWatches() *watches { return &watches{all: map[watchKey][]*watch{}} }

// join returns a watch with room for one more job, which owes a leave.
func (ws *watches) join(pool *db.Pool, poll time.Duration) *watch {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	key := watchKey{pool, poll}
	for _, w := range ws.all[key] {
		if w.members < watchSize {
			w.members++
			return w
		}
	}
	w := &watch{watchKey: key, members: 1, idle: map[chan struct{}]db.Watched{}}
	var ctx context.Context
	ctx, w.end = context.WithCancel(context.Background())
	ws.all[key] = append(ws.all[key], w)
	go w.run(ctx)
	return w
}

func (ws *watches) leave(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.members--; w.members > 0 {
		return
	}
	w.end()
	if ws.all[w.watchKey] = slices.DeleteFunc(ws.all[w.watchKey], func(other *watch) bool { return other == w }); len(ws.all[w.watchKey]) == 0 {
		delete(ws.all, w.watchKey)
	}
}

// await returns true as soon as there is something to do in the company, or when that cannot be told; false after
// idlePoll, and when ctx is done.
func (w *watch) await(ctx context.Context, company db.Watched) bool {
	seen := make(chan struct{})
	w.mu.Lock()
	w.idle[seen] = company
	w.mu.Unlock()
	quiet := sleepUnless(ctx, idlePoll, seen)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.idle, seen)
	return !quiet && ctx.Err() == nil
}

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(w.poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look wakes the jobs that have something to do. A database that hangs must not keep the others for long.
func (w *watch) look(ctx context.Context) {
	w.mu.Lock()
	var waiting []chan struct{}
	var companies []db.Watched
	for seen, company := range w.idle {
		waiting, companies = append(waiting, seen), append(companies, company)
	}
	w.mu.Unlock()
	if len(companies) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	stirred, err := w.pool.Stirred(ctx, companies)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, seen := range waiting {
		_, still := w.idle[seen]
		if still && (err != nil || slices.Contains(stirred, i)) {
			delete(w.idle, seen)
			close(seen)
		}
	}
}

// onOwnStack runs f in a goroutine that ends with it, so that the stacks of thousands of loops that sleep stay small.
func onOwnStack(f func()) {
	var alone sync.WaitGroup
	alone.Go(f)
	alone.Wait()
}
