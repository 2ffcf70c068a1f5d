package db_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// fullest is the most that any sliding window of the length held.
func fullest(mails []sentMail, w db.Window) int {
	most, sum, first := 0, 0, 0
	for _, m := range mails {
		sum += weight(w, m)
		for mails[first].at <= m.at-w.Per {
			sum -= weight(w, mails[first])
			first++
		}
		most = max(most, sum)
	}
	return most
}

// ideal is how many mails a sender would have sent that knows neither latency nor crash: the mails evenly paced in hours
// and minutes, every other window filled as early as it can be, and pausing in the outages.
func ideal(mails []sentMail, windows []db.Window, outages []span, lasts time.Duration) int {
	var sent []sentMail
	first := make([]int, len(windows)) // of the mails that the window holds
	sum := make([]int, len(windows))
	for at := time.Duration(0); ; {
		m := mails[len(sent)%len(mails)]
		for i, w := range windows {
			if !w.Recipients && w.Per < day {
				if len(sent) > 0 {
					at = max(at, sent[len(sent)-1].at+w.Per/time.Duration(w.N))
				}
				continue
			}
			for sum[i] += weight(w, m); sum[i] > w.N; first[i]++ {
				at = max(at, sent[first[i]].at+w.Per)
				sum[i] -= weight(w, sent[first[i]])
			}
		}
		for len(outages) > 0 && outages[0].to <= at {
			outages = outages[1:]
		}
		if len(outages) > 0 && outages[0].from <= at {
			at = outages[0].to
		}
		if at >= lasts {
			return len(sent)
		}
		sent = append(sent, sentMail{at, m.recipients, 0})
	}
}

func weight(w db.Window, m sentMail) int {
	if w.Recipients {
		return m.recipients
	}
	return 1
}

// report is what a simulation found.
type report struct {
	name, limits string
	mails        int
	use          float64 // of the ideal, in %
	fullest      string
	over         []string
	w            *world
}

func (w *world) report(name string) report {
	r := report{name: name, mails: len(w.sent), w: w}
	early := 14 * time.Second
	var limits, full []string
	check := func(mails []sentMail, window db.Window) {
		text := limitText(window)
		most := fullest(mails, window)
		limits, full = append(limits, text), append(full, strconv.Itoa(most))
		if most > window.N {
			r.over = append(r.over, fmt.Sprintf("a window of %s holds %d", text, most))
		}
	}
	for _, window := range w.windows {
		check(w.sent, window)
		if window.Per == time.Minute {
			early = 5 * time.Second
		}
	}
	r.limits, r.fullest = strings.Join(limits, ", "), strings.Join(full, ", ")
	check(slices.DeleteFunc(slices.Clone(w.sent), func(m sentMail) bool { return m.company != simCompanies-1 }), w.job.Windows[0])
	if len(w.sent) > 0 && len(w.windows) > 0 {
		r.use = 100 * float64(len(w.sent)) / float64(ideal(w.sent, w.windows, w.outages(early), w.lasts))
	}
	return r
}

func limitText(w db.Window) string {
	what := ""
	if w.Recipients {
		what = " recipients"
	}
	return fmt.Sprintf("%d%s/%s", w.N, what, map[time.Duration]string{time.Minute: "minute", time.Hour: "hour", day: "day"}[w.Per])
}

func upTo(n int) func(*rand.Rand) int { return func(r *rand.Rand) int { return 1 + r.IntN(n) } }

// simulate runs the scenarios, prints what they found, and fails where a limit was broken or left unused.
func simulate(t *testing.T, all []scenario) {
	reports := make([]report, len(all))
	t.Run("accounts", func(t *testing.T) {
		for i, s := range all {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, s, db.NewMemory().Buckets)
				w.run()
				reports[i] = w.report(t.Name())
			})
		}
	})
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "account\tmails\tuse\tfullest windows\trefused\trestarts\tclock set")
	for _, r := range reports {
		if r.w == nil {
			continue // left out by -run
		}
		if r.w.office {
			r.limits += ", by day"
		}
		fmt.Fprintf(out, "%s\t%d\t%.2f%%\t%s\t%d\t%d\t%d\n", r.limits, r.mails, r.use, r.fullest, r.w.refused, r.w.kills, r.w.steps)
		if len(r.over) > 0 {
			t.Errorf("%s, seed %d: %s", r.limits, r.w.seed, strings.Join(r.over, "; "))
		}
		if r.use < 99 {
			t.Errorf("%s, seed %d: %.2f%% used", r.limits, r.w.seed, r.use)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
}

// TestP3_SimulatedDays runs some days of three accounts. With a seed in OUTBOXD_SIMULATE it runs 30 days of twelve: make
// simulate.
func TestP3_SimulatedDays(t *testing.T) {
	if text := os.Getenv("OUTBOXD_SIMULATE"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 32)
		must(t, err)
		simulate(t, month(seed))
		return
	}
	simulate(t, []scenario{
		{windows: hourly(100), lasts: 4 * day, seed: 1},
		{windows: hourly(1200, mailsIn(30, time.Minute), recipientsIn(5000, day)), recipients: upTo(3), lasts: 2 * day, seed: 2},
		{windows: hourly(3000, mailsIn(20, time.Minute)), lasts: day / 4, seed: 3},
	})
}

// month is 30 days of accounts of every kind.
func month(seed uint64) []scenario {
	all := []scenario{
		{windows: hourly(3000)},
		{windows: hourly(3000, mailsIn(60, time.Minute), mailsIn(40000, day))},
		{windows: hourly(3000, mailsIn(20, time.Minute))},
		{windows: hourly(2000), office: true},
		{windows: hourly(1200, mailsIn(30, time.Minute), recipientsIn(10000, day)), recipients: upTo(3)},
		{windows: hourly(1000, mailsIn(30, time.Minute), mailsIn(10000, day))},
		{windows: hourly(1000, recipientsIn(3000, time.Hour)), recipients: upTo(10)},
		{windows: hourly(600, recipientsIn(600, time.Minute)), recipients: upTo(100)},
		{windows: hourly(300)},
		{windows: hourly(300, mailsIn(2000, day)), office: true},
		{windows: hourly(100)},
		{windows: hourly(100, mailsIn(10, time.Minute), recipientsIn(1000, day)), recipients: upTo(2)},
	}
	for i := range all {
		all[i].lasts, all[i].seed = 30*day, seed+uint64(i)
	}
	return all
}

func hourly(n int, further ...db.Window) []db.Window {
	return append([]db.Window{mailsIn(n, time.Hour)}, further...)
}

func mailsIn(n int, per time.Duration) db.Window { return db.Window{N: n, Per: per} }

func recipientsIn(n int, per time.Duration) db.Window {
	return db.Window{N: n, Per: per, Recipients: true}
}

// TestP3_SimulationIsTheTables: the same hours by the statements and in memory are the same mails, at the same µs.
func TestP3_SimulationIsTheTables(t *testing.T) {
	for _, s := range []scenario{
		{windows: hourly(600, mailsIn(15, time.Minute), recipientsIn(40, time.Minute), recipientsIn(900, time.Hour), mailsIn(2000, day)),
			recipients: upTo(4), lasts: 80 * time.Minute, seed: 4},
		{windows: hourly(900), warmup: &db.Warmup{Start: 300, Days: 9}, provider: &provider{limit: 200, per: time.Hour, lifted: day}, lasts: 150 * time.Minute, seed: 5},
	} {
		d := dbtest.New(t)
		real := newWorld(t, s.again(), func(mono func() time.Duration) *db.Buckets {
			b, err := d.Pool.Buckets(d.Name, mono)
			must(t, err)
			return b
		})
		memory := newWorld(t, s.again(), db.NewMemory().Buckets)
		for _, w := range []*world{real, memory} {
			w.run()
		}
		if len(real.sent) < 300 || !reflect.DeepEqual(real.sent, memory.sent) || !reflect.DeepEqual(real.provider, memory.provider) {
			t.Errorf("%d mails by the tables, %d in memory, and not the same", len(real.sent), len(memory.sent))
		}
	}
}

// again is the scenario with a provider of its own.
func (s scenario) again() scenario {
	if s.provider != nil {
		p := *s.provider
		s.provider = &p
	}
	return s
}
