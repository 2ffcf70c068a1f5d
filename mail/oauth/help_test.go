package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/mail/oauth/oauthtest"
)

// files keeps sign-ins in memory, as long as the test lives: over the stores, which are processes.
type files struct {
	mu     sync.Mutex
	text   map[string][]byte
	fail   error // of Write
	writes int
	locks  map[string]chan struct{}
}

func newFiles() *files { return &files{text: map[string][]byte{}, locks: map[string]chan struct{}{}} }

func (f *files) Read(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.text[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return text, nil
}

func (f *files) Write(name string, text []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.fail == nil {
		f.text[name] = text
	}
	return f.fail
}

func (f *files) Lock(ctx context.Context, name string) (func(), error) {
	f.mu.Lock()
	lock := f.locks[name]
	if lock == nil {
		lock = make(chan struct{}, 1)
		f.locks[name] = lock
	}
	f.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *files) kept(t *testing.T) grant {
	t.Helper()
	var g grant
	text, err := f.Read("invoices")
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func server() *oauthtest.Server {
	return &oauthtest.Server{ClientID: "outboxd-app", ClientSecret: "client-secret", Life: 3600, Rotate: true, CodeLife: 900}
}

func config(s *oauthtest.Server) Config {
	return Config{Account: "invoices", Username: "invoices@acme.example", ClientID: "outboxd-app", ClientSecret: "client-secret",
		Device: "https://login.example/device", Authorize: "https://login.example/authorize", Token: "https://login.example/token",
		Scopes: []string{"smtp", "offline_access"}, Transport: s}
}

// source is the account's sign-in in a process of its own.
func source(t *testing.T, c Config, f *files) *Source {
	t.Helper()
	store := NewStore(f)
	t.Cleanup(store.Close)
	s, err := store.Source(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signIn signs in by device code.
func signIn(t *testing.T, s *Source, at *oauthtest.Server) {
	t.Helper()
	l, err := s.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	at.Approve()
	if done, err := l.Wait(t.Context()); !done || err != nil {
		t.Fatal(done, err)
	}
}

// signedIn is a source of which somebody has signed in.
func signedIn(t *testing.T, at *oauthtest.Server, f *files) *Source {
	t.Helper()
	s := source(t, config(at), f)
	signIn(t, s, at)
	return s
}

func token(t *testing.T, s *Source, rejected string) string {
	t.Helper()
	token, err := s.Token(t.Context(), rejected)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// fault is the error of a token that could not be had.
func fault(t *testing.T, s *Source) *Error {
	t.Helper()
	token, err := s.Token(t.Context(), "")
	if err == nil {
		t.Fatalf("there is a token: %s", token)
	}
	return asError(t, err)
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	noSecrets(t, fmt.Sprintf("%v %+v %v", e, e.outcome, e.err))
	return e
}

// noSecrets looks for what the tests' server gives and takes.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{"refresh-token-", "access-token-", "client-secret", "device-secret", "code-1"} {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			t.Errorf("%s in %s", secret, text)
		}
	}
}

const month = 30 * 24 * time.Hour
