package jobfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	templateForm  = regexp.MustCompile(`^[\pL0-9][\pL0-9_.-]{0,127}$`)
	parameterForm = regexp.MustCompile(`^[A-Za-z0-9_$\x{80}-\x{10ffff}]{1,64}$`)

	implicit       = []string{"scheduled_at", "period"}                   // what the query of an audience always has
	addressColumns = []string{"recipients", "cc", "bcc"}                  // what a business key never is
	dateWords      = []string{"week", "date", "month", "quarter", "year"} // what a report's texts may name
)

// mailer is a company whose mailings are checked.
type mailer struct {
	*checker
	entry
	allowed   []*Account           // the accounts that it may use
	known     bool                 // allowed is all there is to say
	audiences map[string]statement // by name; those that can be asked
}

// mailings checks the audiences of a company, and the jobs that mail to them and report.
func (c *checker) mailings(e entry, allowed []*Account, known bool) {
	m := &mailer{checker: c, entry: e, allowed: allowed, known: known, audiences: map[string]statement{}}
	for _, a := range e.Audiences {
		if s, ok := checkQuery(e.src, join(e.path+".audiences", a.Name), a.Query); ok {
			m.audiences[a.Name] = s
		}
	}
	if len(e.Audiences) > 0 {
		m.reader(e.path + ".audiences")
	}
	if d := e.Mailing; d != nil && e.src.has(e.path+".mailing") {
		m.defaults(e.path+".mailing", d)
	}
	for _, j := range e.Jobs.Mailing {
		if path := join(e.path+".jobs", j.Name); e.src.has(path) {
			m.mailing(path, j)
		}
	}
	for _, j := range e.Jobs.Report {
		if path := join(e.path+".jobs", j.Name); e.src.has(path) {
			m.report(path, j)
		}
	}
	for _, j := range e.Jobs.SQL {
		if path := join(e.path+".jobs", j.Name); e.src.has(path) {
			checkJobStatement(e.src, path+".statement", j.Statement)
		}
	}
}

func (m *mailer) defaults(path string, d *MailingDefaults) {
	m.account(path+".account", d.Account)
	if a := m.accountNamed(d.Account); a != nil && len(a.SenderAddresses) > 0 && m.src.has(path+".account") {
		m.src.wrong(path+".account", d.Account, "is a person's own account", "a mailing goes by an account of the company")
	}
	m.beforehand(path, d.Proof, d.Approval, d.Canary, false)
	m.readers(m.entry, path+".summary", d.Summary, false)
	m.system(path, ".proof", ".approval", ".summary")
}

func (m *mailer) mailing(path string, j *Mailing) {
	m.audience(path+".audience", j.Audience)
	checkTemplateName(m.src, path+".template", j.Template)
	checkSubject(m.src, path+".subject", j.Subject, nil)
	for i := range j.Attach {
		m.attach(indexed(path+".attach", i), &j.Attach[i], nil)
	}
	m.key(path, j)
	m.account(path+".account", j.Account)
	m.beforehand(path, j.Proof, j.Approval, j.Canary, j.Schedule != nil)
	m.readers(m.entry, path+".summary", j.Summary, j.Schedule != nil)
	m.system(path, ".proof", ".approval", ".summary")
	checkQuery(m.src, path+".recheck", j.Recheck)
	checkStatement(m.src, path+".on_sent", j.OnSent, changeWords, "statement that writes back")
	checkStatement(m.src, path+".on_failed", j.OnFailed, changeWords, "statement that writes back")
}

// audience checks that it is there, and that its parameters have values.
func (m *mailer) audience(path string, a AudienceRef) {
	if !m.src.has(path + ".name") {
		return
	}
	if !slices.ContainsFunc(m.Audiences, func(x *Audience) bool { return x.Name == a.Name }) {
		if m.src.sound(m.path + ".audiences") {
			var names []string
			for _, x := range m.Audiences {
				names = append(names, x.Name)
			}
			m.src.wrong(path+".name", a.Name, "no such audience", cmp.Or(knownHint(a.Name, names), "audiences: {"+a.Name+": SELECT email AS recipients ...}, for the company"))
		}
		return
	}
	query, ok := m.audiences[a.Name]
	if !ok || !m.src.sound(path+".with") {
		return
	}
	given := slices.Clone(implicit)
	for _, v := range a.With {
		at := join(path+".with", v.Name)
		switch {
		case slices.Contains(implicit, v.Name):
			m.src.wrong(at, "", "is always there: it comes from the run", "remove it, or give the parameter another name")
		case !parameterForm.MatchString(v.Name):
			m.src.wrong(at, "", "cannot be the name of a parameter", "letters, digits and _, as in :min")
		case !slices.Contains(query.params, v.Name):
			m.src.wrong(at, "", "is no parameter of the audience "+a.Name, knownHint(v.Name, slices.DeleteFunc(slices.Clone(query.params), func(p string) bool { return slices.Contains(implicit, p) })))
		}
		given = append(given, v.Name)
	}
	for _, name := range query.params {
		if !slices.Contains(given, name) {
			m.src.wrong(path, "", "gives no value to the parameter :"+name+" of the audience "+a.Name, "with: {"+name+": VALUE}")
		}
	}
}

// reader reports that queries have nobody to run as.
func (m *mailer) reader(path string) {
	if m.Reader == nil && m.src.sound(m.path+".reader") {
		m.src.wrong(path, "", "has queries, and nobody may run them: the company's database user works for others too", "give the company a reader: {username: NAME, password: {file: PATH}}")
	}
}

// key checks the business key and within what it counts.
func (m *mailer) key(path string, j *Mailing) {
	for i, column := range j.Key {
		if at := indexed(path+".key", i); m.src.has(at) && slices.Contains(addressColumns, strings.ToLower(column)) {
			m.src.wrong(at, column, "an address is no business key: two invoices to one address are two mails", "what the mail is about, as key: [invoice_id]")
		}
	}
	if at := path + ".once_per"; m.src.has(at) && j.OncePer != Run && !m.src.written(path+".key") {
		m.src.wrong(at, j.OncePer, "needs a business key, which says what is mailed once", "for example key: [customer_id]")
	}
}

// account checks the account that a mailing names.
func (m *mailer) account(path, name string) {
	if !m.known || !m.src.has(path) {
		return
	}
	var names []string
	for _, a := range m.allowed {
		names = append(names, a.Name)
	}
	switch a := m.accountNamed(name); {
	case a == nil:
		m.src.wrong(path, name, "no such account", knownHint(name, names))
	case !slices.Contains(names, name) && !a.General(): // which a row may name in every company
		m.src.wrong(path, name, "is not among the accounts of this company", knownHint(name, names))
	case !a.Active:
		m.src.warn(path, name, "this account is not active", "")
	}
}

// system reports keys whose mails no job would take: they go by the general account, also in a company that does not list it.
func (m *mailer) system(path string, keys ...string) {
	if !m.known || slices.ContainsFunc(m.Jobs.Deliver, func(j *Deliver) bool { return len(j.Accounts) == 0 || slices.Contains(j.Accounts, GeneralAccount) }) {
		return
	}
	for _, key := range keys {
		if at := path + key; m.src.has(at) {
			m.src.wrong(at, "", "goes by the account "+GeneralAccount+", whose rows no job of this company takes", "add "+GeneralAccount+" to the accounts of a deliver job, or remove that key there")
			return
		}
	}
}

// beforehand checks what comes before the mails.
func (m *mailer) beforehand(path string, p *Proof, a *Approval, c *Canary, scheduled bool) {
	if p != nil {
		m.readers(m.entry, path+".proof.to", p.To, scheduled)
	}
	m.approval(m.entry, path+".approval", a, !scheduled)
	if at := path + ".canary.stop_above"; c != nil && m.src.has(at) && c.StopAbove == 100 {
		m.src.warn(at, c.StopAbove.String(), "never stops anything", "a few in a hundred, as 5%")
	}
}

func (m *mailer) report(path string, j *Report) {
	for i, to := range j.To {
		checkAddress(m.src, indexed(path+".to", i), to)
	}
	checkTemplateName(m.src, path+".template", j.Template)
	checkSubject(m.src, path+".subject", j.Subject, dateWords)
	checkPlaceholders(m.src, path+".text", j.Text, dateWords)
	queries := 0
	for i := range j.Attach {
		m.attach(indexed(path+".attach", i), &j.Attach[i], dateWords)
		if j.Attach[i].Query != "" {
			queries++
		}
	}
	text, template := m.src.written(path+".text"), m.src.written(path+".template")
	switch {
	case text && template:
		m.src.wrong(path+".text", "", "stands beside template, and a mail says one of them", "remove one of the two")
	case !template && !m.src.written(path+".subject"):
		m.src.wrong(path+".subject", "", "is missing", `for example subject: "Sales, week {week}"`)
	case !template && !text && !m.src.written(path+".attach"):
		m.src.wrong(path, "", "says nothing", "give it attach, text or template")
	}
	if at := path + ".if_empty"; m.src.has(at) && queries == 0 && m.src.sound(path+".attach") {
		m.src.wrong(at, j.IfEmpty, "is about the rows of its queries, and it has none", "remove it, or attach a query")
	}
	if queries > 0 {
		m.reader(path)
	}
	m.system(path, ".to")
}

func checkTemplateName(s *source, path, name string) {
	if s.has(path) && !templateForm.MatchString(name) {
		s.wrong(path, name, "cannot be the name of a template", "the name of its folder, or of its rows in outbox_template")
	}
}

func checkSubject(s *source, path, text string, known []string) {
	if n := len([]rune(text)); s.has(path) && n > 998 {
		s.wrong(path, text, fmt.Sprintf("has %d characters; at most 998 are possible", n), "")
	}
	if known != nil {
		checkPlaceholders(s, path, text, known)
	}
}

// checkJobStatement checks the statement of a job of kind sql.
func checkJobStatement(s *source, path, text string) {
	parsed, ok := checkStatement(s, path, text, nil, "statement")
	switch {
	case !ok:
	case slices.Contains(ownWords, parsed.first):
		s.wrong(path, parsed.first, "is no work: the statement runs in a transaction of its own, which outboxd begins and ends", "the statement that does the work; several in a procedure: CALL name()")
	case slices.Contains(schemaWords, parsed.first):
		s.warn(path, parsed.first, "ends the transaction by itself: after a crash it may run a second time", "")
	case len(parsed.params) > 0:
		s.wrong(path, ":"+parsed.params[0], "is a parameter, and nothing gives it a value", "write the value out, or NOW() for the time")
	}
}
