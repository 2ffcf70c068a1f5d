package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// World is what a jobs.yaml leads to: the databases, with their secrets read. Nothing is connected before it is used.
type World struct {
	File      *jobfile.File
	Companies []*Place
	Control   *db.Store // audit
	buckets   *db.Buckets
	signers   signers
	pools     map[string]*db.Pool
	before    *World // while it is being replaced

	leftOut  []jobfile.LeftOut // companies that cannot run: by their file, by their templates, or by a secret that cannot be read
	unusable map[string]error  // accounts that cannot send, by name; set by the engine
}

// Place is one company's database.
type Place struct {
	Company *jobfile.Company
	Store   *db.Store
	Pool    *db.Pool
	Own     *db.Buckets   // for its jobs, and for accounts that serve this company alone
	Reader  *db.Pool      // of queries; nil when the company may not query
	signers signers       // of its mails
	list    *suppressions // who gets no mail
	runs    *runSpecs     // of its mailings
	pins    *pins         // their templates

	templates func() (*templates, error) // read once, when they are first wanted
}

// Open reads the secrets of databases and the keys that sign. A company whose own secret cannot be read is left out and stops
// nobody else; without the control database's there is nothing to do.
func Open(file *jobfile.File) (*World, error) { return open(file, nil) }

// next opens another file, on the connections of this one where they lead to the same place. Here any secret that cannot
// be read is an error: the old file can go on. All are reported together.
func (w *World) next(file *jobfile.File) (*World, error) { return open(file, w) }

func open(file *jobfile.File, before *World) (*World, error) {
	w := &World{File: file, signers: openSigners(file), pools: map[string]*db.Pool{}, before: before, leftOut: slices.Clone(file.LeftOut), unusable: map[string]error{}}
	var errs []error
	pool, err := w.pool(file.Server(file.Control.Server), controlLogin(file))
	if err == nil {
		w.Control, err = pool.Store(file.Control.Database)
	}
	if err == nil {
		w.buckets, err = pool.Buckets(file.Control.Database, nil)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("control database: %w", err))
	}
	for _, s := range w.broken() {
		if before != nil {
			errs = append(errs, s.err)
		}
	}
	for _, c := range file.Companies {
		p, err := w.place(c)
		if err != nil && before == nil && len(file.Companies) > 1 {
			w.leaveOut(c.Name, err)
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("company %s: %w", c.Name, err))
			continue
		}
		w.Companies = append(w.Companies, p)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, w.closeExcept(before))...)
	}
	w.before = nil
	return w, nil
}

// leaveOut keeps a company from running.
func (w *World) leaveOut(company string, err error) {
	problems := jobfile.Problems{{File: w.File.Path, Line: 1, Column: 1, Path: "companies." + company, Message: err.Error(), Hint: "mend it, then reload"}}
	var wrong *TemplateError
	if errors.As(err, &wrong) {
		problems = wrong.Problems
	}
	w.leftOut = append(w.leftOut, jobfile.LeftOut{File: w.File.Path, Companies: []string{company}, Problems: problems})
}

// controlLogin is the user of the control database: that of the only company where the two are one, else the server's.
func controlLogin(file *jobfile.File) *jobfile.Login {
	for _, c := range file.Companies {
		if c.Server == file.Control.Server && c.Database == file.Control.Database {
			return c.Login
		}
	}
	return nil
}

func (w *World) place(c *jobfile.Company) (*Place, error) {
	pool, err := w.pool(w.File.Server(c.Server), c.Login)
	if err != nil {
		return nil, err
	}
	p := &Place{Company: c, Pool: pool, signers: w.signers.of(c.Name), templates: sync.OnceValues(func() (*templates, error) { return loadTemplates(c) })}
	if p.Store, err = pool.Store(c.Database); err != nil {
		return nil, err
	}
	p.list = newSuppressions(c, p.Store)
	p.runs = &runSpecs{fetch: p.Store.Run, known: map[uint64]*knownRun{}}
	p.pins = &pins{fetch: p.Store.Pinned, known: map[string]*pinned{}}
	if p.Own, err = pool.Buckets(c.Database, nil); err != nil || c.Reader == nil {
		return p, err
	}
	p.Reader, err = w.pool(w.File.Server(c.Server), &jobfile.Login{Username: c.Reader.Username, Password: c.Reader.Password})
	return p, err
}

// pool returns the connections to a server as a user, shared by all who use the same.
func (w *World) pool(s *jobfile.Server, login *jobfile.Login) (*db.Pool, error) {
	username, secret := s.Username, s.Password
	if login != nil {
		username, secret = login.Username, login.Password
	}
	password := ""
	if !secret.IsZero() {
		var err error
		if password, err = secret.Read(); err != nil {
			return nil, err
		}
	}
	server := db.Server{Host: s.Host, Port: s.Port, Socket: s.Socket, Username: username, Password: password,
		TLS: s.Encryption == jobfile.TLS, CA: s.CA}
	for _, address := range s.Hosts {
		host, err := db.ParseHost(address)
		if err != nil {
			return nil, err
		}
		server.Hosts = append(server.Hosts, host)
	}
	key := server.Key()
	if p := w.pools[key]; p != nil {
		return p, nil
	}
	if w.before != nil && w.before.pools[key] != nil {
		w.pools[key] = w.before.pools[key]
		return w.pools[key], nil
	}
	p, err := db.Open(server)
	if err != nil {
		return nil, err
	}
	w.pools[key] = p
	return p, nil
}

// Place returns the named company's database, or nil.
func (w *World) Place(company string) *Place {
	if i := slices.IndexFunc(w.Companies, func(p *Place) bool { return p.Company.Name == company }); i >= 0 {
		return w.Companies[i]
	}
	return nil
}

// bucketsOf tells where an account's bucket is: with the company whose own it is, so that it needs nobody else's database;
// else in the control database. Entries that are one account to the provider share one place.
func (w *World) bucketsOf(a *jobfile.Account) *db.Buckets {
	var owners []string
	for _, entry := range w.File.Accounts {
		if entry.Identity() != a.Identity() {
			continue
		}
		if len(entry.Companies) == 0 {
			return w.buckets
		}
		owners = append(owners, entry.Companies...)
	}
	slices.Sort(owners)
	if owners = slices.Compact(owners); len(owners) == 1 {
		if p := w.Place(owners[0]); p != nil {
			return p.Own
		}
	}
	return w.buckets
}

// usersOf counts the companies that may send by an account.
func (w *World) usersOf(account string) (n int) {
	for _, c := range w.File.Companies {
		if slices.Contains(c.Accounts, account) {
			n++
		}
	}
	return n
}

// Migrate makes or updates the tables of every company and of the control database. All are tried.
func (w *World) Migrate(ctx context.Context, report func(database string, applied int)) error {
	var errs []error
	for _, t := range w.Schemas() {
		n, err := t.Pool.Migrate(ctx, t.Database, t.Parts...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		report(t.Database, n)
	}
	return errors.Join(errs...)
}

// Schema is what one database has to hold.
type Schema struct {
	For      string // "company acme", or "control"
	Server   *jobfile.Server
	Database string
	Username string   // as whom outboxd runs there
	Pool     *db.Pool // nil when it comes from Schemas
	Parts    []db.Part
	Needs    db.Needs // which jobs there are that want further rights
	Approves bool     // runs may wait for an approval, also by SQL

	login *jobfile.Login // nil: the server's own user
}

func newSchema(name string, server *jobfile.Server, database string, login *jobfile.Login, parts ...db.Part) Schema {
	s := Schema{For: name, Server: server, Database: database, Username: server.Username, Parts: parts, login: login}
	if login != nil {
		s.Username = login.Username
	}
	return s
}

// Schemas lists the databases of a file with the tables that each needs. It reads no secrets. A company's database may be
// the control database too.
func Schemas(file *jobfile.File) []Schema {
	var all []Schema
	control, shared := file.Control, false
	for _, c := range file.Companies {
		s := newSchema("company "+c.Name, file.Server(c.Server), c.Database, c.Login, db.CompanyPart, db.BucketPart)
		s.Needs = db.Needs{Purges: len(c.Jobs.Purge) > 0, Mailings: len(c.Audiences)+len(c.Jobs.Mailing)+len(c.Jobs.Report)+len(c.Jobs.SQL) > 0}
		s.Approves = c.Approves()
		if c.Server == control.Server && c.Database == control.Database {
			s.Parts, shared = append(s.Parts, db.ControlPart), true
		}
		all = append(all, s)
	}
	if !shared {
		all = append(all, newSchema("control", file.Server(control.Server), control.Database, nil, db.BucketPart, db.ControlPart))
	}
	return all
}

// Schemas is the function of that name with the databases' pools, without companies whose secret could not be read.
func (w *World) Schemas() []Schema {
	var all []Schema
	for _, s := range Schemas(w.File) {
		var err error
		if s.Pool, err = w.pool(s.Server, s.login); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// Close ends all connections.
func (w *World) Close() error { return w.closeExcept(nil) }

// closeExcept ends the connections that the other world does not use.
func (w *World) closeExcept(other *World) error {
	var errs []error
	for key, p := range w.pools {
		if other == nil || other.pools[key] != p {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}
