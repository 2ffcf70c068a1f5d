package db

import "time"

// SetClusterClock has the pool's cluster go by another clock.
func (p *Pool) SetClusterClock(now func() time.Time) { p.cluster.now = now }
