package jobs_test

import (
	"context"
	"errors"
	"testing"

	"outboxd/db"
	"outboxd/jobs"
)

func TestAccountList(t *testing.T) {
	_, d := deskSite(t)
	got, err := d.AccountList(t.Context(), jobs.AccountListRequest{})
	if err != nil || len(got.Accounts) != 3 || got.Accounts[0].Host != "127.0.0.1" || got.Accounts[1].State != jobs.AccountInactive {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDatabaseHint(t *testing.T) {
	for _, err := range []error{errors.New("?"), context.DeadlineExceeded, &db.SchemaError{}} {
		if jobs.DatabaseHint(err) == "" {
			t.Error(err)
		}
	}
}
