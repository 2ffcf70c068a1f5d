package jobs

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"outboxd/jobs/alerts"
)

// watched is an outage with its log.
func watched() (*outage, func(event string) int) {
	core, logs := observer.New(zap.InfoLevel)
	o := &outage{log: zap.New(core), alerts: alerts.New(zap.New(core), "here"), key: "k", what: "it", zone: time.UTC, down: "down", up: "up", after: time.Minute, doubtful: true}
	return o, func(event string) int { return logs.FilterMessage(event).Len() }
}

// TestOneKilledStatementIsNoOutage: it is logged as what it is; only what lasts is an outage, and what a person has to mend
// is one at once.
func TestOneKilledStatementIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, count := watched()
		for range 3 {
			o.note(&mysql.MySQLError{Number: 1317})
			time.Sleep(100 * time.Millisecond) // of the bubble's own clock
			o.note(nil)
		}
		if count("down") != 0 || count("up") != 0 || count(eventStoreError) != 3 {
			t.Errorf("killed statements: %d down, %d up, %d logged", count("down"), count("up"), count(eventStoreError))
		}
		o.note(&mysql.MySQLError{Number: 1317})
		time.Sleep(outageQuiet)
		o.note(&mysql.MySQLError{Number: 1317})
		o.note(nil)
		if count("down") != 1 || count("up") != 1 {
			t.Errorf("one that lasts: %d down, %d up", count("down"), count("up"))
		}
		o.note(&mysql.MySQLError{Number: 1142})
		if count("down") != 2 {
			t.Error("a missing right is not told at once")
		}
	})
}

// TestWritingIsProved: after a server was read-only a probe ends the doubt, as soon as it works. A full disk takes its time.
func TestWritingIsProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, count := watched()
		asked := 0
		var answer error
		probe := func() {
			o.probe(func() error { asked++; return answer })
		}
		probe()
		readOnly := &mysql.MySQLError{Number: 1290}
		o.note(readOnly)
		time.Sleep(outageQuiet) // of the bubble's own clock
		o.note(readOnly)
		answer = readOnly
		probe()
		o.note(nil)
		if asked != 1 || count("down") != 1 || count("up") != 0 {
			t.Errorf("read-only: asked %d times, %d down, %d up", asked, count("down"), count("up"))
		}
		answer = nil
		probe()
		if asked != 2 || count("up") != 1 {
			t.Errorf("writing works: asked %d times, %d up", asked, count("up"))
		}
		probe()
		o.note(&mysql.MySQLError{Number: 1114})
		probe()
		if asked != 2 {
			t.Error("a probe says nothing about a full disk")
		}
	})
}

// TestMissingColumnIsNotOverAtOnce: other statements go on working beside those that it makes fail.
func TestMissingColumnIsNotOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, count := watched()
		for range 30 {
			o.note(&mysql.MySQLError{Number: 1054})
			time.Sleep(time.Second) // of the bubble's own clock
			o.note(nil)
		}
		if count("down") != 1 || count("up") != 0 {
			t.Errorf("%d down, %d up", count("down"), count("up"))
		}
		o.trust()
		o.note(nil)
		if count("up") != 1 || o.failing() != nil {
			t.Error("mended, and it is not over")
		}
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		a := alerts.New(zap.New(core), "here")
		o := &outage{log: zap.New(core), alerts: a, key: "k", what: "it", zone: time.UTC, down: "down", up: "up", after: time.Minute}
		count := func(event string) int { return logs.FilterMessage(event).Len() }
		o.note(nil)
		o.note(errors.New("away"))
		time.Sleep(30 * time.Second) // of the bubble's own clock
		o.note(errors.New("away"))
		if h := o.health(); h.Down != "away" || time.Since(h.Since) != 30*time.Second {
			t.Errorf("health %+v", h)
		}
		o.note(nil)
		if count("down") != 1 || count("up") != 1 || count("alert") != 0 {
			t.Errorf("a short trouble: %d down, %d up, %d alerts", count("down"), count("up"), count("alert"))
		}
		o.note(errors.New("away"))
		time.Sleep(61 * time.Second)
		o.note(errors.New("away"))
		o.note(errors.New("away"))
		o.note(nil)
		o.note(nil)
		if count("down") != 2 || count("up") != 2 || count("alert") != 2 {
			t.Errorf("a long trouble: %d down, %d up, %d alerts", count("down"), count("up"), count("alert"))
		}
	})
}

// A server that can be read and not written is out of order, however often it can be read.
func TestOutageOfWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		o := &outage{log: zap.New(core), alerts: alerts.New(zap.New(core), "here"), zone: time.UTC, down: "down", up: "up", after: time.Minute}
		for range 40 {
			o.note(&mysql.MySQLError{Number: 1290})
			o.note(nil)
			time.Sleep(2 * time.Second) // of the bubble's own clock
		}
		if logs.FilterMessage("down").Len() != 1 || logs.FilterMessage("up").Len() != 0 || logs.FilterMessage("alert").Len() != 1 {
			t.Errorf("%d down, %d up, %d alerts", logs.FilterMessage("down").Len(), logs.FilterMessage("up").Len(), logs.FilterMessage("alert").Len())
		}
		time.Sleep(writeDoubt)
		o.note(nil)
		if logs.FilterMessage("up").Len() != 1 {
			t.Error("it never came back")
		}
	})
}
