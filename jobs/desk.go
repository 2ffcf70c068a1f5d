package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// Desk is what people may ask and do. It works on the databases alone, beside a running engine or without one. Every
// change is written into the audit before it is made; where that cannot be, nothing is changed.
type Desk struct {
	world *World
	live  func() Live
	state *State
	now   func() time.Time
	wake  func(company string) // has a running engine look at the company's runs at once

	previewing chan struct{} // holds the one who makes a message
}

// NewDesk returns a desk over the databases. live tells about the running engine; it is nil where none runs.
// state is what the daemon remembers of the companies' databases.
func NewDesk(w *World, live func() Live, state *State) *Desk {
	return &Desk{world: w, live: live, state: state, now: time.Now, wake: func(string) {}, previewing: make(chan struct{}, 1)}
}

// askTime bounds the questions to one database: one that hangs must not hold up what the others have to say.
const askTime = 10 * time.Second

// askers is how many databases are asked at once.
const askers = 8

// By is who asks for a change, and why. The actor is never taken from the request's own text.
type By struct {
	Actor  string `json:"-"`
	Reason string `json:"reason,omitempty"`
}

// SetActor is called by whoever knows who asks.
func (b *By) SetActor(name string) { b.Actor = name }

// actor is the name for the audit and for rows.
func (b By) actor() string {
	if b.Actor == "" {
		return "unknown"
	}
	return b.Actor
}

// note is the change as it stands in a row's last_error.
func (b By) note(done string) string {
	text := done + " by " + b.actor()
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	return text
}

// AskError says why something was not answered or not done, and what to do about it.
type AskError struct {
	Text  string
	Hint  string
	Usage bool  // it was asked wrongly
	Err   error // may be nil
}

// Error returns the text; the hint stands apart.
func (e *AskError) Error() string { return e.Text }

// Unwrap returns what happened below.
func (e *AskError) Unwrap() error { return e.Err }

// ErrorHint tells what to do.
func (e *AskError) ErrorHint() string { return e.Hint }

// WrongUsage tells whether it was asked wrongly.
func (e *AskError) WrongUsage() bool { return e.Usage }

// RowName is a row as people name it: acme/17, or 17 where there is one company.
type RowName struct {
	Company string // "" where it was left out
	ID      uint64
}

// String returns the full name.
func (n RowName) String() string {
	if n.Company == "" {
		return strconv.FormatUint(n.ID, 10)
	}
	return n.Company + "/" + strconv.FormatUint(n.ID, 10)
}

// ParseRow reads a row's name. It does not look whether there is such a company or row. The error is an *AskError.
func ParseRow(name string) (RowName, error) {
	company, number, found := strings.Cut(name, "/")
	if !found {
		company, number = "", name
	}
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil || id == 0 || found && company == "" {
		return RowName{}, &AskError{Text: fmt.Sprintf("%q is no row", name), Hint: "a row is named acme/17, or 17 where there is one company", Usage: true}
	}
	return RowName{company, id}, nil
}

// row finds the place that a row's name means.
func (d *Desk) row(name string) (*Place, RowName, error) {
	n, err := ParseRow(name)
	if err != nil {
		return nil, n, err
	}
	if n.Company == "" {
		if len(d.world.Companies) != 1 || len(d.world.leftOut) > 0 {
			return nil, n, &AskError{Text: fmt.Sprintf("row %d of which company?", n.ID), Usage: true,
				Hint: fmt.Sprintf("name it COMPANY/%d; the companies are %s", n.ID, d.companies())}
		}
		n.Company = d.world.Companies[0].Company.Name
	}
	p, err := d.place(n.Company)
	return p, n, err
}

// place finds a company. The error is an *AskError.
func (d *Desk) place(company string) (*Place, error) {
	if p := d.world.Place(company); p != nil {
		return p, nil
	}
	for _, out := range d.world.leftOut {
		for _, name := range out.Companies {
			if name == company {
				return nil, &AskError{Text: fmt.Sprintf("company %s is left out: %s has errors", company, out.File),
					Hint: "outboxd check shows them; then reload the daemon (systemctl reload outboxd)"}
			}
		}
	}
	return nil, &AskError{Text: fmt.Sprintf("there is no company %q", company), Hint: "the companies are " + d.companies()}
}

func (d *Desk) companies() string {
	var names []string
	for _, p := range d.world.Companies {
		names = append(names, p.Company.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// account finds an account. The error is an *AskError.
func (d *Desk) account(name string) (*jobfile.Account, error) {
	if a := d.world.File.Account(name); a != nil {
		return a, nil
	}
	var names []string
	for _, a := range d.world.File.Accounts {
		names = append(names, a.Name)
	}
	return nil, &AskError{Text: fmt.Sprintf("there is no account %q", name), Hint: "the accounts are " + strings.Join(names, ", ")}
}

// audit notes what is going to be done. Its error means: do not do it.
func (d *Desk) audit(ctx context.Context, by By, action, target, detail string) error {
	return d.world.audit(ctx, by, action, target, detail)
}

// audit notes what is going to be done. Its error means: do not do it.
func (w *World) audit(ctx context.Context, by By, action, target, detail string) error {
	err := w.Control.Audit(ctx, db.Audited{Actor: by.actor(), Action: action, Target: target, Reason: by.Reason, Detail: detail})
	if err == nil {
		return nil
	}
	return &AskError{Text: fmt.Sprintf("the audit cannot be written, so nothing was done: %v", err), Hint: DatabaseHint(err), Err: err}
}

// AuditRequest asks who did what. Before 0 starts with the newest entry.
type AuditRequest struct {
	Before uint64 `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 0 means 50, at most 1000
}

// AuditReply has the newest entry first.
type AuditReply struct {
	Entries []db.Audited `json:"entries"`
}

const (
	usualList = 50
	mostList  = 1000
)

// limitOf is how many entries a listing has.
func limitOf(asked int) int {
	if asked <= 0 {
		return usualList
	}
	return min(asked, mostList)
}

// Audit tells who did what.
func (d *Desk) Audit(ctx context.Context, q AuditRequest) (AuditReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	entries, err := d.world.Control.AuditLog(ctx, q.Before, limitOf(q.Limit))
	if err != nil {
		return AuditReply{}, &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	if entries == nil {
		entries = []db.Audited{}
	}
	return AuditReply{entries}, nil
}

// DatabaseHint tells what a person should do about a database error.
func DatabaseHint(err error) string {
	var schema *db.SchemaError
	var altered *db.ShapeError
	switch {
	case errors.As(err, &schema):
		return schema.Remedy()
	case errors.As(err, &altered):
		return altered.Remedy()
	}
	switch db.Kind(err) {
	case db.KindLost:
		return "the database server does not answer: look whether it runs and can be reached; outboxd goes on by itself when it is back"
	case db.KindReadOnly:
		return "the database server takes no writes: find out which server of the cluster does; outboxd goes on by itself"
	case db.KindSetup:
		return "run outboxd check --online: the database, a table or a right is missing, or the password is wrong (outboxd migrate makes the tables)"
	case db.KindConflict:
		return "others were changing the same; ask again"
	}
	return "run outboxd check --online"
}

// each calls f for the numbers 0 to n-1, several at once, and returns when all are done.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	free := make(chan struct{}, askers)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			f(i)
		})
	}
	all.Wait()
}
