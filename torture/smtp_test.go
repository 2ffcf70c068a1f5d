//go:build unix

package torture

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"outboxd/mail/smtptest"
)

// misbehaviour decides what the SMTP server does at each step. What a mail meets follows from the seed, its recipient, the step and
// how often it came there; not from who comes first.
type misbehaviour struct {
	plan   plan
	ledger *ledger
	tally  *tally
	off    atomic.Bool   // from now on it behaves
	calm   atomic.Bool   // from now on no domain throttles
	done   chan struct{} // closed when nobody waits any more

	mu    sync.Mutex
	times map[string]uint64 // how often a step was reached, by step and recipient
}

// fault is one thing a server may do wrong; make fills in what differs from time to time.
type fault struct {
	name string
	make func(b *misbehaviour, rng *rand.Rand) smtptest.Action
}

func says(name, reply string) fault {
	return fault{name, func(*misbehaviour, *rand.Rand) smtptest.Action { return smtptest.Reply(reply) }}
}

func leaves(name, reply string) fault {
	return fault{name, func(*misbehaviour, *rand.Rand) smtptest.Action { return smtptest.ReplyAndHangup(reply) }}
}

func does(name string, a smtptest.Action) fault {
	return fault{name, func(*misbehaviour, *rand.Rand) smtptest.Action { return a }}
}

// later is an action after a while.
func later(name string, a smtptest.Action, least, most time.Duration) fault {
	return fault{name, func(b *misbehaviour, rng *rand.Rand) smtptest.Action {
		a := a // many connections do it at once
		a.Wait = b.in(between(rng, least, most))
		a.After = rng.IntN(3000)
		return a
	}}
}

var (
	slow = later("slow", smtptest.Action{}, 20*time.Millisecond, 700*time.Millisecond)
	cut  = does("cut", smtptest.Cut())
	hang = later("stalled, then cut", smtptest.Cut(), 300*time.Millisecond, 2*time.Second)
	rude = does("garbage", smtptest.Garbage())

	// refusals concern one mail or recipient.
	refusals = map[smtptest.Step][]fault{
		smtptest.StepRcpt: {says("450", "450 4.2.0 greylisted"), says("452", "452 4.2.2 mailbox full"), says("550", "550 5.1.1 no such user")},
		smtptest.StepData: {says("451", "451 4.3.0 try again"), says("554", "554 5.6.0 not that")},
		smtptest.StepBody: {
			later("cut", smtptest.Cut(), 0, time.Millisecond), later("stalled, then cut", smtptest.Cut(), 300*time.Millisecond, 2*time.Second),
			later("552 in the middle", smtptest.ReplyAndHangup("552 5.3.4 too large"), 0, time.Millisecond),
			later("421 in the middle", smtptest.ReplyAndHangup("421 4.3.2 closing"), 0, time.Millisecond),
		},
		smtptest.StepDot: {
			says("451", "451 4.3.0 try again"), says("554", "554 5.6.0 spam"), says("452", "452 4.3.1 out of space"),
			cut, hang, rude, does("half a reply", smtptest.Half("25", smtptest.Hangup)),
			does("accepted, reply lost", smtptest.LoseReply()),
			does("accepted, cut", smtptest.Action{Accept: true, End: smtptest.Reset}),
			does("accepted, garbage", smtptest.Action{Accept: true, Write: "\x00\xff<html>what?\r\n", End: smtptest.Hangup}),
			does("accepted, half a reply", smtptest.Action{Accept: true, Write: "250 2.0", End: smtptest.Reset}),
			later("accepted, stalled, then cut", smtptest.Action{Accept: true, End: smtptest.Reset}, 300*time.Millisecond, 2*time.Second),
		},
	}

	// ailments concern the server or the account: it pauses.
	ailments = map[smtptest.Step][]fault{
		smtptest.StepConnect: {leaves("421", "421 4.3.2 busy"), leaves("554", "554 5.3.2 not today"), cut, hang, rude},
		smtptest.StepHello:   {leaves("421", "421 4.3.2 busy"), leaves("554", "554 5.3.2 not you"), cut, hang, rude},
		smtptest.StepAuth:    {says("454", "454 4.7.0 temporary authentication failure"), says("535", "535 5.7.8 wrong password"), leaves("421", "421 4.3.2 busy"), cut, rude},
		smtptest.StepMail:    {leaves("421", "421 4.3.2 busy"), says("451", "451 4.3.0 try again"), says("550", "550 5.7.1 not you"), cut, hang, rude},
		smtptest.StepRcpt:    {leaves("421", "421 4.3.2 busy"), cut, hang, rude},
		smtptest.StepData:    {leaves("421", "421 4.3.2 busy"), cut, hang, rude},
		smtptest.StepDot:     {leaves("421", "421 4.3.2 busy")},
		smtptest.StepReset:   {leaves("421", "421 4.3.2 busy"), cut, rude},
		smtptest.StepQuit:    {cut, rude},
	}
	throttled = says("throttled domain", "450 4.7.1 too many messages, slow down")
)

// decide is the server's script.
func (b *misbehaviour) decide(m smtptest.Moment) (smtptest.Action, bool) {
	if m.Step == smtptest.StepData {
		b.ledger.read(m)
	}
	if b.off.Load() {
		return smtptest.Action{}, false
	}
	rng := b.rand(m)
	f, ok := b.choose(m, rng)
	if !ok {
		return smtptest.Action{}, false
	}
	b.tally.add("smtp " + string(m.Step) + ": " + f.name)
	return f.make(b, rng), true
}

func (b *misbehaviour) choose(m smtptest.Moment, rng *rand.Rand) (fault, bool) {
	if m.Step == smtptest.StepRcpt && domainOf(m.To[0]) == throttling && !b.calm.Load() && rng.Float64() < 0.7 {
		return throttled, true
	}
	x := rng.Float64()
	for _, part := range []struct {
		share  float64
		faults []fault
	}{{b.plan.refuse, refusals[m.Step]}, {b.plan.ail, ailments[m.Step]}, {b.plan.slow, []fault{slow}}} {
		if x < part.share && len(part.faults) > 0 {
			return part.faults[rng.IntN(len(part.faults))], true
		}
		x -= part.share
	}
	return fault{}, false
}

// rand is the randomness of one moment.
func (b *misbehaviour) rand(m smtptest.Moment) *rand.Rand {
	who := strconv.Itoa(m.Conn)
	if len(m.To) > 0 {
		who = m.To[0]
	}
	name := string(m.Step) + " " + who
	b.mu.Lock()
	nth := b.times[name]
	b.times[name]++
	b.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails: see hash.Hash
	return rand.New(rand.NewPCG(b.plan.seed+nth<<32, h.Sum64()))
}

// in is a signal after a while, or when the run is over.
func (b *misbehaviour) in(d time.Duration) <-chan struct{} {
	signal := make(chan struct{})
	go func() {
		pause(b.done, d)
		close(signal)
	}()
	return signal
}
