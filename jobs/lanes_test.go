package jobs

import (
	"slices"
	"testing"

	"outboxd/db"
)

func TestLanesWindow(t *testing.T) {
	l := &lanes{}
	for i := range 5 {
		l.open = append(l.open, db.Lane{ID: uint32(i + 1)})
	}
	seen := map[uint32]int{}
	for turn := range 5 {
		for _, lane := range l.window(3*turn, 3, nil).open {
			seen[lane.ID]++
		}
	}
	for id := range uint32(5) {
		if seen[id+1] != 3 {
			t.Errorf("lane %d had %d turns, want 3", id+1, seen[id+1])
		}
	}
	if got := l.window(2, 5, nil); len(got.open) != 5 || got.open[0].ID != 1 {
		t.Error("few lanes are cut")
	}
	l.own = []ownLane{{account: "a"}, {account: "a", domain: "x"}, {account: "a", domain: "y"}, {account: "b"}, {account: "a", domain: "z"}}
	var got []string
	for _, o := range l.window(1, 1, func(o ownLane) bool { return o.domain != "z" }).own {
		got = append(got, o.account+o.domain)
	}
	if !slices.Equal(got, []string{"a", "b", "az", "ay"}) { // the one that may go has not to wait for the turns of those that wait
		t.Errorf("own lanes %v", got)
	}
}

func TestStrikes(t *testing.T) {
	c := &company{strikes: map[string]int{}, quiet: map[string]bool{}, lanes: &lanes{open: []db.Lane{{ID: 1, Name: domainLane + "back.example", Failures: 2}}}}
	for i, want := range []bool{false, false, true, false, false, false} {
		if got := c.strike("slow.example", false); got != want {
			t.Errorf("strike %d pauses: %t, want %t", i+1, got, want)
		}
	}
	lane := c.openLane("back.example")
	if lane.ID != 1 || !c.strike("back.example", lane.Failures > 0) {
		t.Error("one strike is enough in a lane that has reopened")
	}
	if c.openLane("back.example").ID != 0 {
		t.Error("the lane waits again")
	}
}

func TestClaimProbes(t *testing.T) {
	var ids []uint32
	f := &feeder{probed: map[uint32]int{}, lanes: &lanes{open: []db.Lane{{ID: 1}, {ID: 2, Failures: 1}, {ID: 3, Failures: 4}}}}
	for range 6 {
		f.turns++
		if f.turns%2 == 1 {
			f.polled = f.turns - 1 // every second turn follows a poll
		}
		probe, all := f.probe()
		ids = append(ids, probe)
		if !slices.Equal(all, []uint32{0, 1}) {
			t.Errorf("lanes %v", all)
		}
	}
	if want := []uint32{2, 3, 2, 3, 2, 3}; !slices.Equal(ids, want) {
		t.Errorf("probes %v, want %v", ids, want)
	}
}
