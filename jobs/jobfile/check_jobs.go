package jobfile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const priorities = 5

func (c *checker) jobs(e entry, allowed []*Account) {
	at := e.path + ".jobs"
	if e.src.bad[at] {
		return
	}
	c.purges(e, at)
	if len(e.Jobs.Deliver) == 0 && e.src.sound(at) {
		e.src.warn(e.path, "", "has no job that sends, so nothing is sent", "jobs: {send: {kind: deliver}}")
		return
	}
	var taking []*Deliver // those of which it is known what they take
	before := len(e.src.problems.Errors())
	for _, job := range e.Jobs.Deliver {
		path := join(at, job.Name)
		if !e.src.has(path) {
			continue
		}
		c.deliver(e, path, job, allowed)
		if e.src.bad[path+".kind"] || e.src.bad[path+".accounts"] || e.src.bad[path+".priority"] {
			continue
		}
		for _, other := range taking {
			if shared := overlap(other, job); shared != "" {
				e.src.wrong(path, "", "takes what job "+other.Name+" takes too: "+shared, "divide the rows by accounts or by priority; two jobs never take the same row")
			}
		}
		taking = append(taking, job)
	}
	if e.src.sound(at) && len(e.src.problems.Errors()) == before {
		c.coverage(e)
	}
}

func (c *checker) deliver(e entry, path string, job *Deliver, allowed []*Account) {
	for i, name := range job.Accounts {
		at := indexed(path+".accounts", i)
		if !e.src.has(at) {
			continue
		}
		names := make([]string, len(allowed))
		for j, a := range allowed {
			names[j] = a.Name
		}
		switch {
		case slices.Contains(names, name) || name == GeneralAccount: // which carries the company's proofs and reports in any case
		case c.accountNamed(name) != nil:
			e.src.wrong(at, name, "is not among the accounts of this company", knownHint(name, names))
		default:
			e.src.wrong(at, name, "no such account", knownHint(name, names))
		}
	}
	checkHost(e.src, path+".host", job.Host)
	c.jobRate(e, path+".rate", job)
	if at := path + ".hold_above"; e.src.has(at) && c.hourly(e.src, at, *job.HoldAbove) && job.HoldAbove.Unlimited {
		e.src.wrong(at, "unlimited", "nothing would ever be held", "remove it, or state a number: hold_above: 2000/hour")
	}
	c.retry(e.src, path+".retry", job.Retry)
	if at := path + ".dsn.notify"; job.DSN != nil && len(job.DSN.Notify) > 1 && slices.Contains(job.DSN.Notify, Never) {
		e.src.wrong(at, Never, "stands with others", "never alone, or without it")
	}
	checkForbidden(e.src, path+".forbidden_types", job.ForbiddenTypes)
}

func checkHost(s *source, path, name string) {
	if !s.has(path) {
		return
	}
	if err := checkComputer(name); err != nil {
		s.wrong(path, name, err.Error(), "the name that the computer has for itself, as hostname prints it")
	}
}

func checkComputer(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return errors.New("is an address, not the name of a computer")
	}
	if _, err := parseLabels(name); err != nil {
		return errors.New("is no name of a computer")
	}
	return nil
}

func (c *checker) jobRate(e entry, path string, job *Deliver) {
	if !e.src.has(path) || !c.hourly(e.src, path, *job.Rate) {
		return
	}
	if job.Rate.Unlimited {
		e.src.wrong(path, job.Rate.String(), "a job is bound by its accounts in any case", "remove it")
		return
	}
	names := job.Accounts
	if len(names) == 0 {
		names = e.Accounts
	}
	sum := 0
	for _, name := range names {
		a := c.accountNamed(name)
		if a == nil || a.Rate.Unlimited || a.Rate.N == 0 {
			return
		}
		sum += a.Rate.N
	}
	if job.Rate.N > sum {
		e.src.warn(path, job.Rate.String(), fmt.Sprintf("is never reached: its accounts allow %d/hour", sum), "")
	}
}

func (c *checker) retry(s *source, path string, r Retry) {
	if s.bad[path] || s.bad[path+".first"] {
		return
	}
	if !s.bad[path+".max"] && r.Max < r.First {
		s.wrong(path+".max", formatDuration(r.Max), "is shorter than first, which is "+formatDuration(r.First), "")
	}
	if !s.bad[path+".give_up_after"] && r.GiveUpAfter < r.First {
		s.wrong(path+".give_up_after", formatDuration(r.GiveUpAfter), "is shorter than first, which is "+formatDuration(r.First), "")
	}
}

// overlap describes the rows that both jobs would take, or is "".
func overlap(a, b *Deliver) string {
	accounts, ok := common(a.Accounts, b.Accounts)
	if !ok {
		return ""
	}
	levels, ok := common(priorityNames(a.Priority), priorityNames(b.Priority))
	if !ok {
		return ""
	}
	what := "all rows"
	if accounts != nil {
		what = "the rows of account " + namesOf(accounts)
	}
	if levels != nil {
		what += " with priority " + namesOf(levels)
	}
	return what
}

// common returns what two choices share; an empty choice is all there is, and so is a nil result.
func common(a, b []string) (shared []string, ok bool) {
	switch {
	case len(a) == 0:
		return b, true
	case len(b) == 0:
		return a, true
	}
	for _, x := range a {
		if slices.Contains(b, x) {
			shared = append(shared, x)
		}
	}
	return shared, len(shared) > 0
}

func priorityNames(levels []int) []string {
	var out []string
	for _, n := range levels {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// coverage warns of rows that no job would ever take.
func (c *checker) coverage(e entry) {
	var open []string
	for _, account := range e.Accounts {
		if a := c.accountNamed(account); a == nil || !a.Active {
			continue
		}
		var levels []string
		for n := 1; n <= priorities; n++ {
			if !slices.ContainsFunc(e.Jobs.Deliver, func(j *Deliver) bool { return j.takes(account, n) }) {
				levels = append(levels, strconv.Itoa(n))
			}
		}
		switch {
		case len(levels) == priorities:
			open = append(open, account)
		case len(levels) > 0:
			open = append(open, account+" with priority "+namesOf(levels))
		}
	}
	if len(open) > 0 {
		e.src.warn(e.path+".jobs", "", "no job takes the rows of "+strings.Join(open, ", ")+"; they would wait for ever", "a job with neither accounts nor priority takes all rows")
	}
}

// takes tells whether the job sends rows of that account and priority.
func (j *Deliver) takes(account string, priority int) bool {
	return (len(j.Accounts) == 0 || slices.Contains(j.Accounts, account)) &&
		(len(j.Priority) == 0 || slices.Contains(j.Priority, priority))
}
