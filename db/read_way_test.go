package db_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// byWay is the database by another way to the server.
func byWay(t *testing.T, d *dbtest.Database, edit func(s *db.Server)) *dbtest.Database {
	t.Helper()
	login := d.Server
	edit(&login)
	pool, err := db.Open(login)
	must(t, err)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return &dbtest.Database{Server: login, Name: d.Name, Pool: pool}
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

// The user that the page for queries shows reads the company's database, and nothing else.
func TestReaderReadsItsDatabaseAndNoMore(t *testing.T) {
	page, err := os.ReadFile("../docs/queries.md")
	must(t, err)
	l := db.DefaultReadLimits
	for _, limit := range []string{fmt.Sprintf("| %.0f s |", l.Time.Seconds()), fmt.Sprintf("| %d,%03d |", l.Rows/1000, l.Rows%1000), fmt.Sprintf("| %d MiB |", l.Octets>>20)} {
		if !strings.Contains(string(page), limit) {
			t.Errorf("the page does not name the limit %s", limit)
		}
	}
	d, other := dbtest.New(t), dbtest.New(t)
	block := regexp.MustCompile("(?s)```sql\n(CREATE USER.*?)```").FindStringSubmatch(string(page))
	if block == nil {
		t.Fatal("the page shows no user")
	}
	for statement := range strings.SplitSeq(strings.NewReplacer("acme_read", d.Name+"_ro", "acme.", d.Name+".", "PASSWORD", "secret", "10.1.%", "%").Replace(block[1]), ";\n") {
		if strings.TrimSpace(statement) != "" {
			d.Exec(t, statement)
		}
	}
	t.Cleanup(func() { d.Exec(t, "DROP USER "+d.Name+"_ro") })
	reader := byWay(t, d, func(s *db.Server) { s.Username, s.Password = d.Name+"_ro", "secret" })
	d.Exec(t, shortestOf(d.Name))
	if r := query(t, reader, "SELECT subject FROM outbox", nil); len(r.Rows) != 1 || r.Rows[0][0] != "Hello" {
		t.Error(r.Rows)
	}
	e := readError(t, reader, "SELECT * FROM "+other.Name+".outbox", db.ReadLimits{})
	if e.Reason != db.ReadFailed || e.Number != 1142 || !strings.Contains(e.Error(), "GRANT SELECT") || db.Kind(e) != db.KindOther {
		t.Errorf("another company's database: %v", e)
	}
	e = readError(t, &dbtest.Database{Server: reader.Server, Name: other.Name, Pool: reader.Pool}, "SELECT 1", db.ReadLimits{})
	if e.Reason != db.ReadUnreachable || db.Kind(e) != db.KindSetup || !strings.Contains(e.Error(), "GRANT SELECT") {
		t.Errorf("no right to the database itself: %v", e)
	}
	if err := reader.Pool.Exec(deadline(t), "DELETE FROM "+d.Name+".outbox"); db.Kind(err) != db.KindSetup {
		t.Errorf("the reader may delete: %v", err)
	}
	cancelRead(t, reader, d, "of_the_reader")
}

func shortestOf(database string) string { return strings.ReplaceAll(shortest, "{db}", database) }

func TestReadErrorsOfTheServerHaveARemedy(t *testing.T) {
	d := dbtest.New(t)
	for statement, want := range map[string]string{
		"SELECT * FORM outbox":                 "error 1064",
		"SELECT nothing FROM outbox":           "SHOW COLUMNS",
		"SELECT * FROM v_open_items":           "SHOW TABLES",
		"SELECT nothing_of_the_kind(1)":        "SHOW FUNCTION STATUS",
		"SELECT 1 + (SELECT 1 UNION SELECT 2)": "try the query in a client",
	} {
		e := readError(t, d, statement, db.ReadLimits{})
		if e.Reason != db.ReadFailed || e.Number == 0 || !strings.Contains(e.Error(), want) || db.Waits(e) || db.Kind(e) != db.KindOther {
			t.Errorf("%s: %v", statement, e)
		}
	}
	_, err := d.Pool.ReadOnly(deadline(t), "a`b", "SELECT 1", nil, db.ReadLimits{})
	if err == nil || !strings.Contains(err.Error(), "database name") {
		t.Error(err)
	}
}

func TestReadWaitsForItsServer(t *testing.T) {
	d := dbtest.New(t)
	for name, c := range map[string]struct {
		edit func(s *db.Server)
		kind db.ErrorKind
	}{
		"nobody listens": {func(s *db.Server) { s.Port = closedPort(t) }, db.KindLost},
		"wrong password": {func(s *db.Server) { s.Username, s.Password = "nobody", "wrong" }, db.KindSetup},
		"no node serves": {func(s *db.Server) { s.Hosts = []db.Host{{Name: "127.0.0.1", Port: closedPort(t)}} }, db.KindLost},
	} {
		if e := readError(t, byWay(t, d, c.edit), "SELECT 1", db.ReadLimits{}); e.Reason != db.ReadUnreachable || db.Kind(e) != c.kind {
			t.Errorf("%s: %v", name, e)
		}
	}
	if e := readError(t, &dbtest.Database{Name: "outboxd_none", Pool: d.Pool}, "SELECT 1", db.ReadLimits{}); e.Reason != db.ReadUnreachable || db.Kind(e) != db.KindSetup {
		t.Errorf("no such database: %v", e)
	}
}

// A statement whose server goes away waits, whatever it was.
func TestReadWhoseServerDies(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{})
	d := dbtest.On(t, server.Server)
	ended := make(chan error)
	go func() {
		_, err := d.Pool.ReadOnly(deadline(t), d.Name, endless("orphan"), nil, db.ReadLimits{Time: time.Minute})
		ended <- err
	}()
	runs(t, d, "orphan")
	must(t, server.Kill())
	err := <-ended
	var e *db.ReadError
	if !errors.As(err, &e) || e.Reason != db.ReadUnreachable || !db.Waits(err) {
		t.Error(err)
	}
	must(t, server.Restart())
}

// In a cluster a query goes to the node that the pool uses, and is killed there.
func TestReadInACluster(t *testing.T) {
	d := dbtest.New(t)
	c := byWay(t, d, func(s *db.Server) {
		s.Hosts = []db.Host{{Name: "127.0.0.1", Port: closedPort(t)}, {Name: s.Host, Port: s.Port}}
	})
	if r := query(t, c, "SELECT DATABASE()", nil); r.Rows[0][0] != d.Name {
		t.Error(r.Rows)
	}
	cancelRead(t, c, d, "on_a_node")
}

// P6: a company whose queries are slow takes two places; the others', and the store's connections, are free.
func TestP6_SlowQueriesOfOneCompanyStopNobodyElse(t *testing.T) {
	slow, other := dbtest.New(t), dbtest.New(t)
	ctx, cancel := context.WithCancel(deadline(t))
	ended := make(chan error, 2)
	for _, mark := range []string{"first_slow", "second_slow"} {
		go func() {
			_, err := slow.Pool.ReadOnly(ctx, slow.Name, endless(mark), nil, db.ReadLimits{Time: time.Hour})
			ended <- err
		}()
		runs(t, slow, mark)
	}
	short, over := context.WithTimeout(ctx, 100*time.Millisecond)
	_, err := slow.Pool.ReadOnly(short, slow.Name, "SELECT 1", nil, db.ReadLimits{})
	over()
	var e *db.ReadError
	if !errors.As(err, &e) || e.Reason != db.ReadUnreachable || !db.Waits(err) {
		t.Errorf("a third query of the company: %v", err)
	}
	if _, err := slow.Pool.ReadOnly(ctx, other.Name, "SELECT 1", nil, db.ReadLimits{}); err != nil {
		t.Errorf("another company's query on the same pool: %v", err)
	}
	for range 12 {
		must(t, slow.Pool.Ping(ctx))
	}
	cancel()
	for range 2 {
		<-ended
	}
	gone(t, slow, "_slow FROM")
}
