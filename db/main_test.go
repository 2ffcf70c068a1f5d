package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	me    = db.Instance{ID: "aaaaaaaa", Host: "here"}
	other = db.Instance{ID: "bbbbbbbb", Host: "there"}
)

const shortest = `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES ('Eva <eva@kunde.example>', 'Hello', 'Text')`

// deadline ends a test that hangs with a useful error instead of the whole run.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// insert queues n rows to addresses of their own at the domain, 5000 an INSERT.
func insert(t testing.TB, d *dbtest.Database, n int, domain string) {
	t.Helper()
	for from := 0; from < n; from += 5000 {
		var values []string
		for i := from; i < min(n, from+5000); i++ {
			values = append(values, fmt.Sprintf("('r%d@%s', 'Hello', 'Text')", i, domain))
		}
		d.Exec(t, "INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES "+strings.Join(values, ", "))
	}
}

// wholeClaim asks for up to n due rows of whatever route in the unsorted lane.
func wholeClaim(t testing.TB, s *db.Store, n int) db.Claim {
	t.Helper()
	routes, err := s.Routes(deadline(t), 0, -1, 100)
	must(t, err)
	c := db.Claim{Instance: me, Priorities: db.Priorities, Lanes: []uint32{0}, Limit: n, Octets: 1 << 26, MaxSize: 1 << 24, Domain: "acme.example"}
	for _, r := range routes {
		c.Routes = append(c.Routes, r.Hash)
	}
	return c
}

// claimAll takes up to n due rows of whatever route.
func claimAll(t testing.TB, s *db.Store, n int, edit ...func(*db.Claim)) []db.Row {
	t.Helper()
	c := wholeClaim(t, s, n)
	for _, e := range edit {
		e(&c)
	}
	got, err := s.Claim(deadline(t), c)
	must(t, err)
	return got.Rows
}

// one claims the only row there is to claim.
func one(t testing.TB, s *db.Store, edit ...func(*db.Claim)) db.Row {
	t.Helper()
	rows := claimAll(t, s, 10, edit...)
	if len(rows) != 1 {
		t.Fatalf("claimed %d rows instead of one", len(rows))
	}
	return rows[0]
}

func markOf(l db.Lease) db.Mark { return db.Mark{Lease: l, Account: "main", Daemon: "here"} }

// accepted is the settlement of a mail that the server took.
func accepted(l db.Lease) db.Settlement {
	return db.Settlement{Lease: l, Change: db.Change{State: db.Sent, Verdict: true, Sent: true, Account: "main", Code: 250},
		Attempt: &db.Attempt{Account: "main", Daemon: "here", Step: "dot", Verdict: "accepted", Code: 250, Reply: "250 ok queued as 4711"}}
}

// ids are the numbers of the rows, in their order.
func ids(rows []db.Row) []uint64 {
	all := make([]uint64, len(rows))
	for i, r := range rows {
		all[i] = r.ID
	}
	return all
}

// columns reads some columns of every row, as "a b,a b" by id; NULL is left out.
func columns(t testing.TB, d *dbtest.Database, expressions string) string {
	t.Helper()
	return d.Read(t, "SELECT GROUP_CONCAT(CONCAT_WS(' ', "+expressions+") ORDER BY id) FROM {db}.outbox")
}

const day = 24 * time.Hour

// routeOf is the first route of the rows that wait.
func routeOf(t testing.TB, s *db.Store) uint32 {
	t.Helper()
	routes, err := s.Routes(deadline(t), 0, -1, 1)
	must(t, err)
	if len(routes) != 1 {
		t.Fatal("no row waits")
	}
	return routes[0].Hash
}

// session is one connection of a sender's own: plain driver, no modes or zones of outboxd.
func session(t testing.TB, d *dbtest.Database) *sql.Conn {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net = d.Server.Username, d.Server.Password, "tcp"
	c.Addr = net.JoinHostPort(d.Server.Host, strconv.Itoa(d.Server.Port))
	connector, err := mysql.NewConnector(c)
	must(t, err)
	pool := sql.OpenDB(connector)
	conn, err := pool.Conn(deadline(t))
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), pool.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}
