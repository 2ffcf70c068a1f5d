package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/sendercheck"
)

// finding is one line of a check of what is really there.
type finding = sendercheck.Finding

const (
	levelOK   = sendercheck.OK
	levelWarn = sendercheck.Warn
	levelFail = sendercheck.Fail

	onlineTime  = 30 * time.Second // for one database
	onlineAtOne = 8                // databases and accounts looked at at once
	clockLimit  = 2 * time.Second
)

// found makes a finding. Its id is the same in every version.
func found(id string, level sendercheck.Level, about, text, remedy string) finding {
	return finding{ID: id, Level: level, About: about, Text: text, Remedy: remedy}
}

// checkOnline looks at every database, key, account and domain, and tells what it finds in the order of the file. What cannot be
// looked at is a finding, and stops nothing else.
func checkOnline(i *invocation, file *jobfile.File, dns lookup) []finding {
	var looks []func() []finding
	fault := func(id, about string, err error, remedy string) {
		looks = append(looks, func() []finding { return []finding{found(id, levelFail, about, err.Error(), remedy)} })
	}
	state, stateErr := i.remembered()
	if stateErr != nil {
		fault("state", "state directory", stateErr, "databases and accounts were not looked at")
	}
	world, err := jobs.Open(file)
	switch {
	case err != nil:
		fault("db.open", "databases", err, "the secrets must be readable for this user; the databases were not looked at")
	case stateErr == nil:
		looks = append(looks, lookAtWorld(i, world, state)...)
	}
	for _, key := range file.DKIM {
		looks = append(looks, func() []finding { return lookAtKey(key) })
	}
	for _, a := range file.Accounts {
		if a.Active && stateErr == nil {
			looks = append(looks, func() []finding { return lookAtAccount(i.ctx, state, a, i.now()) })
		}
	}
	looks = append(looks, func() []finding { return lookAtSenders(i.ctx, file, dns) })
	all := atOnce(looks)
	if world != nil {
		if err := world.Close(); err != nil {
			all = append(all, found("db.open", levelWarn, "databases", err.Error(), ""))
		}
	}
	return all
}

// lookAtWorld looks at everything that is in databases.
func lookAtWorld(i *invocation, world *jobs.World, state *jobs.State) (looks []func() []finding) {
	seen := map[string]bool{}
	for _, s := range world.Schemas() {
		if len(s.Server.Hosts) > 0 && !seen[s.Server.Name] {
			seen[s.Server.Name] = true
			looks = append(looks, func() []finding { return lookAtNodes(i.ctx, s, i.now) })
		}
		looks = append(looks, func() []finding { return lookAtDatabase(i.ctx, s, i.now) })
	}
	looks = append(looks, lookAtFences(i, world, state)...)
	for _, p := range world.Companies {
		looks = append(looks, func() []finding { return lookAtContent(i.ctx, world, p) })
		looks = append(looks, lookAtMailings(i, world, p)...)
	}
	return looks
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

func anyFailed(all []finding) bool {
	return slices.ContainsFunc(all, func(f finding) bool { return f.Level == levelFail })
}

func printFindings(out io.Writer, all []finding) error {
	w := &errorWriter{w: out}
	for _, f := range all {
		fmt.Fprintf(w, "%-4s  %s: %s (%s)\n", f.Level, clean(f.About), clean(f.Text), f.ID)
		if f.Remedy != "" {
			fmt.Fprintf(w, "      What to do: %s\n", clean(f.Remedy))
		}
		if f.Record != nil {
			fmt.Fprintf(w, "      The record: %s\n", clean(f.Record.Zone))
		}
	}
	return w.err
}

// lookAtNodes tells how each node of a cluster stands. One that does not serve is no error while another does: then the
// databases are found to be out of reach.
func lookAtNodes(ctx context.Context, s jobs.Schema, now func() time.Time) []finding {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	var all []finding
	for _, n := range s.Pool.Nodes(ctx) {
		about := fmt.Sprintf("server %s, host %s", s.Server.Name, n.Host)
		if n.Err != nil {
			all = append(all, found("db.node", levelWarn, about, "passed over: "+n.Err.Error(), ""))
			continue
		}
		all = append(all, found("db.node", levelOK, about, n.State, ""))
		if off := clockOff(n.Clock, now()); off != 0 {
			all = append(all, found("db.clock", levelWarn, about, fmt.Sprintf("its clock differs from this computer's by %s", off),
				"let all nodes keep time by NTP: limits, leases and pauses go by the clock of the node in use"))
		}
	}
	return all
}

// lookAtFences tells of each company whether its database is the one that it was.
func lookAtFences(i *invocation, world *jobs.World, state *jobs.State) (looks []func() []finding) {
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
				return []finding{found("db.fence", levelFail, about, "nothing is sent, for it is not the database that it was: "+f.Why, f.Hint)}
			}
			if to := p.Company.Divert; to != "" {
				return []finding{found("company.divert", levelWarn, about, fmt.Sprintf("every mail of the company goes to %s and to nobody else", to), "without divert in jobs.yaml it goes to its recipients")}
			}
			return nil
		})
	}
	return looks
}
