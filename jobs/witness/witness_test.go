package witness

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db"
)

func record(id uint64, created, at int64, what string) Record {
	return Record{Mail{id, created}, at, what}
}

func TestPackedRecordsComeBack(t *testing.T) {
	all := records(1000)
	got, err := Unpack(Pack(slices.Clone(all)))
	if err != nil || len(got) != len(all) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for _, r := range all {
		if !slices.Contains(got, r) {
			t.Errorf("%+v is missing", r)
		}
	}
	all = records(30)
	packed := Pack(slices.Clone(all))
	for n := range packed {
		if short, err := Unpack(packed[:n]); err == nil && len(short) >= len(all) {
			t.Errorf("%d octets of %d are the whole", n, len(packed))
		}
	}
}

func TestADamagedListIsNamed(t *testing.T) {
	packed := Pack(records(3))
	if got, err := Read(db.Handed{ID: 7, Records: packed}); err != nil || len(got) != 3 {
		t.Errorf("%d records, %v", len(got), err)
	}
	if _, err := Read(db.Handed{ID: 7, Records: packed[:len(packed)-1]}); err == nil || !strings.Contains(err.Error(), "list 7 in outbox_handed") {
		t.Errorf("a list without its end: %v", err)
	}
}

// records makes some of each kind.
func records(n int) (all []Record) {
	for range n {
		all = append(all, record(rand.Uint64(), rand.Int64(), rand.Int64(), []string{"a", "m", "u", "f", "o", "aofum"}[rand.IntN(6)]))
	}
	return all
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(Pack([]Record{record(17, 1, 2, "a"), record(18, 3, 4, "am")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Unpack(b)
		if err != nil {
			return
		}
		again, err := Unpack(Pack(slices.Clone(all)))
		if err != nil || len(again) != len(all) {
			t.Errorf("%v became %v, %v", all, again, err)
		}
	})
}

func TestTheLaterRecordCounts(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"m", "a", "a"}, {"o", "m", "m"}, {"m", "u", "u"}, {"ao", "am", "am"},
	} {
		for _, at := range []int64{1000, 1001} {
			if at == 1000 && c.first != "m" {
				continue // at the same time only an outcome follows a mark
			}
			a, b := record(1, 5, 1000, c.first), record(1, 5, at, c.second)
			for _, order := range [][]Record{{a, b}, {b, a}} {
				o := Outcomes{}
				o.Add(record(1, 6, 9999, "f")) // another mail with the same number
				for _, r := range order {
					o.Add(r)
				}
				if got := o[Mail{1, 5}].What; got != c.want {
					t.Errorf("%v at %d is %s", c, at, got)
				}
			}
		}
	}
}

func TestSeen(t *testing.T) {
	s := &Seen{}
	s.Add(Mail{17, 100})
	s.Add(Mail{1040, 200})
	for m, want := range map[Mail]bool{{17, 100}: true, {17, 50}: true, {17, 101}: false, {18, 100}: false, {1040, 200}: true, {1041, 200}: false, {16, 1}: false} {
		if s.Has(m) != want {
			t.Errorf("%v: %v", m, !want)
		}
	}
	for n := range uint64(3 * maxBlocks) {
		s.Add(Mail{n * blockSize, 300})
	}
	if n := len(s.blocks); n > maxBlocks || !s.Has(Mail{(3*maxBlocks - 1) * blockSize, 300}) {
		t.Errorf("%d blocks, or the newest is forgotten", n)
	}
}

func open(dir, instance, computer string) *Company {
	return New(dir, instance, computer).Company("acme")
}

func TestJournalOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	want := map[Record]string{}
	for i, instance := range []string{"aaaaaaaa", "bbbbbbbb"} {
		for life := range 2 { // without Close, as after kill -9
			c := open(dir, instance, "here")
			for n := range 3 {
				r := record(uint64(100*i+10*life+n), 1, int64(n), "a")
				of := []string{"x", "x", "y"}[n]
				if err := c.Handed(of, r); err != nil {
					t.Fatal(err)
				}
				want[r] = of
			}
			torn, err := os.OpenFile(c.journal.file.Name(), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = torn.WriteString("99 99")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	got := map[Record]string{}
	c := open(dir, "cccccccc", "here")
	if err := c.Records(1<<30, func(of string, r Record) { got[r] = of }); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, want %v, %v", got, want, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestOldJournalsAreDropped(t *testing.T) {
	dir := t.TempDir()
	c := open(dir, "aaaaaaaa", "here")
	if err := os.MkdirAll(filepath.Join(dir, "aaaaaaaa"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := func(company string, ago time.Duration) string {
		name := filepath.Join(dir, "aaaaaaaa", company+"."+time.Now().UTC().Add(-ago).Format(stampForm)+".sent")
		if err := os.WriteFile(name, []byte("1 1 1 a\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	old, kept, others := file("acme", 42*24*time.Hour), file("acme", 30*24*time.Hour), file("beta", 42*24*time.Hour)
	if err := c.Handed("x", record(1, 1, 1, "a")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{old: false, kept: true, others: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRestClosesTheFile(t *testing.T) {
	c := open(t.TempDir(), "aaaaaaaa", "here")
	for n := range 3 {
		if err := c.Handed("x", record(uint64(n), 1, 1, "a")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Rest(); err != nil {
				t.Fatal(err)
			}
		}
		if c.journal.file != nil {
			t.Error("the file is still open")
		}
	}
	lines := 0
	if err := c.Records(1<<20, func(string, Record) { lines++ }); err != nil || lines != 3 {
		t.Errorf("%d records, %v", lines, err)
	}
}

func TestWhatIsRememberedIsNotTakenBack(t *testing.T) {
	dir := t.TempDir()
	c := open(dir, "aaaaaaaa", "here")
	for _, n := range []uint64{3, 2} { // an older one does not count
		err := c.Note(Identity{Identity: "x", Addresses: []string{"db1"}, Beats: map[string]db.Beat{"aaaaaaaa": {N: n, Nonce: "n"}, "bbbbbbbb": {N: 5 - n}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]db.Beat{"aaaaaaaa": {N: 3, Nonce: "n"}, "bbbbbbbb": {N: 3}}
	for instance, vouches := range map[string]bool{"aaaaaaaa": true, "cccccccc": false} {
		next := open(dir, instance, "here")
		known, err := next.Known()
		if err != nil || len(known) != 2 {
			t.Errorf("%s knows %v, %v", instance, known, err)
		}
		if own, ok := next.Own("x"); ok != vouches || ok && !reflect.DeepEqual(own.Beats, want) {
			t.Errorf("%s has %+v", instance, own)
		}
	}
	if _, ok := open(dir, "aaaaaaaa", "there").Own("x"); ok {
		t.Error("a copied state directory vouches")
	}
	for n := range 2 * maxIdentities {
		if err := c.Note(Identity{Identity: strings.Repeat("i", n+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.own.Identities); n != maxIdentities {
		t.Errorf("%d identities", n)
	}
}

func TestDamagedFileIsToldOfAndCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	if err := open(dir, "aaaaaaaa", "here").Note(Identity{Identity: "x", Beats: map[string]db.Beat{"aaaaaaaa": {N: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "aaaaaaaa", "acme.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(dir, "aaaaaaaa", "here")
	if known, err := c.Known(); err == nil || len(known) != 0 {
		t.Errorf("%v, %v", known, err)
	}
	if err := c.Note(Identity{Identity: "x", Beats: map[string]db.Beat{"aaaaaaaa": {N: 2}}}); err != nil {
		t.Fatal(err)
	}
	if known, err := open(dir, "bbbbbbbb", "here").Known(); err != nil || len(known) != 1 || known[0].N != 2 {
		t.Errorf("%v, %v", known, err)
	}
}
