package jobs

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/db"
	"outboxd/jobs/fence"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// mailings makes the scheduler one whose runs a keeper works on. done tells what that makes of a run that has begun.
func (s *scheduling) mailings(policy string, lateBy time.Duration, done func(*db.Run)) {
	s.kind, s.missed, s.work = mailing.KindMailing, missed{policy, lateBy}, nil
	s.spec = func(scheduled time.Time) (string, string) { return "{}", scheduled.Format("2006-01") }
	s.begun = func(db.Run) {
		s.fired = append(s.fired, s.clock.now())
		done(s.table.last())
	}
	s.trouble = func(err error) {
		if err != nil {
			s.troubles = append(s.troubles, err.Error())
		}
	}
	s.leftOut = func(scheduled time.Time, note string) {
		s.troubles = append(s.troubles, scheduled.Format("01-02 15:04")+" left out: "+note)
	}
	s.late = func(open *db.Run, due time.Time) {
		if open != nil {
			s.troubles = append(s.troubles, due.Format("01-02 15:04")+" waits")
		}
	}
}

func end(r *db.Run) {
	if r.State == db.RunRunning {
		r.State = db.RunDone
	}
}

// P7: the mailing of the 1st at eight, with no daemon there from the 31st to the 2nd, follows its policy, once and with a note. One that is
// late by less than a quarter of an hour was not missed.
func TestP7_MissedTimesFollowTheirPolicy(t *testing.T) {
	const away = 2*24*time.Hour - 2*time.Hour // from 22:00 of the 31st to 20:00 of the 2nd: 36 hours late
	for _, c := range []struct {
		name, policy string
		lateBy       time.Duration
		away         time.Duration
		runs, told   string
	}{
		{"run", jobfile.Run, 0, away, "12-01 08:00 done", ""},
		{"late by more", jobfile.Run, 48 * time.Hour, away, "12-01 08:00 done", ""},
		{"late by less", jobfile.Run, 12 * time.Hour, away, "12-01 08:00 skipped", "12-01 08:00 left out: missed: it was to begin at 2026-12-01 08:00, 36h00m ago, and may be no later than 12h00m (late_by)"},
		{"skip", jobfile.Skip, 0, away, "12-01 08:00 skipped", "12-01 08:00 left out: missed: it was to begin at 2026-12-01 08:00, 36h00m ago, and what was missed is left out (missed: skip)"},
		{"ask", jobfile.Ask, 0, away, "12-01 08:00 asked", ""},
		{"ask, and late by less", jobfile.Ask, time.Hour, away, "12-01 08:00 skipped", "12-01 08:00 left out: missed: it was to begin at 2026-12-01 08:00, 36h00m ago, and may be no later than 1h00m (late_by)"},
		{"skip, a little late", jobfile.Skip, 0, 10*time.Hour + 14*time.Minute, "12-01 08:00 done", ""},
		{"ask, a little late", jobfile.Ask, 0, 10*time.Hour + 14*time.Minute, "12-01 08:00 done", ""},
		{"skip, missed", jobfile.Skip, 0, 10*time.Hour + 16*time.Minute, "12-01 08:00 skipped", "12-01 08:00 left out: missed: it was to begin at 2026-12-01 08:00, 16m0s ago, and what was missed is left out (missed: skip)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScheduling(t, "0 8 1 * *", "Europe/Rome")
				s.mailings(c.policy, c.lateBy, end)
				s.at("2026-10-31 12:00:00")
				s.live(34 * time.Hour)                     // November's comes in time
				time.Sleep(30*24*time.Hour - 24*time.Hour) // to 22:00 of 2026-11-30
				time.Sleep(c.away)
				s.live(time.Hour)
				s.live(time.Hour) // a restart
				want := "10-31 12:00 skipped, 11-01 08:00 done, " + c.runs
				if got := s.table.text(); got != want {
					t.Errorf("runs %s, want %s", got, want)
				}
				if got := strings.Join(s.troubles, "; "); got != c.told {
					t.Errorf("told %q, want %q", got, c.told)
				}
				if last := s.table.last(); last.StartedBy != db.BySchedule || (last.State != db.RunSkipped) != (last.Period == "2026-12" && last.Spec == "{}") {
					t.Errorf("%+v", last)
				}
			})
		})
	}
}

// P7: of several missed times the latest follows the policy, and the others stand in one run, with a note.
func TestP7_OlderMissedTimesAreOneSkippedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "Europe/Rome")
		s.mailings(jobfile.Run, 0, end)
		s.at("2026-11-01 12:00:00")
		s.live(time.Hour)
		time.Sleep(4 * 24 * time.Hour)
		s.live(time.Hour)
		time.Sleep(2 * 24 * time.Hour)
		s.live(time.Hour)
		want := "11-01 12:00 skipped, 11-04 08:00 skipped, 11-05 08:00 done, 11-06 08:00 skipped, 11-07 08:00 done"
		if got := s.table.text(); got != want {
			t.Errorf("runs %s, want %s", got, want)
		}
		if n := s.table.runs[1].Note; n != "missed: 3 times from 2026-11-02 08:00 to 2026-11-04 08:00; only the latest time that was missed, 2026-11-05 08:00, counts" {
			t.Errorf("note %q", n)
		}
		if n := s.table.runs[3].Note; n != "missed: 2026-11-06 08:00; only the latest time that was missed, 2026-11-07 08:00, counts" {
			t.Errorf("note %q", n)
		}
	})
}

// P7: a run that a person starts while no daemon is there hides no time that was missed. One that names a time is the run of that time, and
// what had come before it was missed.
func TestP7_RunsByHandHideNoMissedTime(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		byHand       []string
		runs         string
	}{
		{"run", jobfile.Run, []string{"11-04 10:00"}, "11-04 08:00 done"},
		{"skip", jobfile.Skip, []string{"11-04 10:00", "11-04 11:30"}, "11-04 08:00 skipped"},
		{"ask", jobfile.Ask, []string{"11-04 10:00"}, "11-04 08:00 asked"},
		{"the time itself", jobfile.Run, []string{"11-04 08:00"}, "11-04 08:00 by hand"},
		{"a time before", jobfile.Run, []string{"11-03 08:00"}, "11-03 08:00 by hand, 11-04 08:00 done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScheduling(t, "0 8 * * *", "Europe/Rome")
				s.mailings(c.policy, 0, end)
				s.at("2026-11-01 12:00:00")
				s.live(24 * time.Hour)
				time.Sleep(2 * 24 * time.Hour) // from noon of the 2nd to noon of the 4th
				s.byHand(t, c.byHand...)
				s.live(time.Hour)
				s.live(time.Hour) // a restart
				if got := s.table.schedule(); !strings.HasSuffix(got, c.runs) || strings.Count(got, "11-04 08:00") != 1 {
					t.Errorf("runs %s, want %s", got, c.runs)
				}
				if got := s.table.schedule(); !strings.HasPrefix(got, "11-01 12:00 skipped, 11-02 08:00 done, 11-03 08:00 ") {
					t.Errorf("runs %s: the 3rd is not noted", got)
				}
				s.table.last().State = db.RunDone // where a person was asked
				s.live(20 * time.Hour)
				if got := s.table.schedule(); !strings.HasSuffix(got, ", 11-05 08:00 "+string(s.table.last().State)) {
					t.Errorf("runs %s: the next time is missing", got)
				}
			})
		})
	}
}

// A job that people have started before any daemon was there begins as one that was first seen.
func TestJobThatWasStartedByHandFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "Europe/Rome")
		s.mailings(jobfile.Run, 0, end)
		s.at("2026-11-04 10:00:00")
		s.byHand(t, "11-01 10:00", "11-04 10:00")
		s.live(23 * time.Hour)
		if got := s.table.text(); got != "11-01 10:00 done, 11-04 10:00 done, 11-04 10:01 skipped, 11-05 08:00 done" {
			t.Errorf("runs %s", got)
		}
	})
}

// byHand notes runs that eva has started and that are done, for times of 2026.
func (s *scheduling) byHand(t *testing.T, times ...string) {
	t.Helper()
	for _, text := range times {
		at, err := time.Parse("2006-01-02 15:04", "2026-"+text)
		if err != nil {
			t.Fatal(err)
		}
		s.table.runs = append(s.table.runs, db.Run{Job: s.job, Scheduled: at, State: db.RunDone, StartedBy: "eva"})
	}
}

// P7: where the jump of the clocks brings several times of a job to one moment, one run stands for them, and none is told as missed.
func TestP7_TimesAtOneMomentAreOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 * * * *", "Europe/Rome")
		s.mailings(jobfile.Skip, 0, end)
		s.at("2026-03-29 00:30:00")
		s.live(3 * time.Hour)
		if got := s.table.text(); got != "03-29 00:30 skipped, 03-29 01:00 done, 03-29 02:00 skipped, 03-29 03:00 done, 03-29 04:00 done" {
			t.Errorf("runs %s", got)
		}
		if n := s.table.runs[2].Note; n != "clocks were put forward over 2026-03-29 02:00: at that moment the run of 2026-03-29 03:00 begins, which stands for it too" {
			t.Errorf("note %q", n)
		}
	})
}

// P7: while a run of the job has not ended the next one waits, and a person is told when that takes long; late_by counts meanwhile.
func TestP7_RunsOfAJobDoNotOverlap(t *testing.T) {
	for _, c := range []struct {
		name   string
		open   time.Duration
		lateBy time.Duration
		runs   string
		told   string
	}{
		{"short", 24*time.Hour + 10*time.Minute, 0, "11-02 08:00 done, 11-03 08:00 held", ""},
		{"long", 26 * time.Hour, 0, "11-02 08:00 done, 11-03 08:00 held", "11-03 08:00 waits"},
		{"too long", 26 * time.Hour, time.Hour, "11-02 08:00 done, 11-03 08:00 skipped", "11-03 08:00 waits; 11-03 08:00 left out: missed: it was to begin at 2026-11-03 08:00, 2h00m ago, and may be no later than 1h00m (late_by)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScheduling(t, "0 8 * * *", "Europe/Rome")
				s.mailings(jobfile.Run, c.lateBy, func(r *db.Run) {
					if r.State == db.RunRunning {
						r.State = db.RunHeld
					}
				})
				s.at("2026-11-01 12:00:00")
				s.live(20*time.Hour + c.open)
				s.table.runs[1].State = db.RunDone
				s.live(time.Hour)
				want := "11-01 12:00 skipped, " + c.runs
				if got := s.table.text(); got != want {
					t.Errorf("runs %s, want %s", got, want)
				}
				told := slicesUnique(s.troubles)
				if got := strings.Join(told, "; "); got != c.told {
					t.Errorf("told %q, want %q", got, c.told)
				}
			})
		})
	}
}

// slicesUnique leaves of equal texts in a row one: who is told of the same again is told once by the alerter.
func slicesUnique(all []string) (some []string) {
	for _, text := range all {
		if len(some) == 0 || some[len(some)-1] != text {
			some = append(some, text)
		}
	}
	return some
}

// P7: what ran under the job's name of before does not run again, and keeps the job waiting while it has not ended.
func TestP7_ARenamedJobGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "Europe/Rome")
		s.mailings(jobfile.Run, 0, end)
		s.was = "old"
		s.at("2026-11-03 12:00:00")
		s.table.runs = []db.Run{{ID: 1, Job: "old", Scheduled: time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC), State: db.RunHeld}}
		s.live(24 * time.Hour)
		if got := s.table.text(); got != "11-03 08:00 held" {
			t.Fatalf("runs %s", got)
		}
		s.table.runs[0].State = db.RunDone
		s.live(time.Hour)
		if got := s.table.text(); got != "11-03 08:00 done, 11-04 08:00 done" || s.table.last().Job != "purge" {
			t.Errorf("runs %s", got)
		}
	})
}

// P7: a statement that a person has started for an older time is run, though a later time has had its run.
func TestP7_StatementOfAnOlderTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "Europe/Rome")
		s.kind, s.missed = kindSQL, missed{policy: jobfile.Run}
		s.at("2026-11-01 12:00:00")
		s.live(48 * time.Hour)
		s.byHand(t, "11-01 08:00")
		s.table.last().State, s.table.held = db.RunRunning, false
		s.live(24 * time.Hour)
		if got := s.table.text(); got != "11-01 12:00 skipped, 11-02 08:00 done, 11-03 08:00 done, 11-01 08:00 done, 11-04 08:00 done" || len(s.fired) != 4 {
			t.Errorf("runs %s, %d fired", got, len(s.fired))
		}
	})
}

// A time that a person was asked about, of a job that runs a statement, runs when the person says so.
func TestAskedRunOfAStatement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "Europe/Rome")
		s.kind, s.missed = kindSQL, missed{policy: jobfile.Ask}
		s.at("2026-11-02 12:00:00")
		s.table.runs = []db.Run{{ID: 1, Job: "purge", Scheduled: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC), State: db.RunDone}}
		s.live(time.Hour)
		if got := s.table.text(); got != "11-01 08:00 done, 11-02 08:00 asked" || len(s.fired) > 0 {
			t.Fatalf("runs %s", got)
		}
		s.table.last().State = db.RunRunning
		s.live(time.Minute)
		if got := s.table.text(); got != "11-01 08:00 done, 11-02 08:00 done" || len(s.fired) != 1 {
			t.Errorf("runs %s", got)
		}
	})
}

// P8: in a copy nothing is begun, left out or asked about.
func TestP8_NoTimeIsMissedInACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 8 * * *", "UTC")
		s.mailings(jobfile.Ask, 0, end)
		s.at("2026-11-01 12:00:00")
		s.live(time.Hour)
		s.fenced = &fence.Error{}
		s.live(3 * 24 * time.Hour)
		if got := s.table.text(); got != "11-01 12:00 skipped" {
			t.Errorf("runs %s", got)
		}
	})
}
