package mailing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"outboxd/db"
	"outboxd/jobs/mailing"
)

// rowsOf is a source with given columns and rows.
type rowsOf struct {
	columns []db.ReadColumn
	rows    [][]any
}

func (r rowsOf) each(columns func([]db.ReadColumn) error, row func([]any) error) error {
	err := columns(r.columns)
	for _, values := range r.rows {
		if err == nil {
			err = row(values)
		}
	}
	return err
}

// spoolOf is an audience with these rows of recipients, invoice, level.
func spoolOf(t testing.TB, s mailing.Spec, rows ...[]any) *mailing.Spool {
	t.Helper()
	kinds := []db.ReadColumn{{Name: "recipients", Kind: db.KindText}, {Name: "invoice", Kind: db.KindText}, {Name: "level", Kind: db.KindInteger}}
	sp, err := mailing.Read(deadline(t), source(rowsOf{kinds, rows}.each), "x", s, at, db.ReadLimits{})
	must(t, err)
	t.Cleanup(func() { must(t, sp.Close()) })
	return sp
}

func TestTheSecondRowOfAKeyIsADuplicateAndTheAddressIsNone(t *testing.T) {
	sp := spoolOf(t, spec("SELECT 1", "invoice", "level"),
		[]any{"eva@kunde.example", "17", int64(1)},
		[]any{"eva@kunde.example", "18", int64(1)}, // the second invoice to the same address
		[]any{"jan@kunde.example", "17", int64(1)},
		[]any{"eva@kunde.example", "17", int64(2)},
		[]any{"eva@kunde.example", "17", int64(1)},
		[]any{"eva@kunde.example", nil, int64(1)},
		[]any{"nobody", "17", int64(2)},
	)
	want := []string{"queued 17 / 1", "queued 18 / 1", "skipped 17 / 1 duplicate of line 1", "queued 17 / 2", "skipped 17 / 1 duplicate of line 1", "skipped  the key", "skipped 17 / 2 recipients: address 1"}
	seen := map[[16]byte]int{}
	for i, m := range mails(t, sp) {
		if got := strings.TrimSpace(fmt.Sprint(m.State, " ", m.Key, " ", m.LastError)); !strings.HasPrefix(got, want[i]) {
			t.Errorf("line %d: %s", i+1, got)
		}
		if before := seen[m.Identity]; before > 0 {
			t.Errorf("line %d has the identity of line %d", i+1, before)
		}
		seen[m.Identity] = i + 1
	}
	all, err := sp.Duplicates()
	if err != nil || fmt.Sprint(all) != "map[3:1 5:2 7:1]" {
		t.Error(all, err)
	}
}

// The order of the rows, and other columns than those of the key, are no part of what tells mails from others.
func TestAnAudienceThatIsReadAgainHasTheSameIdentities(t *testing.T) {
	a, b, c := []any{"eva@kunde.example", "17", int64(1)}, []any{"jan@kunde.example", "17", int64(1)}, []any{"eva@kunde.example", "18", int64(1)}
	set := func(rows ...[]any) string {
		all := map[string]int{}
		for _, m := range mails(t, spoolOf(t, spec("SELECT 1", "invoice", "level"), rows...)) {
			all[fmt.Sprintf("%x", m.Identity)]++
		}
		return fmt.Sprint(all)
	}
	first := set(a, b, c)
	b[0] = "new@kunde.example"
	if again := set(c, b, a); again != first {
		t.Errorf("%s, then %s", first, again)
	}
}

func TestWithoutAKeyTheSameRowIsMailedOnce(t *testing.T) {
	sp := spoolOf(t, spec("SELECT 1"), []any{"eva@kunde.example", "17", int64(1)}, []any{"eva@kunde.example", "18", int64(1)}, []any{"eva@kunde.example", "17", int64(1)}, []any{"eva@kunde.example", nil, int64(1)})
	var got []string
	for _, m := range mails(t, sp) {
		got = append(got, string(m.State)+m.Key)
	}
	if fmt.Sprint(got) != "[queued queued skipped queued]" {
		t.Error(got)
	}
}

// Keys that differ have texts that differ, for a table to which spaces at the end are nothing.
func TestKeysThatDifferHaveTextsThatDiffer(t *testing.T) {
	long := strings.Repeat("ž", 300)
	var rows [][]any
	for _, invoice := range []string{"17", "17 ", "17  ", "17 / 1", "17 /", "/ 17", "a / 1 / b", "", " ", "NULL", long + "a", long + "b", "line\nbreak", "line break", "17\x00", "\xff", "\xfe", strings.Repeat("x", 196), strings.Repeat("x", 197)} {
		rows = append(rows, []any{"eva@kunde.example", invoice, int64(1)}, []any{"eva@kunde.example", invoice, int64(2)})
	}
	for _, key := range [][]string{{"invoice", "level"}, {"invoice"}} {
		seen := map[string]int{}
		for i, m := range mails(t, spoolOf(t, spec("SELECT 1", key...), rows...)) {
			if len(key) == 1 && i%2 == 1 {
				continue // the same invoice
			}
			if before, twice := seen[strings.TrimRight(m.Key, " ")]; twice {
				t.Errorf("lines %d and %d have the key %q", before, i, m.Key)
			}
			seen[strings.TrimRight(m.Key, " ")] = i
			if n := len([]rune(m.Key)); n > 255 || n == 0 || strings.ContainsAny(m.Key, "\n\x00") || !utf8.ValidString(m.Key) {
				t.Errorf("%q has %d characters", m.Key, n)
			}
		}
	}
}

func TestDuplicatesAreFoundInPasses(t *testing.T) {
	var rows [][]any
	want := map[int64]int{}
	for i := range 5000 {
		rows = append(rows, []any{"eva@kunde.example", fmt.Sprint(i % 4000), int64(1)})
		if i >= 4000 {
			want[int64(i+1)] = 1
		}
	}
	sp := spoolOf(t, spec("SELECT 1", "invoice"), rows...)
	for _, size := range []int{1, 100, 1000, 4999, 5000, 100_000} {
		got, err := mailing.FindRepeats(sp, size, 1000)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d at a time: %d duplicates, %v", size, len(got), err)
		}
	}
	_, err := mailing.FindRepeats(sp, 1000, 999)
	var e *mailing.AudienceError
	if !errors.As(err, &e) || e.Kind != mailing.Repeats || !strings.Contains(err.Error(), "more than 999") || !strings.Contains(err.Error(), "(invoice)") {
		t.Error(err)
	}
}

func TestACountSaysWhoWouldGetWhat(t *testing.T) {
	s := spec("SELECT 1", "invoice")
	var rows [][]any
	for i := range 2500 {
		rows = append(rows, []any{fmt.Sprintf("r%d@kunde.example", i), fmt.Sprint(i), int64(1)})
	}
	rows[0][0], rows[10][0], rows[11][0], rows[20][1], rows[30][1], rows[2499][0] = nil, "nobody", "x@", "19", nil, " "
	rows[7][0] = "r7@kunde.example, R1@kunde.example"
	sp := spoolOf(t, s, rows...)
	asked := 0
	f, lines, err := mailing.Count(deadline(t), sp, others(t, &asked))
	must(t, err)
	if got, want := fmt.Sprint(f.Audience, f.Sendable, f.NoAddress, f.BadAddress, f.Unusable, f.Duplicate, f.Already, f.Suppressed, f.Accounts), "2500 2490 2 2 2 1 1 2 [{invoices 2489} {eva 1}]"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if f.Sendable+f.NoAddress+f.BadAddress+f.Unusable+f.Duplicate+f.Already+f.Suppressed != f.Audience {
		t.Errorf("it does not add up: %+v", f)
	}
	var troubles []string
	for _, x := range f.Troubles {
		troubles = append(troubles, fmt.Sprint(x.Line, " ", x.Key, " ", x.Address))
	}
	if got, want := strings.Join(troubles, "; "), "1 0 ; 2 1 r1@kunde.example; 6 5 r5@kunde.example; 8 7 r7@kunde.example, R1@kunde.example; 11 10 nobody; 12 11 x@; 21 19 r20@kunde.example; 31  r30@kunde.example; 2401 2400 r2400@kunde.example; 2500 2499 "; got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
	if len(lines) != 3 || lines[0] != 3 || lines[1] < 1200 || lines[1] > 1300 || lines[2] != 2499 {
		t.Error(lines)
	}
	chosen, err := sp.Lines(deadline(t), lines)
	if err != nil || len(chosen) != 3 || chosen[0].Recipients != "r2@kunde.example" || chosen[2].Recipients != "r2498@kunde.example" {
		t.Error(chosen, err)
	}
}

// others are what a count asks others for: two are suppressed, two keys were mailed, one is sent by an account of its own and one by none.
func others(t *testing.T, asked *int) mailing.Counting {
	return mailing.Counting{Samples: 3,
		Nobody: func(_ context.Context, mails [][]string) (map[int]string, error) {
			nobody := map[int]string{}
			for i, to := range mails {
				switch strings.Join(to, " ") {
				case "r2400@kunde.example", "r7@kunde.example R1@kunde.example": // the key of the first one was mailed before
					nobody[i] = "suppressed"
				case "nobody", "r19@kunde.example r20@kunde.example":
					t.Errorf("asked about %q", to)
				}
			}
			return nobody, nil
		},
		Used: func(_ context.Context, keys []string) (map[string]uint64, error) {
			*asked++
			used := map[string]uint64{}
			for _, key := range keys {
				if key == "1" || key == "2400" {
					used[key] = 4711
				}
			}
			return used, nil
		},
		Account: func(m db.NewMail) (string, error) {
			switch m.Key {
			case "5":
				return "", errors.New("no account may send as that")
			case "6":
				return "eva", nil
			}
			return "invoices", nil
		},
	}
}

func TestTroublesAreTheFirstTwenty(t *testing.T) {
	var rows [][]any
	for i := range 3000 {
		rows = append(rows, []any{"nobody", fmt.Sprint(i), int64(1)})
	}
	f, lines, err := mailing.Count(deadline(t), spoolOf(t, spec("SELECT 1", "invoice"), rows...), mailing.Counting{Samples: 3})
	if err != nil || len(lines) != 0 || len(f.Troubles) != 20 || f.Troubles[0].Line != 1 || f.Troubles[19].Line != 20 || f.BadAddress != 3000 {
		t.Error(f, lines, err)
	}
}

// Each language has a line, as it has texts of its own; and other lines from the first to the last make up the number.
func TestSamplesHaveEachLanguage(t *testing.T) {
	columns := []db.ReadColumn{{Name: "recipients", Kind: db.KindText}, {Name: "language", Kind: db.KindText}}
	for _, c := range []struct {
		rows, languages, samples int
		want                     string
	}{
		{1, 1, 3, "[1]"}, {2, 1, 3, "[1 2]"}, {9, 1, 3, "[1 5 9]"}, {9, 2, 3, "[1 2 9]"}, {9, 3, 2, "[1 2 3]"}, {9, 1, 1, "[1]"}, {9, 1, 0, "[1]"}, {9, 1, 2, "[1 9]"}, {9, 1, 5, "[1 3 5 7 9]"},
		{60, 30, 0, "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20]"}, {20_000, 1, 3, "[1 9993 20000]"},
	} {
		var rows [][]any
		for i := range c.rows {
			rows = append(rows, []any{fmt.Sprintf("r%d@kunde.example", i), fmt.Sprintf("de-x-a%d", i%c.languages)})
		}
		sp, err := mailing.Read(deadline(t), source(rowsOf{columns, rows}.each), "x", spec("SELECT 1"), at, db.ReadLimits{})
		must(t, err)
		_, lines, err := mailing.Count(deadline(t), sp, mailing.Counting{Samples: c.samples})
		if err != nil || fmt.Sprint(lines) != c.want {
			t.Errorf("%d rows in %d languages, %d samples: %v %v", c.rows, c.languages, c.samples, lines, err)
		}
		must(t, sp.Close())
	}
}
