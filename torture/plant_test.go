//go:build unix

package torture

import (
	"testing"
	"time"
)

// bug is a mistake that somebody could make, and the break that has to show.
type bug struct {
	name  string
	edits []edit
	shows string
	plan  func(*plan) // what it takes to meet it; nil where any run does
}

// markAnchor is where a mail asks for its mark.
const markAnchor = "\t\t\t\treturn s.mark(ctx, s.marked(accepted))\n"

var bugs = []bug{
	{"settle before send", []edit{{"jobs/send.go", markAnchor,
		`				s.f.r.c.settle(db.Settlement{Lease: s.row.Lease, Change: db.Change{State: db.Sent, Verdict: true}})
				return nil
`}}, "lost", nil},
	{"no lease guard", []edit{
		{"db/queries/settle.sql", "WHERE id IN ({ids}) AND (id, lease_token) IN ({pairs}) AND state = 'sending'\nLOCK IN SHARE MODE",
			"WHERE id IN ({ids}) AND ((id, lease_token) IN ({pairs}) OR TRUE) AND state = 'sending'\nLOCK IN SHARE MODE"},
		{"db/queries/settle.sql", "WHERE id IN ({ids}) AND (id, lease_token) IN ({pairs}) AND (state = 'sending'",
			"WHERE id IN ({ids}) AND ((id, lease_token) IN ({pairs}) OR TRUE) AND (state = 'sending'"},
	}, "twice", func(p *plan) { p.daemons, p.kills, p.rows, p.slow, p.forge = 3, 30, 1500, 0.4, 0.8 }},
	{"no mark", []edit{{"jobs/send.go", markAnchor, "\t\t\t\treturn nil\n"}}, "twice", nil},
	{"a lost reply is a refusal", []edit{{"jobs/decide.go", "case o.Verdict == mail.Uncertain && !resend:", "case o.Verdict == mail.Uncertain && resend:"}}, "twice", nil},
	{"what is marked is sent again", []edit{{"db/rescue.go", "\t\tcase marked[l]:\n", "\t\tcase false:\n"}}, "twice", nil},
	{"what is not marked is uncertain", []edit{{"db/rescue.go", "\t\tcase marked[l]:\n", "\t\tcase true:\n"}}, "unseen", nil},
	{"what is rescued is sent", []edit{{"db/rescue.go", "\t\t\tt.Change = Change{State: Queued}\n", "\t\t\tt.Change = Change{State: Sent}\n"}}, "lost", nil},
	{"the bucket is a hundred times too large", []edit{{"db/bucket.go", "/ time.Duration(n)\n", "/ time.Duration(100*n)\n"},
		{"db/usage.go", "w.weight(recipients) - w.N\n", "w.weight(recipients) - 100*w.N\n"}}, "over",
		func(p *plan) { p.paced, p.offered = 60, 150 }},
}

// planted is a run that meets each kind of bug soon: many mails in flight, few other troubles.
func planted(seed uint64) plan {
	return plan{seed: seed, kills: 14, rows: 1000, daemons: 2, limit: 2 * time.Minute, lasting: 0.15, idle: 400 * time.Millisecond,
		refuse: 0.05, ail: 0.0001, slow: 0.2, forge: 0.5, paced: 600, offered: 30}
}

// TestPlanted shows that the harness can fail: each bug has to be found. Without the flags of make torture it plants the first,
// for a shorter time.
func TestPlanted(t *testing.T) {
	some, p := bugs, planted(*flagSeed)
	if *flagKills == 0 {
		t.Parallel()
		some, p.kills, p.rows = bugs[:1], 6, 400
	}
	for _, b := range some {
		t.Run(b.name, func(t *testing.T) {
			p := p
			if b.plan != nil {
				b.plan(&p)
			}
			r := p.run(t, build(t, b.edits))
			if r.broken(b.shows) == 0 {
				t.Fatalf("the harness has not found it\n%s", r)
			}
			t.Logf("found %d times, as %s", r.broken(b.shows), r.tally.broken[b.shows][0])
		})
	}
}

// TestPlantedStillFit notices at once when code has changed where a bug is planted.
func TestPlantedStillFit(t *testing.T) {
	for _, b := range bugs {
		overlay(t, b.edits)
	}
}

// TestPlantedNothing shows that outboxd as it is passes the same run.
func TestPlantedNothing(t *testing.T) {
	if *flagKills == 0 {
		return // the short TestTorture shows it
	}
	r := planted(*flagSeed).run(t, build(t, nil))
	for _, b := range r.first(20) {
		t.Error(b)
	}
}
