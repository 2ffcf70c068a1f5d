package jobs

import (
	"fmt"
	"slices"
	"strings"

	"outboxd/jobs/jobfile"
)

// What a person may do, as jobs.yaml says it.
const (
	mayStart   = "start"
	mayApprove = "approve"
)

// nobody is whom neither the kernel nor the computer's list of users can name: see package control.
const nobody = "unknown"

// userOf is the user name within an actor: jan of "jan(1001)"; "" for one that cannot be named, so that no person is found by it.
func userOf(actor string) string {
	name := actor
	if head, tail, found := strings.Cut(actor, "("); found && strings.HasSuffix(tail, ")") {
		name = head
	}
	if name == nobody {
		return ""
	}
	return name
}

// personOf finds the person of a company that an actor of the control socket is, or nil.
func personOf(c *jobfile.Company, actor string) *jobfile.Person {
	return personBy(c, userOf(actor), func(p *jobfile.Person) string { return p.User })
}

// personOfDatabase finds the person that a user of the database is, who stands there as USER() has it: jan@10.0.0.5. What is
// behind the last @ is the computer, which anybody may have changed; only the user in front of it was asked for a password.
func personOfDatabase(c *jobfile.Company, user string) *jobfile.Person {
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		user = user[:at]
	}
	return personBy(c, user, func(p *jobfile.Person) string { return p.DatabaseUser })
}

// personBy finds the person with a user name; nil where two have it, for then nobody knows which one it is.
func personBy(c *jobfile.Company, user string, of func(*jobfile.Person) string) (found *jobfile.Person) {
	for _, p := range c.People {
		switch {
		case user == "" || of(p) != user:
		case found != nil:
			return nil
		default:
			found = p
		}
	}
	return found
}

// may tells whether a person has a right. Nobody has none.
func may(p *jobfile.Person, right string) bool {
	return p != nil && slices.Contains(p.May, right)
}

// whoMay are the names of the people who have a right; of those in only, if there are any.
func whoMay(c *jobfile.Company, right string, only []string) (names []string) {
	for _, p := range c.People {
		if may(p, right) && (len(only) == 0 || slices.Contains(only, p.Name)) {
			names = append(names, p.Name)
		}
	}
	return names
}

// forbidden says that an actor, who may be a known person, has none of the rights, who has, and what to put into jobs.yaml.
func forbidden(c *jobfile.Company, actor string, p *jobfile.Person, what string, rights ...string) error {
	var names []string
	for _, right := range rights {
		names = append(names, whoMay(c, right, nil)...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	right := strings.Join(rights, " or ")
	who := "nobody yet"
	if len(names) > 0 {
		who = strings.Join(names, ", ")
	}
	text := fmt.Sprintf("%s may not %s of %s", actor, what, c.Name)
	if p != nil {
		return &AskError{Text: text + fmt.Sprintf(": %s has not the right %s", p.Name, right),
			Hint: fmt.Sprintf("ask who may: %s; or, in jobs.yaml, companies: %s: people: %s: may: [%s], then reload", who, c.Name, p.Name, rights[0])}
	}
	return &AskError{Text: text + ": it is the user of none of its people",
		Hint: fmt.Sprintf("ask who may: %s; or, in jobs.yaml, companies: %s: people: NAME: {email: ADDRESS, user: %s, may: [%s]}, then reload", who, c.Name, userFor(actor), rights[0])}
}

// userFor is what a person's user would have to be.
func userFor(actor string) string {
	if user := userOf(actor); user != "" {
		return user
	}
	return "USER"
}
