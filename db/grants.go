package db

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// senderColumns are the columns of outbox that a sender may set. All others are outboxd's or the table's own.
var senderColumns = []string{"recipients", "cc", "bcc", "from_address", "reply_to", "subject", "body_text", "body_html", "headers",
	"priority", "send_after", "expires_at", "dedupe_key", "reference", "account", "template", "params", "language", "raw"}

// attachmentColumns are those of outbox_attachment that a sender may set; queryColumns only one who may run SQL as the reader.
const (
	attachmentColumns = "outbox_id, name, type, content, hash, file, content_id"
	queryColumns      = "query, format, options"
)

// right is what outboxd run does to a table. It creates, alters and drops nothing: migrate does.
type right struct{ table, verbs string }

var daemonRights = map[Part][]right{
	CompanyPart: {
		{"outbox", "SELECT, UPDATE"},
		{"outbox_recipient", "SELECT, INSERT, UPDATE"},
		{"outbox_attempt", "SELECT, INSERT, UPDATE"},
		{"outbox_attachment", "SELECT"},
		{"outbox_content", "SELECT"},
		{"outbox_template", "SELECT"},
		{"outbox_lane", "SELECT, INSERT, UPDATE, DELETE"},
		{"outbox_key", "SELECT"},
		{"outbox_suppression", "SELECT"},
		{"outbox_purged", "SELECT"},
		{"outbox_surplus", "SELECT, INSERT"},
		{"outbox_status", "SELECT"}, // to see that it is there
		{"outbox_identity", "SELECT, INSERT, UPDATE"},
		{"outbox_place", "SELECT, INSERT, UPDATE, DELETE"},
		{"outbox_beat", "SELECT, INSERT, UPDATE, DELETE"},
	},
	BucketPart: {
		{"outbox_bucket", "SELECT, INSERT, UPDATE"},
		{"outbox_usage", "SELECT, INSERT, UPDATE, DELETE"},
	},
	ControlPart: {
		{"outbox_audit", "SELECT, INSERT"},
		{"outbox_told", "SELECT, INSERT, UPDATE, DELETE"},
		{"outbox_instance", "SELECT, INSERT, UPDATE"},
		{"outbox_witness", "SELECT, INSERT, UPDATE"},
		{"outbox_handed", "SELECT, INSERT, DELETE"},
	},
}

// purgeRights are what a job of kind purge does beyond that.
var purgeRights = []right{
	{"outbox", "DELETE"},
	{"outbox_recipient", "DELETE"},
	{"outbox_attempt", "DELETE"},
	{"outbox_attachment", "UPDATE, DELETE"},
	{"outbox_content", "DELETE"},
	{"outbox_key", "INSERT, UPDATE"},
	{"outbox_purged", "INSERT, UPDATE, DELETE"},
	{"outbox_run", "SELECT, INSERT, UPDATE"},
	{"outbox_purge", "SELECT, INSERT, UPDATE"},
	{"outbox_purge_later", "SELECT, INSERT, UPDATE, DELETE"},
	{"outbox_archive", "SELECT, INSERT, UPDATE"},
	{"outbox_run_mail", "SELECT, DELETE"},
	{"outbox_pin", "SELECT, DELETE"},
	{"outbox_writeback", "SELECT"},
}

// mailingRights are what runs of mailings, reports and statements do beyond that.
var mailingRights = []right{
	{"outbox", "INSERT"},
	{"outbox_attachment", "INSERT"},
	{"outbox_content", "INSERT, UPDATE"},
	{"outbox_key", "INSERT, UPDATE, DELETE"},
	{"outbox_run", "SELECT, INSERT, UPDATE"},
	{"outbox_run_mail", "SELECT, INSERT, UPDATE"},
	{"outbox_pin", "SELECT, INSERT, UPDATE"},
	{"outbox_run_code", "SELECT, INSERT, UPDATE"},
	{"outbox_writeback", "SELECT, INSERT, UPDATE, DELETE"},
}

// Needs says which jobs a company has that want further rights.
type Needs struct {
	Purges   bool // one of kind purge
	Mailings bool // one of kind mailing, report or sql, or audiences, to which a person may start a mailing
}

// metaRight is needed wherever there is a part.
var metaRight = right{"outbox_meta", "SELECT"}

var userName = regexp.MustCompile(`^[A-Za-z0-9_.$-]{1,80}$`)

// SenderUser is the name that Grants gives to a company's inserter.
func SenderUser(database string) string { return database + "_sender" }

// Grants returns the statements that give a database's two users no more rights than they need, for a DBA to run after
// Schema: the daemon's user, and for a company the inserter (SenderUser), who sets the sender's columns and reads
// outbox_status. Users that do not exist are made and locked; the ALTER USER lines that let them in are comments, as they want
// passwords of the DBA's own.
func Grants(database, daemonUser string, needs Needs, parts ...Part) (string, error) {
	quoted, err := quote(database)
	if err != nil {
		return "", err
	}
	if !userName.MatchString(daemonUser) {
		return "", fmt.Errorf("user name %q: only letters, digits, _, ., $ and - are allowed", daemonUser)
	}
	var b strings.Builder
	user := createUser(&b, "The user of outboxd run.", daemonUser)
	rights := []right{metaRight}
	for _, part := range parts {
		rights = append(rights, daemonRights[part]...)
	}
	if needs.Purges {
		rights = append(rights, purgeRights...)
	}
	if needs.Mailings {
		rights = append(rights, mailingRights...)
	}
	for _, r := range rights {
		fmt.Fprintf(&b, "GRANT %s ON %s.%s TO %s;\n", r.verbs, quoted, r.table, user)
	}
	if slices.Contains(parts, CompanyPart) {
		b.WriteString("\n")
		user := createUser(&b, "An inserter: sends mail and reads what became of it, no more.", SenderUser(database))
		fmt.Fprintf(&b, "GRANT INSERT (%s) ON %s.outbox TO %s;\n", strings.Join(senderColumns, ", "), quoted, user)
		fmt.Fprintf(&b, "GRANT INSERT (%s) ON %s.outbox_attachment TO %s;\n", attachmentColumns, quoted, user)
		fmt.Fprintf(&b, "GRANT INSERT (content) ON %s.outbox_content TO %s;\n", quoted, user)
		fmt.Fprintf(&b, "GRANT SELECT ON %s.outbox_status TO %s;\n", quoted, user)
		b.WriteString("-- Whoever may set query has any SELECT run as the company's reader, and its result sent to any address. Only if the inserter is to:\n")
		fmt.Fprintf(&b, "-- GRANT INSERT (%s) ON %s.outbox_attachment TO %s;\n", queryColumns, quoted, user)
	}
	return b.String(), nil
}

// createUser writes what makes a user, and what a person has to complete, and returns the user as GRANT names it.
func createUser(b *strings.Builder, what, name string) string {
	user := "`" + name + "`@`%`"
	fmt.Fprintf(b, "-- %s\nCREATE USER IF NOT EXISTS %s ACCOUNT LOCK;\n-- ALTER USER %s IDENTIFIED BY 'PASSWORD' ACCOUNT UNLOCK;\n", what, user, user)
	return user
}
