package main

import (
	"strings"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	soon := now.Add(time.Minute)
	mail := func(row string, to ...string) caught { return caught{Row: row, Envelope: to} }
	for name, c := range map[string]struct {
		want  want
		row   row
		mails []caught
		says  string // "" means as wanted
	}{
		"sent": {
			want{state: "sent", attempts: 1, arrives: []string{"a", "b"}},
			row{State: "sent", Attempts: 1}, []caught{mail("acme/1", "b", "a"), mail("acme/2", "c")}, ""},
		"split over two mails": {
			want{state: "sent", arrives: []string{"a", "b"}},
			row{State: "sent"}, []caught{mail("acme/1", "a"), mail("acme/1", "b")}, ""},
		"waits": {want{state: "queued", later: true}, row{State: "queued", Next: soon}, nil, ""},
		"failed": {
			want{state: "failed", says: "550"}, row{State: "failed", Why: "550 no such user"}, nil, ""},
		"no row yet":          {want{state: "sent"}, row{}, nil, `state is ""`},
		"twice":               {want{state: "sent", arrives: []string{"a"}}, row{State: "sent"}, []caught{mail("acme/1", "a"), mail("acme/1", "a")}, "arrived"},
		"missing":             {want{state: "sent", arrives: []string{"a"}}, row{State: "sent"}, nil, "arrived"},
		"to one too many":     {want{state: "sent"}, row{State: "sent"}, []caught{mail("acme/1", "a")}, "arrived"},
		"other attempts":      {want{state: "sent", attempts: 1}, row{State: "sent", Attempts: 2}, nil, "attempts is 2"},
		"no reason":           {want{state: "failed", says: "550"}, row{State: "failed"}, nil, "last_error"},
		"no time":             {want{state: "queued", later: true}, row{State: "queued", Next: now}, nil, "next try"},
		"a time too many":     {want{state: "queued"}, row{State: "queued", Next: soon}, nil, "next try"},
		"old time of the end": {want{state: "sent"}, row{State: "sent", Next: soon}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.row.Name = "acme/1"
			got := strings.Join(differences([]*sample{{company: "acme", id: 1, want: c.want}}, []row{c.row}, c.mails, now), "\n")
			if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want something about %q", got, c.says)
			}
		})
	}
}

// What waits is to wait for a while, not until the end; what has ended stays as it is.
func TestDifferencesOfWhatWaited(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	waits := &sample{company: "acme", id: 1, want: want{state: "queued", later: true}}
	ended := &sample{company: "acme", id: 2, want: want{state: "failed"}}
	rows := []row{{Name: "acme/1", State: "queued", Next: now.Add(time.Minute)}, {Name: "acme/2", State: "failed"}}
	if got := differences([]*sample{waits, ended}, rows, nil, now); len(got) != 0 {
		t.Errorf("as wanted: %q", got)
	}
	rows[0].State, rows[1].State = "sent", "sent"
	if got := differences([]*sample{waits, ended}, rows, nil, now); len(got) != 1 || !strings.Contains(got[0], "acme/2") {
		t.Errorf("later: %q", got)
	}
}

func TestRowForTheTerminal(t *testing.T) {
	next := time.Now().Add(time.Minute)
	for want, r := range map[string]row{
		"acme/1     sent":                             {Name: "acme/1", State: "sent", Next: next},
		"acme/2     failed" + indent + "550 no":       {Name: "acme/2", State: "failed", Why: "550 no"},
		"bakery/2   queued    next at " + clock(next): {Name: "bakery/2", State: "queued", Next: next},
		"bakery/3   queued":                           {Name: "bakery/3", State: "queued", Next: next.Add(-time.Hour)},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
