package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// memory is an archive that tests look into.
type memory struct {
	lines  []string
	before func() error // an entry is written
}

func (m *memory) File() string { return "memory" }

func (m *memory) Append(octets int64, entries []any) (int64, error) {
	m.lines = m.lines[:octets] // a line counts as an octet here
	for _, e := range entries {
		text, err := json.Marshal(e)
		if err != nil {
			return 0, err
		}
		m.lines = append(m.lines, string(text))
	}
	if m.before != nil {
		return int64(len(m.lines)), m.before()
	}
	return int64(len(m.lines)), nil
}

// Whatever is removed stands in the archive once, also when steps fail after they have written.
func TestP1_ThePurgeArchivesEachRowOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	aged(t, d, 1300, "sent", 500, 450)
	withChildren(t, d)
	d.Exec(t, `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = 'no', updated_at = updated_at`)
	d.Exec(t, `UPDATE {db}.outbox_recipient SET bounced_at = NOW(6), bounce = 'no', updated_at = updated_at`)
	d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, finished_at, account, daemon) VALUES (1301, 'gone', NOW() - INTERVAL 450 DAY, 'main', 'here')`)
	p := begin(t, d.Store, db.PassBodies, 400)
	steps, broken := 0, errors.New("the disk is full")
	archive := &memory{before: func() error {
		if steps++; steps%2 == 1 {
			return broken
		}
		return nil
	}}
	for _, p.Pass = range []db.Pass{db.PassBodies, db.PassRows} {
		p.Archive = archive
		for {
			step, err := d.Store.Step(ctx, p)
			var failed *db.ArchiveError
			if err != nil && (!errors.Is(err, broken) || !errors.As(err, &failed)) {
				t.Fatal(err)
			}
			if step.End {
				break
			}
		}
		p = begin(t, d.Store, db.PassRows, 400)
	}
	seen := map[string]int{}
	for _, line := range archive.lines {
		seen[checkEntry(t, line)]++
	}
	if len(seen) != 2601 || len(archive.lines) != 2601 {
		t.Errorf("%d entries in %d lines, want 2601", len(seen), len(archive.lines))
	}
	if got := d.Read(t, counts); got != "0 0 0 0 0" {
		t.Errorf("left are %s", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', file, octets, entries) FROM {db}.outbox_archive`); got != "memory 2601 2601" {
		t.Errorf("noted: %s", got)
	}
}

// checkEntry holds a line of the archive against what aged and withChildren have made, and returns what was removed.
func checkEntry(t *testing.T, line string) string {
	t.Helper()
	var e struct {
		Removed    string
		ID         uint64
		Mail       map[string]any
		Recipients []map[string]any
		Tries      []map[string]any
		Hashes     map[string]any
	}
	must(t, json.Unmarshal([]byte(line), &e))
	right := false
	switch e.Removed {
	case "content":
		right = e.Mail["body_text"] == "Text" && e.Mail["headers"] == `{"X-A":"b"}`
	case "row":
		right = e.Mail["state"] == "sent" && e.Mail["bounce"] == "no" && e.Mail["bounced_at"] != nil && e.Recipients[0]["bounce"] == "no" && e.Mail["body_text"] == nil && len(e.Recipients) == 2 && len(e.Tries) == 1 && e.Tries[0]["reply"] == "250 ok" &&
			e.Hashes["text_hash"] != nil && strings.HasSuffix(e.Mail["created_at"].(string), "Z") && e.Mail["priority"] == 3.0
	case "remains":
		right = e.ID == 1301 && len(e.Tries) == 1 && e.Mail == nil
	}
	if !right {
		t.Fatal(line)
	}
	return fmt.Sprintf("%s %d", e.Removed, e.ID)
}
