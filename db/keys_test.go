package db_test

import (
	"fmt"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestKeysThatAreUsedUp(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('new', '17', '2026-12', 1, NOW()), ('old', '18', '2026-12', 2, NOW()), ('new', '19', '2026-11', 3, NOW()),
		('other', '20', '2026-12', 4, NOW()), ('new', 'ž / 1 ', '2026-12', 5, NOW()), ('new', '21', '2026-12', 6, NOW()), ('new', 'A', '2026-12', 7, NOW())`)
	d.Exec(t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity) VALUES (9, 6, x'00112233445566778899aabbccddeeff'), (8, 1, x'00112233445566778899aabbccddeeff')`)
	keys := []string{"17", "18", "19", "20", "ž / 1", "21", "a"}
	for i := range 2500 { // more than fit into a statement
		keys = append(keys, fmt.Sprint("none ", i))
	}
	r := db.Run{Job: "new", Spec: `{"was": "old"}`, Period: "2026-12"}
	for id, want := range map[uint64]string{0: "map[17:1 18:2 21:6 ž / 1:5]", 9: "map[17:1 18:2 ž / 1:5]"} {
		r.ID = id
		used, err := d.Store.KeysUsed(deadline(t), r, keys)
		if err != nil || fmt.Sprint(used) != want {
			t.Errorf("but for those of run %d: %v %v", id, used, err)
		}
	}
	if used, err := d.Store.KeysUsed(deadline(t), r, nil); err != nil || len(used) != 0 {
		t.Error(used, err)
	}
}

func TestMailsThatWaitBeforeOthers(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, 30, "kunde.example")
	d.Exec(t, "UPDATE {db}.outbox SET priority = 5 WHERE id > 20")
	d.Exec(t, "UPDATE {db}.outbox SET held = 1 WHERE id = 1")
	d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id = 2")
	d.Exec(t, "UPDATE {db}.outbox SET account = 'news' WHERE id = 3")
	routes, err := d.Store.Routes(deadline(t), 0, -1, 10)
	must(t, err)
	var own db.Route
	for _, r := range routes {
		if r.Account == "" {
			own = r
		}
	}
	for _, c := range []struct {
		priority, limit int
		want            int64
	}{{4, 100, 17}, {5, 100, 27}, {2, 100, 0}, {5, 10, 10}} {
		if n, err := d.Store.WaitingBefore(deadline(t), own, c.priority, c.limit); err != nil || n != c.want {
			t.Errorf("priority %d, at most %d: %d, not %d, %v", c.priority, c.limit, n, c.want, err)
		}
	}
}
