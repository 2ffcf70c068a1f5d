package jobs

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"outboxd/db"
)

// Write-backs that fail have one line in the log when that begins, one for another cause and one when it is over, however many mails and
// tries there are.
func TestFailingWriteBacksAreLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	k := &keeper{log: zap.New(core), failing: map[uint64]string{}}
	look := func(want string, counts ...db.WriteBackCount) {
		t.Helper()
		all := map[uint64]db.WriteBackCount{}
		for _, c := range counts {
			all[c.Run] = c
		}
		k.logBacks(all)
		var got []string
		for _, line := range logs.TakeAll() {
			got = append(got, fmt.Sprint(line.Message, line.ContextMap()["run"], " ", line.ContextMap()["waiting"]))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("logged %q, want %q", text, want)
		}
	}
	twice := func(value string) db.WriteBackCount {
		return db.WriteBackCount{Run: 7, Waiting: 200_000, Failing: 3, LastError: "Error 1062 (23000): Duplicate entry '" + value + "' for key 'mailed'"}
	}
	locked := db.WriteBackCount{Run: 7, Waiting: 199_000, Failing: 40, LastError: "Error 1205 (HY000): Lock wait timeout exceeded"}
	waits := db.WriteBackCount{Run: 8, Waiting: 5}
	look("", waits)
	look("write_back7 200000", twice("17"), waits)
	look("", twice("17"))
	look("", twice("18"))
	look("write_back7 199000", locked)
	look("", locked)
	locked.Failing = 0
	look("write_back_over7 <nil>", locked)
	look("")
}
