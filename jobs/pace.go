package jobs

import (
	"context"
	"sync"
	"time"
)

// pace tells when the next slot is due. It only spares the bucket vain questions: the bucket decides.
type pace struct {
	mu      sync.Mutex
	notYet  time.Time
	changed chan struct{} // closed when notYet moves
}

func newPace() *pace { return &pace{changed: make(chan struct{})} }

// wait returns when the time has come, however often it is moved meanwhile.
func (p *pace) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		left, changed := time.Until(p.notYet), p.changed
		p.mu.Unlock()
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		sleepUnless(ctx, left, changed)
	}
}

// next sets when the next mail may ask.
func (p *pace) next(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notYet = t
	close(p.changed)
	p.changed = make(chan struct{})
}

// due tells when the next mail may ask.
func (p *pace) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.notYet
}

// sleep waits, and tells whether the whole time has passed: false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool { return sleepUnless(ctx, d, nil) }

// sleepUnless is sleep that changed, when it is closed, cuts short too.
func sleepUnless(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
	case <-ctx.Done():
	}
	return false
}
