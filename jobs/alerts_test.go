package jobs

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"outboxd/jobs/jobfile"
)

func TestAlertsOncePerTrouble(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	a := newAlerter(zap.New(core), "here")
	a.start("x", "x is ill", "text") // nobody is to be told by mail: it stands in the log
	if len(a.queue) != 0 || logs.FilterMessage(eventAlert).Len() != 1 {
		t.Errorf("%d queued, %d logged", len(a.queue), logs.Len())
	}
	a.use(&jobfile.Alerts{To: []string{"it@acme.example"}}, nil, nil)
	a.start("x", "x is ill", "text")
	a.end("y", "y is well")
	if len(a.queue) != 0 {
		t.Errorf("queued: %v", a.queue)
	}
	a.end("x", "x is well")
	a.end("x", "x is well")
	a.start("x", "x is ill", "text")
	if len(a.queue) != 2 || a.queue[0].subject != "x is well" || a.queue[1].subject != "x is ill" {
		t.Errorf("queued: %v", a.queue)
	}
	if !a.isOn("x") || a.isOn("y") {
		t.Error("which troubles there are is forgotten")
	}
	for i := range 2 * maxAlerts {
		a.start(fmt.Sprint("z", i), "z", "text")
	}
	if len(a.queue) != maxAlerts {
		t.Errorf("%d queued", len(a.queue))
	}
	if n := logs.FilterMessage(eventAlert).Len(); n != 3+2*maxAlerts {
		t.Errorf("%d logged", n)
	}
}

// TestAlertsAreTriedForAWhile: with no account that is well they wait, and then are given up, in the log.
func TestAlertsAreTriedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		a := newAlerter(zap.New(core), "here")
		ill := &account{conf: &jobfile.Account{Name: "main"}, condition: condition{paused: time.Now().Add(24 * time.Hour)}}
		a.use(&jobfile.Alerts{To: []string{"it@acme.example"}}, []*account{ill}, nil)
		all := newPulses()
		go a.run(t.Context(), all.add("alerts"))
		a.start("x", "x is ill", "text")
		synctest.Wait()
		time.Sleep(alertPatience - 2*alertInterval) // of the bubble's own clock
		if n := logs.FilterMessage(eventAlertFailed).Len(); n != 0 {
			t.Error("given up too early")
		}
		if stuck := all.stuck(2 * alertInterval); len(stuck) != 0 {
			t.Errorf("stuck: %v", stuck)
		}
		time.Sleep(5 * alertInterval)
		if n := logs.FilterMessage(eventAlertFailed).Len(); n != 1 {
			t.Errorf("given up %d times", n)
		}
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		a := newAlerter(zap.New(core), "here")
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
		if count("down") != 1 || count("up") != 1 || count(eventAlert) != 0 {
			t.Errorf("a short trouble: %d down, %d up, %d alerts", count("down"), count("up"), count(eventAlert))
		}
		o.note(errors.New("away"))
		time.Sleep(61 * time.Second)
		o.note(errors.New("away"))
		o.note(errors.New("away"))
		o.note(nil)
		o.note(nil)
		if count("down") != 2 || count("up") != 2 || count(eventAlert) != 2 {
			t.Errorf("a long trouble: %d down, %d up, %d alerts", count("down"), count("up"), count(eventAlert))
		}
	})
}

// A server that can be read and not written is out of order, however often it can be read.
func TestOutageOfWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		o := &outage{log: zap.New(core), alerts: newAlerter(zap.New(core), "here"), zone: time.UTC, down: "down", up: "up", after: time.Minute}
		for range 40 {
			o.note(&mysql.MySQLError{Number: 1290})
			o.note(nil)
			time.Sleep(2 * time.Second) // of the bubble's own clock
		}
		if logs.FilterMessage("down").Len() != 1 || logs.FilterMessage("up").Len() != 0 || logs.FilterMessage(eventAlert).Len() != 1 {
			t.Errorf("%d down, %d up, %d alerts", logs.FilterMessage("down").Len(), logs.FilterMessage("up").Len(), logs.FilterMessage(eventAlert).Len())
		}
		time.Sleep(writeDoubt)
		o.note(nil)
		if logs.FilterMessage("up").Len() != 1 {
			t.Error("it never came back")
		}
	})
}

// TestAlertsGoByTheGeneralAccount: others of all companies stand in for it, those of a company or a person never.
func TestAlertsGoByTheGeneralAccount(t *testing.T) {
	file := &jobfile.File{Alerts: &jobfile.Alerts{Account: "system"}, Accounts: []*jobfile.Account{
		{Name: "eva", SenderAddresses: []string{"eva@acme.example"}}, {Name: "news"}, {Name: "acme", Companies: []string{"acme"}}, {Name: "system"}, {Name: "asleep"}}}
	e := &Engine{world: &World{File: file}, accounts: map[string]*account{}}
	for _, conf := range file.Accounts[:4] {
		e.accounts[conf.Name] = &account{conf: conf}
	}
	var got []string
	for _, a := range e.alertAccounts() {
		got = append(got, a.conf.Name)
	}
	if !slices.Equal(got, []string{"system", "news"}) {
		t.Errorf("alerts go by %v", got)
	}
}
