package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail/oauth/oauthtest"
)

func TestLoginByCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := source(t, config(at), f)
		began := time.Now()
		l, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if l.URL != "https://login.example/verify" || l.Code != "ABCD-EFGH" || l.Expires.Sub(began) != 15*time.Minute {
			t.Errorf("%+v", l)
		}
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		noSecrets(t, string(text))
		at.Script(oauthtest.Refuse("slow_down", ""), oauthtest.Answer{Status: 500}, oauthtest.Answer{Lose: true})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if done, err := l.Wait(ctx); done || err != nil {
			t.Error(done, err)
		}
		if n := at.Polls(); n < 12 || n > 24 {
			t.Errorf("%d questions in two minutes", n)
		}
		at.Approve()
		if done, err := l.Wait(t.Context()); !done || err != nil {
			t.Error(done, err)
		}
		if got := token(t, s, ""); !at.Good(got) || s.State().Since.IsZero() || s.Gains() != 1 {
			t.Errorf("%s, %+v", got, s.State())
		}
	})
}

// TestSlowDown: RFC 8628 3.5 wants five seconds more each time.
func TestSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := source(t, config(at), newFiles())
		at.Script(oauthtest.Refuse("slow_down", ""), oauthtest.Refuse("slow_down", ""))
		at.Approve()
		began := time.Now()
		l, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if done, err := l.Wait(t.Context()); !done || err != nil {
			t.Fatal(done, err)
		}
		if took := time.Since(began); took != 5*time.Second+10*time.Second+15*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

func TestLoginThatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*oauthtest.Server)
		want    string
	}{
		"denied":   {func(at *oauthtest.Server) { at.Deny() }, "access_denied"},
		"declined": {func(at *oauthtest.Server) { at.Script(oauthtest.Refuse("authorization_declined", "")) }, "authorization_declined"},
		"expired":  {func(at *oauthtest.Server) { at.Script(oauthtest.Refuse("expired_token", "")) }, "expired_token"},
		"never":    {func(*oauthtest.Server) {}, "in time"},
		"wrong":    {func(at *oauthtest.Server) { at.Script(oauthtest.Refuse("invalid_client", "AADSTS7000218: secret")) }, "invalid_client"},
		"no refresh token": {func(at *oauthtest.Server) {
			at.Script(oauthtest.Answer{Status: 200, Body: `{"access_token":"access-token-1","expires_in":3600}`})
		}, "no refresh token"},
		"strange token": {func(at *oauthtest.Server) {
			at.Script(oauthtest.Answer{Status: 200, Body: `{"access_token":"a b","refresh_token":"c","expires_in":3600}`})
		}, "characters"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at, f := server(), newFiles()
				s := source(t, config(at), f)
				tc.prepare(at)
				l, err := s.Begin(t.Context(), false)
				if err != nil {
					t.Fatal(err)
				}
				done, err := l.Wait(t.Context())
				if e := asError(t, err); !done || !strings.Contains(e.Error(), tc.want) || e.ErrorHint() == "" || strings.Contains(e.ErrorHint(), "NAME") {
					t.Errorf("%v: %s", e, e.ErrorHint())
				}
				if f.writes != 0 {
					t.Error("something was kept")
				}
			})
		})
	}
}

func TestLoginThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		c := config(at)
		c.ClientID = "another-app"
		_, err := source(t, c, newFiles()).Begin(t.Context(), false)
		if e := asError(t, err); !strings.Contains(e.ErrorHint(), "tenant") {
			t.Errorf("%v: %s", e, e.ErrorHint())
		}
		at.CodeLife = -1 // a server that makes no sense
		_, err = source(t, config(at), newFiles()).Begin(t.Context(), false)
		if e := asError(t, err); !strings.Contains(e.Error(), "no code") {
			t.Error(e)
		}
		c = config(at)
		c.Authorize = ""
		_, err = source(t, c, newFiles()).Begin(t.Context(), true)
		asError(t, err)
	})
}

// TestStrangePauses: a server's interval is bounded, for one below zero would be a panic.
func TestStrangePauses(t *testing.T) {
	for _, interval := range []int{-1, 0, 1 << 40} {
		synctest.Test(t, func(t *testing.T) {
			at := server()
			at.Interval = interval
			began := time.Now()
			signedIn(t, at, newFiles())
			if took := time.Since(began); took != usualPause*time.Second {
				t.Errorf("%d: %s", interval, took)
			}
		})
	}
}

// TestLoginThatIsFollowed: another sign-in of the account ends the one before.
func TestLoginThatIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := source(t, config(at), newFiles())
		first, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if s.store.Login(first.ID) != first || s.store.Login("") != nil {
			t.Error("not found by its ID")
		}
		second, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Wait(t.Context()); err == nil || s.store.Login(first.ID) != nil || s.store.Login(second.ID) != second {
			t.Error("the first goes on")
		}
		at.Approve()
		if _, err := second.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLoginGoesOnWithoutItsClient: who began it may be gone when the code is entered.
func TestLoginGoesOnWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := source(t, config(at), newFiles())
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Begin(ctx, false); err != nil {
			t.Fatal(err)
		}
		cancel()
		at.Approve()
		time.Sleep(time.Minute)
		if got := token(t, s, ""); !at.Good(got) {
			t.Error(got)
		}
	})
}

func TestLoginByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		c := config(at)
		c.Device = "" // as with Google
		s := source(t, c, newFiles())
		l, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if l.Code != "" || !strings.Contains(l.URL, "login_hint=invoices%40acme.example") || !strings.Contains(l.URL, "access_type=offline") || !strings.Contains(l.URL, "prompt=consent") {
			t.Error(l.URL)
		}
		noSecrets(t, l.URL)
		end, err := at.Consent(l.URL)
		if err != nil {
			t.Fatal(err)
		}
		for pasted, want := range map[string]string{
			"": "not the address", "code-1": "not the address", "https://evil.example/?code=x&state=y": "not the address",
			"http://localhost/?code=code-1":                    "does not belong",
			"http://localhost/?code=code-1&state=guessed":      "does not belong",
			strings.Replace(end, "code=code-1", "", 1):         "no code",
			end + strings.Repeat("x", maxPasted):               "not the address",
			strings.Replace(end, "code=code-1", "code=zzz", 1): "invalid_grant",
			strings.Replace(end, "code=code-1", "error=access_denied&error_description=AADSTS65004%3A+declined", 1): "access_denied",
		} {
			if e := asError(t, l.Redeem(t.Context(), pasted)); !strings.Contains(e.Error(), want) || e.ErrorHint() == "" {
				t.Errorf("%.80s: %v: %s", pasted, e, e.ErrorHint())
			}
		}
		if err := l.Redeem(t.Context(), " "+end+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := token(t, s, ""); !at.Good(got) {
			t.Error(got)
		}
		asError(t, l.Redeem(t.Context(), end)) // the code is used up
	})
}

func TestAddressOfAnOldLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		l, err := source(t, config(at), newFiles()).Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		end, err := at.Consent(l.URL)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(loginTime + time.Second)
		if e := asError(t, l.Redeem(t.Context(), end)); !strings.Contains(e.Error(), "too long ago") {
			t.Error(e)
		}
	})
}

// TestMicrosoftAsksForNoNewConsent: people there may have no right to consent.
func TestMicrosoftAsksForNoNewConsent(t *testing.T) {
	c := config(server())
	c.Authorize = "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize"
	l, err := source(t, c, newFiles()).Begin(t.Context(), true)
	if err != nil || !strings.Contains(l.URL, "prompt=select_account") {
		t.Errorf("%v, %+v", err, l)
	}
}

// TestSignInThatCannotBeKept fails while the person is there to see it.
func TestSignInThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		f.fail = errors.New("read-only file system")
		s := source(t, config(at), f)
		l, err := s.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		at.Approve()
		_, err = l.Wait(t.Context())
		if e := asError(t, err); !strings.Contains(e.Error(), "read-only") || !strings.Contains(e.ErrorHint(), "state directory") {
			t.Errorf("%v: %s", e, e.ErrorHint())
		}
	})
}

// TestSignInAnew ends the trouble of the one before.
func TestSignInAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := signedIn(t, at, f)
		at.Revoke()
		time.Sleep(2 * time.Hour)
		fault(t, s)
		if state := s.State(); state.Fault == nil || state.Good {
			t.Errorf("%+v", state)
		}
		signIn(t, s, at)
		if state := s.State(); state.Fault != nil || !state.Good || s.Gains() != 2 || f.kept(t).Serial != 2 {
			t.Errorf("%+v, %+v", state, f.kept(t))
		}
		if got := token(t, s, ""); !at.Good(got) {
			t.Error(got)
		}
	})
}

func FuzzPastedAddress(f *testing.F) {
	f.Add("http://localhost/?state=s&code=c")
	f.Add("http://localhost/?error=access_denied&error_description=AADSTS65004")
	f.Add("http://[::1/?%zz")
	f.Fuzz(func(t *testing.T, pasted string) {
		l := &Login{state: "s"}
		code, err := l.codeIn(Config{Account: "a", Token: "https://login.example/"}, pasted)
		if (code == "") == (err == nil) {
			t.Errorf("%q: %q, %v", pasted, code, err)
		}
	})
}
