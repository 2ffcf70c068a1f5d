package jobs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"outboxd/jobs/jobfile"
)

// lineAccount is an account of a mail a second, or an unlimited one, that nobody is connected to.
func lineAccount(connections int, rate jobfile.Rate) *account {
	a := newAccount(&jobfile.Account{Name: "main", Connections: connections, Rate: rate}, access{}, nil, zap.NewNop(), nil, nil)
	a.known, a.nextLook = true, time.Now().Add(1000*time.Hour) // it is well, and there is no database to ask
	return a
}

// mailers are companies that send mails of a second each. order has one letter for each mail: its company's name.
type mailers struct {
	ctx    context.Context
	cancel context.CancelFunc
	a      *account
	all    sync.WaitGroup
	mu     sync.Mutex
	order  strings.Builder
}

func newMailers(t *testing.T, a *account) *mailers {
	m := &mailers{a: a}
	m.ctx, m.cancel = context.WithCancel(t.Context())
	return m
}

// start lets the asker send mails, one after the other as a feeder does.
func (m *mailers) start(who asker, mails int) {
	m.all.Go(func() {
		m.a.line.work(who)
		defer m.a.line.rest(who)
		for n := 0; n < mails; {
			p, err := m.a.acquire(m.ctx, who, cap(m.a.senders))
			if err != nil {
				return
			}
			for len(p.senders) > 0 {
				n++
				m.mail(who, p, p.take())
			}
		}
	})
	synctest.Wait()
}

func (m *mailers) mail(who asker, p *permit, s *sender) {
	m.mu.Lock()
	m.order.WriteString(who.company)
	m.mu.Unlock()
	m.all.Go(func() {
		time.Sleep(time.Second) // of the bubble's own clock
		m.a.pace.next(time.Now())
		p.endTurn()
		m.a.free(s)
	})
}

// next returns who sends the next n mails.
func (m *mailers) next(n int) string {
	for {
		time.Sleep(time.Second) // of the bubble's own clock
		synctest.Wait()
		m.mu.Lock()
		if got := m.order.String(); len(got) >= n {
			m.order.Reset()
			m.mu.Unlock()
			return got[:n]
		}
		m.mu.Unlock()
	}
}

func (m *mailers) end() {
	m.cancel()
	m.all.Wait()
}

func count(order string, company string) int { return strings.Count(order, company) }

// TestP4_SharesFollowWeights: on a limited account, on an unlimited one with one connection, and with several. Who does not stand in line at
// the moment in which twelve senders come free loses a turn, so that shares are not exact.
func TestP4_SharesFollowWeights(t *testing.T) {
	hourly := jobfile.Rate{N: 3000, Per: time.Hour}
	for name, a := range map[string]func() *account{
		"limited":            func() *account { return lineAccount(2, hourly) },
		"one connection":     func() *account { return lineAccount(1, jobfile.Rate{Unlimited: true}) },
		"twelve connections": func() *account { return lineAccount(12, jobfile.Rate{Unlimited: true}) },
	} {
		for _, weights := range [][]int{{1, 1}, {3, 1}, {1, 2, 5}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, sum := newMailers(t, a()), 0
					defer m.end()
					for i, weight := range weights {
						sum += weight
						m.start(asker{company: string(rune('a' + i)), weight: weight}, 1e6)
					}
					const mails, off = 800, 24
					order := m.next(mails)
					for i, weight := range weights {
						company := string(rune('a' + i))
						if got, want := count(order, company), mails*weight/sum; got < want-off || got > want+off {
							t.Errorf("weights %v: %s sent %d of %d mails, want about %d", weights, company, got, mails, want)
						}
					}
				})
			})
		}
	}
}

// TestP4_IdlenessGathersNoCredit: a company that comes back after a long rest shares from then on, and its first mail goes
// next.
func TestP4_IdlenessGathersNoCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := lineAccount(1, jobfile.Rate{Unlimited: true})
		m := newMailers(t, a)
		defer m.end()
		m.start(asker{company: "b", weight: 1}, 1)
		m.next(1)
		m.start(asker{company: "a", weight: 1}, 1e6)
		if order := m.next(500); count(order, "b") != 0 {
			t.Errorf("b rests: %s", order)
		}
		m.start(asker{company: "b", weight: 1}, 1e6)
		order := m.next(102)
		if b := strings.Index(order, "b"); b > 1 {
			t.Errorf("b's first mail is number %d: %s", b+1, order)
		}
		if n := count(order, "b"); n < 49 || n > 53 {
			t.Errorf("b sent %d of 102: %s", n, order)
		}
	})
}

// TestP4_SlowCompanyKeepsLittleCredit: one that is at work and could not take its turns, for its database hung, does not
// keep out the others afterwards.
func TestP4_SlowCompanyKeepsLittleCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := lineAccount(1, jobfile.Rate{Unlimited: true})
		m := newMailers(t, a)
		defer m.end()
		slow := asker{company: "b", weight: 1}
		a.line.work(slow)
		m.start(asker{company: "a", weight: 1}, 1e6)
		m.next(1000)
		m.start(slow, 1e6)
		order := m.next(20)
		if n := count(order, "a"); n < 5 {
			t.Errorf("a sent %d of 20: %s", n, order)
		}
	})
}

// TestP4_JobsOfACompany: one that takes priority 1 alone goes first; one that takes it beside others goes before the rest
// nine times out of ten.
func TestP4_JobsOfACompany(t *testing.T) {
	for name, job := range map[string]struct {
		who  asker
		want string
	}{
		"priority 1 alone":   {asker{company: "x", weight: 1, first: true, alone: true}, "uuuuuuuuuuuuuuu"},
		"priorities 1 and 2": {asker{company: "x", weight: 1, first: true}, "uuuuuuuuuluuuuuuuuuul"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(1)
			low := asker{company: "x", weight: 1}
			l.work(low)
			var order strings.Builder
			for _, who := range []asker{low, job.who} {
				l.join(who, 1)
			}
			for range len(job.want) {
				l.mu.Lock()
				w := l.next()
				l.waiting = slices.DeleteFunc(l.waiting, func(x *waiter) bool { return x == w })
				l.mu.Unlock()
				order.WriteString(map[bool]string{true: "u", false: "l"}[w.first])
				l.join(w.asker, 1) // at the end of the line
			}
			if got := order.String(); got != job.want {
				t.Errorf("%s, want %s", got, job.want)
			}
		})
	}
}

// TestLineStops: who leaves the line keeps no permit, whether it waited for its turn or saw to the next permit.
func TestLineStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := lineAccount(1, jobfile.Rate{N: 3000, Per: time.Hour})
		a.pace.next(time.Now().Add(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := a.acquire(ctx, asker{company: "a", weight: 1}, 1)
				ended <- err
			}()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("got a permit although the wait was stopped")
			}
		}
		a.pace.next(time.Now())
		b := asker{company: "b", weight: 1}
		a.line.work(b)
		p, err := a.acquire(t.Context(), b, 1)
		if err != nil || p.who != b {
			t.Fatalf("permit %+v, %v", p, err)
		}
		p.release()
		if len(a.senders) != 1 || len(a.making) != 0 || len(a.line.waiting) != 0 {
			t.Errorf("%d senders, %d at work, %d waiting", len(a.senders), len(a.making), len(a.line.waiting))
		}
	})
}
