package jobs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// P1: a mailing whose audience finds no room on this computer waits, a person is told, and it goes when there is room. The database is well
// meanwhile, and nobody says otherwise.
func TestP1_AMailingWaitsForRoomForItsAudience(t *testing.T) {
	s := newSite(t)
	s.patience = time.Millisecond
	s.customers(3)
	text := s.mailingFile("")
	s.begin(text)
	room := filepath.Join(t.TempDir(), "room")
	t.Setenv("TMPDIR", room)
	s.start(text, "one")
	s.awaitEvent("spool_down", 1)
	s.awaitEvent("alert", 1)
	s.await("running", runState)
	if err := os.Mkdir(room, 0o700); err != nil {
		t.Fatal(err)
	}
	s.await("done 3 3 0 0 0", runSum)
	s.awaitEvent("spool_up", 1)
	if n := s.events("company_down"); n != 0 {
		t.Errorf("the database counted as down %d times", n)
	}
	if left, err := os.ReadDir(room); err != nil || len(left) != 0 {
		t.Errorf("%v is left there, %v", left, err)
	}
}
