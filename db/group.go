package db

import (
	"context"
	"sync"
)

// group gathers what several callers want done at the same time into one transaction. While one runs, the next gathers:
// the busier it is the larger the groups, and a lone caller waits for nobody.
type group[T any] struct {
	most int // items in one run
	run  func(ctx context.Context, items []T) []error

	mu      sync.Mutex
	waiting []entry[T]
	running bool
}

// apart runs the items together. When one of them may be what the server refuses each is run by itself, so that it does not
// keep back the others. what names an item in its error.
func apart[T any](items []T, run func([]T) ([]error, error), what func(T) string) []error {
	errs, err := run(items)
	if err == nil {
		return errs
	}
	errs = make([]error, len(items))
	for i, item := range items {
		if len(items) == 1 || Waits(err) {
			errs[i] = wrap(err, what(item))
		} else {
			errs[i] = apart(items[i:i+1], run, what)[0]
		}
	}
	return errs
}

type entry[T any] struct {
	item T
	done chan error
}

// do hands the item in and waits for its own error. When ctx ends first the item may still be done.
func (g *group[T]) do(ctx context.Context, item T) error {
	e := entry[T]{item, make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, e)
	if !g.running {
		g.running = true
		// The work is everybody's in the group: no single caller's end may stop it.
		go g.work(context.WithoutCancel(ctx))
	}
	g.mu.Unlock()
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *group[T]) work(ctx context.Context) {
	for {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		n := min(g.most, len(g.waiting))
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()

		items := make([]T, n)
		for i, e := range batch {
			items[i] = e.item
		}
		for i, err := range g.run(ctx, items) {
			batch[i].done <- err
		}
	}
}
