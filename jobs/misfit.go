package jobs

import (
	"context"

	"go.uber.org/zap"
)

// refuseMisfits fails rows that no claim looks for: their priority is none.
func (c *company) refuseMisfits(ctx context.Context) {
	routes, err := c.place.Store.Routes(ctx, 0, -1, routesAtOnce)
	if err != nil {
		c.report(err)
		return
	}
	n, err := c.place.Store.RefuseMisfits(ctx, routes)
	if n > 0 {
		c.log.Warn(eventFailed, zap.Int("rows", n), zap.String("reason", "priority is not 1 to 5"))
	}
	if err != nil {
		c.report(err)
	}
}

// endStateless fails rows that a lax session has left without a state.
func (c *company) endStateless(ctx context.Context) {
	next, ended, err := c.place.Store.EndStateless(ctx, c.looked)
	if c.looked = next; ended > 0 {
		c.log.Warn(eventFailed, zap.Int64("rows", ended), zap.String("reason", "the row was written with a state that there is not"))
	}
	if err != nil {
		c.report(err)
	}
}
