package db_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// clusterOf opens a pool on several servers, under a clock that only the test moves on.
func clusterOf(t testing.TB, login db.Server, hosts ...db.Host) (pool *db.Pool, pass func(time.Duration)) {
	t.Helper()
	login.Host, login.Port, login.Hosts = "", 0, hosts
	pool, err := db.Open(login)
	must(t, err)
	t.Cleanup(func() { must(t, pool.Close()) })
	var passed atomic.Int64
	start := time.Now()
	pool.SetClusterClock(func() time.Time { return start.Add(time.Duration(passed.Load())) })
	return pool, func(d time.Duration) { passed.Add(int64(d)) }
}

func hostOf(s db.Server) db.Host { return db.Host{Name: s.Host, Port: s.Port} }

// deadHost is one where nobody listens.
func deadHost(t testing.TB) db.Host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return db.Host{Name: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}

// on tells which port the pool's next statement goes to.
func on(t testing.TB, p *db.Pool) int {
	t.Helper()
	port, err := p.ReadText(deadline(t), "SELECT @@port")
	must(t, err)
	n, err := strconv.Atoi(port)
	must(t, err)
	return n
}

// until asks again and again until the pool has come to the port.
func until(t testing.TB, p *db.Pool, port int) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for on(t, p) != port {
		if time.Now().After(end) {
			t.Fatalf("the pool stays away from port %d", port)
		}
	}
}

func TestClusterTakesTheFirstThatServes(t *testing.T) {
	home := dbtest.Own(t, dbtest.Options{})
	next := dbtest.New(t) // on the shared server
	const login = `CREATE USER 'app' IDENTIFIED BY 'secret'`
	owner := dbtest.On(t, home.Server)
	owner.Exec(t, login)
	owner.Exec(t, "GRANT ALL ON *.* TO 'app'")
	owner.Exec(t, "REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM 'app'")
	next.Exec(t, login)
	t.Cleanup(func() { next.Exec(t, "DROP USER 'app'") })
	next.Exec(t, "GRANT ALL ON *.* TO 'app'")
	pool, pass := clusterOf(t, db.Server{Username: "app", Password: "secret"}, deadHost(t), hostOf(home.Server), hostOf(next.Server))
	if got := on(t, pool); got != home.Port {
		t.Fatalf("port %d, want that of the first server that runs, %d", got, home.Port)
	}
	// It takes no more writes: one fails, and says so; the next goes to the next server.
	owner.Exec(t, "SET GLOBAL read_only = 1")
	err := pool.Exec(deadline(t), "DROP DATABASE IF EXISTS none")
	if db.Kind(err) != db.KindReadOnly {
		t.Errorf("a write on a read-only server: %v", err)
	}
	if got := on(t, pool); got != next.Server.Port {
		t.Errorf("port %d, want that of the second server, %d", got, next.Server.Port)
	}
	states := pool.Nodes(deadline(t))
	if len(states) != 3 || states[0].Err == nil || states[1].Err == nil || states[1].Err.Error() != "read_only is ON" ||
		states[2].Err != nil || states[2].State != "serves; in no Galera cluster" || time.Since(states[2].Clock).Abs() > time.Minute {
		t.Errorf("states %+v", states)
	}
	// It is looked at again, and while it is read-only nothing moves; when it takes writes, everything goes home.
	pass(11 * time.Second)
	if got := on(t, pool); got != next.Server.Port {
		t.Errorf("port %d, want still %d", got, next.Server.Port)
	}
	owner.Exec(t, "SET GLOBAL read_only = 0")
	pass(time.Minute)
	until(t, pool, home.Port)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if port, err := pool.ReadText(deadline(t), "SELECT @@port + SLEEP(0.01)"); err != nil || port != strconv.Itoa(home.Port) {
				t.Errorf("port %s, %v: sessions on two servers", port, err)
			}
		})
	}
	wait.Wait()
}

func TestClusterSaysWhyNoHostServes(t *testing.T) {
	readOnly := dbtest.Own(t, dbtest.Options{Flags: []string{"--read-only"}})
	pool, _ := clusterOf(t, readOnly.Server, deadHost(t), hostOf(readOnly.Server))
	err := pool.Ping(deadline(t))
	if db.Kind(err) != db.KindLost || !strings.Contains(err.Error(), "no host of the cluster serves: 127.0.0.1:") ||
		!strings.Contains(err.Error(), "connection refused; ") || !strings.HasSuffix(err.Error(), "read_only is ON") {
		t.Errorf("%v", err)
	}
	var none *db.NoNodeError
	if !errors.As(err, &none) || len(none.Nodes) != 2 {
		t.Errorf("%#v", err)
	}
	alone, _ := clusterOf(t, readOnly.Server, hostOf(readOnly.Server))
	if err := alone.Ping(deadline(t)); db.Kind(err) != db.KindReadOnly {
		t.Errorf("where all are read-only: %v", err)
	}
	login := readOnly.Server
	login.Username, login.Password = "nobody", "wrong"
	refused, _ := clusterOf(t, login, hostOf(readOnly.Server))
	if err := refused.Ping(deadline(t)); db.Kind(err) != db.KindSetup {
		t.Errorf("where all refuse the login: %v", err)
	}
}

// A host that failed is not asked by every connection: it may be one that answers after a long time only.
func TestClusterAsksAFailedHostRarely(t *testing.T) {
	good := dbtest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	asked := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			asked <- struct{}{}
			_ = conn.Close()
		}
	}()
	pool, pass := clusterOf(t, good.Server, db.Host{Name: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, hostOf(good.Server))
	must(t, pool.Ping(deadline(t)))
	before := len(asked)
	var wait sync.WaitGroup
	for range 10 { // as many connections
		wait.Go(func() { must(t, pool.Exec(deadline(t), "DO SLEEP(0.05)")) })
	}
	wait.Wait()
	if before != 1 || len(asked) != 1 {
		t.Errorf("asked %d times by the first connection and %d times in all", before, len(asked))
	}
	<-asked
	pass(11 * time.Second)
	must(t, pool.Ping(deadline(t)))
	must(t, pool.Ping(deadline(t)))
	<-asked // in the background
	if len(asked) != 0 {
		t.Error("asked more than once")
	}
}

// A host that is reached and says nothing, as behind a firewall: who has less time than it would take waits in vain once only.
func TestClusterPassesOverASilentHost(t *testing.T) {
	good := dbtest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	must(t, err)
	defer l.Close()
	pool, _ := clusterOf(t, good.Server, db.Host{Name: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, hostOf(good.Server))
	short, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
	defer cancel()
	if err := pool.Ping(short); db.Kind(err) != db.KindLost {
		t.Errorf("a silent host: %v", err)
	}
	again, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than the silent host would take
	defer cancel()
	must(t, pool.Ping(again))
}
