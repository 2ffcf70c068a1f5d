package dbtest

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
)

var (
	shared struct {
		sync.Mutex
		server *Server
	}
	number atomic.Int64
)

// Main runs the tests of a package and ends the shared server afterwards: func TestMain(m *testing.M) { dbtest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// Database is a fresh schema with all tables, dropped when the test ends.
type Database struct {
	Server db.Server
	Name   string
	Pool   *db.Pool
	Store  *db.Store
}

// New makes a schema on the shared server, with the tables of a company, of the buckets and of the control database.
func New(t testing.TB) *Database {
	t.Helper()
	return on(t, login(t), copyTables)
}

// On is New on a given server, by the migration.
func On(t testing.TB, server db.Server) *Database {
	t.Helper()
	return on(t, server, migrate)
}

func on(t testing.TB, server db.Server, makeTables func(context.Context, *db.Pool, db.Server, string) error) *Database {
	t.Helper()
	d := &Database{Server: server, Name: fmt.Sprintf("outboxd_%d_%d", os.Getpid(), number.Add(1))}
	pool, err := db.Open(d.Server)
	if err != nil {
		t.Fatal(err)
	}
	d.Pool = pool
	ctx := context.Background()
	if err := pool.Exec(ctx, "CREATE DATABASE "+d.Name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Exec(ctx, "DROP DATABASE "+d.Name); err != nil {
			t.Error(err)
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := makeTables(ctx, pool, d.Server, d.Name); err != nil {
		t.Fatal(err)
	}
	if d.Store, err = pool.Store(d.Name); err != nil {
		t.Fatal(err)
	}
	return d
}

// Exec runs a statement as a DBA would; {db} stands for the schema's name.
func (d *Database) Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if err := d.Pool.Exec(context.Background(), strings.ReplaceAll(statement, "{db}", d.Name), args...); err != nil {
		t.Fatal(err)
	}
}

// Read runs a query for one value, as text; NULL is "NULL".
func (d *Database) Read(t testing.TB, query string, args ...any) string {
	t.Helper()
	v, err := d.Pool.ReadText(context.Background(), strings.ReplaceAll(query, "{db}", d.Name), args...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// OneStepOlder takes the company's tables back to the step before the newest.
func (d *Database) OneStepOlder(t testing.TB) {
	t.Helper()
	d.Exec(t, "ALTER TABLE {db}.outbox DROP COLUMN run_id, DROP COLUMN bounced_at, DROP COLUMN bounce")
	d.Exec(t, "ALTER TABLE {db}.outbox_recipient DROP COLUMN bounced_at, DROP COLUMN bounce")
	schema, err := db.Schema(d.Name, db.CompanyPart)
	if err != nil {
		t.Fatal(err)
	}
	_, view, _ := strings.Cut(schema, "CREATE OR REPLACE VIEW") // the first: a later step makes it anew
	view, _, _ = strings.Cut(view, ";\n")
	d.Exec(t, "CREATE OR REPLACE VIEW"+view)
	d.Exec(t, "ALTER TABLE {db}.outbox_run DROP KEY state, DROP COLUMN kind, DROP COLUMN spec, DROP COLUMN period, DROP COLUMN started_by, DROP COLUMN audience, "+
		"DROP COLUMN enqueued, DROP COLUMN templates, DROP COLUMN allowed, DROP COLUMN released, DROP COLUMN released_id, DROP COLUMN released_at, "+
		"DROP COLUMN sent, DROP COLUMN partial, DROP COLUMN failed, DROP COLUMN skipped, DROP COLUMN suppressed, DROP COLUMN cancelled, DROP COLUMN expired, DROP COLUMN gone, "+
		"DROP COLUMN decide_until, DROP COLUMN approved_by, DROP COLUMN approved_at, DROP COLUMN changed_at, DROP COLUMN ends_as, DROP COLUMN note, DROP COLUMN link_key")
	d.Exec(t, "DROP TABLE {db}.outbox_run_mail, {db}.outbox_pin, {db}.outbox_writeback, {db}.outbox_tag, {db}.outbox_suppression, {db}.outbox_run_code")
	d.Exec(t, "ALTER TABLE {db}.outbox_recipient MODIFY COLUMN state ENUM('open','sending','accepted','failed','uncertain') NOT NULL")
	d.Exec(t, "UPDATE {db}.outbox_meta SET value = '3' WHERE name = 'company'")
}

// BucketOneStepOlder takes the tables of the buckets back to the step before the newest.
func (d *Database) BucketOneStepOlder(t testing.TB) {
	t.Helper()
	d.Exec(t, "ALTER TABLE {db}.outbox_bucket DROP COLUMN slow_refused, DROP COLUMN slow_since, DROP COLUMN warm_since, DROP COLUMN pause_class, DROP COLUMN login_until, "+
		"DROP COLUMN held_at, DROP COLUMN held_until, DROP COLUMN held_by, DROP COLUMN held_reason, "+
		"DROP COLUMN last_success, DROP COLUMN last_error_at, DROP COLUMN last_error, DROP COLUMN last_error_class")
	d.Exec(t, "UPDATE {db}.outbox_meta SET value = '1' WHERE name = 'bucket'")
}

// login returns the way to the shared server, started when it is first needed.
func login(t testing.TB) db.Server {
	t.Helper()
	if dsn := os.Getenv("OUTBOXD_TEST_DSN"); dsn != "" {
		c, err := mysql.ParseDSN(dsn)
		if err != nil {
			t.Fatalf("OUTBOXD_TEST_DSN: %v", err)
		}
		host, port, _ := strings.Cut(c.Addr, ":")
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatalf("OUTBOXD_TEST_DSN: port %q", port)
		}
		return db.Server{Host: host, Port: n, Username: c.User, Password: c.Passwd}
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server.Server
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Getuid())
	}
	return u.Username
}

// Numbers is a table of the numbers from 1 to n, up to ten thousand, in a column seq: for servers without the storage engine
// that has them.
func Numbers(n int) string {
	const digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	return fmt.Sprintf("(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS seq FROM %[1]s a JOIN %[1]s b JOIN %[1]s c JOIN %[1]s e HAVING seq <= %[2]d) numbers", digits, n)
}
