package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Config is how one account signs in.
type Config struct {
	Account      string // its name in jobs.yaml: whom a remedy tells to sign in
	Username     string // the mailbox
	ClientID     string
	ClientSecret string // "" for an application without one
	Device       string // where a sign-in by device code begins; "" where the provider grants no mail that way
	Authorize    string // where a person consents in a browser
	Token        string // where tokens are fetched and renewed
	Scopes       []string

	Transport http.RoundTripper // nil: the system's, with the proxy that the environment names
}

const (
	answerTime = 20 * time.Second // for one question to a server, with its answer
	maxAnswer  = 64 << 10         // octets
	// redirect is where the browser ends up with the code: nobody listens there, the person copies the address. RFC 8252 7.3 has
	// servers take any port of it.
	redirect = "http://localhost"
)

// check refuses addresses to which a secret must not go.
func (c Config) check() error {
	for _, address := range []string{c.Device, c.Authorize, c.Token} {
		if address == "" {
			continue
		}
		if err := checkAddress(address); err != nil {
			return fmt.Errorf("account %s: %s: %w", c.Account, address, err)
		}
	}
	if c.Token == "" || c.ClientID == "" || c.Username == "" {
		return fmt.Errorf("account %s: oauth needs a username, a client_id and a token_url", c.Account)
	}
	return nil
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("it is no address")
	case u.Hostname() == "", u.User != nil, u.Fragment != "":
		return errors.New("an address is https://HOST/PATH")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("only https is safe; http is for loopback alone")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// key tells the sign-in of one username with one application from all others. The secret is no part of it: a new one does not
// end a sign-in.
func (c Config) key() string {
	text, err := json.Marshal([]any{c.Username, c.ClientID, c.Token, c.Scopes})
	if err != nil { // strings always can be
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// client is the configuration as package oauth2 takes it.
func (c Config) client() *oauth2.Config {
	return &oauth2.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: redirect, Scopes: c.Scopes,
		// The style is not guessed: each failure would be asked twice, and a renewal that is asked twice may end the sign-in.
		Endpoint: oauth2.Endpoint{AuthURL: c.Authorize, DeviceAuthURL: c.Device, TokenURL: c.Token, AuthStyle: oauth2.AuthStyleInParams}}
}

// with gives the context the HTTP client that package oauth2 is to use.
func (c Config) with(ctx context.Context) context.Context {
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: bounded{base}, CheckRedirect: refuseRedirect})
}

func refuseRedirect(to *http.Request, _ []*http.Request) error {
	return fmt.Errorf("a redirect to %s is not followed", to.URL.Host)
}

// bounded reads an answer whole, within answerTime, and refuses one that is too large.
type bounded struct{ base http.RoundTripper }

// RoundTrip asks once.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	answer, err := b.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("an answer of more than %d octets", maxAnswer)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}
