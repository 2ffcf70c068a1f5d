package oauth

import (
	"fmt"
	"time"
)

// State is how a sign-in stands.
type State struct {
	Since   time.Time // when a person signed in; zero: nobody has
	Renewed time.Time // when it was renewed last
	Ends    time.Time // when it ends unless it is renewed; zero: not known
	Fixed   bool      // renewing does not move that end
	Good    bool      // there is a token in hand that can be used
	Fault   *Error    // why the last renewal failed, or why there is no sign-in
	Unsaved error     // why the last renewal could not be kept
}

const (
	// warnBefore is how long ahead a person is told of an end.
	warnBefore = 30 * 24 * time.Hour
	// unusedLong is when a sign-in that could not be renewed is in danger.
	unusedLong = 60 * 24 * time.Hour
)

// State tells how the sign-in stands, as this process knows it or as the file says.
func (s *Source) State() State {
	g, stranger, err := s.latest()
	conf := s.config()
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Fault: s.fault, Unsaved: s.unsaved}
	if g == nil {
		state.Fault = conf.noGrant(stranger, err)
		return state
	}
	now := time.Now()
	state.Since, state.Renewed, state.Ends = g.SignedIn, g.Renewed, g.Ends
	state.Good = g.good(now) && (now.Before(g.due()) || s.fault == nil || s.fault.Passing())
	state.Fixed = !g.Ends.IsZero() && !g.Moves && g.Renewed.After(g.SignedIn)
	return state
}

// Warning is what a person should know before it stops an account.
type Warning struct{ Text, Remedy string }

// Warnings lists what will end soon. secretEnds is when the client secret does; zero: not known.
func (s *Source) Warnings(secretEnds, now time.Time) []Warning {
	conf, state := s.config(), s.State()
	var all []Warning
	add := func(remedy, format string, args ...any) {
		all = append(all, Warning{fmt.Sprintf(format, args...), conf.named(remedy)})
	}
	if !secretEnds.IsZero() && secretEnds.Sub(now) < warnBefore {
		add(remedySecretEnds, "the application's client secret ends on %s", day(secretEnds))
	}
	if state.Since.IsZero() {
		return all
	}
	if state.Fixed && state.Ends.Sub(now) < warnBefore {
		add(remedyEnds, "the sign-in ends on %s", day(state.Ends))
	}
	if unused := now.Sub(state.Renewed); unused > unusedLong {
		add(remedyUnused, "the sign-in was not renewed for %d days", int(unused.Hours()/24))
	}
	if state.Unsaved != nil {
		add(remedyUnsaved, "the renewed sign-in could not be written, and may be lost with a restart: %v", state.Unsaved)
	}
	return all
}

func day(t time.Time) string { return t.Format("2006-01-02") }
