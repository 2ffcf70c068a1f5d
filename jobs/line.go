package jobs

import (
	"context"
	"math"
	"slices"
	"sync"

	"outboxd/jobs/jobfile"
)

// line divides an account between the companies that use it, by their weights: start-time fair queueing. Each mail moves
// its company's own clock on by 1/weight, and who waits with the slowest clock goes next. A company that had nothing to
// send begins at the time of the others, so that idleness gathers no credit.
type line struct {
	share  int     // senders that companies divide when several are free
	credit float64 // how far a company that is at work and too slow to take its turn may fall behind

	mu      sync.Mutex
	parties map[string]*party
	latest  float64   // the fastest clock of all
	waiting []*waiter // in the order of asking
}

// party is one company at the account.
type party struct {
	weight  float64
	clock   float64 // virtual time of its next mail
	working int     // feeders that have something to send
	passed  int     // how often one of its jobs went before another that had asked first
}

// asker is who asks for an account.
type asker struct {
	company string // "" for alerts
	weight  int
	first   bool // its job takes priority 1
	alone   bool // and nothing else
}

// alertAsker is outboxd itself, when it tells a person of trouble.
var alertAsker = asker{weight: 100, first: true, alone: true}

func newAsker(c *jobfile.Company, j *jobfile.Deliver) asker {
	return asker{company: c.Name, weight: c.Weight, first: len(j.Priority) == 0 || slices.Contains(j.Priority, 1),
		alone: len(j.Priority) == 1 && j.Priority[0] == 1}
}

// waiter is somebody who asked and has not got a permit yet.
type waiter struct {
	asker
	most    int          // senders that it can use
	granted chan *permit // holds one
}

func newLine(connections int) *line {
	return &line{share: connections, credit: float64(connections + 4), parties: map[string]*party{}}
}

// work tells that the asker has something to send until it rests.
func (l *line) work(who asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.parties[who.company]
	if p == nil {
		p = &party{}
		l.parties[who.company] = p
	}
	p.weight = float64(who.weight)
	if p.working == 0 {
		p.clock = max(p.clock, l.now())
	}
	p.working++
}

func (l *line) rest(who asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parties[who.company].working--
}

// now is the time of the slowest company at work, or the latest when none is. The caller holds the lock.
func (l *line) now() float64 {
	now := math.Inf(1)
	for _, p := range l.parties {
		if p.working > 0 {
			now = min(now, l.clock(p))
		}
	}
	if math.IsInf(now, 1) {
		return l.latest
	}
	return now
}

// clock is the party's time, no further behind than the credit allows.
func (l *line) clock(p *party) float64 { return max(p.clock, l.latest-l.credit) }

// join adds a waiter at the end.
func (l *line) join(who asker, most int) *waiter {
	w := &waiter{asker: who, most: most, granted: make(chan *permit, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
	return w
}

// quit removes a waiter. A permit that it was given meanwhile is returned.
func (l *line) quit(w *waiter) *permit {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, w); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return nil
	}
	return <-w.granted
}

// grant hands the permit to whose turn it is, with as many further free senders as are its share. When nobody waits any
// more the sender is free again, and false returned.
func (l *line) grant(p *permit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.next()
	if w == nil {
		p.account.free(p.take())
		return false
	}
	l.waiting = slices.Delete(l.waiting, slices.Index(l.waiting, w), slices.Index(l.waiting, w)+1)
	p.who = w.asker
	if !p.turn && w.most > 1 {
		p.addFree(min(w.most, l.shareOf(w.company)))
	}
	l.move(w.company, len(p.senders))
	w.granted <- p
	return true
}

// next is the waiter to serve: of the company with the slowest clock, and of its jobs one that takes priority 1, though not
// always: what one claim is to low priorities, the order in the line is to jobs that divide the rows by priority. The
// caller holds the lock.
func (l *line) next() *waiter {
	var best, urgent *waiter
	for _, w := range l.waiting {
		if best == nil || l.clock(l.parties[w.company]) < l.clock(l.parties[best.company]) {
			best = w
		}
	}
	if best == nil {
		return nil
	}
	for _, w := range l.waiting {
		if w.company == best.company && w.first && (urgent == nil || w.alone && !urgent.alone) {
			urgent = w
		}
	}
	p := l.parties[best.company]
	if urgent == nil || urgent == best || best.first && !urgent.alone || !urgent.alone && p.passed >= lowEvery-1 {
		p.passed = 0
		return best
	}
	p.passed++
	return urgent
}

// shareOf is the company's part of the senders, rounded up. The caller holds the lock.
func (l *line) shareOf(company string) int {
	sum := 0.0
	for _, p := range l.parties {
		if p.working > 0 {
			sum += p.weight
		}
	}
	return int(math.Ceil(float64(l.share) * l.parties[company].weight / sum))
}

// move turns the company's clock by so many mails, back for senders that it did not use. The caller holds the lock.
func (l *line) move(company string, mails int) {
	p := l.parties[company]
	p.clock = l.clock(p) + float64(mails)/p.weight
	l.latest = max(l.latest, p.clock)
}

func (l *line) unused(who asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.move(who.company, -1)
}

// acquire waits until the account is well and due, a sender is free, and it is the asker's turn. It must be at work. An
// unlimited account gives up to most senders, as far as its share goes. Of those who wait one sees to the next permit and
// hands it to whose turn it is by then.
func (a *account) acquire(ctx context.Context, who asker, most int) (*permit, error) {
	w := a.line.join(who, most)
	for {
		select {
		case p := <-w.granted:
			return p, nil
		case a.making <- struct{}{}:
		case <-ctx.Done():
			if p := a.line.quit(w); p != nil {
				p.release()
			}
			return nil, ctx.Err()
		}
		if len(w.granted) == 0 { // else it was served right before, and nobody may have a sender left
			if p, err := a.prepare(ctx); err == nil {
				if turn := p.turn; a.line.grant(p) && turn {
					continue // the turn is the permit's now
				}
			}
		}
		<-a.making
	}
}
