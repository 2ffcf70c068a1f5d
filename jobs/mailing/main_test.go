package mailing_test

import (
	"context"
	"testing"
	"time"

	"outboxd/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// deadline ends a test that hangs with a useful error instead of the whole run.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
