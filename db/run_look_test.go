package db_test

import (
	"testing"

	"outboxd/db/dbtest"
)

func TestLastTries(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, account, daemon, marked_at, finished_at, step, verdict, smtp_code, smtp_enhanced, reply) VALUES
		(1, 'a', 'main', 'host', NULL, '2026-11-22 08:00:00', 'rcpt', 'temporary', 450, '4.2.0', '450 4.2.0 later'),
		(1, 'b', 'main', 'host', '2026-11-22 09:00:00', '2026-11-22 09:00:01', 'dot', 'accepted', 250, NULL, '250 queued'),
		(2, 'c', 'main', 'host', '2026-11-22 10:00:00', NULL, NULL, NULL, NULL, NULL, NULL)`)
	all, err := d.Store.LastTries(t.Context(), []uint64{1, 2, 3})
	if err != nil || len(all) != 2 || all[1].Reply != "250 queued" || all[1].Step != "dot" || all[2].Reply != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = d.Store.LastTries(t.Context(), nil); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
