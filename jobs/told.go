package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// present writes down, as soon as the control database can be asked, on which computer this daemon runs, and looks at the
// tables there.
func (e *Engine) present(ctx context.Context) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		e.mu.Lock()
		control := e.world.Control
		e.mu.Unlock()
		err := e.lookAtControl(ctx)
		if err == nil {
			err = control.Present(ctx, e.instance)
		}
		if err == nil || db.Kind(err) == db.KindSetup || !sleep(ctx, pause) {
			return
		}
	}
}

// lookAtControl names what was altered in the control database's tables. Nothing stops for it before statements fail: only
// accounts that several companies share, and the audit, rest on them.
func (e *Engine) lookAtControl(ctx context.Context) error {
	e.mu.Lock()
	schemas := e.world.Schemas()
	e.mu.Unlock()
	i := slices.IndexFunc(schemas, func(s Schema) bool { return slices.Contains(s.Parts, db.ControlPart) })
	if i < 0 {
		return nil
	}
	faults, err := schemas[i].Pool.Examine(ctx, schemas[i].Database, db.BucketPart, db.ControlPart)
	var stops *db.ShapeError
	var schema *db.SchemaError
	switch {
	case errors.As(err, &stops):
		faults = append(stops.Faults, faults...)
	case errors.As(err, &schema):
		e.log.Warn(eventStoreError, zap.Error(err), zap.String("remedy", schema.Remedy()))
		return nil
	case err != nil:
		return err
	}
	const key = "tables of the control database"
	if len(faults) == 0 {
		e.alerts.End(key, "the tables of the control database are as they were made again")
		return nil
	}
	text := faultsText(faults)
	e.log.Warn(eventAltered, zap.String("database", schemas[i].Database), zap.String("fault", text))
	e.alerts.Start(key, "the tables of the control database were altered", "The tables in database "+schemas[i].Database+" are not as outboxd made them:\n\n"+text)
	return nil
}

// mended tells why an alert that an earlier life of this daemon has sent is over, "" when that is not known here: a company
// or an account says so itself.
func (e *Engine) mended(key string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mendedIn(key)
}

// mendedIn is mended for a caller that holds the lock.
func (e *Engine) mendedIn(key string) string {
	what, name, _ := strings.Cut(key, " ")
	switch what {
	case "reload":
		return "the new jobs.yaml is in force"
	case "company", "uncertain", "altered", "spool":
		if e.world.Place(name) == nil {
			return "company " + name + " is not in jobs.yaml any more"
		}
	case "reader":
		if p := e.world.Place(name); p == nil || p.Reader == nil {
			return "company " + name + " has no reader any more"
		}
	case "files":
		if p := e.world.Place(name); p == nil || p.Company.Attachments == "" {
			return "company " + name + " has no attachments folder any more"
		}
	case "job", "waits", "asked", "write-back": // each with a job or a run behind its company
		if name, _, _ = strings.Cut(name, "/"); e.world.Place(name) == nil {
			return "company " + name + " is not in jobs.yaml any more"
		}
	case "flood":
		if name, _, _ = strings.Cut(name, " "); !e.guards(name) {
			return "nothing is held any more by hold_above of " + name
		}
	case "account", "slowed":
		if e.accounts[name] == nil && e.world.unusable[name] == nil {
			return "account " + name + " is not in jobs.yaml any more"
		}
	case "sign-in", "sign-in-end":
		if a := e.accounts[name]; a == nil || a.signIn == nil {
			return "account " + name + " does not sign in by OAuth any more"
		}
	case "unusable":
		if e.world.unusable[name] == nil {
			return "account " + name + " can be used again"
		}
	case "signing":
		if s := e.world.signers[name]; s == nil || s.err == nil {
			return "mails of " + name + " go again"
		}
	case "left":
		for _, out := range e.world.leftOut {
			if leftOutKey(out) == key {
				return ""
			}
		}
		return "companies are back"
	}
	return ""
}
