package db

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// A group that is under way is not joined; those who come meanwhile go together, at most so many.
func TestGroupGathersWhileOneRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs [][]int
		release := make(chan struct{})
		g := group[int]{most: 3, run: func(_ context.Context, items []int) []error {
			<-release
			runs = append(runs, slices.Sorted(slices.Values(items)))
			errs := make([]error, len(items))
			for i, item := range items {
				if item == 4 {
					errs[i] = errors.New("four")
				}
			}
			return errs
		}}
		var mu sync.Mutex
		got := map[int]error{}
		ask := func(item int) {
			go func() {
				err := g.do(t.Context(), item)
				mu.Lock()
				defer mu.Unlock()
				got[item] = err
			}()
			synctest.Wait()
		}
		for item := range 6 {
			ask(item)
		}
		close(release)
		synctest.Wait()
		if want := [][]int{{0}, {1, 2, 3}, {4, 5}}; !slices.EqualFunc(runs, want, slices.Equal) {
			t.Errorf("runs %v, want %v", runs, want)
		}
		for item, err := range got {
			if (err != nil) != (item == 4) {
				t.Errorf("item %d: %v", item, err)
			}
		}
		ask(7) // it starts again when it was idle
		if err, done := got[7]; !done || err != nil {
			t.Errorf("after a rest: %v, %v", done, err)
		}
	})
}

func TestGroupGoesOnWithoutItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		done := 0
		g := group[int]{most: 3, run: func(ctx context.Context, items []int) []error {
			<-release
			if ctx.Err() != nil {
				t.Error("a caller's end has reached the others' work")
			}
			done += len(items)
			return make([]error, len(items))
		}}
		ctx, leave := context.WithCancel(t.Context())
		left, stayed := make(chan error, 1), make(chan error, 1)
		go func() { left <- g.do(ctx, 1) }()
		synctest.Wait()
		go func() { stayed <- g.do(t.Context(), 2) }()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left was told %v", err)
		}
		close(release)
		if err := <-stayed; err != nil || done != 2 {
			t.Errorf("who stayed was told %v, %d done", err, done)
		}
	})
}

func TestChunks(t *testing.T) {
	for n, want := range map[int][][]int{0: nil, 2: {{0, 1}}, 3: {{0, 1, 2}}, 7: {{0, 1, 2}, {3, 4, 5}, {6}}} {
		var all []int
		for i := range n {
			all = append(all, i)
		}
		var got [][]int
		for c := range chunks(all, 3) {
			got = append(got, c)
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%d in threes: %v", n, got)
		}
	}
	for range chunks([]int{1, 2, 3}, 1) {
		break // may be left early
	}
}

func TestLeaseArguments(t *testing.T) {
	got := leaseArgs([]Lease{{1, "a"}, {2, "b"}})
	if want := []any{uint64(1), uint64(2), uint64(1), "a", uint64(2), "b"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := idArgs([]uint64{7}); !slices.Equal(got, []any{uint64(7)}) {
		t.Errorf("%v", got)
	}
}

func TestTokensAreFreshAndNameTheInstance(t *testing.T) {
	i := Instance{ID: "0123abcd"}
	a, b := i.token(), i.token()
	if a == b || len(a) != 25 || a[:9] != "0123abcd-" {
		t.Errorf("tokens %s and %s", a, b)
	}
}

func TestNullIsNotEmpty(t *testing.T) {
	if null("") != nil || null(0) != nil || null("x") != "x" || null(250) != 250 {
		t.Error("null values")
	}
}

func TestUnionKeepsOneSelectBare(t *testing.T) {
	if union([]string{"a"}) != "a" || union([]string{"a", "b", "c"}) != "(a) UNION ALL (b) UNION ALL (c)" {
		t.Error("union")
	}
}
