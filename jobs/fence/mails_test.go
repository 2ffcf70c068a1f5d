package fence

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// TestWhatTheWitnessesAreTold of a mail: nothing before its mark, then the mark, then a letter for each recipient.
func TestWhatTheWitnessesAreTold(t *testing.T) {
	in := func(states ...db.RecipientState) (all []db.Recipient) {
		for _, s := range states {
			all = append(all, db.Recipient{State: s})
		}
		return all
	}
	settled := func(s db.State, of ...db.Recipient) db.Settlement {
		return db.Settlement{Change: db.Change{State: s}, Recipients: of}
	}
	several := in(db.RecipientSending, db.RecipientFailed, db.RecipientOpen)
	for name, c := range map[string]struct {
		recipients []db.Recipient
		settlement db.Settlement
		mark, end  string
	}{
		"sent":               {nil, settled(db.Sent), "m", "a"},
		"refused":            {nil, settled(db.Failed), "m", "f"},
		"no answer":          {nil, settled(db.Uncertain), "m", "u"},
		"refused for now":    {nil, settled(db.Queued), "m", "o"},
		"several":            {several, settled(db.Partial, in(db.RecipientAccepted, db.RecipientFailed, db.RecipientUncertain)...), "mfo", "afu"},
		"several, as before": {several, settled(db.Queued), "mfo", "mfo"},
	} {
		row := db.Row{Lease: db.Lease{ID: 17}, CreatedAt: time.UnixMicro(99)}
		f := New(Company{Name: "acme", Memory: witness.New("", "one", "here").Company("acme")}, Options{Log: zap.NewNop()})
		f.Marked(row, c.recipients, errors.New("away"))
		if len(f.pending) != 0 || f.moved {
			t.Errorf("%s: told of a mail that was not marked: %v", name, f.pending)
		}
		mail := witness.Mail{ID: 17, Created: 99}
		f.Marked(row, c.recipients, nil)
		if got := f.pending[mail].What; got != c.mark {
			t.Errorf("%s: marked as %q, want %q", name, got, c.mark)
		}
		f.Settled(row, c.recipients, c.settlement)
		if got := f.pending[mail].What; got != c.end {
			t.Errorf("%s: in the end %q, want %q", name, got, c.end)
		}
	}
}

// TestAnOlderDatabaseIsLookedAtAtOnce: a mark that finds one ends the time for which a look is good.
func TestAnOlderDatabaseIsLookedAtAtOnce(t *testing.T) {
	f := New(Company{Name: "acme"}, Options{Log: zap.NewNop()})
	f.looked = time.Now()
	f.Marked(db.Row{}, nil, errors.New("away"))
	if !f.fresh() {
		t.Error("any error brings a look")
	}
	f.Marked(db.Row{}, nil, &db.OlderError{})
	if f.fresh() {
		t.Error("the last look still counts")
	}
}
