//go:build unix

package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
)

// trouble is something that a database goes through for a while.
type trouble struct {
	name string
	make func(s *site, ctx context.Context, rng *rand.Rand) error
}

var troubles = []trouble{
	{"killed and restarted", (*site).restartDatabase},
	{"frozen", (*site).freezeDatabase},
	{"read-only", (*site).readOnly},
	{"no connection left", (*site).useConnections},
	{"connections killed", func(s *site, ctx context.Context, rng *rand.Rand) error {
		return s.killSessions(ctx, rng, "KILL CONNECTION")
	}},
	{"statements killed", func(s *site, ctx context.Context, rng *rand.Rand) error {
		return s.killSessions(ctx, rng, "KILL QUERY")
	}},
	{"rows and gaps locked", (*site).lockRows},
	{"deadlocks", (*site).deadlock},
	{"out of disk", (*site).fillDisk},
}

// troubleDatabase brings one trouble after the other upon the database, each of them once before any comes again.
func (s *site) troubleDatabase(ctx context.Context, rng *rand.Rand) {
	for {
		for _, i := range rng.Perm(len(troubles)) {
			pause(ctx.Done(), between(rng, s.plan.every/2, s.plan.every*3/2))
			if ctx.Err() != nil {
				return
			}
			s.trouble(context.WithoutCancel(ctx), rng, troubles[i])
		}
	}
}

// trouble brings one trouble and sees that the database is there afterwards. MariaDB does not survive each of them.
func (s *site) trouble(ctx context.Context, rng *rand.Rand, trouble trouble) {
	err := trouble.make(s, ctx, rng)
	if s.server.Ended() {
		s.tally.add("database: crashed while " + trouble.name)
		err = errors.Join(err, s.restartWith())
	}
	if err != nil {
		s.tally.add("database: " + trouble.name + ", in vain")
		s.t.Logf("database: %s: %v", trouble.name, err)
		return
	}
	s.tally.add("database: " + trouble.name)
}

// lasts is how long a trouble lasts: a random time, shorter in a short run.
func (s *site) lasts(rng *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(float64(between(rng, least, most)) * s.plan.lasting)
}

func (s *site) restartDatabase(_ context.Context, rng *rand.Rand) error {
	if err := s.server.Kill(); err != nil {
		return err
	}
	pause(s.bad.done, s.lasts(rng, 0, 300*time.Millisecond))
	return s.server.Restart()
}

func (s *site) freezeDatabase(_ context.Context, rng *rand.Rand) error {
	if err := s.server.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(s.bad.done, s.lasts(rng, 200*time.Millisecond, 3*time.Second))
	return s.server.Signal(syscall.SIGCONT)
}

func (s *site) readOnly(ctx context.Context, rng *rand.Rand) error {
	if err := s.exec(ctx, `SET GLOBAL read_only = 1`); err != nil {
		return err
	}
	pause(s.bad.done, s.lasts(rng, 200*time.Millisecond, 3*time.Second))
	return s.exec(ctx, `SET GLOBAL read_only = 0`)
}

// useConnections takes every connection there is, as a customer's program with a leak does.
func (s *site) useConnections(ctx context.Context, rng *rand.Rand) error {
	if err := s.exec(ctx, `SET GLOBAL max_connections = 20`); err != nil {
		return err
	}
	pool := s.sessions(db.SenderUser(s.db.Name), secret, s.server.Port)
	var hogs []*sql.Conn
	defer func() {
		for _, c := range hogs {
			_ = c.Close()
		}
		_ = pool.Close()
	}()
	without := false // there was a time at which the daemons had none
	for end := time.Now().Add(s.lasts(rng, time.Second, 3*time.Second)); time.Now().Before(end); {
		if _, err := s.killSome(ctx, rng, 1, "KILL CONNECTION"); err != nil {
			return err
		}
		for c, err := pool.Conn(ctx); err == nil; c, err = pool.Conn(ctx) {
			hogs = append(hogs, c)
		}
		n, ok := s.count(ctx, `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '`+dbUser+`'`)
		without = without || ok && n == 0
	}
	if err := s.exec(ctx, `SET GLOBAL max_connections = 150`); err != nil || without {
		return err
	}
	return errors.New("the daemons kept a connection")
}

// killSessions ends about half of the daemons' sessions, or what they do, several times.
func (s *site) killSessions(ctx context.Context, rng *rand.Rand, how string) error {
	done := 0
	for range 5 {
		n, err := s.killSome(ctx, rng, 0.5, how)
		if err != nil {
			return err
		}
		done += n
		pause(s.bad.done, between(rng, 5*time.Millisecond, 60*time.Millisecond))
	}
	if done == 0 {
		return errors.New("nobody was there")
	}
	return nil
}

func (s *site) killSome(ctx context.Context, rng *rand.Rand, share float64, how string) (done int, err error) {
	ids, err := s.ids(ctx, s.root, `SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ?`, dbUser)
	for _, id := range ids {
		if rng.Float64() < share && s.exec(ctx, fmt.Sprintf("%s %d", how, id)) == nil {
			done++
		}
	}
	return done, err
}

// ids reads numbers.
func (s *site) ids(ctx context.Context, q queryer, query string, args ...any) (ids []int64, err error) {
	rows, err := q.QueryContext(ctx, s.sql(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// lockRows holds rows and the gaps between them in a transaction that lasts longer than others wait.
func (s *site) lockRows(ctx context.Context, rng *rand.Rand) error {
	tx, err := s.root.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, query := range []string{
		`SELECT COUNT(*) FROM (SELECT id FROM {db}.outbox FORCE INDEX (claim) WHERE qlane = 0 LIMIT 40 FOR UPDATE) a`,
		`SELECT COUNT(*) FROM (SELECT id FROM {db}.outbox FORCE INDEX (claim) WHERE qlane = 4294967295 LIMIT 20 FOR UPDATE) a`,
		`SELECT COUNT(*) FROM (SELECT outbox_id FROM {db}.outbox_attempt ORDER BY outbox_id DESC LIMIT 1 FOR UPDATE) a`,
	} {
		if _, err := tx.ExecContext(ctx, s.sql(query)); err != nil {
			return err
		}
	}
	pause(s.bad.done, s.lasts(rng, 500*time.Millisecond, 5*time.Second))
	return nil
}

// deadlock takes locks on rows that are being sent in the order that the daemons do not have, until one of the two has to give
// way.
func (s *site) deadlock(ctx context.Context, rng *rand.Rand) error {
	before := s.deadlocks(ctx)
	end := time.Now().Add(3 * time.Second)
	for s.deadlocks(ctx) == before {
		if time.Now().After(end) {
			return errors.New("nobody gave way")
		}
		var some sync.WaitGroup
		for range 3 {
			seed := rng.Uint64()
			some.Go(func() { s.lockBackwards(ctx, rand.New(rand.NewPCG(seed, 0))) })
		}
		some.Wait()
	}
	return nil
}

func (s *site) lockBackwards(ctx context.Context, rng *rand.Rand) {
	tx, err := s.root.BeginTx(ctx, nil)
	if err != nil {
		return
	}
	defer func() { _ = tx.Rollback() }()
	ids, _ := s.ids(ctx, tx, `SELECT id FROM {db}.outbox WHERE qlane = 4294967295 ORDER BY id DESC LIMIT 12`)
	for _, id := range ids {
		if _, err := tx.ExecContext(ctx, s.sql(`UPDATE {db}.outbox SET reference = reference WHERE id = ?`), id); err != nil {
			return // it was this one that had to give way, or to wait too long
		}
		pause(s.bad.done, between(rng, 0, 8*time.Millisecond))
	}
}

func (s *site) deadlocks(ctx context.Context) int {
	n, _ := s.count(ctx, `SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Innodb_deadlocks'`)
	return n
}

// fillDisk lets the tablespace grow no more and fills it up. A table that is full is error 1114, as a full disk is.
func (s *site) fillDisk(ctx context.Context, rng *rand.Rand) error {
	megabytes, ok := s.count(ctx, `SELECT CEIL(FILE_SIZE / 1048576) FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME = 'innodb_system'`)
	if !ok {
		return errors.New("the tablespace's size is not known")
	}
	if err := s.exec(ctx, `CREATE TABLE IF NOT EXISTS {db}.filler (a VARCHAR(7000) CHARACTER SET latin1) ENGINE=InnoDB`); err != nil {
		return err
	}
	if err := s.restartWith(fmt.Sprintf("--innodb-data-file-path=%s:max:%dM", roomy, megabytes+1)); err != nil {
		return err
	}
	err := s.fill(ctx, rng)
	return errors.Join(err, s.restartWith(), s.exec(ctx, `DROP TABLE IF EXISTS {db}.filler`))
}

func (s *site) restartWith(more ...string) error {
	s.server.SetFlags(append(append([]string{}, flags...), more...)...)
	if err := s.server.Kill(); err != nil {
		return err
	}
	return s.server.Restart()
}

// fill inserts until the table is full and keeps it so for a while.
func (s *site) fill(ctx context.Context, rng *rand.Rand) error {
	full := false
	for end := time.Now().Add(s.lasts(rng, time.Second, 3*time.Second)); time.Now().Before(end); {
		for rows := 64; rows > 0; rows /= 4 {
			for {
				err := s.exec(ctx, `INSERT INTO {db}.filler SELECT REPEAT('x', 7000) FROM {db}.seq_1_to_1000 LIMIT ?`, rows)
				var my *mysql.MySQLError
				if full = full || errors.As(err, &my) && my.Number == 1114; err != nil || time.Now().After(end) {
					break
				}
			}
		}
		pause(s.bad.done, 20*time.Millisecond)
	}
	if !full {
		return errors.New("the table was never full")
	}
	return nil
}

// troubleLink cuts, freezes and mutes connections between the daemons and the database.
func (s *site) troubleLink(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx.Done(), between(rng, s.plan.every/2, s.plan.every*3/2))
		switch rng.IntN(3) {
		case 0:
			s.tally.add("link to the database: cut")
			s.link.cut(0.5, rng)
		case 1:
			s.tally.add("link to the database: replies lost")
			s.link.lose(0.5, rng, between(rng, 5*time.Millisecond, 100*time.Millisecond))
		case 2:
			s.tally.add("link to the database: frozen")
			s.link.freeze(s.lasts(rng, 50*time.Millisecond, time.Second))
		}
	}
}
