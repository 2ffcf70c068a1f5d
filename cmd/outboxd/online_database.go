package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/mail/sendercheck"
)

// clockOff is by how much a server's clock differs, 0 when that is of no account.
func clockOff(server, here time.Time) time.Duration {
	off := server.Sub(here).Round(time.Second)
	if off > clockLimit || off < -clockLimit {
		return off
	}
	return 0
}

// database looks at one database.
type database struct {
	jobs.Schema
	ctx   context.Context
	now   func() time.Time
	found []finding
}

func (d *database) add(id string, level sendercheck.Level, text, remedy string) {
	d.found = append(d.found, found(id, level, fmt.Sprintf("%s, database %s", d.For, d.Database), text, remedy))
}

func lookAtDatabase(ctx context.Context, s jobs.Schema, now func() time.Time) []finding {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	d := &database{Schema: s, ctx: ctx, now: now}
	if err := s.Pool.Ping(ctx); err != nil {
		hint := jobs.DatabaseHint(err)
		if db.Kind(err) == db.KindSetup {
			hint = fmt.Sprintf("check username and password in jobs.yaml, and that the server lets %s in from this computer", s.Username)
		}
		d.add("db.connect", levelFail, fmt.Sprintf("as %s: %v", s.Username, err), hint)
		return d.found
	}
	d.version()
	d.settings()
	d.clock()
	faults, err := s.Pool.Examine(ctx, s.Database, s.Parts...)
	var altered *db.ShapeError
	if errors.As(err, &altered) {
		faults = append(altered.Faults, faults...)
	}
	for _, f := range faults {
		level := levelWarn
		if f.Stops {
			level = levelFail
		}
		d.add("db.tables", level, "altered by hand: "+f.Text, f.Remedy)
	}
	switch {
	case altered != nil:
		return d.found
	case err != nil:
		hint := jobs.DatabaseHint(err)
		if db.Kind(err) == db.KindSetup {
			hint = "the tables or the user's rights are missing: a DBA runs the statements that outboxd migrate --print shows"
		}
		d.add("db.tables", levelFail, err.Error(), hint)
		return d.found
	}
	behind, err := s.Pool.Behind(ctx, s.Database, s.Parts...)
	switch {
	case err != nil:
		d.add("db.tables", levelFail, err.Error(), jobs.DatabaseHint(err))
		return d.found
	case behind:
		d.add("db.tables", levelWarn, "the tables are one step older than this program, which works with them but for what is new", "run outboxd migrate; the rights are looked at after that")
		return d.found
	case len(faults) == 0:
		d.add("db.tables", levelOK, "the tables fit this program", "")
	}
	d.rights()
	return d.found
}

// version tells what server it is, and warns of one that is older than those outboxd is made for.
func (d *database) version() {
	v, err := d.Pool.Version(d.ctx)
	if err != nil {
		d.add("db.version", levelFail, err.Error(), jobs.DatabaseHint(err))
		return
	}
	if oldServer(v) {
		d.add("db.version", levelWarn, fmt.Sprintf("server version %s", v), "outboxd is made for MariaDB 10.6 or MySQL 8.0 and newer")
		return
	}
	d.add("db.version", levelOK, fmt.Sprintf("logged in as %s, server version %s", d.Username, v), "")
}

// oldServer tells whether a VERSION() is below MariaDB 10.6 and MySQL 8.0.
func oldServer(version string) bool {
	wantMajor, wantMinor := 8, 0
	if strings.Contains(strings.ToLower(version), "mariadb") {
		wantMajor, wantMinor = 10, 6
	}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return true
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return true
	}
	minor, err := strconv.Atoi(parts[1])
	return err != nil || major < wantMajor || major == wantMajor && minor < wantMinor
}

// settings warns of what makes the server refuse outboxd's writes, or lets senders' values be cut silently.
func (d *database) settings() {
	logging, err := d.Pool.ReadText(d.ctx, "SELECT @@GLOBAL.log_bin")
	if err == nil && logging == "1" {
		var form string
		if form, err = d.Pool.ReadText(d.ctx, "SELECT @@GLOBAL.binlog_format"); err == nil && strings.EqualFold(form, "STATEMENT") {
			d.add("db.settings", levelFail, "binlog_format is STATEMENT: the server refuses every write of a READ COMMITTED session (error 1665)",
				"set binlog_format = ROW (or MIXED) in the server's configuration and restart it")
		}
	}
	if err != nil {
		d.add("db.settings", levelWarn, fmt.Sprintf("the server's settings cannot be read: %v", err), "")
		return
	}
	if flush, err := d.Pool.ReadText(d.ctx, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"); err == nil && flush != "1" {
		d.add("db.settings", levelWarn, "innodb_flush_log_at_trx_commit is "+flush+": a power cut can lose what was committed in the last second, and a mail sent in it goes again",
			"set innodb_flush_log_at_trx_commit = 1")
	}
	mode, err := d.Pool.ReadText(d.ctx, "SELECT @@GLOBAL.sql_mode")
	if err == nil && !strings.Contains(mode, "STRICT_") {
		d.add("db.settings", levelWarn, "sql_mode is not strict: what a sender inserts too long is cut without an error", "add STRICT_TRANS_TABLES to the server's sql_mode")
	}
}

// clock compares the server's clock with this computer's. Nothing depends on it but the reading of logs.
func (d *database) clock() {
	text, err := d.Pool.ReadText(d.ctx, "SELECT UNIX_TIMESTAMP(SYSDATE(6))")
	if err != nil {
		d.add("db.clock", levelWarn, fmt.Sprintf("the server's clock cannot be read: %v", err), "")
		return
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d.add("db.clock", levelWarn, fmt.Sprintf("the server's clock cannot be read: %v", err), "")
		return
	}
	if off := clockOff(time.UnixMicro(int64(seconds*1e6)), d.now()); off != 0 {
		d.add("db.clock", levelWarn, fmt.Sprintf("the server's clock differs from this computer's by %s", off),
			"let both keep time by NTP; outboxd works by the server's clock, but logs and rows are hard to compare")
	}
}

// probe tries a right without touching a row.
type probe struct{ table, verb, statement string }

// probes are the rights of the daemon's user, as db.Grants gives them.
var probes = map[db.Part][]probe{
	db.CompanyPart: {
		{"outbox", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox", "UPDATE", "UPDATE {t} SET held = held WHERE 1 = 0"},
		{"outbox_recipient", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_recipient", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_recipient", "UPDATE", "UPDATE {t} SET position = position WHERE 1 = 0"},
		{"outbox_attempt", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_attempt", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_attempt", "UPDATE", "UPDATE {t} SET reply = reply WHERE 1 = 0"},
		{"outbox_attachment", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_content", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_template", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_lane", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_lane", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_lane", "UPDATE", "UPDATE {t} SET reason = reason WHERE 1 = 0"},
		{"outbox_lane", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
		{"outbox_surplus", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_surplus", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_identity", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_identity", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_identity", "UPDATE", "UPDATE {t} SET one = one WHERE 1 = 0"},
		{"outbox_place", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_place", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_place", "UPDATE", "UPDATE {t} SET place = place WHERE 1 = 0"},
		{"outbox_place", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
		{"outbox_beat", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_beat", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_beat", "UPDATE", "UPDATE {t} SET beat = beat WHERE 1 = 0"},
		{"outbox_beat", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
		{"outbox_key", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_suppression", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_purged", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_status", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	},
	db.BucketPart: {
		{"outbox_bucket", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_bucket", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_bucket", "UPDATE", "UPDATE {t} SET name = name WHERE 1 = 0"},
		{"outbox_usage", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_usage", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_usage", "UPDATE", "UPDATE {t} SET mails = mails WHERE 1 = 0"},
		{"outbox_usage", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	},
	db.ControlPart: {
		{"outbox_audit", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_audit", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_told", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_told", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_told", "UPDATE", "UPDATE {t} SET name = name WHERE 1 = 0"},
		{"outbox_told", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
		{"outbox_instance", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_instance", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_instance", "UPDATE", "UPDATE {t} SET host = host WHERE 1 = 0"},
		{"outbox_witness", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_witness", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_witness", "UPDATE", "UPDATE {t} SET beat = beat WHERE 1 = 0"},
		{"outbox_handed", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
		{"outbox_handed", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
		{"outbox_handed", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	},
}

func probesOf(needs db.Needs, parts ...db.Part) (all []probe) {
	for _, part := range parts {
		all = append(all, probes[part]...)
	}
	if needs.Purges {
		all = append(all, purgeProbes...)
	}
	if needs.Mailings {
		all = append(all, mailingProbes...)
	}
	return all
}

// rights tries every statement that the daemon needs a right for. The name of the database was checked by jobfile.
func (d *database) rights() {
	var missing []string
	for _, p := range probesOf(d.Needs, d.Parts...) {
		statement := strings.ReplaceAll(p.statement, "{t}", "`"+d.Database+"`."+p.table)
		err := d.Pool.Exec(d.ctx, statement)
		switch {
		case err == nil, db.NoTable(err): // the look at the schema names it
		case db.Kind(err) == db.KindSetup:
			missing = append(missing, p.verb+" on "+p.table)
		default:
			d.add("db.rights", levelFail, fmt.Sprintf("%s on %s: %v", p.verb, p.table, err), jobs.DatabaseHint(err))
			return
		}
	}
	if len(missing) > 0 {
		d.add("db.rights", levelFail, fmt.Sprintf("user %s lacks rights: %s", d.Username, strings.Join(missing, ", ")),
			"a DBA runs the GRANT statements that outboxd migrate --print shows")
		return
	}
	d.add("db.rights", levelOK, fmt.Sprintf("user %s has all rights that it needs", d.Username), "")
}

// purgeProbes are those of a company with a job of kind purge.
var purgeProbes = []probe{
	{"outbox", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_recipient", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_attempt", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_attachment", "UPDATE", "UPDATE {t} SET name = name WHERE 1 = 0"},
	{"outbox_attachment", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_content", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_key", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_key", "UPDATE", "UPDATE {t} SET at = at WHERE 1 = 0"},
	{"outbox_purged", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_purged", "UPDATE", "UPDATE {t} SET purged_at = purged_at WHERE 1 = 0"},
	{"outbox_purged", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_run", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_run", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_run", "UPDATE", "UPDATE {t} SET state = state WHERE 1 = 0"},
	{"outbox_purge", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_purge", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_purge", "UPDATE", "UPDATE {t} SET passed = passed WHERE 1 = 0"},
	{"outbox_purge_later", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_purge_later", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_purge_later", "UPDATE", "UPDATE {t} SET since = since WHERE 1 = 0"},
	{"outbox_purge_later", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_archive", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_archive", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_archive", "UPDATE", "UPDATE {t} SET octets = octets WHERE 1 = 0"},
	{"outbox_run_mail", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_run_mail", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_pin", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_pin", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_writeback", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
}

// mailingProbes are those of a company with audiences, or with jobs of kinds mailing, report or sql.
var mailingProbes = []probe{
	{"outbox", "INSERT", "INSERT INTO {t} (recipients) SELECT recipients FROM {t} WHERE 1 = 0"},
	{"outbox_attachment", "INSERT", "INSERT INTO {t} (outbox_id, name) SELECT outbox_id, name FROM {t} WHERE 1 = 0"},
	{"outbox_content", "INSERT", "INSERT INTO {t} (content) SELECT content FROM {t} WHERE 1 = 0"},
	{"outbox_content", "UPDATE", "UPDATE {t} SET created_at = created_at WHERE 1 = 0"},
	{"outbox_pin", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_pin", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_pin", "UPDATE", "UPDATE {t} SET created_at = created_at WHERE 1 = 0"},
	{"outbox_run_code", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_run_code", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_run_code", "UPDATE", "UPDATE {t} SET tries = tries WHERE 1 = 0"},
	{"outbox_run_mail", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_run", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_run", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_run", "UPDATE", "UPDATE {t} SET state = state WHERE 1 = 0"},
	{"outbox_run_mail", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_run_mail", "UPDATE", "UPDATE {t} SET state = state WHERE 1 = 0"},
	{"outbox_key", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_key", "UPDATE", "UPDATE {t} SET at = at WHERE 1 = 0"},
	{"outbox_key", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
	{"outbox_writeback", "SELECT", "SELECT 1 FROM {t} WHERE 1 = 0"},
	{"outbox_writeback", "INSERT", "INSERT INTO {t} SELECT * FROM {t} WHERE 1 = 0"},
	{"outbox_writeback", "UPDATE", "UPDATE {t} SET tries = tries WHERE 1 = 0"},
	{"outbox_writeback", "DELETE", "DELETE FROM {t} WHERE 1 = 0"},
}
