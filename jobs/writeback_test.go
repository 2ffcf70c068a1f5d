package jobs_test

import (
	"strings"
	"testing"

	"outboxd/jobs"
)

// TestAWriteBackThatIsLeftIsMadeAnew: from the row, with the time at which it was sent.
func TestAWriteBackThatIsLeftIsMadeAnew(t *testing.T) {
	s := newSite(t)
	dir := folder(t, map[string]string{"letter/subject.txt": "x", "letter/body.txt": "{{.n}}"})
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+dir, "timezone: Europe/Bratislava")
	_, place := s.world(text)
	spec := letterSpec()
	spec.OnSent = "UPDATE invoice SET mailed_at = :sent_at WHERE id = :invoice_id"
	run := s.sendingRun(place, spec)
	sent := s.runMail(run, "eva@kunde.example", "letter", `{"invoice_id": 0.10, "n": 1, "state": "CA"}`, "state, sent_at, sent_via, smtp_code, message_id|'sent', '2026-07-01 10:00:00.25', 'main', 250, '<a@b>'")
	failed := s.runMail(run, "eva@kunde.example", "letter", `{}`, "state|'failed'")
	w, err := jobs.WriteBackOf(t.Context(), place, run.ID, uint64(sent))
	if err != nil || w == nil {
		t.Fatal(w, err)
	}
	if w.Run != run.ID || w.Event != "sent" || w.Statement != spec.OnSent || w.Zone != place.Company.Timezone {
		t.Errorf("%+v", w)
	}
	for name, want := range map[string]any{"sent_at": "2026-07-01 12:00:00.250000", "state": "sent", "account": "main", "smtp_code": 250, "message_id": "<a@b>", "error": nil, "smtp_enhanced": nil} {
		if w.Args[name] != want {
			t.Errorf("%s is %v, want %v", name, w.Args[name], want)
		}
	}
	if w, err := jobs.WriteBackOf(t.Context(), place, run.ID, uint64(failed)); w != nil || err != nil {
		t.Errorf("nothing is to be written of a failed one: %+v %v", w, err)
	}
	if _, err := jobs.WriteBackOf(t.Context(), place, run.ID, 999); err == nil || !strings.Contains(err.Error(), "no row 999") {
		t.Errorf("a row that is gone: %v", err)
	}
}
