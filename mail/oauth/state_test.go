package oauth

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnusedSignInIsKeptAlive: once a week, and not more often.
func TestUnusedSignInIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		for range 6 * 30 * 24 {
			time.Sleep(time.Hour)
			if err := s.KeepAlive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := at.Renewals(); n < 24 || n > 27 {
			t.Errorf("%d renewals in half a year", n)
		}
		if w := s.Warnings(time.Time{}, time.Now()); len(w) != 0 {
			t.Errorf("%v", w)
		}
	})
}

// TestShortSignInIsKeptAlive: a server may end one that is unused for half an hour.
func TestShortSignInIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		at.Extra = map[string]any{"refresh_expires_in": 1800}
		s := signedIn(t, at, newFiles())
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if err := s.KeepAlive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := at.Renewals(); n < 90 || n > 97 {
			t.Errorf("%d renewals in a day", n)
		}
		if w := s.Warnings(time.Time{}, time.Now()); len(w) != 0 {
			t.Errorf("%v", w)
		}
	})
}

func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		at.Extra = map[string]any{"refresh_token_expires_in": 40 * 24 * 3600}
		s := signedIn(t, at, newFiles())
		signed := time.Now()
		warned := func(secret time.Time) string {
			var all []string
			for _, w := range s.Warnings(secret, time.Now()) {
				if w.Remedy == "" || strings.Contains(w.Remedy, "NAME") {
					t.Errorf("%+v", w)
				}
				all = append(all, w.Text)
			}
			return strings.Join(all, "; ")
		}
		if got := warned(signed.Add(31 * 24 * time.Hour)); got != "" {
			t.Error(got)
		}
		if got := warned(signed.Add(29 * 24 * time.Hour)); !strings.Contains(got, "client secret ends on 2000-01-30") {
			t.Error(got)
		}
		at.Extra = map[string]any{"refresh_token_expires_in": 26 * 24 * 3600} // renewing does not move the end
		time.Sleep(14 * 24 * time.Hour)
		if err := s.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := warned(time.Time{}); !strings.Contains(got, "the sign-in ends on 2000-02-10") {
			t.Error(got)
		}
		at.Extra = nil
		at.Revoke()
		time.Sleep(2*month + 24*time.Hour)
		if err := s.Renew(t.Context()); err == nil {
			t.Error("renewed")
		}
		if got := warned(time.Time{}); !strings.Contains(got, "was not renewed for 61 days") {
			t.Error(got)
		}
	})
}
