package jobs

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/alerts"
)

// outage watches whether a database can be used. A person is told when it could not for a while, and when it can again.
type outage struct {
	log      *zap.Logger
	alerts   *alerts.Alerter
	key      string // of the alert
	what     string // can or cannot be used: "company acme: its database"
	effect   string // what that means for the mail
	zone     *time.Location
	down, up string // names of the events
	after    time.Duration
	doubtful bool // a missing column or right makes some statements fail, and others go on working beside them

	mu     sync.Mutex
	err    error // why it cannot be used, nil when it can
	since  time.Time
	known  bool      // the event down was logged
	sure   bool      // it has worked once
	doubt  time.Time // until then one statement that works does not count: others may go on failing
	probed bool      // the doubt is about writing, and a probe ends it
}

const (
	// writeDoubt is how long a refused write counts, whatever can be read meanwhile, unless a probe says that writing works.
	writeDoubt = time.Minute
	// setupDoubt is how long a statement counts that a missing column or right made fail: longer than it waits to be tried again.
	setupDoubt = 15 * time.Second
	// outageQuiet is how long a trouble lasts that is no outage: one killed statement, one cut connection.
	outageQuiet = 3 * time.Second
)

// note takes in how the last statement went.
func (o *outage) note(err error) {
	o.mu.Lock()
	switch kind := db.Kind(err); kind {
	case db.KindReadOnly, db.KindFull:
		o.doubt, o.probed = time.Now().Add(writeDoubt), kind == db.KindReadOnly
	case db.KindSetup:
		if o.doubtful {
			o.doubt, o.probed = time.Now().Add(setupDoubt), false
		}
	}
	if err == nil && time.Until(o.doubt) > 0 {
		o.mu.Unlock()
		return
	}
	first, known, sure, before := o.err == nil, o.known, o.sure, o.since
	if first != (err == nil) {
		o.since = time.Now()
	}
	since := o.since
	o.err, o.sure = err, err == nil || sure
	o.known = err != nil && (known || persons(err) || time.Since(since) >= outageQuiet)
	tell := o.known
	o.mu.Unlock()
	switch {
	case err == nil && known:
		o.log.Info(o.up, zap.Duration("after", time.Since(before)))
		o.over()
	case err == nil && !sure:
		o.over() // an alert of before a restart
	case err == nil:
	case tell && !known:
		o.log.Error(o.down, zap.Error(err), zap.String("remedy", storeRemedy(err)))
	case first:
		o.log.Warn(eventStoreError, zap.Error(err))
	}
	if err != nil && !first && time.Since(since) >= o.after {
		o.alerts.Start(o.key, o.what+" cannot be used", fmt.Sprintf("%s has been out of reach or out of order since %s:\n\n%v\n%s\n\n%s outboxd goes on by itself when it is back.",
			o.what, timeText(since, o.zone), err, storeRemedy(err), o.effect))
	}
}

// persons tells whether only a person can mend it, so that there is nothing to wait for before it is told.
func persons(err error) bool {
	var schema *db.SchemaError
	var altered *db.ShapeError
	var gone *awayError
	return db.Kind(err) == db.KindSetup || errors.As(err, &schema) || errors.As(err, &altered) || errors.As(err, &gone)
}

// probe asks whether writing works again, where the last write was refused by a server that could only be read.
func (o *outage) probe(write func() error) {
	o.mu.Lock()
	ask := time.Until(o.doubt) > 0 && o.probed
	o.mu.Unlock()
	if !ask {
		return
	}
	err := write()
	if err == nil {
		o.trust()
	}
	o.note(err)
}

// trust ends the doubt: the cause is known to be gone.
func (o *outage) trust() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doubt = time.Time{}
}

// failing returns the error of the last statement, nil when it works.
func (o *outage) failing() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// over ends the alert, if there was one: also one of before a reload.
func (o *outage) over() { o.alerts.End(o.key, o.what+" works again") }

// health tells whether it works, and since when.
func (o *outage) health() Health {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := Health{Since: o.since}
	if o.err != nil {
		h.Down = o.err.Error()
	}
	return h
}
