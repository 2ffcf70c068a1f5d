package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// query asks for a result that there has to be.
func query(t *testing.T, d *dbtest.Database, statement string, params map[string]any) *db.ReadResult {
	t.Helper()
	text, args, err := db.Bind(statement, params)
	must(t, err)
	r, err := d.Pool.ReadOnly(deadline(t), d.Name, text, args, db.ReadLimits{})
	must(t, err)
	return r
}

// readError asks for what has to fail.
func readError(t *testing.T, d *dbtest.Database, statement string, l db.ReadLimits) *db.ReadError {
	t.Helper()
	_, err := d.Pool.ReadOnly(deadline(t), d.Name, statement, nil, l)
	var e *db.ReadError
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v, not a ReadError", statement, err)
	}
	return e
}

func TestReadValuesAreExact(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `CREATE TABLE {db}.v (a BIGINT UNSIGNED, b BIGINT, c TINYINT(1), d DECIMAL(65,30), e DECIMAL(10,2), f FLOAT, g DOUBLE, h VARCHAR(20), i TEXT, j JSON,
		k DATE, l DATETIME(6), m TIMESTAMP(3) NULL, n TIME, o YEAR, p BLOB, q VARBINARY(4), r BIT(12), s ENUM('x','y'), u INT UNSIGNED ZEROFILL)`)
	d.Exec(t, `INSERT INTO {db}.v VALUES (18446744073709551615, -9223372036854775808, 1, 12345678901234567890123456789012345.000000000000000000000000000001, 0.10, 0.1, 0.1,
		'é''"\\', '', '{"a": 0.5}', '2026-11-22', '2026-11-22 08:00:00.000001', '2026-11-22 08:00:00.5', '-12:00:00', 2026, x'00ff', x'41', b'100000000001', 'y', 7)`)
	d.Exec(t, "INSERT INTO {db}.v (a) VALUES (NULL), (7)")
	r := query(t, d, "SELECT * FROM v ORDER BY a DESC", nil)
	at := func(micros int) time.Time { return time.Date(2026, 11, 22, 8, 0, 0, micros*1000, time.UTC) }
	want := []struct {
		kind  db.ColumnKind
		value any
	}{
		{db.KindInteger, uint64(18446744073709551615)}, {db.KindInteger, int64(-9223372036854775808)}, {db.KindInteger, int64(1)},
		{db.KindDecimal, db.Decimal("12345678901234567890123456789012345.000000000000000000000000000001")}, {db.KindDecimal, db.Decimal("0.10")},
		{db.KindFloat, 0.1}, {db.KindFloat, 0.1}, {db.KindText, `é'"\`}, {db.KindText, ""}, {"json or text", `{"a": 0.5}`},
		{db.KindDate, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, {db.KindDateTime, at(1)}, {db.KindTimestamp, at(500000)}, {db.KindTime, "-12:00:00"},
		{db.KindInteger, int64(2026)}, {db.KindBytes, []byte{0, 255}}, {db.KindBytes, []byte("A")}, {db.KindInteger, uint64(2049)}, {db.KindText, "y"}, {db.KindInteger, int64(7)},
	}
	for i, w := range want {
		c := r.Columns[i]
		if got := r.Rows[0][i]; fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", w.value, w.value) {
			t.Errorf("column %s: %T %v, not %T %v", c.Name, got, got, w.value, w.value)
		}
		if c.Kind != w.kind && c.Name != "j" || c.Name == "j" && c.Kind != db.KindJSON && c.Kind != db.KindText { // JSON is a text on MariaDB
			t.Errorf("column %s is %s, not %s", c.Name, c.Kind, w.kind)
		}
		if i > 0 && r.Rows[1][i] != nil {
			t.Errorf("column %s: NULL is %v", c.Name, r.Rows[1][i])
		}
	}
	if r.Rows[1][0] != uint64(7) || r.Rows[2][0] != nil {
		t.Errorf("column a: %T %v, %v", r.Rows[1][0], r.Rows[1][0], r.Rows[2][0])
	}
}

// What is no date in any calendar is not made one.
func TestReadDatesThatAreNone(t *testing.T) {
	d := dbtest.New(t)
	s := session(t, d)
	for _, statement := range []string{"SET sql_mode = ''", "CREATE TABLE " + d.Name + ".v (a DATE, b DATETIME)", "INSERT INTO " + d.Name + ".v VALUES ('2026-00-00', '0000-00-00 00:00:00')"} {
		_, err := s.ExecContext(deadline(t), statement)
		must(t, err)
	}
	r := query(t, d, "SELECT * FROM v", nil)
	if got := fmt.Sprintf("%T %v %T %v", r.Rows[0][0], r.Rows[0][0], r.Rows[0][1], r.Rows[0][1]); got != "string 2026-00-00 string 0000-00-00 00:00:00" {
		t.Error(got)
	}
}

func TestBoundValuesArriveExactly(t *testing.T) {
	d := dbtest.New(t)
	for _, c := range []struct{ in, as, out string }{
		{`1234567890123456789`, "CHAR", "1234567890123456789"},
		{`-9223372036854775808`, "CHAR", "-9223372036854775808"},
		{`18446744073709551615`, "CHAR", "18446744073709551615"},
		{`123456789012345678901234567890`, "CHAR", "123456789012345678901234567890"},
		{`0.10`, "CHAR", "0.10"},
		{`-0.0000000001`, "CHAR", "-0.0000000001"},
		{`1e3`, "CHAR", "1000"},
		{`12.5e-1`, "CHAR", "1.25"},
		{`true`, "CHAR", "1"},
		{`false`, "CHAR", "0"},
		{`"'; DROP TABLE outbox; -- \\ 'ž"`, "CHAR CHARACTER SET utf8mb4", `'; DROP TABLE outbox; -- \ 'ž`},
	} {
		var params map[string]any
		decoder := json.NewDecoder(strings.NewReader(`{"p": ` + c.in + `}`))
		decoder.UseNumber()
		must(t, decoder.Decode(&params))
		if r := query(t, d, "SELECT CAST(:p AS "+c.as+")", params); r.Rows[0][0] != c.out {
			t.Errorf("%s arrived as %v", c.in, r.Rows[0][0])
		}
	}
	if r := query(t, d, "SELECT :p IS NULL", map[string]any{"p": nil}); r.Rows[0][0] != int64(1) {
		t.Errorf("null is %v", r.Rows[0][0])
	}
	r := query(t, d, "SELECT seq FROM "+dbtest.Numbers(100)+" WHERE seq > :above ORDER BY seq LIMIT :n", map[string]any{"above": json.Number("10"), "n": json.Number("2")})
	if fmt.Sprint(r.Rows) != "[[11] [12]]" {
		t.Error(r.Rows)
	}
}

func TestReadOnlyRefusesWhatDoesNotRead(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "CREATE TABLE {db}.t (a INT, `into` INT)")
	d.Exec(t, "CREATE FUNCTION {db}.w() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO {db}.t (a) VALUES (1); RETURN 1; END")
	for statement, want := range map[string]string{
		"":                   "there is no statement",
		" -- nothing\n ; ":   "it begins with ;",
		"UPDATE t SET a = 1": "it begins with UPDATE",
		"delete from t":      "it begins with delete",
		"CALL p()":           "it begins with CALL",
		"SET @a = 1":         "it begins with SET",
		"SET STATEMENT max_statement_time = 0 FOR SELECT 1": "it begins with SET",
		"/* SELECT */ DROP TABLE t":                         "it begins with DROP",
		"SELECT 1; SELECT 2":                                "second statement",
		"SELECT 1; DROP TABLE t":                            "second statement",
		"SELECT 1 INTO OUTFILE '/tmp/outboxd-x'":            "INTO",
		"SELECT 1.into dumpfile '/tmp/outboxd-x'":           "INTO",
		"SELECT 1 /*! INTO OUTFILE '/tmp/outboxd-x' */":     "executed",
		"SELECT 1 /*M! INTO OUTFILE '/tmp/outboxd-x' */":    "executed",
		"SELECT 1 INTO @a":                                  "INTO",
		"SELECT a FROM t FOR UPDATE":                        "UPDATE",
		"SELECT a FROM t FOR /**/ SHARE":                    "FOR SHARE",
		"SELECT a FROM t LOCK IN SHARE MODE":                "LOCK IN SHARE MODE",
		"WITH x AS (SELECT 1) DELETE FROM t":                "DELETE",
		"SELECT LOAD_FILE('/etc/passwd')":                   "LOAD_FILE",
		"SELECT `load_file`('/etc/passwd')":                 "LOAD_FILE",
		"SELECT 'open":                                      "has no end",
		"SELECT w()":                                        "may only read",
	} {
		e := readError(t, d, statement, db.ReadLimits{})
		if e.Reason != db.ReadRefused || !strings.Contains(e.Error(), want) || db.Kind(e) != db.KindOther {
			t.Errorf("%s: %v", statement, e)
		}
	}
	if d.Read(t, "SELECT COUNT(*) FROM {db}.t") != "0" {
		t.Error("a query has written")
	}
	rows := "TABLE t"
	if strings.Contains(d.Read(t, "SELECT VERSION()"), "MariaDB") { // which has no TABLE, and MySQL writes VALUES ROW(1)
		rows = "VALUES (1), (2)"
		d.Exec(t, "CREATE SEQUENCE {db}.numbers")
		if e := readError(t, d, "SELECT NEXTVAL(numbers)", db.ReadLimits{}); e.Reason != db.ReadRefused {
			t.Errorf("a number of a sequence is drawn: %v", e)
		}
	}
	for _, statement := range []string{"SELECT t.into, 'INTO', `into`, \"; DELETE\" AS x FROM t -- INTO\n;", "(SELECT 1) UNION (SELECT 2)", "with x AS (SELECT 1) SELECT * FROM x ; # end",
		rows, "SELECT /* ; FOR UPDATE */ 5--1", "SELECT @a := 5"} {
		query(t, d, statement, nil)
	}
}

// The session of the next query, and those of the pool, know nothing of a query.
func TestReadLeavesNothingBehind(t *testing.T) {
	d := dbtest.New(t)
	query(t, d, "SELECT @a := 5, GET_LOCK('outboxd-test', 1)", nil)
	ctx := deadline(t)
	for d.Read(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{db}'") != "0" { // a server takes its time to end a connection
		if ctx.Err() != nil {
			t.Fatal("the query's connection is left")
		}
	}
	r := query(t, d, "SELECT @a, IS_FREE_LOCK('outboxd-test'), DATABASE(), @@session.sql_mode LIKE '%STRICT_ALL%', @@session.time_zone", nil)
	if got := fmt.Sprint(r.Rows); got != "[[<nil> 1 "+d.Name+" 1 +00:00]]" {
		t.Error(got)
	}
	if d.Read(t, "SELECT DATABASE()") != "NULL" {
		t.Error("a connection of the pool has a database")
	}
}

// gone waits until no statement with the text runs on the server.
func gone(t *testing.T, d *dbtest.Database, text string) {
	t.Helper()
	ctx := deadline(t)
	for d.Read(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE ?", "%"+text+"%") != "0" {
		if ctx.Err() != nil {
			t.Fatal("the statement still runs")
		}
	}
}

// runs waits until a statement with the text runs on the server.
func runs(t *testing.T, d *dbtest.Database, text string) {
	t.Helper()
	ctx := deadline(t)
	for d.Read(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE ?", "%"+text+"%") == "0" {
		if ctx.Err() != nil {
			t.Fatal("the statement does not run")
		}
	}
}

// endless is a statement that computes for hours and returns nothing.
func endless(mark string) string {
	return "SELECT COUNT(*) AS " + mark + " FROM " + strings.Join([]string{many("a"), many("b"), many("c"), many("d")}, ", ")
}

func many(alias string) string {
	return strings.Replace(dbtest.Numbers(10000), ") numbers", ") "+alias, 1)
}

func TestSlowReadIsEndedByTheServer(t *testing.T) {
	d := dbtest.New(t)
	begun := time.Now()
	e := readError(t, d, endless("slow_one"), db.ReadLimits{Time: 200 * time.Millisecond})
	if e.Reason != db.ReadSlow || e.Number == 0 || db.Waits(e) || !strings.Contains(e.Error(), "200ms") {
		t.Errorf("%d %v", e.Number, e)
	}
	if time.Since(begun) > 20*time.Second {
		t.Errorf("it took %s", time.Since(begun))
	}
	gone(t, d, "slow_one")
}

// On MySQL a hint lifts the server's limit: then the statement is killed.
func TestSlowReadThatLiftsItsLimitIsKilled(t *testing.T) {
	d := dbtest.New(t)
	e := readError(t, d, strings.Replace(endless("hinted_one"), "SELECT", "SELECT /*+ MAX_EXECUTION_TIME(0) */", 1), db.ReadLimits{Time: 100 * time.Millisecond})
	if e.Reason != db.ReadSlow {
		t.Error(e)
	}
	gone(t, d, "hinted_one")
}

func TestCancelledReadEndsOnTheServer(t *testing.T) {
	d := dbtest.New(t)
	cancelRead(t, d, d, "cancelled_one")
}

// cancelRead gives up a statement that runs, and asks the witness that it has ended.
func cancelRead(t *testing.T, d, witness *dbtest.Database, mark string) {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	ended := make(chan error)
	go func() {
		_, err := d.Pool.ReadOnly(ctx, d.Name, endless(mark), nil, db.ReadLimits{Time: time.Hour})
		ended <- err
	}()
	runs(t, witness, mark)
	cancel()
	err := <-ended
	var e *db.ReadError
	if !errors.As(err, &e) || e.Reason != db.ReadUnreachable || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	gone(t, witness, mark)
}

func TestReadStopsAtItsLimits(t *testing.T) {
	d := dbtest.New(t)
	all := "SELECT a.seq AS %s, REPEAT('x', 1000) FROM " + many("a") + ", " + many("b")
	e := readError(t, d, fmt.Sprintf(all, "many_rows"), db.ReadLimits{Rows: 10})
	if e.Reason != db.ReadLarge || !strings.Contains(e.Error(), "more than 10 rows") {
		t.Error(e)
	}
	gone(t, d, "many_rows")
	e = readError(t, d, fmt.Sprintf(all, "many_octets"), db.ReadLimits{Octets: 100_000})
	if e.Reason != db.ReadLarge || !strings.Contains(e.Error(), "100000 octets") {
		t.Error(e)
	}
	gone(t, d, "many_octets")
	text, args, err := db.Bind("SELECT seq FROM "+dbtest.Numbers(10), nil)
	must(t, err)
	if r, err := d.Pool.ReadOnly(deadline(t), d.Name, text, args, db.ReadLimits{Rows: 10}); err != nil || len(r.Rows) != 10 {
		t.Errorf("exactly as many rows as allowed: %v", err)
	}
}
