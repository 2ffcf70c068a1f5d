package jobfile

import (
	"slices"
	"time"
)

// The words that stand for a choice in what is mailed on a schedule.
const (
	Run  = "run"  // missed: make up for it; once_per: a run
	Skip = "skip" // missed: leave it out; if_empty: send nothing

	Next     = "next"     // shift: to the next business day
	Previous = "previous" // shift: to the previous business day

	Cancel = "cancel" // else: nothing of the run is sent
	Go     = "go"     // else: it is sent all the same

	Start   = "start"   // may: start a mailing
	Approve = "approve" // may: approve one

	Starter = "starter" // among addresses: whoever started the run

	XLSX = "xlsx" // as: a spreadsheet
	CSV  = "csv"  // as: values with commas between
	HTML = "html" // as: a table in the text of the mail
)

// Person is somebody who starts or approves mailings, or is written to about them.
type Person struct {
	Name         string
	Email        string   `key:"email" required:"yes" is:"bare address" doc:"The person's address: proofs, links to approve and summaries go there." eg:"email: eva@acme.example"`
	May          []string `key:"may" oneof:"start|approve" is:"list of words" otherwise:"neither" doc:"What the person may do: start mailings, approve mailings. Who may approve a job's runs is said there (approval)." eg:"may: [start, approve]"`
	User         string   `key:"user" otherwise:"the person's name here" doc:"The person's user on the computer that outboxd runs on: who runs outboxd mailing." eg:"user: eva"`
	DatabaseUser string   `key:"database_user" otherwise:"the person's name here" doc:"The person's user at the database: who writes approved_by into outbox_run. Without its host." eg:"database_user: eva"`
}

// Audience is whom a mailing goes to: a query whose rows are its recipients.
type Audience struct {
	Name  string
	Query string
}

// Value is one of the values that a job gives to its audience's query. Value is a string, a bool, or a json.Number, which keeps
// the number as it stands in the file.
type Value struct {
	Name  string
	Value any
}

// Timing is when a job runs, and what becomes of a time at which it could not.
type Timing struct {
	Schedule *Schedule     `key:"schedule" is:"schedule" otherwise:"only by hand: outboxd mailing start" doc:"When it runs. A time has one run, however many daemons there are; a run begins when the one before it has ended." eg:"schedule: first business day at 08:00"`
	Missed   string        `key:"missed" oneof:"run|skip|ask" default:"run" doc:"What becomes of a time at which outboxd did not run. Of several, the latest counts, and the others are left out. run: it is made up for. skip: it is left out. ask: a person decides." eg:"missed: run"`
	LateBy   time.Duration `key:"late_by" range:"1m..366d" otherwise:"however late" doc:"How late a run may begin; one that would begin later is left out, and a person is told." eg:"late_by: 12h"`
	Shift    string        `key:"shift" oneof:"next|previous" otherwise:"holidays are days as others" doc:"Where a time goes that falls on a holiday of the company: to the next or the previous business day, Monday to Friday and no holiday, at the same hour." eg:"shift: next"`
	Was      string        `key:"was" is:"name" otherwise:"it always had this name" doc:"The name that the job had before: what was run and mailed under that name is not run and mailed again." eg:"was: open-items"`
	Host     string        `key:"host" is:"computer name" otherwise:"any" doc:"Only on this computer." eg:"host: mail1"`
}

// AudienceRef is the audience of a mailing, with the values of its parameters.
type AudienceRef struct {
	Name string  `key:"name" required:"yes" is:"name of an audience" doc:"The audience." eg:"name: open-items"`
	With []Value `key:"with" is:"names, each with a value" otherwise:"none" doc:"Values for the parameters of its query, :name. They are bound, never put into the text; numbers stay exact. The query knows :scheduled_at and :period by itself." eg:"with: {min: 0.50}"`
}

// Mailing is a job that sends a mail to each row of an audience.
type Mailing struct {
	Name string
	Kind string `key:"kind" required:"yes" oneof:"mailing" doc:"What the job does. mailing sends a mail to each row of an audience." eg:"kind: mailing"`
	Timing
	Audience AudienceRef `key:"audience" required:"yes" doc:"Whom it goes to." eg:"audience: {name: open-items, with: {min: 1}}"`
	Template string      `key:"template" required:"yes" is:"name of a template" doc:"What it says. The columns of the audience are its values." eg:"template: statement"`
	Subject  string      `key:"subject" otherwise:"the template's" doc:"The subject, in place of the template's." eg:"subject: Your open items"`
	Attach   []Attach    `key:"attach" is:"list of files and queries" otherwise:"nothing" doc:"What goes with each mail." eg:"attach: [{file: \"{pdf}\"}]"`
	Key      []string    `key:"key" is:"list of columns" otherwise:"the whole row" doc:"The business key: the columns that say what a mail is about, as invoice number and level; never the address. What was mailed is not mailed again within once_per." eg:"key: [customer_id]"`
	OncePer  string      `key:"once_per" oneof:"run|day|week|month|quarter|year|ever" default:"run" doc:"Within what a business key is mailed once, by the date for which a run was scheduled." eg:"once_per: month"`
	Account  string      `key:"account" is:"name of an account" otherwise:"as of a row that names none" doc:"The account that sends it." eg:"account: invoices"`
	Priority int         `key:"priority" default:"4" range:"1..5" doc:"The priority of its rows, 1 very high to 5 very low." eg:"priority: 4"`
	Proof    *Proof      `key:"proof" otherwise:"none; with approval it goes to those who approve" doc:"A mail beforehand: what would go to whom, with samples. It goes to the starter too." eg:"proof: {to: [starter, eva], samples: 3}"`
	Approval *Approval   `key:"approval" otherwise:"it is sent without" doc:"Nothing is sent until one of these people approves." eg:"approval: {by: [jan], within: 8h, else: cancel}"`
	Recheck  string      `key:"recheck" text:"long" is:"query" otherwise:"none" doc:"A query that is asked when a mail is about to be sent, with the row's values; when it has no row the mail is skipped." eg:"recheck: SELECT 1 FROM invoice WHERE id = :invoice_id AND paid_at IS NULL"`
	Canary   *Canary     `key:"canary" otherwise:"all are sent" doc:"The first ones go, and the others only when these went well." eg:"canary: {first: 50, wait: 30m, stop_above: 5%}"`
	OnSent   string      `key:"on_sent" text:"long" is:"statement" otherwise:"none" doc:"One UPDATE, INSERT, DELETE or REPLACE in the company's database, with values from the row and of what became of it, when the server has taken the mail." eg:"on_sent: UPDATE customer SET mailed_at = :sent_at WHERE id = :customer_id"`
	OnFailed string      `key:"on_failed" text:"long" is:"statement" otherwise:"none" doc:"The same, when the mail has failed or expired." eg:"on_failed: UPDATE customer SET mail_error = :last_error WHERE id = :customer_id"`
	Summary  []string    `key:"summary" is:"list of people and addresses" otherwise:"nobody" doc:"Who gets a summary when all has an end: names of people, starter, or addresses." eg:"summary: [eva]"`
}

// Attach is what goes with a mail: a file, or what a query returns.
type Attach struct {
	File    string        `key:"file" is:"path" otherwise:"query is required" doc:"A file below the company's attachments folder. {column} is a value of the row." eg:"file: \"{pdf}\""`
	Query   string        `key:"query" text:"long" is:"query" otherwise:"file is required" doc:"A query, with the row's values as parameters; what it returns goes as a file." eg:"query: SELECT invoice, due, amount FROM v_open_items WHERE customer_id = :customer_id"`
	As      string        `key:"as" oneof:"xlsx|csv|html" otherwise:"required with query" doc:"As what a query's result goes. html: as a table in the text, of a report only." eg:"as: xlsx"`
	Name    string        `key:"name" is:"file name" otherwise:"the file's own; required with query" doc:"The file name that the receiver sees; of as html the heading of the table. {column} is a value of the row." eg:"name: statement.xlsx"`
	Options *TableOptions `key:"options" otherwise:"none" doc:"How a query's result is written." eg:"options: {sheet: Statement, totals: [amount]}"`
}

// TableOptions says how the result of a query is written. The keys are those of outbox_attachment.options, and so is its JSON.
type TableOptions struct {
	Separator   string   `json:"separator,omitempty" key:"separator" otherwise:"a comma" doc:"csv: a comma, a semicolon or tab." eg:"separator: tab"`
	Decimal     string   `json:"decimal,omitempty" key:"decimal" otherwise:"a point" doc:"csv: the decimal sign, a point or a comma." eg:"decimal: \",\""`
	BOM         bool     `json:"bom,omitempty" key:"bom" default:"false" doc:"csv: true begins the file with a byte order mark, by which Excel knows that it is UTF-8." eg:"bom: true"`
	Header      string   `json:"header,omitempty" key:"header" oneof:"bold|plain|none" otherwise:"bold" doc:"How the names of the columns are written." eg:"header: bold"`
	Sheet       string   `json:"sheet,omitempty" key:"sheet" otherwise:"Sheet1" doc:"xlsx: the name of the sheet." eg:"sheet: Statement"`
	Totals      []string `json:"totals,omitempty" key:"totals" is:"list of columns" otherwise:"none" doc:"Columns that a last row adds up." eg:"totals: [amount]"`
	TotalsLabel string   `json:"totals_label,omitempty" key:"totals_label" otherwise:"nothing" doc:"What stands in the first column of that row." eg:"totals_label: Total"`
	Filter      bool     `json:"filter,omitempty" key:"filter" default:"false" doc:"xlsx: true puts buttons to filter and sort into the header." eg:"filter: true"`
	IfEmpty     string   `json:"if_empty,omitempty" key:"if_empty" oneof:"send|skip|fail" otherwise:"send" doc:"When there are no rows: send the mail all the same, skip the mail, or let it fail." eg:"if_empty: skip"`
}

// Proof is the mail beforehand.
type Proof struct {
	To      []string `key:"to" required:"yes" is:"list of people and addresses" doc:"Who gets it: names of people, starter, or addresses." eg:"to: [starter, eva]"`
	Samples int      `key:"samples" default:"3" range:"0..20" doc:"How many mails it shows as they will arrive." eg:"samples: 3"`
}

// Approval says who lets a run go.
type Approval struct {
	By      []string      `key:"by" required:"yes" is:"list of people" doc:"The people who may approve; one of them does." eg:"by: [jan]"`
	Within  time.Duration `key:"within" range:"1m..90d" otherwise:"whenever" doc:"How long it waits for them." eg:"within: 8h"`
	Else    string        `key:"else" oneof:"cancel|go" default:"cancel" doc:"What becomes of it when that has passed. cancel: nothing is sent. go: it is sent." eg:"else: cancel"`
	Starter bool          `key:"starter" oneof:"yes|no" default:"no" doc:"Whether whoever started a run may approve it too." eg:"starter: no"`
}

// Canary says how a run begins with a few mails.
type Canary struct {
	First     int           `key:"first" required:"yes" range:"1..1000000" doc:"How many mails go first." eg:"first: 50"`
	Wait      time.Duration `key:"wait" default:"30m" range:"1s..7d" doc:"How long bounces are waited for after they have ended." eg:"wait: 30m"`
	StopAbove Percent       `key:"stop_above" required:"yes" is:"percentage" doc:"The share of refusals and bounces above which the run is stopped, and a person told." eg:"stop_above: 5%"`
}

// Report is a job that sends the results of queries to fixed recipients.
type Report struct {
	Name string
	Kind string `key:"kind" required:"yes" oneof:"report" doc:"What the job does. report sends the results of queries to fixed recipients, by the account system." eg:"kind: report"`
	Timing
	To       []string `key:"to" required:"yes" is:"list of addresses" doc:"Who gets it, in one mail." eg:"to: [board@acme.example]"`
	Subject  string   `key:"subject" otherwise:"the template's; required without one" doc:"The subject. {week} {date} {month} {quarter} {year} are those of the scheduled time, {year} beside {week} that of the week." eg:"subject: \"Sales, week {week}\""`
	Template string   `key:"template" is:"name of a template" otherwise:"none" doc:"What it says, in place of text." eg:"template: weekly"`
	Text     string   `key:"text" text:"long" otherwise:"none" doc:"What it says above its tables." eg:"text: The sales of the week are attached."`
	Attach   []Attach `key:"attach" is:"list of files and queries" otherwise:"nothing" doc:"What goes with it." eg:"attach: [{name: sales.xlsx, as: xlsx, query: SELECT * FROM v_sales_week}]"`
	IfEmpty  string   `key:"if_empty" oneof:"skip|send|fail" default:"send" doc:"When none of its queries has a row: skip it, send it all the same, or let the run fail, so that a person is told." eg:"if_empty: skip"`
}

// SQLJob is a job that runs a statement.
type SQLJob struct {
	Name string
	Kind string `key:"kind" required:"yes" oneof:"sql" doc:"What the job does. sql runs a statement or procedure in the company's database, which may itself fill the outbox." eg:"kind: sql"`
	Timing
	Statement string        `key:"statement" required:"yes" text:"long" is:"statement" doc:"One statement. It and the end of the run are one transaction." eg:"statement: CALL enqueue_reminders()"`
	Time      time.Duration `key:"time" default:"10m" range:"1s..1d" doc:"How long it may take." eg:"time: 10m"`
}

// MailingDefaults is what holds for a mailing that a person starts to an audience: outboxd mailing start AUDIENCE.
type MailingDefaults struct {
	Account  string    `key:"account" is:"name of an account" otherwise:"as of a row that names none" doc:"The account that sends it." eg:"account: invoices"`
	Priority int       `key:"priority" default:"4" range:"1..5" doc:"The priority of its rows, 1 very high to 5 very low." eg:"priority: 4"`
	Proof    *Proof    `key:"proof" otherwise:"none; with approval it goes to those who approve" doc:"A mail beforehand: what would go to whom, with samples. It goes to the starter too." eg:"proof: {to: [starter], samples: 3}"`
	Approval *Approval `key:"approval" otherwise:"it is sent without" doc:"Nothing is sent until one of these people approves." eg:"approval: {by: [jan], within: 8h, else: cancel}"`
	Canary   *Canary   `key:"canary" otherwise:"all are sent" doc:"The first ones go, and the others only when these went well." eg:"canary: {first: 50, wait: 30m, stop_above: 5%}"`
	Summary  []string  `key:"summary" is:"list of people and addresses" otherwise:"nobody" doc:"Who gets a summary when all has an end: names of people, starter, or addresses." eg:"summary: [starter]"`
}

// Approves tells whether runs of the company may wait for an approval.
func (c *Company) Approves() bool {
	return c.Mailing != nil && c.Mailing.Approval != nil || slices.ContainsFunc(c.Jobs.Mailing, func(j *Mailing) bool { return j.Approval != nil })
}

// Public is where people reach outboxd with a browser.
type Public struct {
	Listen string `key:"listen" required:"yes" is:"address with a port" doc:"Where it listens: an address of this computer and a port. A web server before it has the certificate." eg:"listen: 127.0.0.1:8426"`
	URL    string `key:"url" required:"yes" is:"URL" doc:"What links begin with: the address at which people reach it, over https." eg:"url: https://mail.acme.example"`
}
