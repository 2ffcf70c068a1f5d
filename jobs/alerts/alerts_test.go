package alerts

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"outboxd/jobs/jobfile"
)

func TestAlertsOncePerTrouble(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	a := New(zap.New(core), "here")
	a.Start("x", "x is ill", "text") // nobody is to be told by mail: it stands in the log
	if len(a.queue) != 0 || logs.FilterMessage(eventAlert).Len() != 1 {
		t.Errorf("%d queued, %d logged", len(a.queue), logs.Len())
	}
	a.Use(&jobfile.Alerts{To: []string{"it@acme.example"}}, nil)
	a.Start("x", "x is ill", "text")
	a.End("y", "y is well")
	if len(a.queue) != 0 {
		t.Errorf("queued: %v", a.queue)
	}
	a.End("x", "x is well")
	a.End("x", "x is well")
	a.Start("x", "x is ill", "text")
	if len(a.queue) != 2 || a.queue[0].subject != "x is well" || a.queue[1].subject != "x is ill" {
		t.Errorf("queued: %v", a.queue)
	}
	if !a.IsOn("x") || a.IsOn("y") {
		t.Error("which troubles there are is forgotten")
	}
	for i := range 2 * maxAlerts {
		a.Start(fmt.Sprint("z", i), "z", "text")
	}
	if len(a.queue) != maxAlerts {
		t.Errorf("%d queued", len(a.queue))
	}
	if n := logs.FilterMessage(eventAlert).Len(); n != 3+2*maxAlerts {
		t.Errorf("%d logged", n)
	}
}

// carrier is an account that carries alerts, or none while it is ill.
type carrier struct {
	name string
	ill  bool
	sent []string
}

func (c *carrier) Account() string { return c.name }
func (c *carrier) Able() bool      { return !c.ill }
func (c *carrier) Key() string     { return "account " + c.name }
func (c *carrier) Send(_ context.Context, to []string, subject, _ string) error {
	c.sent = append(c.sent, fmt.Sprint(to, " ", subject))
	return nil
}

// TestAlertsAreTriedForAWhile: with no account that is well they wait, and then are given up, in the log.
func TestAlertsAreTriedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		a := New(zap.New(core), "here")
		a.Use(&jobfile.Alerts{To: []string{"it@acme.example"}}, []Sender{&carrier{name: "main", ill: true}})
		var beaten atomic.Pointer[time.Time]
		go a.Run(t.Context(), func() { now := time.Now(); beaten.Store(&now) }, func() {})
		a.Start("x", "x is ill", "text")
		synctest.Wait()
		time.Sleep(alertPatience - 2*alertInterval) // of the bubble's own clock
		if n := logs.FilterMessage(eventAlertFailed).Len(); n != 0 {
			t.Error("given up too early")
		}
		if since := time.Since(*beaten.Load()); since > 2*alertInterval {
			t.Errorf("no progress for %v", since)
		}
		time.Sleep(5 * alertInterval)
		if n := logs.FilterMessage(eventAlertFailed).Len(); n != 1 {
			t.Errorf("given up %d times", n)
		}
	})
}

// TestAlertsGoByAnAccountThatIsWell: in their order, and never by the one that the alert is about.
func TestAlertsGoByAnAccountThatIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ill, first, second := &carrier{name: "ill", ill: true}, &carrier{name: "first"}, &carrier{name: "second"}
		a := New(zap.NewNop(), "here")
		a.Use(&jobfile.Alerts{To: []string{"it@acme.example"}}, []Sender{ill, first, second})
		go a.Run(t.Context(), func() {}, func() {})
		for _, one := range []func(){func() { a.Start("x", "x is ill", "text") }, func() { a.Start("account first", "first is paused", "text") },
			func() { a.End("account first", "first sends again") }} {
			one()
			synctest.Wait()
		}
		got := fmt.Sprint(ill.sent, first.sent, second.sent)
		want := "[] [[it@acme.example] outboxd on here: x is ill [it@acme.example] outboxd on here: first sends again] [[it@acme.example] outboxd on here: first is paused]"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
