//go:build unix

package torture

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// breakKinds are the breaks in the order in which they are told. The package says what each is.
var breakKinds = []string{"lost", "twice", "unseen", "untrue", "ghost", "mixed", "over", "ended"}

// tally counts what was done to outboxd, and keeps what broke.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	broken map[string][]string // by kind
}

func newTally() *tally { return &tally{counts: map[string]int{}, broken: map[string][]string{}} }

func (t *tally) add(name string) { t.addN(name, 1) }

func (t *tally) addN(name string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name] += n
}

func (t *tally) of(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[name]
}

func (t *tally) breaks(kind, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken[kind] = append(t.broken[kind], text)
}

// report is what a run has shown.
type report struct {
	plan      plan
	tally     *tally
	rows      int // committed
	fates     [4]int
	kills     int
	states    map[string]int
	uncertain int    // recipients
	delivered int    // of these, accepted by the server
	minute    int    // most mails of the limited account in any minute
	back      [3]int // rows taken back: to queued, to uncertain, held
	fenced    int    // mails stopped at the mark
	late      int    // outcomes that came after the lease was lost
	took      time.Duration
}

// rescued adds up what the daemons' logs say of rows that were left behind.
func (s *site) rescued(r *report) {
	for _, d := range s.daemons {
		f, err := os.Open(d.log)
		if err != nil {
			s.t.Error(err)
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e struct {
				Event                   string
				Queued, Uncertain, Held int
			}
			if strings.Contains(lines.Text(), "stopped before the message was sent") {
				r.fenced++
			}
			if strings.Contains(lines.Text(), `"lease_lost"`) {
				r.late++
			}
			if strings.Contains(lines.Text(), `"rescued"`) && json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "rescued" {
				r.back[0] += e.Queued
				r.back[1] += e.Uncertain
				r.back[2] += e.Held
			}
		}
		_ = f.Close()
	}
}

// first returns up to n breaks of each kind.
func (r *report) first(n int) []string {
	var out []string
	for _, kind := range breakKinds {
		list := r.tally.broken[kind]
		for _, text := range list[:min(n, len(list))] {
			out = append(out, kind+": "+text)
		}
	}
	return out
}

func (r *report) broken(kind string) int { return len(r.tally.broken[kind]) }

// String is the report as make torture prints it.
func (r *report) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	line("seed", "%d, %d daemons, %s", r.plan.seed, r.plan.daemons, r.took.Round(time.Second))
	line("rows", "%d committed; %d rolled back, %d refused as duplicates, %d of unknown commit", r.rows, r.fates[rolledBack], r.fates[refused], r.fates[unknown])
	line("kills", "%d; taken back after them %d rows to queued, %d to uncertain, %d held", r.kills, r.back[0], r.back[1], r.back[2])
	line("leases", "%d mails stopped at the mark, %d outcomes after the lease was lost", r.fenced, r.late)
	line("faults", "")
	for _, name := range slices.Sorted(maps.Keys(r.tally.counts)) {
		if name != killed && !strings.HasPrefix(name, "insert") {
			fmt.Fprintf(&b, "  %7d  %s\n", r.tally.counts[name], name)
		}
	}
	var states []string
	for _, state := range slices.Sorted(maps.Keys(r.states)) {
		states = append(states, fmt.Sprintf("%d %s", r.states[state], state))
	}
	line("ended as", "%s", strings.Join(states, ", "))
	line("uncertain", "%d recipients, of which %d had the mail", r.uncertain, r.delivered)
	line("fullest", "%d mails of the limited account in a minute, the limit is %d", r.minute, r.plan.paced)
	for _, kind := range breakKinds {
		line(kind, "%d", r.broken(kind))
	}
	return b.String()
}
