package mailing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs/mailing"
)

var at = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// spec is a mailing to what a query returns.
func spec(statement string, key ...string) mailing.Spec {
	return mailing.Spec{Kind: mailing.KindMailing, Job: "statements", Audience: "open-items", Statement: statement, Template: "statement", Key: key, OncePer: "month", Account: "invoices", Priority: 4}
}

// read asks for an audience that there has to be.
func read(t testing.TB, d *dbtest.Database, s mailing.Spec) *mailing.Spool {
	t.Helper()
	sp, err := mailing.Read(deadline(t), d.Pool, d.Name, s, at, db.ReadLimits{Time: time.Minute})
	must(t, err)
	t.Cleanup(func() { must(t, sp.Close()) })
	return sp
}

// mails are all of an audience.
func mails(t testing.TB, sp *mailing.Spool) (all []db.NewMail) {
	t.Helper()
	must(t, sp.Each(deadline(t), 1, func(line int64, m db.NewMail) error {
		all = append(all, m)
		if line != int64(len(all)) {
			return fmt.Errorf("line %d comes as the %dth", line, len(all))
		}
		return nil
	}))
	return all
}

// audienceError asks for an audience that there cannot be.
func audienceError(t *testing.T, d *dbtest.Database, s mailing.Spec, limit time.Duration) *mailing.AudienceError {
	t.Helper()
	_, err := mailing.Read(deadline(t), d.Pool, d.Name, s, at, db.ReadLimits{Time: limit})
	var e *mailing.AudienceError
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v, not an AudienceError", s.Statement, err)
	}
	return e
}

func TestColumnsOfAnAudience(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `CREATE TABLE {db}.v (Recipients VARCHAR(100), cc VARCHAR(100), bcc VARCHAR(100), from_address VARCHAR(100), reply_to VARCHAR(100), reference VARCHAR(100), language VARCHAR(10),
		subject VARCHAR(100), priority INT, send_after TIMESTAMP NULL, expires_at DATETIME, id BIGINT UNSIGNED, total DECIMAL(10,2), due DATE, seen DATETIME, moment TIMESTAMP(3) NULL, ratio DOUBLE,
		name VARCHAR(100), pdf TEXT, hour TIME, bin VARBINARY(10), zero DECIMAL(8,2) ZEROFILL, flag TINYINT(1)) CHARACTER SET utf8mb4`)
	d.Exec(t, `INSERT INTO {db}.v VALUES ('Eva <eva@kunde.example>', 'a@b.example', 'c@d.example', 'Acme <i@acme.example>', 'r@acme.example', 'invoice:17', 'sk-SK', 'For you', 2,
		'2026-12-01 09:00:00', '2026-12-05 00:00:00', 18446744073709551615, 0.10, '2026-12-06', '2026-12-06 08:30:00', '2026-12-06 08:30:00.5', 0.1, 'Žofia "O''Neill" <b>\n€', NULL, '-12:00:00', 'abc', 7.5, 1)`)
	d.Exec(t, `INSERT INTO {db}.v (recipients) VALUES ('jan@kunde.example')`)
	s := spec("SELECT * FROM v ORDER BY id DESC", "ID", "total")
	s.Subject = "Open items"
	sp := read(t, d, s)
	all := mails(t, sp)
	if sp.Rows() != 2 || len(all) != 2 {
		t.Fatalf("%d rows, %d mails", sp.Rows(), len(all))
	}
	m := all[0]
	want := `{"id":18446744073709551615,"total":0.10,"due":"2026-12-06","seen":"2026-12-06 08:30:00","moment":"2026-12-06T08:30:00.5Z","ratio":0.1,` +
		`"name":"Žofia \"O'Neill\" <b>\n€","pdf":null,"hour":"-12:00:00","bin":"abc","zero":7.50,"flag":1}`
	if m.Params != want || !json.Valid([]byte(m.Params)) {
		t.Errorf("params: %s\nnot     %s", m.Params, want)
	}
	got := fmt.Sprint(m.Recipients, "|", m.Cc, "|", m.Bcc, "|", m.From, "|", m.ReplyTo, "|", m.Reference, "|", m.Language, "|", m.Subject, "|", m.Priority, "|", m.Account, "|", m.Template, "|", m.State, "|", m.Key)
	if want := "Eva <eva@kunde.example>|a@b.example|c@d.example|Acme <i@acme.example>|r@acme.example|invoice:17|sk-SK|For you|2|invoices|statement|queued|18446744073709551615 / 0.10"; got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	if !m.SendAfter.Equal(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)) || !m.ExpiresAt.Equal(time.Date(2026, 12, 5, 0, 0, 0, 0, time.UTC)) {
		t.Error(m.SendAfter, m.ExpiresAt)
	}
	m = all[1]
	if m.Subject != "Open items" || m.Priority != 4 || m.SendAfter != nil || m.Key != "" || m.State != db.Skipped || !strings.Contains(m.LastError, "NULL") {
		t.Errorf("%+v", m)
	}
}

// A query knows for when its run is scheduled, and in which period keys count.
func TestParametersOfAnAudience(t *testing.T) {
	d := dbtest.New(t)
	s := spec("SELECT 'a@b.example' AS recipients, CAST(:scheduled_at AS CHAR) AS at, :period AS period, :min + 0.1 AS min, :name AS name, :yes AS yes")
	s.With = map[string]any{"min": json.Number("0.10"), "name": "O'Neill; DROP TABLE x", "yes": true}
	m := mails(t, read(t, d, s))[0]
	var got map[string]any
	must(t, json.Unmarshal([]byte(m.Params), &got))
	if fmt.Sprint(got["period"], got["name"], got["yes"]) != "2026-12O'Neill; DROP TABLE x1" || !strings.HasPrefix(fmt.Sprint(got["at"]), "2026-12-01 08:00:00") || !strings.Contains(m.Params, `"min":0.20`) {
		t.Error(m.Params)
	}
}

func TestRowsThatCannotBeMailedAreSkippedWithTheReason(t *testing.T) {
	d := dbtest.New(t)
	const good = "'eva@kunde.example'"
	for name, c := range map[string]struct{ columns, want string }{
		"no address":          {"NULL AS recipients", "no address"},
		"empty address":       {"'  ' AS recipients", "no address"},
		"only separators":     {"' ; ,' AS recipients", "no address"},
		"no address at all":   {"'ask Eva' AS recipients", "there is no @"},
		"a hidden header":     {"'eva@kunde.example\r\nBcc: all@kunde.example' AS recipients", "recipients: address 2"},
		"a break in a name":   {"'\"Eva\nBcc: x@y.example\" <eva@kunde.example>' AS recipients", "recipients: address 1"},
		"bytes that are none": {"x'ff40612e6578616d706c65' AS recipients", "not valid UTF-8"},
		"many addresses":      {"REPEAT('a@b.example,', 101) AS recipients", "at most 100"},
		"a long list":         {"REPEAT('a@b.example,', 60000) AS recipients", "octets"},
		"wrong cc":            {good + " AS recipients, 'nobody' AS cc", "cc: address 1"},
		"two senders":         {good + " AS recipients, 'a@b.example, c@d.example' AS from_address", "one sender"},
		"break in subject":    {good + " AS recipients, 'Hello\nBcc: x@y.example' AS subject", "line break"},
		"long subject":        {good + " AS recipients, REPEAT('x', 999) AS subject", "999 characters"},
		"NUL in reference":    {good + " AS recipients, CONCAT('a', CHAR(0), 'b') AS reference", "U+0000"},
		"no language":         {good + " AS recipients, 'Slovenčina' AS language", "write it like sk"},
		"no priority":         {good + " AS recipients, 9 AS priority", "5 very low"},
		"text as time":        {good + " AS recipients, 'tomorrow' AS send_after", "is no time"},
		"year 2100":           {good + " AS recipients, CAST('2100-01-01 00:00:00' AS DATETIME) AS expires_at", "1970 and 2038"},
		"bytes as a value":    {good + " AS recipients, x'00ff' AS photo", "column photo holds bytes"},
		"NUL as a value":      {good + " AS recipients, CONCAT('a', CHAR(0)) AS name", "NUL"},
		"a book as a value":   {good + " AS recipients, REPEAT('x', 5000000) AS book", "octets"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mails(t, read(t, d, spec("SELECT "+c.columns)))[0]
			if m.State != db.Skipped || !strings.Contains(m.LastError, c.want) {
				t.Errorf("%s: %s", m.State, m.LastError)
			}
			if !json.Valid([]byte(m.Params)) || strings.ContainsAny(m.LastError+m.Reference+m.Subject, "\r\n\x00") {
				t.Errorf("%+v", m)
			}
		})
	}
	m := mails(t, read(t, d, spec("SELECT "+good+" AS recipients, REPEAT('ž', 65000) AS name, '' AS subject, '' AS send_after")))[0]
	if m.State != db.Queued || !strings.Contains(m.Params, strings.Repeat("ž", 65000)) {
		t.Errorf("a long text: %s %s", m.State, m.LastError)
	}
}

func TestAnAudienceThatIsNoneSaysWhatToDo(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "CREATE TABLE {db}.customer (id INT, email VARCHAR(100), name VARCHAR(50))")
	d.Exec(t, "CREATE FUNCTION {db}.w() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO {db}.customer (id) VALUES (1); RETURN 1; END")
	for name, c := range map[string]struct {
		spec   mailing.Spec
		kind   mailing.AudienceKind
		wanted []string
	}{
		"no address column": {spec("SELECT id, email, name FROM customer"), mailing.NoAddress, []string{"id, email, name", "email AS recipients"}},
		"wrong SQL":         {spec("SELECT email AS recipients FORM customer"), mailing.BadSQL, []string{"1064", "mend the SQL"}},
		"no such table":     {spec("SELECT email AS recipients FROM customers"), mailing.BadSQL, []string{"customers", "SHOW TABLES"}},
		"writes":            {spec("UPDATE customer SET name = ''"), mailing.Writes, []string{"begins with UPDATE", "one SELECT"}},
		"writes below":      {spec("SELECT 'a@b.example' AS recipients, w()"), mailing.Writes, []string{"may only read"}},
		"two statements":    {spec("SELECT 1; DROP TABLE customer"), mailing.Writes, []string{"second statement"}},
		"a name twice":      {spec("SELECT email AS recipients, id, id AS ID FROM customer"), mailing.Twice, []string{"called ID", "AS other_id"}},
		"a key missing":     {spec("SELECT email AS recipients, id FROM customer", "id", "level"), mailing.NoKey, []string{"no column level", "recipients, id"}},
		"a value missing":   {spec("SELECT email AS recipients FROM customer WHERE id > :min"), mailing.NoValue, []string{"no parameter min", "period, scheduled_at", "with"}},
		"no query":          {spec(""), mailing.BadSQL, []string{"no audience of this name"}},
	} {
		e := audienceError(t, d, c.spec, time.Minute)
		if e.Kind != c.kind {
			t.Errorf("%s: %s", name, e.Kind)
		}
		for _, want := range append(c.wanted, "audience open-items: ") {
			if !strings.Contains(e.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, e)
			}
		}
	}
	many := strings.Replace(dbtest.Numbers(10000), ") numbers", ") a", 1) + ", " + strings.Replace(dbtest.Numbers(10000), ") numbers", ") b", 1)
	e := audienceError(t, d, spec("SELECT 'a@b.example' AS recipients, a.seq FROM "+many), 300*time.Millisecond)
	if e.Kind != mailing.TooSlow || !strings.Contains(e.Error(), "ended after 300ms") || !strings.Contains(e.Error(), "reader: {time") {
		t.Error(e)
	}
	if d.Read(t, "SELECT COUNT(*) FROM {db}.customer") != "0" {
		t.Error("an audience has written")
	}
}

// A server that is away is waited for: the audience is as it was.
func TestAnAudienceWhoseServerIsAwayWaits(t *testing.T) {
	d := dbtest.New(t)
	login := d.Server
	login.Username, login.Password = "nobody", "wrong"
	pool, err := db.Open(login)
	must(t, err)
	defer pool.Close()
	_, err = mailing.Read(deadline(t), pool, d.Name, spec("SELECT 'a@b.example' AS recipients"), at, db.ReadLimits{})
	var e *mailing.AudienceError
	if err == nil || errors.As(err, &e) || db.Kind(err) != db.KindSetup {
		t.Error(err)
	}
}

func TestAnEmptyAudience(t *testing.T) {
	d := dbtest.New(t)
	s := spec("SELECT 'a@b.example' AS recipients FROM (SELECT 1) a WHERE 1 = 0")
	sp := read(t, d, s)
	if sp.Rows() != 0 || len(mails(t, sp)) != 0 {
		t.Error(sp.Rows())
	}
	f, lines, err := mailing.Count(deadline(t), sp, mailing.Counting{Samples: 3})
	if err != nil || f.Audience != 0 || len(lines) != 0 {
		t.Error(f, lines, err)
	}
	if h, err := mailing.ReadHead(deadline(t), d.Pool, d.Name, s, at, db.ReadLimits{}, 3); h.Rows != 0 || err != nil {
		t.Error(h, err)
	}
}

// The first rows cost no more than themselves, however many would follow.
func TestTheFirstRowsOfAnAudience(t *testing.T) {
	d := dbtest.New(t)
	many := strings.Replace(dbtest.Numbers(10000), ") numbers", ") a", 1) + ", " + strings.Replace(dbtest.Numbers(10000), ") numbers", ") b", 1)
	s := spec("SELECT IF(a.seq % 2 = 1, 'nobody', 'a@b.example') AS recipients, a.seq AS id FROM "+many, "id")
	h, err := mailing.ReadHead(deadline(t), d.Pool, d.Name, s, at, db.ReadLimits{}, 2)
	if err != nil || len(h.Mails) != 2 || h.Mails[0].State != db.Queued || h.Rows < 3 || h.Rows > 1000 || !strings.Contains(h.Why, "there is no @") {
		t.Error(h, err)
	}
	s.Statement = "SELECT 'nobody' AS recipients, a.seq AS id FROM " + many
	if h, err = mailing.ReadHead(deadline(t), d.Pool, d.Name, s, at, db.ReadLimits{}, 2); err != nil || len(h.Mails) != 0 || h.Rows != 1000 {
		t.Error(h, err)
	}
}

// source is one that has its rows already.
type source func(columns func([]db.ReadColumn) error, row func([]any) error) error

func (f source) ReadEach(_ context.Context, _, _ string, _ []any, _ db.ReadLimits, columns func([]db.ReadColumn) error, row func([]any) error) error {
	return f(columns, row)
}

// some is a source with a few addresses.
var some = source(rowsOf{[]db.ReadColumn{{Name: "recipients", Kind: db.KindText}}, [][]any{{"a@b.example"}, {"c@d.example"}}}.each)

// What cannot be kept passes by itself, and says what to do.
func TestAFolderWithoutRoomForAnAudience(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/none")
	_, err := mailing.Read(deadline(t), some, "x", spec("SELECT 1"), at, db.ReadLimits{})
	var e *mailing.SpoolError
	if !errors.As(err, &e) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Error(err)
	}
}

func TestADiskThatIsFullIsNoFaultOfTheAudience(t *testing.T) {
	for _, octets := range []int{1000, 1_000_000} { // at the end, and before
		err := mailing.PutInto("/dev/full", octets)
		var e *mailing.SpoolError
		if !errors.As(err, &e) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
			t.Error(err)
		}
	}
}

// Nothing of an audience is seen in the folder, nor left there.
func TestAnAudienceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	sp, err := mailing.Read(deadline(t), some, "x", spec("SELECT 1"), at, db.ReadLimits{})
	must(t, err)
	for range 2 {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Error(left, err)
		}
		_ = sp.Close()
	}
}
