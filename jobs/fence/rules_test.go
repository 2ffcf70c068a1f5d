package fence

import (
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// usual is the evidence of a database that is all right.
func usual() evidence {
	beats := map[string]db.Beat{"one": {N: 7, Nonce: "n7"}, "two": {N: 3, Nonce: "n3"}}
	known := []db.Known{{Identity: "x", Instance: "one", Company: "acme", Beat: beats["one"]}, {Identity: "x", Instance: "two", Company: "acme", Beat: db.Beat{N: 2, Nonce: "n2"}}}
	return evidence{company: "acme", instance: "one", reached: []string{"db1:3306/acme"},
		said:  db.Fence{Tables: true, Identity: "x", Places: []string{"here"}, Beats: beats, Place: db.Place{Name: "here"}},
		known: known, own: &witness.Identity{Identity: "x", Addresses: []string{"db2:3306/acme", "db1:3306/acme"}, Beats: beats}}
}

func TestP8_Rules(t *testing.T) {
	away := func(e *evidence) { e.said.Place.Name = "there" }
	stranger := func(e *evidence) { e.own = nil }
	for name, c := range map[string]struct {
		change []func(*evidence)
		want   string // in the reason; "ok", "moved" or "first"
	}{
		"all right":            {nil, "ok"},
		"nobody remembers":     {[]func(*evidence){stranger, func(e *evidence) { e.known = nil }}, "ok"},
		"a new daemon":         {[]func(*evidence){stranger, func(e *evidence) { e.instance = "three" }}, "ok"},
		"first start":          {[]func(*evidence){stranger, func(e *evidence) { e.known, e.said.Identity, e.said.Beats = nil, "", nil }}, "first"},
		"older tables":         {[]func(*evidence){func(e *evidence) { e.known, e.said.Tables, e.said.Identity = nil, false, "" }}, "has no identity"},
		"restored older table": {[]func(*evidence){func(e *evidence) { e.said.Tables, e.said.Identity = false, "" }}, "has no identity"},
		"restored beginnings":  {[]func(*evidence){func(e *evidence) { e.said.Identity, e.said.Beats = "", nil }}, "has no identity"},
		"other's beginnings": {[]func(*evidence){func(e *evidence) {
			e.said.Identity, e.company, e.said.Beats = "", "beta", nil
		}}, "first"},
		"older": {[]func(*evidence){func(e *evidence) { e.said.Beats = map[string]db.Beat{"one": {N: 6}, "two": {N: 3}} }}, "knows 6 of the 7 beats of the daemon one"},
		"older by another's beat": {[]func(*evidence){func(e *evidence) {
			e.said.Beats = map[string]db.Beat{"one": {N: 7, Nonce: "n7"}, "two": {N: 1}}
		}}, "knows 1 of the 2 beats of the daemon two"},
		"without a daemon": {[]func(*evidence){func(e *evidence) { delete(e.said.Beats, "two") }}, "knows 0 of the 2"},
		"newer":            {[]func(*evidence){func(e *evidence) { e.said.Beats["one"] = db.Beat{N: 8} }}, "ok"},
		"another branch":   {[]func(*evidence){func(e *evidence) { e.said.Beats["one"] = db.Beat{N: 7, Nonce: "other"} }}, "another branch"},
		"another database": {[]func(*evidence){stranger, func(e *evidence) { e.said.Identity = "y" }}, "none that outboxd knows"},
		"renamed company":  {[]func(*evidence){func(e *evidence) { e.company = "acme2" }}, "ok"},
		"sent again":       {[]func(*evidence){func(e *evidence) { e.again = 17 }}, "row 17 waits"},
		"half adopted":     {[]func(*evidence){func(e *evidence) { e.said.Adopting = "y" }}, "not complete"},
		"just adopted": {[]func(*evidence){func(e *evidence) {
			e.said.Beats, e.known = map[string]db.Beat{}, []db.Known{{Identity: "x", Instance: "one", Company: "acme"}}
		}}, "ok"},

		"copy elsewhere":             {[]func(*evidence){away, stranger}, "at another place"},
		"copy that nobody knows":     {[]func(*evidence){away, stranger, func(e *evidence) { e.known = nil }}, "at another place"},
		"server moved":               {[]func(*evidence){away}, "moved"},
		"older one took over":        {[]func(*evidence){away, func(e *evidence) { e.said.Beats["one"] = db.Beat{N: 6} }}, "older"},
		"another host":               {[]func(*evidence){away, func(e *evidence) { e.reached = []string{"db3:3306/acme"} }}, "at another place"},
		"another name":               {[]func(*evidence){away, func(e *evidence) { e.reached = []string{"db1:3306/acme_new"} }}, "at another place"},
		"known host with new nodes":  {[]func(*evidence){away, func(e *evidence) { e.reached = []string{"db2:3306/acme", "db3:3306/acme"} }}, "moved"},
		"known to others, not to us": {[]func(*evidence){away, func(e *evidence) { e.instance = "three" }}, "at another place"},
		"node of its cluster": {[]func(*evidence){away, stranger, func(e *evidence) {
			e.said.Place.Cluster, e.said.Place.Members, e.said.Places = "c", 3, []string{"here", "cluster c"}
		}}, "moved"},
		"a node that was copied": {[]func(*evidence){away, stranger, func(e *evidence) {
			e.said.Place.Cluster, e.said.Place.Members, e.said.Places = "c", 1, []string{"here", "cluster c"}
		}}, "at another place"},
		"has become a cluster": {[]func(*evidence){func(e *evidence) { e.said.Place.Cluster, e.said.Place.Members = "c", 3 }}, "moved"},
	} {
		e := usual()
		for _, change := range c.change {
			change(&e)
		}
		if got := told(e.judge()); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// told is a verdict in words.
func told(v verdict) string {
	switch {
	case v.fenced != "":
		return v.fenced
	case v.moved:
		return "moved"
	case v.first:
		return "first"
	}
	return "ok"
}
