package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail"
	"outboxd/mail/oauth/oauthtest"
)

func TestTokenIsRenewedAheadOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		first := token(t, s, "")
		time.Sleep(54 * time.Minute)
		if got := token(t, s, ""); got != first || at.Renewals() != 0 {
			t.Errorf("%s after 54 minutes, %d renewals", got, at.Renewals())
		}
		time.Sleep(2 * time.Minute)
		if got := token(t, s, ""); got == first || !at.Good(got) || at.Renewals() != 1 {
			t.Errorf("%s after 56 minutes, %d renewals", got, at.Renewals())
		}
	})
}

// askTogether has all ask for a token at once, and wants a good one for each.
func askTogether(t *testing.T, at *oauthtest.Server, sources ...*Source) {
	t.Helper()
	var all sync.WaitGroup
	for _, s := range sources {
		all.Go(func() {
			if got, err := s.Token(t.Context(), ""); err != nil || !at.Good(got) {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	all.Wait()
}

// TestOneRenewalForMany: many senders that need a token at once cost one question.
func TestOneRenewalForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		time.Sleep(2 * time.Hour)
		at.Script(oauthtest.Answer{Before: func() { time.Sleep(time.Second) }})
		askTogether(t, at, slices.Repeat([]*Source{s}, 50)...)
		if n := at.Renewals(); n != 1 {
			t.Errorf("%d renewals", n)
		}
	})
}

// TestRotationIsKept: a restart goes on with the newest refresh token, and without a question while the access token lasts.
func TestRotationIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := signedIn(t, at, f)
		for range 5 {
			time.Sleep(time.Hour)
			token(t, s, "")
		}
		renewals := at.Renewals()
		again := source(t, config(at), f)
		if got := token(t, again, ""); !at.Good(got) || at.Renewals() != renewals {
			t.Errorf("%s, %d renewals", got, at.Renewals()-renewals)
		}
		time.Sleep(time.Hour)
		if got := token(t, again, ""); !at.Good(got) || renewals != 5 {
			t.Errorf("%s, %d renewals before", got, renewals)
		}
		// The first process finds that the second has renewed it.
		if got := token(t, s, ""); !at.Good(got) || at.Renewals() != renewals+1 {
			t.Errorf("%s, %d renewals", got, at.Renewals()-renewals)
		}
	})
}

// TestTwoProcessesRenewOnce: they share the files, as a daemon and a command beside it do.
func TestTwoProcessesRenewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		one := signedIn(t, at, f)
		two := source(t, config(at), f)
		time.Sleep(2 * time.Hour)
		at.Script(oauthtest.Answer{Before: func() { time.Sleep(time.Second) }})
		askTogether(t, at, one, two)
		if n := at.Renewals(); n != 1 {
			t.Errorf("%d renewals", n)
		}
	})
}

// TestKilledWhileRenewing: a crash after the question and before the answer leaves what works as long as the server lets the old
// token work, and is told as an end of the sign-in where it does not.
func TestKilledWhileRenewing(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			at, f := server(), newFiles()
			at.Rotate = strict
			s := signedIn(t, at, f)
			time.Sleep(2 * time.Hour)
			at.Script(oauthtest.Answer{Lose: true})
			fault(t, s)
			again := source(t, config(at), f) // the process has ended there
			if !strict {
				if got := token(t, again, ""); !at.Good(got) {
					t.Error(got)
				}
				return
			}
			if e := fault(t, again); e.Passing() || !strings.Contains(e.ErrorHint(), "outboxd account login invoices") {
				t.Errorf("%v: %s", e, e.ErrorHint())
			}
		})
	}
}

// TestKilledWhileWriting: what is read is the old or the new sign-in, and the new one was written before its token was used.
func TestKilledWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := signedIn(t, at, f)
		time.Sleep(2 * time.Hour)
		got := token(t, s, "")
		if kept := f.kept(t); kept.Access != got || kept.Serial != 2 {
			t.Errorf("%+v", kept)
		}
	})
}

// TestFullDisk: mail goes on, the trouble is told, and the next renewal that can be written mends it.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := signedIn(t, at, f)
		f.fail = errors.New("no space left on device")
		time.Sleep(2 * time.Hour)
		if got := token(t, s, ""); !at.Good(got) {
			t.Error(got)
		}
		if w := s.Warnings(time.Time{}, time.Now()); len(w) != 1 || !strings.Contains(w[0].Text, "could not be written") {
			t.Errorf("%v", w)
		}
		f.fail = nil
		time.Sleep(2 * time.Hour)
		if got := token(t, s, ""); !at.Good(got) || f.kept(t).Access != got || s.State().Unsaved != nil {
			t.Errorf("%s, %+v", got, s.State())
		}
	})
}

func TestRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		time.Sleep(20 * time.Minute)
		first := token(t, s, "")
		second := token(t, s, first)
		if second == first || !at.Good(second) {
			t.Errorf("%s after %s", second, first)
		}
		if got := token(t, s, first); got != second { // another sender had the old one too
			t.Error(got)
		}
		if got := token(t, s, second); got != second || at.Renewals() != 1 { // so young that another would be no better
			t.Errorf("%s, %d renewals", got, at.Renewals())
		}
		time.Sleep(youngToken)
		if got := token(t, s, second); got == second || at.Renewals() != 2 {
			t.Errorf("%s, %d renewals", got, at.Renewals())
		}
	})
}

func TestYoungToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		for i, pause := range []time.Duration{youngToken, time.Minute, youngToken} {
			time.Sleep(pause)
			got, err := s.Young(t.Context())
			if err != nil || !at.Good(got) || token(t, s, got) != got {
				t.Errorf("%d: %s, %v", i, got, err)
			}
		}
		if n := at.Renewals(); n != 2 {
			t.Errorf("%d renewals", n)
		}
	})
}

// TestRefusedAndNoOther: a refused token is not given again because the sign-in server is away.
func TestRefusedAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		time.Sleep(20 * time.Minute)
		at.Script(oauthtest.Answer{Status: 503})
		_, err := s.Token(t.Context(), token(t, s, ""))
		if e := asError(t, err); !e.Passing() {
			t.Errorf("%v", e)
		}
	})
}

// TestRefusedAndTheSignInIsOver: what the server refused is not in hand any more, and people are told why there is nothing else.
func TestRefusedAndTheSignInIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		time.Sleep(20 * time.Minute)
		at.Revoke()
		if _, err := s.Token(t.Context(), token(t, s, "")); asError(t, err).Passing() {
			t.Error(err)
		}
		if state := s.State(); state.Good || state.Fault == nil || state.Fault.Passing() {
			t.Errorf("%+v", state)
		}
		if e := fault(t, s); e.Passing() { // nor given to the next who asks
			t.Error(e)
		}
	})
}

// TestSignInEndsAheadOfItsToken: the token that is due is not used when the sign-in is over.
func TestSignInEndsAheadOfItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		at.Revoke()
		time.Sleep(54 * time.Minute)
		if token(t, s, ""); !s.State().Good {
			t.Errorf("%+v", s.State())
		}
		time.Sleep(2 * time.Minute)
		if e := fault(t, s); e.Passing() || s.State().Good {
			t.Errorf("%v, %+v", e, s.State())
		}
	})
}

func TestNobodyHasSignedIn(t *testing.T) {
	f := newFiles()
	s := source(t, config(server()), f)
	if e := fault(t, s); e.Passing() || !strings.Contains(e.ErrorHint(), "`outboxd account login invoices`") {
		t.Errorf("%v: %s", e, e.ErrorHint())
	}
	f.text["invoices"] = []byte(`{"version": 1, "refresh_token": "refresh-token-1`)
	if e := fault(t, s); e.Passing() || !strings.Contains(e.Error(), "damaged") {
		t.Errorf("%v: %s", e, e.ErrorHint())
	}
}

// TestSignInIsOfOneUsernameAndApplication: what was signed in for another is never used.
func TestSignInIsOfOneUsernameAndApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		signedIn(t, at, f)
		for name, change := range map[string]func(*Config){
			"username":  func(c *Config) { c.Username = "eva@acme.example" },
			"client_id": func(c *Config) { c.ClientID = "another-app" },
			"token_url": func(c *Config) { c.Token = "https://login.example/other/token" },
			"scopes":    func(c *Config) { c.Scopes = []string{"imap"} },
		} {
			c := config(at)
			change(&c)
			before := len(at.Asked())
			if e := fault(t, source(t, c, f)); !strings.Contains(e.Error(), "other settings") || len(at.Asked()) != before {
				t.Errorf("%s: %v", name, e)
			}
		}
		c := config(at)
		c.ClientSecret, at.ClientSecret = "another-secret", "another-secret"
		time.Sleep(2 * time.Hour)
		if got := token(t, source(t, c, f), ""); !at.Good(got) { // a new secret ends nothing
			t.Error(got)
		}
	})
}

// TestNewSecretAfterReload: the same sign-in goes on with it.
func TestNewSecretAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := server()
		s := signedIn(t, at, newFiles())
		c := config(at)
		c.ClientSecret, at.ClientSecret = "another-secret", "another-secret"
		time.Sleep(2 * time.Hour)
		if e := fault(t, s); e.TokenOutcome().Class != mail.ClassConfig {
			t.Error(e)
		}
		same, err := s.store.Source(c)
		if err != nil || same != s {
			t.Fatalf("%v, the same %v", err, same == s)
		}
		if got := token(t, s, ""); !at.Good(got) {
			t.Error(got)
		}
		c.Username = "eva@acme.example"
		if other, err := s.store.Source(c); err != nil || other == s {
			t.Errorf("%v, the same %v", err, other == s)
		}
	})
}

// TestRenewalOutlivesItsCaller: a sender that is stopped in the middle does not lose what the server gave.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		s := signedIn(t, at, f)
		time.Sleep(2 * time.Hour)
		asked := make(chan struct{})
		at.Script(oauthtest.Answer{Before: func() { close(asked); time.Sleep(5 * time.Second) }})
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := s.Token(ctx, ""); gone <- err }()
		<-asked
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s.store.Close() // as the daemon ends
		if kept := f.kept(t); !at.Good(kept.Access) || kept.Serial != 2 {
			t.Errorf("%+v", kept)
		}
	})
}

func TestLifeOfATokenIsBounded(t *testing.T) {
	for life, want := range map[int]time.Duration{0: usualLife, 1: shortLife, -5: shortLife, 1 << 30: longLife} {
		synctest.Test(t, func(t *testing.T) {
			at, f := server(), newFiles()
			at.Life = life
			signedIn(t, at, f)
			if g := f.kept(t); g.Expires.Sub(g.Renewed) != want {
				t.Errorf("%d: %s, want %s", life, g.Expires.Sub(g.Renewed), want)
			}
		})
	}
}

// TestClockThatWasSetBack: a token from the future is renewed, for nobody knows how old it is.
func TestClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, f := server(), newFiles()
		signedIn(t, at, f)
		g := f.kept(t)
		g.Renewed, g.Expires = g.Renewed.Add(time.Hour), g.Expires.Add(time.Hour)
		if err := g.save(f); err != nil {
			t.Fatal(err)
		}
		token(t, source(t, config(at), f), "")
		if at.Renewals() != 1 {
			t.Errorf("%d renewals", at.Renewals())
		}
	})
}

func TestAddresses(t *testing.T) {
	for address, fine := range map[string]bool{
		"https://login.example/token": true, "http://127.0.0.1:81/token": true, "http://[::1]/token": true, "http://localhost:9/token": true,
		"http://login.example/token": false, "http://127.0.0.1.example/token": false, "ftp://login.example/": false, "https:///token": false,
		"https://user:pass@login.example/": false, "login.example/token": false, "https://login.example/#x": false, ":": false,
	} {
		c := config(server())
		c.Token = address
		if _, err := NewStore(newFiles()).Source(c); (err == nil) != fine {
			t.Errorf("%s: %v", address, err)
		}
	}
}
