package alerts

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// askTime bounds the questions to the memory.
const askTime = 10 * time.Second

// Remember sets where what was told is kept over a restart: the control database, for the daemon of this name. mended tells
// why a trouble of before a restart, by its key, is over, "" when it may go on.
func (a *Alerter) Remember(memory *db.Store, instance string, mended func(key string) string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory, a.instance, a.mended = memory, instance, mended
}

// recall reads what an earlier life of this daemon has told. Where that is not possible a person is told again.
func (a *Alerter) recall(ctx context.Context) {
	a.mu.Lock()
	memory, instance, mended := a.memory, a.instance, a.mended
	a.mu.Unlock()
	if memory == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	told, err := memory.Told(ctx, instance, toldFor)
	if err != nil {
		a.log.Warn(eventStoreError, zap.Error(err), zap.String("remedy", "what a person was told is kept in memory alone: "+db.Remedy(err)+", or run outboxd migrate"))
		return
	}
	a.mu.Lock()
	for _, key := range told {
		a.troubles[key] = true
	}
	a.queue = slices.DeleteFunc(a.queue, func(one alert) bool { return !one.over && slices.Contains(told, one.about) })
	a.mu.Unlock()
	for _, key := range told {
		if over := mended(key); over != "" {
			a.End(key, over)
		}
	}
}

// note keeps that a person was told. A failure costs no more than that a restart tells it again.
func (a *Alerter) note(ctx context.Context, one alert) {
	a.mu.Lock()
	memory, instance := a.memory, a.instance
	a.mu.Unlock()
	if memory == nil || one.about == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	var err error
	if one.over {
		err = memory.Untell(ctx, instance, one.about)
	} else {
		err = memory.Tell(ctx, instance, one.about, one.subject)
	}
	if err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
}
