package sendercheck

import (
	"fmt"
	"slices"
	"strings"
)

// manyLookups is from where on a record is close to the limit.
const manyLookups = 9

// spfFindings tells about the record of a domain of envelope senders.
func (l *look) spfFindings(s *spfState) {
	covers := make([]coverage, len(l.domain.envelope))
	var missing []string
	for i, by := range l.domain.envelope {
		covers[i] = l.covered(s, by)
		for _, term := range covers[i].missing {
			if !slices.Contains(missing, term) {
				missing = append(missing, term)
			}
		}
	}
	l.add(l.spfPresent(s, missing))
	if s.walk == nil {
		return
	}
	l.add(l.spfLookups(s))
	for i, by := range l.domain.envelope {
		l.addFor(by.Account, l.spfIncludeOf(s, by, covers[i], missing))
	}
	l.add(l.spfEnding(s))
}

// publish makes the record to publish, or none for a domain that is nobody's here.
func (l *look) publish(name, text string) *Record {
	if text == "" || isPublic(l.domain.name) {
		return nil
	}
	record := TXT(name, text)
	return &record
}

func (l *look) spfPresent(s *spfState, missing []string) Finding {
	f := Finding{ID: "spf.present", Level: Fail}
	switch {
	case s.err != nil:
		return unasked(f.ID, s.err)
	case len(s.texts) == 0:
		f.Text, f.Remedy = "there is no SPF record: receivers cannot tell who may send for the domain", "publish one"
		if len(missing) == 0 {
			f.Remedy = "publish one: v=spf1, an include: that your mail provider names, and ~all"
			return f
		}
		f.Record = l.publish(s.domain, newSPF(missing))
	case len(s.texts) > 1:
		f.Text = fmt.Sprintf("there are %d SPF records, and receivers take none of them (RFC 7208 4.5)", len(s.texts))
		f.Remedy = "remove all of them and publish one in their place"
		f.Record = l.publish(s.domain, mergedSPF(s.texts, missing))
	case s.broken != "":
		f.Text = fmt.Sprintf("the record cannot be read, and receivers take none of it: %s in %s", s.broken, quoted(s.texts[0]))
		f.Remedy = "correct it"
	case len(s.walk.faults) > 0:
		fault := s.walk.faults[0]
		f.Text = fmt.Sprintf("receivers take none of the record: %s, in %s", fault.err, quoted(s.texts[0]))
		f.Remedy = fmt.Sprintf("correct what %s leads to, or leave it out", fault.term)
		if l.needed(fault.term) {
			f.Remedy = fmt.Sprintf("tell the provider, whose %s is broken", fault.term)
			break
		}
		repaired := withoutTerms(s.texts[0], []string{fault.term}, missing)
		if isRedirect(fault.term) {
			repaired = endedSPF(repaired)
		}
		f.Record = l.publish(s.domain, repaired)
	default:
		return Finding{ID: f.ID, Level: OK, Text: quoted(s.texts[0])}
	}
	return f
}

// needed tells whether a term of the domain's record is an account's own include.
func (l *look) needed(term string) bool {
	return slices.ContainsFunc(l.domain.envelope, func(by Sender) bool { return by.Include != "" && strings.EqualFold(term, spfInclude+":"+by.Include) })
}

func (l *look) spfLookups(s *spfState) Finding {
	w, f := s.walk, Finding{ID: "spf.lookups", Level: OK}
	number := fmt.Sprint(w.lookups)
	if w.lookups > spfAuditLookups {
		number = fmt.Sprintf("more than %d", spfAuditLookups)
	}
	f.Text = fmt.Sprintf("%s of %d lookups", number, spfMostLookups)
	var costs []string
	for _, c := range w.costs {
		costs = append(costs, fmt.Sprintf("%s %d", c.term, c.lookups))
	}
	switch {
	case w.lookups > spfMostLookups:
		f.Level, f.Text = Fail, fmt.Sprintf("the record takes %s lookups, and receivers stop at %d and take none of it (RFC 7208 4.6.4)", number, spfMostLookups)
		f.Remedy = "remove terms that are no longer needed, or write the addresses in place of an include. Each costs: " + strings.Join(costs, ", ")
	case w.voids > spfMostVoids:
		f.Level, f.Text = Fail, fmt.Sprintf("%d lookups find nothing, and receivers stop after %d and take none of the record (RFC 7208 4.6.4)", w.voids, spfMostVoids)
		f.Remedy = "remove what is no longer in the DNS: " + strings.Join(w.empty, ", ")
		f.Record = l.publish(s.domain, withoutTerms(s.texts[0], w.empty, nil))
	case w.unasked != nil:
		return unasked(f.ID, w.unasked)
	case w.lookups >= manyLookups:
		f.Level, f.Remedy = Warn, "remove terms that are no longer needed before more are added. Each costs: "+strings.Join(costs, ", ")
	}
	return f
}

func (l *look) spfIncludeOf(s *spfState, by Sender, c coverage, missing []string) Finding {
	f := Finding{ID: "spf.include", Level: OK, Text: c.text}
	switch {
	case c.yes:
	case c.unknown && by.Include == "" && by.Relay == nil:
		f.Level, f.Remedy = Warn, "ask the provider which include: the record needs, and say so in jobs.yaml: spf_include"
	case c.unknown:
		f.Level = Warn
		if strings.HasPrefix(c.text, "could not be asked") {
			f.Remedy = anotherResolver
		}
	default:
		is := "is"
		if len(c.missing) > 1 {
			is = "are"
		}
		f.Level = Fail
		f.Text = fmt.Sprintf("%s %s not in the record: receivers take the account's mails for sent by others", strings.Join(c.missing, " and "), is)
		if isPublic(l.domain.name) {
			f.Remedy = "send from an address of a domain of your own"
			break
		}
		f.Remedy = "publish this in place of the record"
		if n := s.walk.lookups + l.price(missing); n > spfMostLookups {
			f.Remedy = fmt.Sprintf("publish this in place of the record, but remove other terms first: it would take %d lookups, and receivers stop at %d", n, spfMostLookups)
		}
		f.Record = l.publish(s.domain, withTerms(s.texts[0], missing))
	}
	return f
}

// price is how many lookups further terms take.
func (l *look) price(terms []string) int {
	n := 0
	for _, term := range terms {
		if include, ok := strings.CutPrefix(term, spfInclude+":"); ok {
			w := &spfWalk{r: l.r, sender: "postmaster@" + include}
			_, _ = w.check(l.ctx, include) // what cannot be asked counts for nothing
			n += 1 + w.lookups
		}
	}
	return n
}

func (l *look) spfEnding(s *spfState) Finding {
	f := Finding{ID: "spf.all", Level: OK}
	own := slices.ContainsFunc(strings.Fields(s.texts[0]), isAll)
	switch s.walk.ending {
	case '-', '~':
		f.Text = fmt.Sprintf("it ends with %call", s.walk.ending)
		return f
	case 0:
		if s.walk.unasked != nil {
			return unasked(f.ID, s.walk.unasked)
		}
		f.Level, f.Text = Warn, "the record has no ending, so that anybody may send for the domain without being noticed"
		own = !slices.ContainsFunc(strings.Fields(s.texts[0]), isRedirect)
	case '?':
		f.Level, f.Text = Warn, "it ends with ?all, so that anybody may send for the domain without being noticed"
	default:
		f.Level, f.Text = Fail, "it ends with +all: it lets everybody send for the domain"
	}
	f.Remedy = "end it with ~all"
	if own {
		f.Record = l.publish(s.domain, endedSPF(s.texts[0]))
	} else {
		f.Remedy = "the ending is that of the record it redirects to: end that one with ~all"
	}
	return f
}
