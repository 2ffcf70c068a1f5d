package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Files keeps sign-ins outside of the process, by the account's name.
type Files interface {
	// Read returns what was written last; fs.ErrNotExist where nothing was.
	Read(name string) ([]byte, error)
	// Write replaces it: what is read later is the old or the new text whole, also after a crash within it.
	Write(name string, text []byte) error
	// Lock keeps other processes from the name until unlock is called.
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// grant is a sign-in as it is kept.
type grant struct {
	Version  int       `json:"version"`
	Account  string    `json:"account"`
	Username string    `json:"username"`
	Key      string    `json:"key"`       // of the configuration that it is for
	Serial   int       `json:"serial"`    // counts what was written, so that the newer of two is known whatever the clocks say
	SignedIn time.Time `json:"signed_in"` // when a person did
	Renewed  time.Time `json:"renewed"`   // when the server gave the access token
	Expires  time.Time `json:"expires"`   // when that ends
	Ends     time.Time `json:"ends"`      // when the sign-in ends unless it is renewed; zero: the server does not say
	Moves    bool      `json:"moves"`     // a renewal has been seen to move that end
	Access   string    `json:"access_token"`
	Refresh  string    `json:"refresh_token"`
}

const (
	grantVersion = 1
	maxToken     = 8 << 10 // octets; in base64 it has to fit into one response of AUTH
	// shortLife and longLife bound how long an access token counts as good; usualLife is where the server does not say.
	shortLife = time.Minute
	usualLife = 30 * time.Minute
	longLife  = 24 * time.Hour
)

// load reads the account's sign-in, of whatever configuration; nil where there is none.
func load(files Files, account string) (*grant, error) {
	text, err := files.Read(account)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sign-in: %w", err)
	}
	g := &grant{}
	if json.Unmarshal(text, g) != nil { // the error may show what is in it
		return nil, errors.New("read the sign-in: the file is damaged")
	}
	return g, nil
}

// fits tells whether it is a sign-in for the configuration with that key.
func (g *grant) fits(key string) bool {
	return g != nil && g.Version == grantVersion && g.Key == key && g.Refresh != ""
}

func (g *grant) save(files Files) error {
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return err
	}
	if err := files.Write(g.Account, append(text, '\n')); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	return nil
}

// take notes what a server has given. The error tells of a token that cannot be used.
func (g *grant) take(t *oauth2.Token, now time.Time) error {
	switch {
	case !strings.EqualFold(t.Type(), "bearer"):
		return errors.New("a token of a kind that is not known here")
	case unfit(t.AccessToken), unfit(t.RefreshToken):
		return fmt.Errorf("a token of more than %d octets, or with characters that none has", maxToken)
	}
	life := usualLife
	if !t.Expiry.IsZero() {
		life = min(max(t.Expiry.Sub(now), shortLife), longLife)
	}
	g.Access, g.Refresh, g.Renewed, g.Expires = t.AccessToken, t.RefreshToken, now, now.Add(life)
	if ends := endOf(t, now); !ends.IsZero() {
		g.Moves = !g.Ends.IsZero() && ends.Sub(g.Ends) > time.Minute
		g.Ends = ends
	}
	return nil
}

func unfit(token string) bool {
	return len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// endOf is when the refresh token ends, where the answer says so: by no standard, but under one of these names.
func endOf(t *oauth2.Token, now time.Time) time.Time {
	for _, name := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
		var seconds float64
		switch n := t.Extra(name).(type) {
		case float64:
			seconds = n
		case int64:
			seconds = float64(n)
		}
		if seconds > 0 && seconds < 1e10 { // the longest is three centuries
			return now.Add(time.Duration(min(seconds, 9e9)) * time.Second)
		}
	}
	return time.Time{}
}

// good tells whether the access token can still be used, by the clock. One that seems to come from the future says that the clock was set.
func (g *grant) good(now time.Time) bool {
	return g.Access != "" && now.Before(g.Expires) && !now.Before(g.Renewed.Add(-time.Minute))
}

// due is when to renew: ahead of the end by up to five minutes.
func (g *grant) due() time.Time {
	return g.Expires.Add(-min(5*time.Minute, g.Expires.Sub(g.Renewed)/4))
}
