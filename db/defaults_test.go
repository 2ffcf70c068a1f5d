package db_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// A server's defaults may be anything: our sessions set what they need, and the printed schema means the same in any.
func TestServerDefaultsMatterNothing(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Flags: []string{"--autocommit=0", "--completion-type=CHAIN", "--transaction-isolation=SERIALIZABLE",
		"--transaction-read-only=1", "--default-time-zone=-07:00", "--sql-safe-updates=1", "--default-storage-engine=MyISAM", "--character-set-server=latin1"}})
	for _, mode := range []string{"", "ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,ANSI_QUOTES", "ORACLE,EMPTY_STRING_IS_NULL",
		"NO_AUTO_VALUE_ON_ZERO,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION,IGNORE_SPACE,REAL_AS_FLOAT"} {
		t.Run(mode, func(t *testing.T) {
			admin, err := db.Open(server.Server)
			must(t, err)
			defer admin.Close()
			must(t, admin.Exec(deadline(t), "SET GLOBAL sql_mode = ?, sql_select_limit = 1", mode))
			printed(t, server.Server)
			d := dbtest.On(t, server.Server)
			// By the shared pool's sessions, and by a sender's own.
			d.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES (?, ?, ?)`, `"O\'Hara" <a@kunde.example>`, `a\b"c'd`, "x\ny")
			sender := session(t, d)
			for _, statement := range []string{readWrite, "INSERT INTO " + d.Name + ".outbox (recipients) VALUES ('b@kunde.example')", "COMMIT"} {
				_, err := sender.ExecContext(deadline(t), statement)
				must(t, err)
			}
			rows := claimAll(t, d.Store, 10)
			if len(rows) != 2 || rows[0].Recipients != `"O\'Hara" <a@kunde.example>` || rows[0].Subject != `a\b"c'd` || rows[0].Text != "x\ny" {
				t.Fatalf("claimed %+v", rows)
			}
			buckets, err := d.Pool.Buckets(d.Name, nil)
			must(t, err)
			for _, r := range rows {
				take, err := buckets.Take(deadline(t), []db.Bucket{{Name: "account:a", Windows: []db.Window{{N: 36000, Per: time.Hour}}}}, 1)
				if err != nil || !take.OK {
					t.Errorf("take: %v, %v", take, err)
				}
				must(t, d.Store.Mark(deadline(t), markOf(r.Lease)))
				must(t, d.Store.Settle(deadline(t), accepted(r.Lease)))
			}
			// Another connection sees it: it was committed.
			other, err := db.Open(server.Server)
			must(t, err)
			defer other.Close()
			got, err := other.ReadText(deadline(t), "SELECT GROUP_CONCAT(state) FROM "+d.Name+".outbox")
			if err != nil || got != "sent,sent" {
				t.Errorf("rows are %s, %v", got, err)
			}
		})
	}
}

// readWrite is what a person's own session needs on such a server to write anything at all.
const readWrite = "SET SESSION TRANSACTION READ WRITE"

// printed makes the tables as a DBA's client does, in a session with the server's defaults, and compares them with those
// that migrate makes.
func printed(t *testing.T, server db.Server) {
	t.Helper()
	d := dbtest.On(t, server)
	name := empty(t, d, "_dba")
	text, err := db.Schema(name, db.CompanyPart, db.BucketPart, db.ControlPart)
	must(t, err)
	dba := session(t, d)
	for statement := range strings.SplitSeq(readWrite+";\n"+text, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := dba.ExecContext(deadline(t), statement); err != nil {
			t.Fatalf("%.60s: %v", statement, err)
		}
	}
	if _, err := dba.ExecContext(deadline(t), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	d.Exec(t, "INSERT INTO `"+name+"`.outbox (recipients, account, from_address) VALUES ('Eva <eva@Kunde.example>, jan@kunde.example', '', 'Acme <x@Acme.example>')")
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, account, from_address) VALUES ('Eva <eva@Kunde.example>, jan@kunde.example', '', 'Acme <x@Acme.example>')")
	const computed = "SELECT CONCAT_WS(' ', rcpt, rdom, route, qlane, size, priority, state) FROM "
	if p, m := d.Read(t, computed+"`"+name+"`.outbox"), d.Read(t, computed+"{db}.outbox"); p != m {
		t.Errorf("printed: %s; migrated: %s", p, m)
	}
	must(t, d.Pool.CheckSchema(deadline(t), name, db.CompanyPart, db.BucketPart, db.ControlPart))
}
