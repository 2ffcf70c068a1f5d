package db_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"outboxd/db"
)

// provider is a server that throttles above a limit that nobody has configured; without a limit it takes everything.
type provider struct {
	limit  int
	per    time.Duration
	fixed  bool          // counts anew from each full hour, or minute, on; else it slides
	quota  bool          // throttles with a quota's words, after which an account pauses for an hour
	atMail bool          // refuses before DATA; else after the dot
	lifted time.Duration // the limit ends then

	accepted, refused []time.Duration
}

func (p *provider) takes(now time.Duration) bool {
	from := now - p.per
	if p.fixed {
		from = now.Truncate(p.per) - 1
	}
	if p.limit > 0 && now < p.lifted && between(p.accepted, from+1, now+1) >= p.limit {
		p.refused = append(p.refused, now)
		return false
	}
	p.accepted = append(p.accepted, now)
	return true
}

// between is how many of the times, which are in their order, lie between the two.
func between(all []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(all, from)
	j, _ := slices.BinarySearch(all, to)
	return max(0, j-i)
}

func (p *provider) String() string {
	text := fmt.Sprintf("%d/%s", p.limit, map[time.Duration]string{time.Minute: "minute", time.Hour: "hour"}[p.per])
	for word, is := range map[string]bool{", by the clock": p.fixed, ", quota": p.quota} {
		if is {
			text += word
		}
	}
	return text
}

// throttled slows the account, and pauses it, as the engine does.
func (d *simDaemon) throttled() {
	w := d.w
	if _, err := d.buckets.Slow(context.Background(), w.account, 0); err != nil && w.calm {
		w.t.Error(err)
	}
	w.noteSlow()
	if d.paused > w.now {
		return
	}
	pause := min(time.Minute<<min(d.ill, 10), time.Hour)
	if w.provider.quota {
		pause = time.Hour
	}
	d.paused = w.now + pause
	d.ill++
}

// well notes that a mail went through.
func (d *simDaemon) well() {
	if d.paused <= d.w.now {
		d.ill = 0
	}
}

// day24 is when the limit of a throttled account's provider ends.
const day24 = 24 * time.Hour

// throttledAccount is one that sends at most perHour, 0 for without limits, to a provider that takes less.
type throttledAccount struct {
	perHour  int
	provider provider
}

// use is which share of what its limit allows the provider was sent, in %.
func (p *provider) use(from, to time.Duration) float64 {
	return 100 * float64(between(p.accepted, from, to)) / (float64(p.limit) * float64(to-from) / float64(p.per))
}

// recovered is how long after the limit was lifted an hour is as full as the account's own limit lets it be.
func (p *provider) recovered(perHour int) time.Duration {
	for at := p.lifted + 10*time.Minute; ; at += 10 * time.Minute {
		if between(p.accepted, at-time.Hour, at) >= perHour*97/100 || at > p.lifted+day {
			return at - p.lifted
		}
	}
}

// TestThrottledAccountSettlesAndRecovers: a server throttles above a limit that nobody has configured. The account settles below
// it, the refusals become rare, and it recovers when the limit is lifted. With a seed in OUTBOXD_SIMULATE, as by make
// simulate, more accounts are tried.
func TestThrottledAccountSettlesAndRecovers(t *testing.T) {
	all := []throttledAccount{
		{500, provider{limit: 150, per: time.Hour, atMail: true}},
		{300, provider{limit: 240, per: time.Hour, fixed: true}},
		{300, provider{limit: 30, per: time.Hour, quota: true}},
		{600, provider{limit: 5, per: time.Minute}},
		{0, provider{limit: 100, per: time.Hour}},
	}
	if os.Getenv("OUTBOXD_SIMULATE") != "" {
		all = everyThrottledAccount()
	}
	worlds := make([]*world, len(all))
	t.Run("accounts", func(t *testing.T) {
		for i, a := range all {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				worlds[i] = a.run(t, uint64(i))
			})
		}
	})
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "account\tprovider's\trefused 0-12 h\t12-24 h\tused 0-12 h\t12-24 h\tfull again after")
	for i, w := range worlds {
		if w != nil {
			all[i].judge(t, out, w)
		}
	}
	must(t, out.Flush())
	t.Log("\n" + table.String())
}

// run lets two daemons send for a day, and until the account has recovered.
func (a throttledAccount) run(t *testing.T, seed uint64) *world {
	p := a.provider
	p.lifted = day24
	s := scenario{lasts: 34 * time.Hour, seed: seed, calm: true, provider: &p, daemons: 2, memory: db.NewMemory()}
	if a.perHour > 0 {
		s.windows = hourly(a.perHour)
	} else {
		s.lasts = 30 * time.Hour // by then it sends very much
	}
	w := newWorld(t, s, s.memory.Buckets)
	w.run()
	return w
}

// judge prints what became of the account, and holds it against what docs/accounts.md says.
func (a throttledAccount) judge(t *testing.T, out *tabwriter.Writer, w *world) {
	p := w.provider
	full := a.perHour
	if full == 0 {
		full = 2 * p.limit * int(time.Hour/p.per) // and on from there
	}
	early, late := between(p.refused, 0, 12*time.Hour), between(p.refused, 12*time.Hour, day24)
	used, recovered := p.use(12*time.Hour, day24), p.recovered(full)
	fmt.Fprintf(out, "%d/hour\t%s\t%d\t%d\t%.1f%%\t%.1f%%\t%s\n", a.perHour, p, early, late, p.use(0, 12*time.Hour), used, recovered)
	rare, least := 8, 85.0
	if p.fixed { // after the first refusal the server takes nothing until its hour is over
		rare, least = 24, 75
	}
	if p.per == time.Minute || p.quota { // evenly paced mails bunch within a minute; a quota's words cost an hour
		least = 60
	}
	if late > rare || used < least || recovered > 10*time.Hour {
		t.Errorf("%d/hour, seed %d, at a server that takes %s: %d refused in the second half of the day, %.1f%% used, recovered after %s", a.perHour, w.seed, p, late, used, recovered)
	}
	for _, over := range w.overSlow() {
		t.Errorf("%d/hour at a server that takes %s: %s", a.perHour, p, over)
	}
}

func everyThrottledAccount() (all []throttledAccount) {
	for _, per := range []time.Duration{time.Hour, time.Minute} {
		for _, quota := range []bool{false, true} {
			for _, fixed := range []bool{false, true} {
				for _, n := range []int{300, 1000, 3000} {
					for _, share := range []int{10, 30, 50, 80} {
						if limit := n * share / 100 * int(per/time.Minute) / 60; limit > 1 {
							all = append(all, throttledAccount{n, provider{limit: limit, per: per, fixed: fixed, quota: quota, atMail: share == 30}})
						}
					}
				}
			}
		}
	}
	return append(all, throttledAccount{0, provider{limit: 400, per: time.Hour}}, throttledAccount{0, provider{limit: 60, per: time.Minute, quota: true}})
}

// slowing is what a throttling reply left behind.
type slowing struct {
	at time.Duration
	to *db.Pacing
}

// noteSlow notes it, unless nothing has changed.
func (w *world) noteSlow() {
	if w.memory == nil {
		return
	}
	to, last := w.memory.Pacing(account), len(w.slowings)-1
	if last < 0 || *to != *w.slowings[last].to {
		w.slowings = append(w.slowings, slowing{w.now, to})
	}
}

// overSlow looks for mails with which a sliding hour since the last throttling reply holds more than the pace of that moment.
func (w *world) overSlow() (over []string) {
	i := -1
	for j, m := range w.sent {
		for i+1 < len(w.slowings) && w.slowings[i+1].at < m.at {
			i++
		}
		if i < 0 || m.at-w.slowings[i].at < time.Hour+20*time.Second {
			continue
		}
		most := w.slowings[i].to.Slowed(w.account, m.at-w.slowings[i].at+5*time.Second) // what clocks may part
		first, _ := slices.BinarySearchFunc(w.sent[:j], m.at-time.Hour+1, func(m sentMail, at time.Duration) int { return int(m.at - at) })
		if n := j + 1 - first; most > 0 && n > most {
			over = append(over, fmt.Sprintf("the hour to %s holds %d, slowed to %d", m.at, n, most))
		}
	}
	return over
}

// overWarm looks for mails with which a sliding hour holds more than the warm-up allows.
func (w *world) overWarm(full int) (over []string) {
	if w.warmup == nil || len(w.sent) == 0 {
		return nil
	}
	first := 0
	for j, m := range w.sent {
		for w.sent[first].at <= m.at-time.Hour {
			first++
		}
		// The bucket's clock may be some milliseconds off the world's: as of a little later.
		most := db.WarmAt(w.warmup, full, m.at-w.sent[0].at+time.Minute)
		if n := j + 1 - first; most > 0 && n > most {
			over = append(over, fmt.Sprintf("the hour to %s holds %d, the warm-up allows %d", m.at, n, most))
		}
	}
	return over
}

// changingPaces are accounts whose pace changes all the time.
func changingPaces() []scenario {
	return []scenario{
		{windows: hourly(600, mailsIn(15, time.Minute), recipientsIn(15000, day)), recipients: upTo(3),
			warmup: &db.Warmup{Start: 60, Days: 2}, provider: &provider{limit: 200, per: time.Hour, lifted: 9 * day / 4}, lasts: 3 * day},
		{windows: []db.Window{mailsIn(4000, day)}, warmup: &db.Warmup{Start: 50, Days: 8}, provider: &provider{limit: 4, per: time.Minute, atMail: true, lifted: 3 * day}, lasts: 3 * day},
		{provider: &provider{limit: 300, per: time.Hour, quota: true, lifted: 10 * day}, lasts: 2 * day},
	}
}

// P3: no sliding window holds too much while a warm-up and a server's throttling change the pace, also across crashes and clocks
// that are set; neither of an account with limits nor of one without.
func TestP3_WindowsHoldWhileThePaceChanges(t *testing.T) {
	all := changingPaces()
	if os.Getenv("OUTBOXD_SIMULATE") != "" {
		for range 20 {
			all = append(all, changingPaces()...)
		}
	}
	for i, s := range all {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s.seed, s.memory = uint64(i), db.NewMemory()
			w := newWorld(t, s, s.memory.Buckets)
			w.run()
			r := w.report(t.Name())
			over := slices.Concat(r.over, w.overSlow(), w.overWarm(db.Full(w.account)))
			if len(over) > 0 {
				t.Errorf("%d times, first %s", len(over), over[0])
			}
			if len(w.sent) < 2000 || len(w.slowings) == 0 || w.kills == 0 || w.steps == 0 {
				t.Errorf("%d mails, %d times throttled, %d restarts, %d times the clock was set", len(w.sent), len(w.slowings), w.kills, w.steps)
			}
			t.Logf("%s: %d mails, fullest windows %s, throttled %d times, %d restarts, clock set %d times", r.limits, r.mails, r.fullest, len(w.slowings), w.kills, w.steps)
		})
	}
}
