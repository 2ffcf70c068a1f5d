package jobfile

import (
	"slices"
	"strings"
)

// people checks the people of a company, and fills in their users.
func (c *checker) people(e entry) {
	at := e.path + ".people"
	users, databaseUsers := map[string]string{}, map[string]string{}
	for _, p := range e.People {
		path := join(at, p.Name)
		if !e.src.has(path) {
			continue
		}
		switch p.Name {
		case Starter:
			e.src.wrong(path, "", "starter stands for whoever started a run", "give the person another name")
		case "schedule": // db.BySchedule
			e.src.wrong(path, "", "schedule stands for runs that nobody has started", "give the person another name")
		}
		if addr, ok := checkBareAddress(e.src, path+".email", p.Email); ok {
			p.Email = addr
		}
		for _, u := range []struct {
			key   string
			value *string
			first map[string]string
		}{{".user", &p.User, users}, {".database_user", &p.DatabaseUser, databaseUsers}} {
			if e.src.bad[path+u.key] {
				continue
			}
			if *u.value == "" {
				*u.value = p.Name
			}
			if other, again := u.first[*u.value]; again {
				e.src.wrong(path+u.key, *u.value, "is the user of "+other+" too", "each person has a user of their own, or nobody knows who it was")
			}
			u.first[*u.value] = p.Name
		}
	}
	c.rights(e)
}

// rights warns of what nobody may do.
func (c *checker) rights(e entry) {
	if !e.src.sound(e.path+".people") || len(e.who(Start)) > 0 {
		return
	}
	const hint = "may: [start] of one of its people"
	if e.src.has(e.path + ".mailing") {
		e.src.warn(e.path+".mailing", "", "nobody may start a mailing", hint)
	}
	for _, j := range e.Jobs.Mailing {
		if path := join(e.path+".jobs", j.Name); e.src.has(path) && !e.src.written(path+".schedule") {
			e.src.warn(path, "", "has no schedule, and nobody may start it", hint+", or a schedule")
		}
	}
}

// who are the people who have a right.
func (e entry) who(right string) (names []string) {
	for _, p := range e.People {
		if slices.Contains(p.May, right) {
			names = append(names, p.Name)
		}
	}
	return names
}

func (e entry) peopleNames() []string {
	names := make([]string, len(e.People))
	for i, p := range e.People {
		names[i] = p.Name
	}
	return names
}

// readers checks a list of those who are written to: people, starter, addresses.
func (c *checker) readers(e entry, path string, list []string, scheduled bool) {
	if !e.src.has(path) {
		return
	}
	for i, who := range list {
		at := indexed(path, i)
		switch {
		case who == Starter || slices.Contains(e.peopleNames(), who):
		case strings.Contains(who, "@"):
			checkAddress(e.src, at, who)
		case e.src.sound(e.path + ".people"):
			e.src.wrong(at, who, "is neither one of the company's people nor an address", knownHint(who, append(e.peopleNames(), Starter)))
		}
	}
	if scheduled && len(list) == 1 && list[0] == Starter {
		e.src.warn(path, Starter, "nobody starts a run of the schedule, so nobody gets it", "add one of the company's people, or an address")
	}
}

// approval checks who lets a run go. byHand: only people start such runs.
func (c *checker) approval(e entry, path string, a *Approval, byHand bool) {
	if a == nil || !e.src.has(path) {
		return
	}
	able := 0
	for i, who := range a.By {
		at := indexed(path+".by", i)
		if !e.src.has(at) || !e.src.sound(e.path+".people") {
			able++
			continue
		}
		switch p := find(e.People, func(p *Person) bool { return p.Name == who }); {
		case p == nil:
			e.src.wrong(at, who, "is none of the company's people", knownHint(who, e.peopleNames()))
		case !slices.Contains(p.May, Approve):
			e.src.wrong(at, who, "may not approve", "people: "+who+": may: [approve]")
		default:
			able++
		}
	}
	if e.src.has(path+".else") && !e.src.written(path+".within") {
		e.src.wrong(path+".else", a.Else, "comes when within has passed, and there is no within", "add within: 8h, or remove else")
	}
	if starters := e.who(Start); byHand && !a.Starter && able == len(a.By) && len(a.By) == 1 && slices.Equal(starters, a.By) {
		e.src.warn(path, "", "nobody may approve what "+a.By[0]+" starts, and nobody else may start", "starter: yes, or a second person with the right to start or to approve")
	}
}
