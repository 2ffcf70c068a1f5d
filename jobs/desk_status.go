package jobs

import (
	"context"
	"time"

	"outboxd/db"
	"outboxd/jobs/fence"
)

// StatusRequest asks how all is. It has no fields.
type StatusRequest struct{}

// StatusReply is how all is. Companies, accounts and left-out files stand in the order of jobs.yaml.
type StatusReply struct {
	Time      time.Time       `json:"time"`
	Daemon    *Live           `json:"daemon,omitempty"` // nil: no outboxd runs here, the databases were asked directly
	Companies []CompanyStatus `json:"companies"`
	LeftOut   []LeftOut       `json:"left_out"`
	Accounts  []AccountStatus `json:"accounts"`
	Keys      []KeyTrouble    `json:"keys,omitempty"` // keys that cannot sign: the mails of their domains wait
}

// KeyTrouble is a domain whose mails cannot be signed.
type KeyTrouble struct {
	Domain string `json:"domain"`
	Reason string `json:"reason"`
	Hint   string `json:"hint"`
}

// CompanyStatus is where a company's rows stand. Numbers above db.CountLimit mean that there are more.
type CompanyStatus struct {
	Company    string        `json:"company"`
	Timezone   string        `json:"timezone"`
	Up         bool          `json:"up"`
	Divert     string        `json:"divert,omitempty"` // every mail goes to this address and to nobody else
	Fenced     *Fenced       `json:"fenced,omitempty"` // its database is a copy: nothing is sent
	Error      string        `json:"error,omitempty"`  // why its database cannot be used
	Hint       string        `json:"hint,omitempty"`
	Jobs       []JobStatus   `json:"jobs,omitempty"`        // those with a schedule
	Mailings   []RunInfo     `json:"mailings,omitempty"`    // runs that have not ended, the newest first
	WriteBacks int64         `json:"write_backs,omitempty"` // into the company's tables that are still tried, of all runs
	WriteError string        `json:"write_back_error,omitempty"`
	Waits      []CompanyWait `json:"waits,omitempty"` // what rows wait for together
	*db.Counts               // nil unless Up
}

// LeftOut is an included file whose companies do not run.
type LeftOut struct {
	File      string   `json:"file"`
	Companies []string `json:"companies"`
	Problems  []string `json:"problems"`
}

// Status tells how all is. What cannot be asked is told with its reason and does not keep back the rest.
func (d *Desk) Status(ctx context.Context, _ StatusRequest) (StatusReply, error) {
	file := d.world.File
	reply := StatusReply{Time: d.now().UTC(), Companies: make([]CompanyStatus, len(d.world.Companies)), LeftOut: []LeftOut{},
		Accounts: make([]AccountStatus, len(file.Accounts))}
	if d.live != nil {
		live := d.live()
		reply.Daemon = &live
	}
	each(len(d.world.Companies)+len(file.Accounts), func(i int) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		if n := len(d.world.Companies); i >= n {
			reply.Accounts[i-n] = d.accountStatus(ctx, file.Accounts[i-n])
		} else {
			reply.Companies[i] = d.companyStatus(ctx, d.world.Companies[i])
		}
	})
	for i := range reply.Accounts {
		if a := &reply.Accounts[i]; a.LimitHour == 0 { // nothing is taken from a bucket, but the rows tell
			for _, c := range reply.Companies {
				if c.Counts != nil {
					a.UsedHour += c.SentHour[a.Account]
				}
			}
		}
	}
	for _, s := range d.world.broken() {
		reply.Keys = append(reply.Keys, KeyTrouble{s.conf.Name, s.err.Error(), keyRemedy})
	}
	for _, out := range d.world.leftOut {
		one := LeftOut{File: out.File, Companies: out.Companies, Problems: []string{}}
		for _, p := range out.Problems.Errors() {
			one.Problems = append(one.Problems, p.String())
		}
		reply.LeftOut = append(reply.LeftOut, one)
	}
	return reply, nil
}

const mostRoutes = 100

func (d *Desk) companyStatus(ctx context.Context, p *Place) CompanyStatus {
	s := CompanyStatus{Company: p.Company.Name, Timezone: p.Company.Timezone.String(), Divert: p.Company.Divert}
	routes, err := waitingRoutes(ctx, p)
	if err == nil {
		var counts db.Counts
		counts, err = p.Store.Counts(ctx, routes)
		s.Counts = &counts
	}
	if err != nil {
		s.Counts, s.Error, s.Hint = nil, err.Error(), DatabaseHint(err)
	}
	s.Up = err == nil
	if s.Up {
		s.Fenced, _ = d.Fenced(ctx, p) // an error of the database shows beside it
		s.Jobs = jobStatus(ctx, p, d.now())
		d.mailings(ctx, p, &s)
		s.Waits, _ = companyWaits(ctx, d.world, p, d.now()) // an error of the database would show above
	}
	return s
}

// mostMailings is how many runs that have not ended a status shows of a company.
const mostMailings = 20

// mailings tells of the runs of a company that have not ended, and of what its tables have not been told yet. Tables that are one step
// older have none; an error of the database shows elsewhere.
func (d *Desk) mailings(ctx context.Context, p *Place, s *CompanyStatus) {
	counts, _ := p.Store.WriteBackCounts(ctx)
	s.Mailings, _ = d.runsOf(ctx, p, db.RunFilter{States: openStates, Limit: mostMailings}, counts)
	for _, c := range counts {
		s.WriteBacks += c.Waiting
		if c.LastError != "" {
			s.WriteError = c.LastError
		}
	}
}

// waitingRoutes lists the routes of rows that wait for nothing but their account.
func waitingRoutes(ctx context.Context, p *Place) ([]db.Route, error) {
	routes, err := p.Store.Routes(ctx, 0, -1, mostRoutes)
	if err != nil {
		return nil, err
	}
	lanes, err := p.Store.Lanes(ctx)
	for _, lane := range lanes {
		if own, is := parseOwnLane(lane); err == nil && is && own.domain == "" {
			var more []db.Route
			more, err = p.Store.Routes(ctx, lane.ID, -1, mostRoutes)
			routes = append(routes, more...)
		}
	}
	return routes, err
}

// Fenced tells whether the company's database is a copy, as the daemon has found or, where none runs, as it would find; nil
// when it is none.
func (d *Desk) Fenced(ctx context.Context, p *Place) (*Fenced, error) {
	if d.live != nil {
		return d.live().Companies[p.Company.Name].Fenced, nil
	}
	why, err := d.examine(ctx, p)
	if why == "" || err != nil {
		return nil, err
	}
	return &Fenced{Why: why, Hint: fence.Remedy(p.Company.Name)}, nil
}

// examine tells why a company's database is a copy, "" when it is none. It changes nothing.
func (d *Desk) examine(ctx context.Context, p *Place) (string, error) {
	return d.world.witnessed(p, d.state.Folder).Examine(ctx)
}

// in is a time from now, in whole milliseconds: no finer than it is known.
func (d *Desk) in(left time.Duration) *time.Time {
	t := d.now().Add(left).UTC().Truncate(time.Millisecond)
	return &t
}
