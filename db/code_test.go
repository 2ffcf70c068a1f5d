package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// codeOf is a code whose hash is made of one letter.
func codeOf(letter string) db.Code {
	return db.Code{Run: 12, Person: "jan", Hash: strings.Repeat(letter, 64)}
}

// problemOf is what a *db.CodeError names.
func problemOf(t *testing.T, err error) (db.CodeProblem, int) {
	t.Helper()
	var wrong *db.CodeError
	if !errors.As(err, &wrong) {
		t.Fatalf("%v, want a CodeError", err)
	}
	return wrong.Problem, wrong.Left
}

// later has the last code be older.
func later(t *testing.T, d *dbtest.Database, seconds int) {
	t.Helper()
	d.Exec(t, "UPDATE {db}.outbox_run_code SET sent_at = TIMESTAMPADD(SECOND, -?, sent_at), expires_at = TIMESTAMPADD(SECOND, -?, expires_at)", seconds, seconds)
}

func TestACodeCountsOnce(t *testing.T) {
	d, ctx := dbtest.New(t), context.Background()
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, codeOf("a"))); got != db.CodeNone {
		t.Errorf("without a code: %s", got)
	}
	if err := d.Store.PutCode(ctx, codeOf("a"), db.NewMail{Recipients: "jan@acme.example", Text: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := d.Read(t, "SELECT CONCAT(recipients, ' ', state, ' ', held, ' ', COALESCE(run_id, 'none')) FROM {db}.outbox"); got != "jan@acme.example queued 0 none" {
		t.Errorf("the mail: %s", got)
	}
	other := codeOf("a")
	other.Person = "eva"
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, other)); got != db.CodeNone {
		t.Errorf("another person's: %s", got)
	}
	if err := d.Store.TakeCode(ctx, codeOf("a")); err != nil {
		t.Errorf("the code: %v", err)
	}
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, codeOf("a"))); got != db.CodeNone {
		t.Errorf("a second time: %s", got)
	}
}

func TestWrongCodesUseItUp(t *testing.T) {
	d, ctx := dbtest.New(t), context.Background()
	if err := d.Store.PutCode(ctx, codeOf("a"), db.NewMail{Recipients: "jan@acme.example", Text: "a"}); err != nil {
		t.Fatal(err)
	}
	for want := 4; want >= 0; want-- {
		if got, left := problemOf(t, d.Store.TakeCode(ctx, codeOf("b"))); got != db.CodeWrong || left != want {
			t.Errorf("%s, %d left, want %d", got, left, want)
		}
	}
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, codeOf("a"))); got != db.CodeNone {
		t.Errorf("the right one after five wrong ones: %s", got)
	}
}

func TestCodesAreBoundInTimeAndNumber(t *testing.T) {
	d, ctx := dbtest.New(t), context.Background()
	put := func(letter string) error {
		return d.Store.PutCode(ctx, codeOf(letter), db.NewMail{Recipients: "jan@acme.example", Text: letter})
	}
	if err := put("0"); err != nil {
		t.Fatal(err)
	}
	if got, _ := problemOf(t, put("1")); got != db.CodeTooSoon {
		t.Errorf("at once: %s", got)
	}
	for _, letter := range strings.Split("123456789", "") {
		later(t, d, 61)
		if err := put(letter); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, codeOf("8"))); got != db.CodeWrong {
		t.Errorf("the one before: %s", got)
	}
	later(t, d, 61)
	if got, _ := problemOf(t, put("a")); got != db.CodeTooMany {
		t.Errorf("the eleventh: %s", got)
	}
	later(t, d, 15*60)
	if got, _ := problemOf(t, d.Store.TakeCode(ctx, codeOf("9"))); got != db.CodeNone {
		t.Errorf("after a quarter of an hour: %s", got)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox"); got != "10" {
		t.Errorf("%s mails, want 10", got)
	}
}
