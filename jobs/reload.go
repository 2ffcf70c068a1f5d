package jobs

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/jobs/fence"
	"outboxd/jobs/jobfile"
)

// Reload lets a new jobs.yaml take over. Companies and accounts that are the same go on undisturbed; the others stop
// taking, their mails in flight end by the old rules, and the new ones start at once. On an error everything stays as it
// was, and a person is told.
func (e *Engine) Reload(file *jobfile.File) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.running {
		return errors.New("reload: the engine does not run")
	}
	world, err := e.world.next(file)
	if err != nil {
		e.reloadFailed(err.Error())
		return err
	}
	err = world.loadTemplates(false)
	accounts, accountsErr := e.openAccounts(world, e.accounts)
	if err = errors.Join(err, accountsErr); err != nil {
		e.reloadFailed(err.Error())
		return errors.Join(err, world.closeExcept(e.world))
	}
	oldWorld, oldAccounts := e.world, e.accounts
	e.world, e.accounts = world, accounts

	kept, leaving := map[string]bool{}, []*company{}
	for name, c := range e.companies {
		if p := world.Place(name); p != nil && e.companyFingerprint(world, accounts, p) == c.fingerprint {
			kept[name] = true
			continue
		}
		c.cancel()
		leaving = append(leaving, c)
		delete(e.companies, name)
	}
	e.endAlerts(oldWorld, leaving)
	e.startCompanies(kept)
	e.refused = ""
	e.alerts.End("reload", "the new jobs.yaml is in force")
	e.log.Info(eventReloaded, append(credentialNote(file), zap.Int("companies", len(world.Companies)), zap.Int("undisturbed", len(kept)))...)
	e.old.Go(func() {
		for _, c := range leaving {
			<-c.done
		}
		for name, a := range oldAccounts {
			if accounts[name] != a {
				a.shut()
			}
		}
		if err := oldWorld.closeExcept(world); err != nil {
			e.log.Warn(eventStoreError, zap.Error(err))
		}
	})
	return nil
}

// credentialNote says, where an account or a server has its password from systemd, that a reload does not read it anew.
func credentialNote(file *jobfile.File) []zap.Field {
	var names []string
	add := func(what, name string, s jobfile.Secret) {
		if s.Credential != "" {
			names = append(names, what+" "+name)
		}
	}
	for _, s := range file.Servers {
		add("server", s.Name, s.Password)
	}
	for _, a := range file.Accounts {
		add("account", a.Name, a.Password)
		if a.OAuth != nil {
			add("client_secret of account", a.Name, a.OAuth.ClientSecret)
		}
	}
	for _, c := range file.Companies {
		if c.Login != nil {
			add("login of company", c.Name, c.Login.Password)
		}
		if c.Reader != nil {
			add("reader of company", c.Name, c.Reader.Password)
		}
	}
	if names == nil {
		return nil
	}
	return []zap.Field{zap.Strings("credentials", names), zap.String("note", "systemd hands credentials over at the start alone: after one of these has changed, systemctl restart outboxd, which lets mails in flight end")}
}

// endAlerts ends those of what the new file has mended or does not have any more.
func (e *Engine) endAlerts(before *World, leaving []*company) {
	for _, out := range before.leftOut {
		if !slices.ContainsFunc(e.world.leftOut, func(still jobfile.LeftOut) bool { return leftOutKey(still) == leftOutKey(out) }) {
			e.alerts.End(leftOutKey(out), "companies are back: "+strings.Join(out.Companies, ", "))
		}
	}
	for name := range before.unusable { // a reload with one of them is refused
		e.alerts.End(unusableKey(name), "account "+name+" can be used again")
	}
	e.endBroken(before)
	for _, c := range leaving {
		for _, key := range []string{readerKey(c.name), filesKey(c.name), spoolKey(c.name)} {
			if over := e.mendedIn(key); over != "" {
				e.alerts.End(key, over)
			}
		}
		e.alerts.EndOthers("waits "+c.name+"/", nil, "jobs.yaml has changed, and what still waits is told anew")
		if e.world.Place(c.name) == nil {
			for _, what := range []string{"job ", "asked ", "write-back "} {
				e.alerts.EndOthers(what+c.name+"/", nil, "company "+c.name+" is not in jobs.yaml any more")
			}
			e.alerts.End(fenceKey(c.name), "company "+c.name+" is not in jobs.yaml any more")
			e.alerts.End("company "+c.name, "company "+c.name+" is not in jobs.yaml any more")
		}
	}
}

// ReloadFailed notes that a new jobs.yaml has errors and the old one goes on.
func (e *Engine) ReloadFailed(problems jobfile.Problems) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reloadFailed(problems.Errors().String())
}

func (e *Engine) reloadFailed(why string) {
	e.refused = why
	e.log.Error(eventReloadFailed, zap.String("problems", why))
	e.alerts.Start("reload", "the new jobs.yaml is refused", "The reload was refused and the old jobs.yaml goes on:\n\n"+why)
}

// Live is what only the running daemon knows.
type Live struct {
	Started       time.Time         `json:"started"`
	Host          string            `json:"host"`
	Instance      string            `json:"instance"`
	Draining      bool              `json:"draining,omitempty"` // it takes nothing more and waits for the mails in flight
	ReloadRefused string            `json:"reload_refused,omitempty"`
	Companies     map[string]Health `json:"companies"`
	Stuck         []string          `json:"stuck,omitempty"`
}

// Health tells whether a company's database works.
type Health struct {
	Down     string     `json:"down,omitempty"` // why it cannot be used
	Since    time.Time  `json:"since"`
	Overflow []Overflow `json:"overflow,omitempty"` // accounts that others stand in for
	Altered  string     `json:"altered,omitempty"`  // what was altered in its tables without stopping it, with the remedies
	Fenced   *Fenced    `json:"fenced,omitempty"`   // nil: it may be sent from
}

// Fenced says that a company's database is a copy, and that nothing is sent from it.
type Fenced struct {
	Why   string     `json:"why"`
	Hint  string     `json:"hint"`
	Since *time.Time `json:"since,omitempty"` // of the daemon's finding
}

// Live tells how the daemon does.
func (e *Engine) Live() Live {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := Live{Started: e.started, Host: e.host, Instance: e.instance.ID, Draining: !e.running, ReloadRefused: e.refused, Companies: map[string]Health{},
		Stuck: e.Stuck()}
	for name, c := range e.companies {
		h := c.outage.health()
		h.Altered, h.Overflow = c.shape.told(), c.stoodInFor()
		var fenced *fence.Error
		if errors.As(c.fence.Err(), &fenced) {
			h.Fenced = &Fenced{fenced.Why, fence.Remedy(name), &fenced.Since}
		}
		l.Companies[name] = h
	}
	return l
}
