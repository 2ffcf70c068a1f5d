package jobs

import (
	"sync"
	"time"

	"outboxd/mail"
)

// refusals remembers senders that an account's server does not accept, so that their rows step aside without bothering
// the server again and again. It forgets with the process, and the oldest when there are many.
type refusals struct {
	mu sync.Mutex
	by map[string]refusal // by address
}

type refusal struct {
	until    time.Time
	failures int
	reason   string
}

const maxRefusals = 1000

// add notes a refusal and returns how long the sender's rows wait.
func (r *refusals) add(sender string, o mail.Outcome) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil || len(r.by) >= maxRefusals {
		r.by = map[string]refusal{}
	}
	known := r.by[sender]
	pause := pauseFor(o, known.failures)
	r.by[sender] = refusal{time.Now().Add(pause), known.failures + 1, explain(o)}
	return pause
}

// left tells how long a sender's rows still wait, and why.
func (r *refusals) left(sender string) (time.Duration, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.by[sender]
	return time.Until(known.until), known.reason
}

// forget clears a sender that was accepted.
func (r *refusals) forget(sender string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, sender)
}
