package jobfile

import (
	"slices"
	"time"
)

// The words that stand for a choice in jobs.yaml.
const (
	StartTLS = "starttls" // encryption: plain greeting, then STARTTLS (RFC 3207), never without
	TLS      = "tls"      // encryption: TLS from the first byte (RFC 8314)
	None     = "none"     // encryption or auth: none

	Ask    = "ask"    // on_uncertain: a person decides
	Resend = "resend" // on_uncertain: send again, at the risk of a second copy

	Failure = "failure" // notify: the mail could not be delivered
	Delay   = "delay"   // notify: it is late
	Success = "success" // notify: it was delivered
	Never   = "never"   // notify: nothing is reported
	Headers = "headers" // return: the mail's header alone
	Full    = "full"    // return: the whole mail

	Auto    = "auto"    // auth: the best that the server offers
	XOAuth2 = "xoauth2" // auth: a token of the provider in place of a password

	Own    = "own"    // send_as: under the sender's own address
	System = "system" // send_as: under the general account's address
	Both   = "both"   // send_as: under the sender's own where the provider keeps it, else under the general account's

	GeneralAccount = "system" // the account that always exists, that every company may use, and that carries the system's own mail
)

// File is a jobs.yaml that can be run. It is never changed after Load.
type File struct {
	Path      string     // as given to Load
	Control   *Control   // always set: the only company's own server and database when the file has none
	Alerts    *Alerts    // nil: nobody is told
	Public    *Public    // nil: it does not listen
	DKIM      []*DKIM    // in the order of the file; a domain stands once
	Servers   []*Server  // in the order of the file
	Accounts  []*Account // in the order of the file
	Companies []*Company // main file first, then include by include
	LeftOut   []LeftOut  // included files that have errors
}

// LeftOut is an included file whose companies do not run.
type LeftOut struct {
	File      string
	Companies []string // the names that could still be read
	Problems  Problems // all of that file, warnings too
}

// Server returns the server of that name, or nil.
func (f *File) Server(name string) *Server {
	return find(f.Servers, func(s *Server) bool { return s.Name == name })
}

// Account returns the account of that name, or nil.
func (f *File) Account(name string) *Account {
	return find(f.Accounts, func(a *Account) bool { return a.Name == name })
}

// Company returns the company of that name, or nil when there is none or it is left out.
func (f *File) Company(name string) *Company {
	return find(f.Companies, func(c *Company) bool { return c.Name == name })
}

func find[T any](list []*T, match func(*T) bool) *T {
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i]
	}
	return nil
}

// mainFile is the main file as it is written.
type mainFile struct {
	Version   int        `key:"version" required:"yes" doc:"The version of this format." is:"1" eg:"version: 1"`
	Include   []string   `key:"include" is:"list of file patterns" otherwise:"nothing more" doc:"Files with further companies, by pattern; relative to the folder of this file. Such a file holds companies (and, if it likes, version). An error in it leaves out its companies and nobody else. Names with a leading dot are not matched by * and ?." eg:"include: [companies/*.yaml]"`
	Control   *Control   `key:"control" otherwise:"the only company's own database" doc:"The database for what belongs to no single company: usage of the accounts, instances, audit. May be left out only when there is one company and no include." eg:"control: {server: main, database: outboxd}"`
	Alerts    *Alerts    `key:"alerts" otherwise:"nobody is told" doc:"Whom to tell by mail: once when trouble starts, once when it is over." eg:"alerts: {to: [it@acme.example], account: system}"`
	Public    *Public    `key:"public" otherwise:"off" doc:"Where people reach it with a browser: the personal links in a mailing's proof, by which it is approved." eg:"public: {listen: \"127.0.0.1:8426\", url: \"https://mail.acme.example\"}"`
	DKIM      []*DKIM    `key:"dkim" names:"domain" is:"domains, each with keys" otherwise:"mails are not signed" doc:"The keys that sign mails (DKIM), by the domain of the sender's address. A subdomain is a domain of its own. A mail of a domain whose key cannot be used waits and is never sent unsigned." eg:"dkim: {acme.example: {selector: outboxd, key: {file: secrets/dkim-acme}}}"`
	Servers   []*Server  `key:"servers" required:"yes" doc:"The database servers, by name." eg:"servers: {main: {host: db1, username: outboxd, password: {file: secrets/db}}}"`
	Accounts  []*Account `key:"accounts" required:"yes" doc:"The SMTP accounts, by name. The account system must be there, for every company and sender: it is the general account, and what outboxd itself has to say goes by it." eg:"accounts: {system: {host: smtp.acme.example, from: noreply@acme.example, rate: 300/hour}}"`
	Companies []*Company `key:"companies" otherwise:"those of the included files" doc:"The companies, by name; each has a database of its own. Required unless there is an include." eg:"companies: {acme: {server: main, database: acme, jobs: {send: {kind: deliver}}}}"`
}

// includedFile is a file named by include, as it is written.
type includedFile struct {
	Version   int        `key:"version"`
	Companies []*Company `key:"companies" required:"yes"`
}

// Control is the database for what belongs to no single company.
type Control struct {
	Server   string `key:"server" required:"yes" is:"name of a server" doc:"The server it is on." eg:"server: main"`
	Database string `key:"database" required:"yes" is:"database name" doc:"Its name: letters, digits, _ $ and -, at most 64." eg:"database: outboxd"`
}

// Alerts says whom to tell about trouble.
type Alerts struct {
	To      []string `key:"to" required:"yes" is:"list of addresses" doc:"Who is told." eg:"to: [it@acme.example]"`
	Account string   `key:"account" oneof:"system" default:"system" hint:"alerts go by the general account; remove the key" doc:"The account that sends alerts: always system." eg:"account: system"`
}

// DKIM is the key that signs the mails of one sender's domain.
type DKIM struct {
	Name      string   // the domain; once checked in lower case and A-labels
	Selector  string   `key:"selector" default:"outboxd" is:"selector" doc:"Under which name receivers find the public key: SELECTOR._domainkey.DOMAIN in the DNS." eg:"selector: outboxd"`
	Key       Secret   `key:"key" required:"yes" is:"secret" doc:"The private key, a whole text in PEM form: RSA (2048 bits; 1024 is the least) or Ed25519. outboxd dkim keygen makes one." eg:"key: {file: secrets/dkim-acme}"`
	Companies []string `key:"companies" is:"list of company names" otherwise:"all" doc:"The companies whose mails are signed with it. Mails of others with this sender go unsigned." eg:"companies: [acme]"`
}

// Serves tells whether the company's mails are signed.
func (d *DKIM) Serves(company string) bool {
	return len(d.Companies) == 0 || slices.Contains(d.Companies, company)
}

// Server is a MySQL or MariaDB server.
type Server struct {
	Name       string
	Host       string   `key:"host" is:"host" otherwise:"hosts or socket is required" doc:"Host name or IP address. Either host, hosts or socket." eg:"host: db1"`
	Hosts      []string `key:"hosts" is:"list of hosts" otherwise:"host or socket is required" doc:"The nodes of a cluster, in place of host, each with its port where that differs. The first one that serves is used; one that is read-only, or not synced, is passed over." eg:"hosts: [db1, db2, db3:3307]"` // once checked: host:port
	Port       int      `key:"port" range:"1..65535" otherwise:"3306" is:"port" doc:"TCP port; only with host or hosts." eg:"port: 3306"`
	Socket     string   `key:"socket" is:"path" otherwise:"host or hosts is required" doc:"Path of the server's unix socket, in place of host." eg:"socket: /run/mysqld/mysqld.sock"`
	Username   string   `key:"username" required:"yes" doc:"Database user." eg:"username: outboxd"`
	Password   Secret   `key:"password" is:"secret" otherwise:"none" doc:"Its password. Leave it out only for a user that needs none, as with unix_socket authentication." eg:"password: {file: secrets/db}"`
	Encryption string   `key:"encryption" oneof:"tls|none" otherwise:"none for a socket or loopback, else tls" doc:"TLS on the connection; the server's certificate is always verified." eg:"encryption: tls"`
	CA         string   `key:"ca" is:"path" otherwise:"the system's" doc:"File with the certificate authorities to trust, PEM." eg:"ca: db-ca.pem"`
}

// Company is one company and its own database.
type Company struct {
	Name        string
	Server      string           `key:"server" required:"yes" is:"name of a server" doc:"The server its database is on." eg:"server: main"`
	Database    string           `key:"database" required:"yes" is:"database name" doc:"Its database: letters, digits, _ $ and -, at most 64. No two companies share one." eg:"database: acme"`
	Login       *Login           `key:"login" otherwise:"the server's user" doc:"As which database user." eg:"login: {username: outboxd_acme, password: {file: secrets/acme}}"`
	Timezone    *time.Location   `key:"timezone" default:"UTC" is:"time zone" doc:"The company's time zone, by its name in the IANA database." eg:"timezone: Europe/Bratislava"`
	Accounts    []string         `key:"accounts" is:"list of account names" otherwise:"every account this company may use" doc:"Its accounts, in order of preference." eg:"accounts: [invoices, system]"`
	Divert      string           `key:"divert" is:"bare address" otherwise:"mails go to their recipients" doc:"Every mail of the company goes to this address and to nobody else: for a copy to test with. The header fields X-Outboxd-To, -Cc, -Bcc and -Reply-To say where it would have gone." eg:"divert: test@acme.example"`
	Language    string           `key:"language" is:"language" otherwise:"the templates' files that name none" doc:"The language of its mails where a row names none: how templates are chosen, and how numbers, money and dates are written." eg:"language: sk"`
	Templates   string           `key:"templates" is:"path" otherwise:"none but the rows of outbox_template" doc:"The folder with its templates, a folder each: NAME/subject.txt, body.html, body.txt, and what they share in _shared." eg:"templates: templates/acme"`
	Attachments string           `key:"attachments" is:"path" otherwise:"no row may name a file" doc:"The folder below which the files lie that outbox_attachment.file names. Nothing outside of it is ever read, whatever a path or a link says." eg:"attachments: /srv/acme/documents"`
	Reader      *Reader          `key:"reader" otherwise:"login, or the server's user; none where that user works in other databases too" doc:"As which database user the queries of attachments and templates run, in read-only transactions. Best is one that may read what they need and nothing else. Without a reader of its own a company whose user works for others too has no queries." eg:"reader: {username: acme_read, password: {file: secrets/acme-read}}"`
	SendAs      string           `key:"send_as" oneof:"own|system|both" default:"own" doc:"As whom mails go that the account system sends for a person, an address that is not the account's own. own: as the person. system: as the account, with the person's name, and answers go to the person. both: as the person where the provider keeps another sender, else as system." eg:"send_as: system"`
	Holidays    Holidays         `key:"holidays" is:"path of an .ics file, or list of dates" otherwise:"none" doc:"Days on which an account with a window sends nothing: a calendar in iCalendar form, with feasts that come every year, or dates." eg:"holidays: [2026-12-24, 2026-12-25]"`
	Weight      int              `key:"weight" default:"1" range:"1..100" doc:"Its share of an account that several companies use at the same time: with 3 it gets three mails for each one of a company with 1. What a company does not use the others get." eg:"weight: 3"`
	People      []*Person        `key:"people" otherwise:"nobody may start or approve mailings" doc:"Who may start and approve its mailings, by name." eg:"people: {eva: {email: eva@acme.example, may: [start]}}"`
	Audiences   []*Audience      `key:"audiences" is:"names, each with a query" otherwise:"none" doc:"Whom mailings go to, by name: each a query that runs as the reader. Columns named recipients, cc, bcc, from_address, reply_to, reference, language, subject, priority, send_after and expires_at are used as such, all others are values for the template. :name is a parameter, whose value the mailing gives." eg:"audiences: {staff: \"SELECT email AS recipients, language, name FROM staff\"}"`
	Mailing     *MailingDefaults `key:"mailing" otherwise:"as below" doc:"What holds for a mailing that a person starts to an audience: outboxd mailing start AUDIENCE." eg:"mailing: {account: invoices, approval: {by: [jan]}}"`
	Jobs        Jobs             `key:"jobs" otherwise:"none: nothing is sent" doc:"Its jobs, by name. A job's name is its identity." eg:"jobs: {send: {kind: deliver}}"`
}

// Login is a database user.
type Login struct {
	Username string `key:"username" required:"yes" doc:"Database user." eg:"username: outboxd_acme"`
	Password Secret `key:"password" is:"secret" otherwise:"none" doc:"Its password. Leave it out only for a user that needs none." eg:"password: {file: secrets/acme}"`
}

// Reader is the database user that runs a company's queries, and what one of them may take.
type Reader struct {
	Username string        `key:"username" required:"yes" doc:"Database user." eg:"username: acme_read"`
	Password Secret        `key:"password" is:"secret" otherwise:"none" doc:"Its password. Leave it out only for a user that needs none." eg:"password: {file: secrets/acme-read}"`
	Time     time.Duration `key:"time" default:"30s" range:"1s..10m" doc:"How long one query may take. A row whose query is slower fails." eg:"time: 30s"`
	Rows     int           `key:"rows" default:"100000" range:"1..1000000" doc:"How many rows one query may bring. A row whose query brings more fails." eg:"rows: 100000"`
}

// Jobs are a company's jobs, each kind in the order of the file. A name stands once over all kinds.
type Jobs struct {
	Deliver []*Deliver `kind:"deliver"`
	Purge   []*Purge   `kind:"purge"`
	Mailing []*Mailing `kind:"mailing"`
	Report  []*Report  `kind:"report"`
	SQL     []*SQLJob  `kind:"sql"`
}

// Deliver is a job that sends rows of a company's outbox.
type Deliver struct {
	Name           string
	Kind           string        `key:"kind" required:"yes" oneof:"deliver" doc:"What the job does. deliver sends the rows of the outbox." eg:"kind: deliver"`
	Poll           time.Duration `key:"poll" default:"2s" range:"100ms..10m" doc:"How often to look for new rows." eg:"poll: 2s"`
	Rate           *Rate         `key:"rate" is:"mails an hour" otherwise:"the accounts' limits alone" doc:"The job's own cadence, within the accounts' limits." eg:"rate: 1000/hour"`
	Host           string        `key:"host" is:"computer name" otherwise:"any" doc:"Only on this computer." eg:"host: mail1"`
	OnUncertain    string        `key:"on_uncertain" oneof:"ask|resend" default:"ask" doc:"What to do with a mail of which nobody knows whether it went out. ask: a person decides. resend: send it again, so that someone may get it twice." eg:"on_uncertain: ask"`
	Retry          Retry         `key:"retry" otherwise:"as below" doc:"How a mail that was refused for now is tried again." eg:"retry: {attempts: 8, first: 1m, max: 4h, give_up_after: 3d}"`
	HoldAbove      *Rate         `key:"hold_above" is:"mails an hour" otherwise:"nothing is held" doc:"When more rows than that arrive within an hour, what came after the first of them is held until a person releases or cancels it, and a person is told: a guard against programs and triggers that run in circles. Only rows that this job takes count, sent and held ones too, cancelled ones not." eg:"hold_above: 2000/hour"`
	DSN            *DSN          `key:"dsn" otherwise:"the server reports as it likes" doc:"Which reports on a mail's way (delivery status notifications) the server is asked for, where it offers to be (RFC 3461). They go to the account's return_path, or to the sender." eg:"dsn: {notify: [failure, delay], return: headers}"`
	Accounts       []string      `key:"accounts" is:"list of account names" otherwise:"all of the company" doc:"Only rows of these accounts. Two jobs of a company never take the same row." eg:"accounts: [invoices]"`
	ForbiddenTypes []string      `key:"forbidden_types" is:"list of media types and file extensions" otherwise:"none" doc:"Attachments that are not sent: the row fails. Media types, as application/x-msdownload or image/*, and file extensions, as .exe." eg:"forbidden_types: [.exe, .js, application/x-msdownload]"`
	Priority       []int         `key:"priority" range:"1..5" is:"list of numbers" otherwise:"all" doc:"Only rows of these priorities, 1 very high to 5 very low. Two jobs of a company never take the same row." eg:"priority: [1, 2]"`
}

// DSN says which reports on a mail's way are asked for.
type DSN struct {
	Notify []string `key:"notify" required:"yes" oneof:"failure|delay|success|never" is:"list of words" doc:"When: a mail could not be delivered, it is late, it was delivered. never, alone: no report at all, not even of a failure." eg:"notify: [failure, delay]"`
	Return string   `key:"return" oneof:"headers|full" otherwise:"the server decides" doc:"What of the mail a report repeats." eg:"return: headers"`
}

// Purge is a job that removes what ended long ago from a company's outbox.
type Purge struct {
	Name     string
	Kind     string        `key:"kind" required:"yes" oneof:"purge" doc:"What the job does. purge removes what ended long ago. Mails that have not ended, or are uncertain, stay." eg:"kind: purge"`
	Schedule Schedule      `key:"schedule" required:"yes" is:"schedule" doc:"When it runs. A run that was missed is made up for as soon as outboxd runs again, once." eg:"schedule: \"30 3 * * *\""`
	Host     string        `key:"host" is:"computer name" otherwise:"any" doc:"Only on this computer." eg:"host: mail1"`
	Bodies   time.Duration `key:"bodies" range:"1d..10000d" otherwise:"as long as the rows" doc:"How long the content of a mail is kept after it ended: body_text, body_html, headers. Hashes of it stay." eg:"bodies: 90d"`
	Rows     time.Duration `key:"rows" range:"1d..10000d" otherwise:"for ever" doc:"How long the rows are kept after the mail ended, with recipients and tries: who, when, what the server said. Longer than bodies. Each dedupe_key stays used up." eg:"rows: 400d"`
	Archive  string        `key:"archive" is:"path" otherwise:"none" doc:"A folder into which everything is written before it is removed: compressed JSON lines, one file a run." eg:"archive: /var/lib/outboxd/archive"`
}

// Retry says how a mail that was refused for now is tried again: pauses grow from First to Max.
type Retry struct {
	Attempts    int           `key:"attempts" default:"8" range:"1..100" doc:"Verdicts after which a mail has failed." eg:"attempts: 8"`
	First       time.Duration `key:"first" default:"1m" range:"1s..30d" doc:"The first pause. Each further one is about twice as long." eg:"first: 1m"`
	Max         time.Duration `key:"max" default:"4h" range:"1s..30d" doc:"The longest pause; not shorter than first." eg:"max: 4h"`
	GiveUpAfter time.Duration `key:"give_up_after" default:"3d" range:"1s..30d" doc:"The time after which a mail has failed; not shorter than first." eg:"give_up_after: 3d"`
}
