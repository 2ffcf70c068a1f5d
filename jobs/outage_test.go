package jobs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// watched is an outage with its log.
func watched() (*outage, func(event string) int) {
	core, logs := observer.New(zap.InfoLevel)
	o := &outage{log: zap.New(core), alerts: newAlerter(zap.New(core), "here"), key: "k", what: "it", zone: time.UTC, down: "down", up: "up", after: time.Minute, doubtful: true}
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
