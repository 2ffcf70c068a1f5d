package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"outboxd/db"
)

const mega = 1 << 20

// asked is a share and whether it has its room.
type asked struct {
	*share
	has bool
}

// ask lets a message ask for room in the background.
func ask(t *testing.T, ctx context.Context, w *weigher, company, account string, octets int64) *asked {
	t.Helper()
	a := &asked{share: w.share(company, account)}
	go func() { a.has = a.want(ctx, octets) == nil }()
	synctest.Wait()
	return a
}

func TestP4_TheWeigherStopsNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := newWeigher(100 * mega)
		first := ask(t, ctx, w, "acme", "slow", 60*mega)
		first.keep(30 * mega)
		second := ask(t, ctx, w, "acme", "slow", 60*mega)
		third := ask(t, ctx, w, "acme", "slow", 60*mega)
		small := ask(t, ctx, w, "acme", "slow", heavyFrom-1)
		if !first.has || !second.has || third.has || !small.has || small.octets != 0 {
			t.Fatalf("first %v, second %v, third %v, small %v", first.has, second.has, third.has, small.has)
		}
		// Another account of the company has one of its own, once no other message of the company is in the making.
		other := ask(t, ctx, w, "acme", "other", 60*mega)
		if other.has {
			t.Error("two messages of a company in the making beyond the room")
		}
		beta := ask(t, ctx, w, "beta", "theirs", 200*mega)
		second.keep(30 * mega)
		synctest.Wait()
		if !other.has || !beta.has || third.has {
			t.Errorf("other %v, beta %v, third %v", other.has, beta.has, third.has)
		}
		for _, a := range []*asked{first, second, other, beta} {
			a.end()
		}
		synctest.Wait()
		if !third.has {
			t.Error("the third waits although there is room")
		}
		third.end()
		if w.used != 0 || len(w.making) != 0 || w.by["slow"].shares != 0 {
			t.Errorf("left over: %d octets, %v, %+v", w.used, w.making, w.by["slow"])
		}
	})
}

func TestTheWeigherKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeigher(100 * mega)
		first := ask(t, t.Context(), w, "acme", "a", 80*mega)
		large := ask(t, t.Context(), w, "acme", "a", 90*mega)
		fits := ask(t, t.Context(), w, "acme", "a", 10*mega)
		if fits.has {
			t.Error("it went before one that had asked first")
		}
		first.end()
		synctest.Wait()
		if !large.has || !fits.has {
			t.Errorf("large %v, the one that fits %v", large.has, fits.has)
		}
	})
}

func TestTheWeigherForgetsWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeigher(100 * mega)
		first := ask(t, t.Context(), w, "acme", "a", 80*mega)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := ask(t, ctx, w, "acme", "a", 80*mega)
		small := ask(t, t.Context(), w, "acme", "a", 10*mega)
		cancel(errors.New("enough"))
		synctest.Wait()
		if gone.has || !small.has {
			t.Errorf("gone %v, the one behind it %v", gone.has, small.has)
		}
		// What has some does not wait for more.
		var wait *waitError
		if err := small.want(t.Context(), 30*mega); !errors.As(err, &wait) {
			t.Errorf("more: %v", err)
		}
		if err := small.want(t.Context(), 20*mega); err != nil {
			t.Errorf("as much as there is: %v", err)
		}
		first.end()
		small.end()
		gone.end()
		if w.used != 0 || len(w.making) != 0 {
			t.Errorf("left over: %d octets, %v", w.used, w.making)
		}
	})
}

func TestAShareWithoutAWeigher(t *testing.T) {
	var s *share
	if err := s.want(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
	s.collect()
	s.keep(1)
	s.end()
}

// TestLargeParamsAreWeighed: as values they take many times their octets.
func TestLargeParamsAreWeighed(t *testing.T) {
	for size, want := range map[int]int64{1000: 0, largeParams: 0, 2 * mega: 80 * mega} {
		w := newWeigher(100 * mega)
		k := &packer{content: func(context.Context, db.Row) (db.Content, error) {
			return db.Content{Params: strings.Repeat(" ", size)}, nil
		}}
		l := &letter{row: db.Row{Template: "x"}, room: w.share("acme", "main")}
		if _, err := k.load(t.Context(), l); err != nil || w.used != want {
			t.Errorf("params of %d: room for %d, %v, want %d", size, w.used, err, want)
		}
	}
}
