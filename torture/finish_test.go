//go:build unix

package torture

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// stuckFor is how long rows may be sending without a change until the daemons are started again: what a daemon took and could
// not read back stands under its lease otherwise.
const stuckFor = 6 * time.Second

// exposed is how long the server may go on misbehaving after the attack.
const exposed = 4 * time.Second

// finish lets what is left come to its end: with a database that behaves, and soon with a server that does.
func (s *site) finish(ctx context.Context) {
	s.restartAll()
	begun := time.Now()
	left, since := -1, begun
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.endPauses(ctx, true)
		// Nobody waits for a next try either.
		_ = s.exec(ctx, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE qlane IS NOT NULL AND state = 'queued' AND available_at > TIMESTAMPADD(SECOND, 1, UTC_TIMESTAMP(6))`)
		s.release(ctx)
		n, ok := s.count(ctx, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`)
		if ok && n <= s.plan.rows/10 || time.Since(begun) > exposed {
			s.bad.off.Store(true)
		}
		switch {
		case ok && n == 0:
			s.stopAll()
			return
		case n != left:
			left, since = n, time.Now()
		case time.Since(since) > stuckFor:
			s.tally.add("daemon: all restarted at the end")
			s.restartAll()
			since = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	s.stopAll()
}

// release lets rows go that were held because they were taken too often: a person's decision.
func (s *site) release(ctx context.Context) {
	rows, err := s.root.QueryContext(ctx, s.sql(`SELECT id FROM {db}.outbox WHERE state = 'queued' AND held <> 0 LIMIT 100`))
	if err != nil {
		return
	}
	defer rows.Close()
	command := []string{"queue", "release", "--reason", "the run is over"}
	for rows.Next() {
		var id uint64
		if rows.Scan(&id) == nil {
			command = append(command, "acme/"+strconv.FormatUint(id, 10))
		}
	}
	if rows.Err() != nil || len(command) == 4 {
		return
	}
	if err := s.daemons[0].do(command...); err != nil {
		s.t.Log(err)
		return
	}
	s.tally.addN("rows held after five kills, and released", len(command)-4)
}

// restartAll ends every daemon in order and starts it again, as systemctl does.
func (s *site) restartAll() {
	s.stopAll()
	for _, d := range s.daemons {
		d.start()
	}
}

// stopAll ends every daemon in order: what is in flight comes to its end first.
func (s *site) stopAll() {
	var all sync.WaitGroup
	for _, d := range s.daemons {
		all.Go(func() {
			if err := d.stop(); err != nil {
				s.tally.breaks("ended", d.name+" did not stop in order: "+err.Error()+"\n"+d.tail())
			}
		})
	}
	all.Wait()
}
