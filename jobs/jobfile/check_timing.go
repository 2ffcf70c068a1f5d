package jobfile

import (
	"fmt"
	"slices"
)

// timed is a job that runs at times, whatever its kind.
type timed struct {
	name, path string
	*Timing
}

// timed are the company's jobs that run at times, but for purges.
func (e entry) timed() (all []timed) {
	add := func(name string, t *Timing) {
		if path := join(e.path+".jobs", name); e.src.has(path) {
			all = append(all, timed{name, path, t})
		}
	}
	for _, j := range e.Jobs.Mailing {
		add(j.Name, &j.Timing)
	}
	for _, j := range e.Jobs.Report {
		add(j.Name, &j.Timing)
	}
	for _, j := range e.Jobs.SQL {
		add(j.Name, &j.Timing)
	}
	return all
}

// jobNames are the names of all jobs of a company.
func (e entry) jobNames() (names []string) {
	for _, t := range e.timed() {
		names = append(names, t.name)
	}
	for _, j := range e.Jobs.Deliver {
		names = append(names, j.Name)
	}
	for _, j := range e.Jobs.Purge {
		names = append(names, j.Name)
	}
	return names
}

// timings checks when jobs run, and tells their schedules of the company's holidays.
func (c *checker) timings(e entry) {
	for _, j := range e.Jobs.Purge {
		if path := join(e.path+".jobs", j.Name); e.src.has(path) {
			c.schedule(e, path+".schedule", &j.Schedule, "")
		}
	}
	was := map[string]string{}
	for _, t := range e.timed() {
		checkHost(e.src, t.path+".host", t.Host)
		c.was(e, t, was)
		if !e.src.written(t.path + ".schedule") {
			c.unscheduled(e, t)
			continue
		}
		if t.Schedule != nil {
			c.schedule(e, t.path+".schedule", t.Schedule, t.Shift)
			c.shift(e, t)
		}
		if at := t.path + ".late_by"; e.src.has(at) && t.Missed == Skip {
			e.src.warn(at, formatDuration(t.LateBy), "counts for runs that are made up for, and missed: skip leaves out what is late", "missed: run or missed: ask, or remove it")
		}
	}
}

// unscheduled reports what says something about times that never come.
func (c *checker) unscheduled(e entry, t timed) {
	for _, key := range []string{"missed", "late_by", "shift"} {
		if at := t.path + "." + key; e.src.has(at) {
			e.src.wrong(at, "", "says something about scheduled times, and there is no schedule", "add schedule, or remove it")
		}
	}
}

func (c *checker) schedule(e entry, path string, s *Schedule, shift string) {
	if !e.src.has(path) {
		return
	}
	if s.eitherDay() {
		e.src.warn(path, s.Text, "runs on each day that matches the day of month or the day of week, not both", "leave one of them *")
	}
	if r, ok := s.rule.(nthRule); ok && r.unit == "day" && r.n > 28 {
		e.src.warn(path, s.Text, fmt.Sprintf("passes over the months that have no %d%s", r.n, suffixOf(r.n)), "last day at 09:00 comes in each month")
	}
	*s = s.bind(shift, e.Holidays)
	if s.Next(c.now).IsZero() {
		e.src.wrong(path, s.Text, fmt.Sprintf("never comes in the next %d years: the company's holidays leave it no day", scheduleYears), "look into the company's holidays")
	}
}

func (c *checker) shift(e entry, t timed) {
	at := t.path + ".shift"
	if !e.src.has(at) || !e.src.has(t.path+".schedule") {
		return
	}
	r, words := t.Schedule.rule.(nthRule)
	switch {
	case words && r.unit == "business day":
		e.src.warn(at, t.Shift, "has no effect: a business day is no holiday", "remove it")
	case !e.src.written(e.path + ".holidays"):
		e.src.warn(at, t.Shift, "has no effect: the company has no holidays", "add holidays to the company: an .ics file, or a list of dates")
	}
}

// was checks the name that a job had: nobody has it now, and nobody else had it.
func (c *checker) was(e entry, t timed, first map[string]string) {
	at := t.path + ".was"
	if !e.src.has(at) {
		return
	}
	switch other, again := first[t.Was]; {
	case !validName(t.Was):
		e.src.wrong(at, t.Was, "is not a valid name", "the name that the job had before")
	case slices.Contains(e.jobNames(), t.Was):
		e.src.wrong(at, t.Was, "is the name of a job that is there", "the name that this job had before, and that no job has now")
	case again:
		e.src.wrong(at, t.Was, "is the name that job "+other+" had too", "only one of the two goes on where it stopped")
	default:
		first[t.Was] = t.name
	}
}
