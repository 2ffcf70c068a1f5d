package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

// finding is one line of a check of what is really there.
type finding struct {
	level  string // ok, warn or fail
	about  string
	text   string
	remedy string
}

const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"

	onlineTime  = 30 * time.Second // for one database
	onlineAtOne = 8                // databases and accounts looked at at once
	clockLimit  = 2 * time.Second
)

// checkOnline looks at every database, key and account and prints what it finds in the order of the file.
func checkOnline(i *invocation, file *jobfile.File) error {
	var looks []func() []finding
	world, err := jobs.Open(file)
	if err != nil {
		looks = append(looks, func() []finding {
			return []finding{{levelFail, "databases", err.Error(), "the secrets must be readable for this user; the databases were not looked at"}}
		})
	} else {
		seen := map[string]bool{}
		for _, s := range world.Schemas() {
			if len(s.Server.Hosts) > 0 && !seen[s.Server.Name] {
				seen[s.Server.Name] = true
				looks = append(looks, func() []finding { return lookAtNodes(i.ctx, s, i.now) })
			}
			looks = append(looks, func() []finding { return lookAtDatabase(i.ctx, s, i.now) })
		}
		looks = append(looks, lookAtFences(i, world)...)
		for _, p := range world.Companies {
			looks = append(looks, func() []finding { return lookAtContent(i.ctx, world, p) })
		}
	}
	for _, key := range file.DKIM {
		looks = append(looks, func() []finding { return lookAtKey(i, key) })
	}
	for _, a := range file.Accounts {
		if a.Active {
			looks = append(looks, func() []finding { return lookAtAccount(i, a) })
		}
	}
	failed, printed := printFindings(i, atOnce(looks))
	if world != nil {
		printed = errors.Join(printed, world.Close())
	}
	if printed == nil && failed {
		return exitError(exitFailed)
	}
	return printed
}

// atOnce runs all looks, several at once, and returns what they found in their order.
func atOnce(looks []func() []finding) []finding {
	found := make([][]finding, len(looks))
	free := make(chan struct{}, onlineAtOne)
	var all sync.WaitGroup
	for n, look := range looks {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			found[n] = look()
		})
	}
	all.Wait()
	var out []finding
	for _, f := range found {
		out = append(out, f...)
	}
	return out
}

func printFindings(i *invocation, all []finding) (failed bool, err error) {
	w := &errorWriter{w: i.stdout}
	for _, f := range all {
		failed = failed || f.level == levelFail
		fmt.Fprintf(w, "%-4s  %s: %s\n", f.level, clean(f.about), clean(f.text))
		if f.remedy != "" {
			fmt.Fprintf(w, "      What to do: %s\n", clean(f.remedy))
		}
	}
	return failed, w.err
}

// lookAtNodes tells how each node of a cluster stands. One that does not serve is no error while another does: then the
// databases are found to be out of reach.
func lookAtNodes(ctx context.Context, s jobs.Schema, now func() time.Time) []finding {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	var found []finding
	for _, n := range s.Pool.Nodes(ctx) {
		about := fmt.Sprintf("server %s, host %s", s.Server.Name, n.Host)
		if n.Err != nil {
			found = append(found, finding{levelWarn, about, "passed over: " + n.Err.Error(), ""})
			continue
		}
		found = append(found, finding{levelOK, about, n.State, ""})
		if off := clockOff(n.Clock, now()); off != 0 {
			found = append(found, finding{levelWarn, about, fmt.Sprintf("its clock differs from this computer's by %s", off),
				"let all nodes keep time by NTP: limits, leases and pauses go by the clock of the node in use"})
		}
	}
	return found
}

// lookAtFences tells of each company whether its database is the one that it was.
func lookAtFences(i *invocation, world *jobs.World) (looks []func() []finding) {
	state, err := i.remembered()
	if err != nil {
		return []func() []finding{func() []finding { return []finding{{levelFail, "state directory", err.Error(), ""}} }}
	}
	desk := jobs.NewDesk(world, nil, state)
	for _, p := range world.Companies {
		looks = append(looks, func() []finding {
			ctx, cancel := context.WithTimeout(i.ctx, onlineTime)
			defer cancel()
			about := fmt.Sprintf("company %s, database %s", p.Company.Name, p.Company.Database)
			switch f, err := desk.Fenced(ctx, p); {
			case err != nil:
				return nil // the look at the database tells
			case f != nil:
				return []finding{{levelFail, about, "nothing is sent, for it is not the database that it was: " + f.Why, f.Hint}}
			}
			if to := p.Company.Divert; to != "" {
				return []finding{{levelWarn, about, fmt.Sprintf("every mail of the company goes to %s and to nobody else", to), "without divert in jobs.yaml it goes to its recipients"}}
			}
			return nil
		})
	}
	return looks
}

func lookAtAccount(i *invocation, a *jobfile.Account) []finding {
	about := "account " + a.Name
	state, err := i.remembered()
	if err != nil {
		return []finding{{levelFail, about, err.Error(), ""}}
	}
	r := jobs.TestLogin(i.ctx, state, a)
	if s, failed := r.FailedStep(); failed {
		return []finding{{levelFail, about, s.Step + ": " + s.Text, s.Remedy}}
	}
	var found []string
	for _, s := range r.Steps {
		if s.Result == jobs.StepOK && s.Text != "" {
			found = append(found, s.Text)
		}
	}
	return []finding{{levelOK, about, strings.Join(found, "; "), ""}}
}
