package jobs

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// outage watches whether a database can be used. A person is told when it could not for a while, and when it can again.
type outage struct {
	log      *zap.Logger
	alerts   *alerter
	key      string // of the alert
	what     string // can or cannot be used: "company acme: its database"
	effect   string // what that means for the mail
	zone     *time.Location
	down, up string // names of the events
	after    time.Duration

	mu    sync.Mutex
	why   string // why it cannot be used, "" when it can
	since time.Time
	wrote time.Time // when a write was last refused, though reading may work
}

// writeDoubt is how long a refused write counts, whatever can be read meanwhile.
const writeDoubt = time.Minute

// note takes in how the last statement went.
func (o *outage) note(err error) {
	o.mu.Lock()
	switch db.Kind(err) {
	case db.KindReadOnly, db.KindFull:
		o.wrote = time.Now()
	}
	if err == nil && time.Since(o.wrote) < writeDoubt {
		o.mu.Unlock()
		return
	}
	was, since := o.why, o.since
	if changed := (err == nil) != (was == ""); changed {
		o.since = time.Now()
		o.why = ""
		if err != nil {
			o.why = err.Error()
		}
	}
	o.mu.Unlock()
	switch {
	case err == nil && was != "":
		o.log.Info(o.up, zap.Duration("after", time.Since(since)))
		o.over()
	case err == nil:
	case was == "":
		o.log.Error(o.down, zap.Error(err), zap.String("remedy", storeRemedy(err)))
	case time.Since(since) >= o.after:
		o.alerts.start(o.key, o.what+" cannot be used", fmt.Sprintf("%s has been out of reach or out of order since %s:\n\n%v\n%s\n\n%s outboxd goes on by itself when it is back.",
			o.what, timeText(since, o.zone), err, storeRemedy(err), o.effect))
	}
}

// over ends the alert, if there was one: also one of before a reload.
func (o *outage) over() { o.alerts.end(o.key, o.what+" works again") }

// health tells whether it works, and since when.
func (o *outage) health() Health {
	o.mu.Lock()
	defer o.mu.Unlock()
	return Health{o.why, o.since}
}
