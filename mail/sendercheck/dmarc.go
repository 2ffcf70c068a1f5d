package sendercheck

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// policy is a domain's DMARC record (RFC 9989, which replaces RFC 7489; old receivers go by the old one).
type policy struct {
	strictSPF bool // aspf=s: the envelope sender's domain must be the very same
}

var (
	dmarcForm = regexp.MustCompile(`^v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)`)
	tagForm   = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_]+)[ \t]*=[ \t]*(.*?)[ \t]*$`)
)

// dmarc tells about the domain's policy, its own or that of its organisation.
func (l *look) dmarc() policy {
	const id = "dmarc.present"
	org := organisation(l.domain.name)
	for _, at := range slices.Compact([]string{l.domain.name, org}) {
		name := "_dmarc." + at
		texts, err := l.r.texts(l.ctx, name)
		if err != nil {
			l.add(unasked(id, err))
			return policy{}
		}
		texts = slices.DeleteFunc(texts, func(text string) bool { return !dmarcForm.MatchString(text) })
		if len(texts) == 0 {
			continue
		}
		if len(texts) > 1 {
			l.add(Finding{ID: id, Level: Fail, Text: fmt.Sprintf("there are %d DMARC records under %s, and receivers take none of them", len(texts), name), Remedy: "leave one of them"})
			return policy{}
		}
		f, p := dmarcFinding(texts[0], name, at, at != l.domain.name)
		l.add(f)
		return p
	}
	record := TXT("_dmarc."+org, "v=DMARC1; p=none; rua=mailto:postmaster@"+org)
	l.add(Finding{ID: id, Level: Fail, Text: "there is no DMARC record: large receivers refuse or file away bulk mail without one, and nobody tells who sends in the domain's name", Record: &record,
		Remedy: "publish one. With p=none nothing happens to mails; the reports go to the address in rua, which may be another of the domain's"})
	return policy{}
}

// dmarcFinding judges a record. inherited says that it is the organisation's, so that sp= comes before p= (RFC 9989 4.7).
func dmarcFinding(text, name, domain string, inherited bool) (Finding, policy) {
	f := Finding{ID: "dmarc.present", Level: Fail}
	t, fault := dmarcTags(text)
	if fault != "" {
		f.Text = fmt.Sprintf("the record under %s cannot be read, and receivers take none of it: %s in %s", name, fault, quoted(text))
		f.Remedy = "correct it; the least is v=DMARC1; p=none; rua=mailto:postmaster@" + domain
		return f, policy{}
	}
	p := policy{strictSPF: strings.EqualFold(t["aspf"], "s")}
	tag := "p"
	if inherited && t["sp"] != "" {
		tag = "sp"
	}
	f.Level, f.Text = Warn, fmt.Sprintf("%s under %s", quoted(text), name)
	switch {
	case t["rua"] == "":
		record := TXT(name, withTag(text, "rua", "mailto:postmaster@"+domain))
		f.Text, f.Record = f.Text+": nobody gets reports on what is sent in the domain's name", &record
		f.Remedy = "name who gets them"
	case t[tag] == "" || strings.EqualFold(t[tag], "none"):
		record := TXT(name, withTag(text, tag, "quarantine"))
		f.Text, f.Record = f.Text+": it asks for nothing to be done about forged mails", &record
		f.Remedy = "when the reports show that all of your own mail passes, ask for forged ones to be filed away"
	default:
		f.Level = OK
	}
	return f, p
}

// dmarcTags reads a record (RFC 9989 4.6). What older receivers need to find is a fault too: p= is there, or reports are asked for.
func dmarcTags(text string) (map[string]string, string) {
	all := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		m := tagForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Sprintf("%.60q is no NAME=VALUE", strings.TrimSpace(part))
		}
		name := strings.ToLower(m[1])
		if _, twice := all[name]; twice {
			return nil, name + "= stands there twice"
		}
		all[name] = m[2]
	}
	for _, name := range []string{"p", "sp", "np"} {
		if value, ok := all[name]; ok && !slices.Contains([]string{"none", "quarantine", "reject"}, strings.ToLower(value)) {
			return nil, fmt.Sprintf("%s= is neither none nor quarantine nor reject", name)
		}
	}
	for _, name := range []string{"adkim", "aspf"} {
		if value, ok := all[name]; ok && !slices.Contains([]string{"r", "s"}, strings.ToLower(value)) {
			return nil, name + "= is neither r nor s"
		}
	}
	if percent, ok := all["pct"]; ok {
		if n, err := strconv.Atoi(percent); err != nil || n < 0 || n > 100 {
			return nil, "pct= is no number from 0 to 100"
		}
	}
	if _, ok := all["p"]; !ok && all["rua"] == "" {
		return nil, "p= is missing"
	}
	return all, reportFault(all["rua"])
}

// reportFault tells what is wrong with the addresses for reports.
func reportFault(list string) string {
	if list == "" {
		return ""
	}
	for item := range strings.SplitSeq(list, ",") {
		item, _, _ = strings.Cut(strings.TrimSpace(item), "!") // a size, of RFC 7489
		to, err := url.Parse(item)
		if err != nil || to.Scheme == "" || strings.EqualFold(to.Scheme, "mailto") && !strings.Contains(to.Opaque, "@") {
			return fmt.Sprintf("rua= has %.60q, which is no URI such as mailto:postmaster@acme.example", item)
		}
	}
	return ""
}

// withTag is a record with one tag set: in its place, else p= right after v=, where older receivers look for it, and others at the end.
func withTag(text, name, value string) string {
	var parts []string
	at := -1
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if m := tagForm.FindStringSubmatch(part); m != nil && strings.EqualFold(m[1], name) {
			at, part = len(parts), name+"="+value
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	switch {
	case at >= 0:
	case name == "p":
		parts = slices.Insert(parts, 1, name+"="+value)
	default:
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, "; ")
}

// alignment tells whether mails of one account pass DMARC: by a signature of the From domain, or by SPF.
func (l *look) alignment(s Sender, p policy, d signing) {
	f := Finding{ID: "dkim.align", Level: d.aligned, Text: d.text}
	if d.aligned != OK {
		f.Remedy = l.ways()
	}
	l.addFor(s.Account, f)
	envelope := s.envelope(l.domain.name)
	same := envelope == l.domain.name || !p.strictSPF && organisation(envelope) == organisation(l.domain.name)
	spf := Fail
	if same {
		spf = l.spfLevel(envelope, s)
	}
	f = Finding{ID: "dmarc.align", Level: Warn, Remedy: l.ways()}
	switch {
	case d.level == OK && d.aligned == OK:
		f.Level, f.Text, f.Remedy = OK, "mails pass by their signature, also after they were forwarded", ""
	case d.level == Fail && spf == Fail:
		f.Level, f.Text = Fail, "mails pass neither by a signature of the domain nor by SPF: receivers take them for forged"
		if !same {
			f.Text = fmt.Sprintf("mails have no signature of the domain, and their envelope sender is of another domain (%s): receivers take them for forged", envelope)
		}
	case spf == OK:
		f.Text = "mails are sure to pass by SPF alone, which does not survive forwarding"
	default:
		f.Text = "not known whether mails pass"
	}
	l.addFor(s.Account, f)
}

// spfLevel tells whether SPF passes for an account's mails; warn when that is not known.
func (l *look) spfLevel(envelope string, s Sender) Level {
	state := l.spf(envelope)
	c := l.covered(state, s)
	switch {
	case c.unknown:
		return Warn
	case !c.yes || state.walk == nil || len(state.walk.faults) > 0 || state.walk.lookups > spfMostLookups || state.walk.voids > spfMostVoids:
		return Fail
	}
	return OK
}
