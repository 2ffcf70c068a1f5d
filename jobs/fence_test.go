package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// tables lists a database's tables in the order in which a dump is read back.
func (s *site) tables() []string {
	return strings.Split(s.db.Read(s.t, `SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = '{db}' AND TABLE_TYPE = 'BASE TABLE'`), ",")
}

// copyTables does what dumping tables of one database and reading them into another one does.
func (s *site) copyTables(from, to string, tables ...string) {
	s.t.Helper()
	for _, table := range tables {
		columns := s.db.Read(s.t, `SELECT GROUP_CONCAT('`+"`', COLUMN_NAME, '`"+`' ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS
			WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COALESCE(GENERATION_EXPRESSION, '') = ''`, from, table)
		s.db.Exec(s.t, fmt.Sprintf("CREATE TABLE %s.restored LIKE %s.%s", to, from, table))
		s.db.Exec(s.t, fmt.Sprintf("INSERT INTO %s.restored (%s) SELECT %s FROM %s.%s", to, columns, columns, from, table))
		s.db.Exec(s.t, fmt.Sprintf("DROP TABLE IF EXISTS %s.%s", to, table))
		s.db.Exec(s.t, fmt.Sprintf("RENAME TABLE %s.restored TO %s.%s", to, to, table)) // full at once: a daemon that runs writes into it
	}
}

// dump copies the whole database into another one, which is dropped when the test ends, and returns its name.
func (s *site) dump(suffix string) string {
	s.t.Helper()
	name := s.db.Name + suffix
	s.db.Exec(s.t, "CREATE DATABASE "+name)
	s.t.Cleanup(func() { s.db.Exec(s.t, "DROP DATABASE "+name) })
	s.copyTables(s.db.Name, name, s.tables()...)
	return name
}

// restore reads a dump back in place.
func (s *site) restore(dump string, tables ...string) {
	s.t.Helper()
	if tables == nil {
		tables = s.tables()
	}
	s.copyTables(dump, s.db.Name, tables...)
}

// newWitnessed makes a site with a state directory, and its jobs.yaml: with a control database apart, or its own.
func newWitnessed(t *testing.T, apart bool) (s *site, text string) {
	t.Helper()
	s = newSite(t)
	s.state = t.TempDir()
	if apart {
		return s, s.of(s.db.Name, newSite(t).db.Name)
	}
	return s, s.plain()
}

// plain is the site's usual jobs.yaml: its database is the control database too.
func (s *site) plain() string { return s.file("  main: "+s.account(unlimited), "") }

// of is a jobs.yaml with a control database of its own name and the company in the named database.
func (s *site) of(database, control string) string {
	return strings.Replace(strings.Replace(s.plain(), "    database: "+s.db.Name, "    database: "+database, 1),
		"accounts:", fmt.Sprintf("control: {server: main, database: %s}\naccounts:", control), 1)
}

// sendSome lets an engine send three mails and end, and then inserts one more.
func (s *site) sendSome(text string) {
	s.t.Helper()
	s.mails(3)
	s.start(text, "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	s.end()
	s.mail("next@kunde.example")
}

// staysQuiet starts an engine and sees to it that it changes no row and sends nothing.
func (s *site) staysQuiet(text, name, database, why string) {
	s.t.Helper()
	const rows = `SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', id, state, held, claims, COALESCE(lease_token, '-'), updated_at) ORDER BY id), '') FROM `
	before, sent, fenced := s.db.Read(s.t, rows+database+".outbox"), len(s.smtp.Messages()), s.events("fenced")
	d := s.start(text, name)
	s.awaitEvent("fenced", fenced+1)
	s.isFenced(d, why)
	d.end()
	if after := s.db.Read(s.t, rows+database+".outbox"); after != before {
		s.t.Errorf("the copy was changed: %s, before %s", after, before)
	}
	if n := len(s.smtp.Messages()) - sent; n != 0 {
		s.t.Errorf("%d mails were sent from a copy", n)
	}
}

// isFenced looks at all that tells of a fence.
func (s *site) isFenced(d *daemon, why string) {
	s.t.Helper()
	reply, err := d.engine.Desk().Status(s.t.Context(), jobs.StatusRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	f := reply.Companies[0].Fenced
	if f == nil || !strings.Contains(f.Why, why) || !strings.Contains(f.Hint, "outboxd adopt acme") {
		s.t.Errorf("status says %+v, want %s", f, why)
	}
	if s.events("alert") == 0 {
		s.t.Error("no alert")
	}
}

func TestP8_CopyElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.state = t.TempDir()
	s.sendSome(s.plain())
	dump := s.dump("_copy")

	production := s.state
	s.state = t.TempDir()
	s.staysQuiet(s.of(dump, dump), "staging", dump, "at another place")      // with everything copied
	s.staysQuiet(s.of(dump, s.db.Name), "staging", dump, "at another place") // with production's control database
	s.state = ""
	s.staysQuiet(s.of(dump, dump), "other", dump, "at another place") // that keeps nothing
	s.state = production
	s.staysQuiet(s.of(dump, dump), "one", dump, "at another place") // renamed under the same daemon

	s.start(s.plain(), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
	s.onceEach(4)
}

func TestP8_RestoredInPlaceWhileStopped(t *testing.T) {
	t.Parallel()
	for name, control := range map[string]bool{"the state directory knows": false, "the control database knows": true} {
		t.Run(name, func(t *testing.T) {
			s, text := newWitnessed(t, control)
			dump := s.dump("_dump") // before the first start: without an identity
			s.sendSome(text)
			later := s.dump("_later")
			s.start(text, "one")
			s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
			s.end()
			if control {
				s.state = t.TempDir()
			}
			s.restore(later)
			s.staysQuiet(text, "one", s.db.Name, "older than outboxd remembers")
			s.restore(dump)
			s.staysQuiet(text, "one", s.db.Name, "has no identity")
			s.onceEach(4)
		})
	}
}

func TestP8_RestoredInPlaceWhileRunning(t *testing.T) {
	for name, tables := range map[string][]string{"the whole database": nil, "the rows alone": {"outbox"}, "rows and tries": {"outbox", "outbox_attempt", "outbox_recipient"}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.state = t.TempDir()
			s.mail("first@kunde.example")
			s.start(s.plain(), "one")
			s.awaitRows("1 sent 1")
			s.end()
			s.mail("again@kunde.example")
			s.mail("a@kunde.example, b@kunde.example")
			dump := s.dump("_dump")
			d := s.start(s.plain(), "one")
			s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
			s.restore(dump, tables...)
			s.awaitEvent("fenced", 1)
			s.isFenced(d, "older")
			s.awaitRows("1 sent 1", "2 queued 0", "3 queued 0")
			d.end()
			s.staysQuiet(s.plain(), "one", s.db.Name, "older") // and remembers it
			s.onceEach(3)
		})
	}
}

// A server whose disk was copied: elsewhere it is a copy, at the old one's address it has taken its place.
func TestP8_CopiedDataDirectory(t *testing.T) {
	s := newSite(t)
	own := dbtest.Own(t, dbtest.Options{})
	s.db = dbtest.On(t, own.Server)
	s.state = t.TempDir()
	s.sendSome(s.plain())
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	original, production := s.db, s.state
	use := func(server *dbtest.Server) {
		t.Helper()
		pool, err := db.Open(server.Server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pool.Close() })
		s.db = &dbtest.Database{Server: server.Server, Name: original.Name, Pool: pool}
	}
	use(own.Copy(t, 0))
	s.staysQuiet(s.plain(), "one", original.Name, "at another place")
	s.state = t.TempDir()
	s.staysQuiet(s.plain(), "staging", original.Name, "at another place")

	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	s.db, s.state = original, production
	s.start(s.plain(), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
	s.onceEach(4)
}

// A replica that the file has always named takes over while no daemon runs, and then another one while one does.
func TestP8_PlannedFailover(t *testing.T) {
	s := newSite(t)
	first := dbtest.Own(t, dbtest.Options{})
	s.db = dbtest.On(t, first.Server)
	s.state = t.TempDir()
	ports := dbtest.FreePorts(t, 2)
	text := func() string {
		return strings.Replace(s.plain(), fmt.Sprintf("host: 127.0.0.1, port: %d, username", first.Port),
			fmt.Sprintf("hosts: ['127.0.0.1:%d', '127.0.0.1:%d', '127.0.0.1:%d'], username", first.Port, ports[0], ports[1]), 1)
	}
	config, name := text(), s.db.Name
	s.sendSome(config)
	on := func(server *dbtest.Server) {
		t.Helper()
		pool, err := db.Open(server.Server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pool.Close() })
		s.db = &dbtest.Database{Server: server.Server, Name: name, Pool: pool}
	}
	original := s.db
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	second := first.Copy(t, ports[0]) // as a replica that has all
	on(second)
	s.start(config, "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")

	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	on(second.Copy(t, ports[1]))
	s.mail("more@kunde.example")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE id = 5`)
	if n := s.events("fenced"); n != 0 {
		t.Errorf("fenced %d times", n)
	}
	s.end()

	if err := first.Restart(); err != nil { // the old one comes back as it was
		t.Fatal(err)
	}
	s.db = original
	s.staysQuiet(config, "one", name, "older than outboxd remembers")
	s.onceEach(5)
}

func TestP8_TwoDaemonsWithStateOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, name := range []string{"one", "two"} {
		s.state = t.TempDir()
		s.start(s.plain(), name)
	}
	s.mails(50)
	s.await("50", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.end()
	s.state = t.TempDir() // a lost one
	s.start(s.plain(), "one")
	s.mail("more@kunde.example")
	s.await("51", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if n := s.events("fenced"); n != 0 {
		t.Errorf("fenced %d times", n)
	}
	s.onceEach(51)
}

// A daemon that died after its beat was committed and before any witness was told has lost nothing.
func TestP8_DeathBetweenBeatAndWitness(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.state = t.TempDir()
	s.sendSome(s.plain())
	s.db.Exec(t, `UPDATE {db}.outbox_beat SET beat = beat + 1, nonce = 'unknown'`)
	s.start(s.plain(), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
	s.end()

	// At the same beat, but not the same: another branch.
	s.mail("more@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox_beat SET nonce = 'other'`)
	s.db.Exec(t, `UPDATE {db}.outbox_witness SET nonce = 'other'`)
	s.staysQuiet(s.plain(), "one", s.db.Name, "another branch")
}

// The right database is put back: it goes on by itself.
func TestP8_PutBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.state = t.TempDir()
	old := s.dump("_old")
	s.sendSome(s.plain())
	right := s.dump("_right")
	s.restore(old)
	s.start(s.plain(), "one")
	s.awaitEvent("fenced", 1)
	s.restore(right)
	s.awaitEvent("unfenced", 1)
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
	s.onceEach(4)
}

func TestStateIsTheDaemonsAlone(t *testing.T) {
	s := newSite(t)
	s.state = filepath.Join(t.TempDir(), "made")
	s.sendSome(s.plain())
	files := 0
	err := filepath.Walk(s.state, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 && path != s.state {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if err == nil && !info.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 2 {
		t.Errorf("%d files, %v", files, err)
	}
}

// A person has queued an uncertain row again, and then the server's answer came: the row alone is held.
func TestLateAnswerAfterRetryHoldsTheRow(t *testing.T) {
	s := newSite(t)
	s.state = t.TempDir()
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, To: "late@kunde.example", Times: 1, Do: smtptest.LoseReply()})
	s.mail("late@kunde.example")
	s.start(s.plain(), "one")
	s.await("uncertain", `SELECT state FROM {db}.outbox WHERE id = 1`)
	s.db.Exec(t, `UPDATE {db}.outbox_attempt SET verdict = 'accepted'`)
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'queued' WHERE id = 1`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE id = 1 AND held = 1 AND last_error LIKE 'a server has accepted it before%'`)
	s.mail("next@kunde.example")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE id = 2`)
	if n := s.events("fenced"); n != 0 {
		t.Errorf("fenced %d times", n)
	}
}

// Nobody remembers the company, and the control database does not answer at the start: it is asked again soon, not after the
// minute for which a silent one is left alone later.
func TestP8_StartWithASilentControlDatabase(t *testing.T) {
	s, apart := newSite(t), newSite(t)
	s.state = t.TempDir()
	apart.db.Exec(t, `RENAME TABLE {db}.outbox_witness TO {db}.witness_away`)
	s.mails(1)
	s.start(s.of(s.db.Name, apart.db.Name), "one")
	s.awaitEvent("company_down", 1)
	apart.db.Exec(t, `RENAME TABLE {db}.witness_away TO {db}.outbox_witness`)
	s.awaitRows("1 sent 1")
}
