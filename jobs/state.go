package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/jobs/witness"
	"outboxd/mail/oauth"
	"outboxd/mail/smtpout"
	"outboxd/statefile"
)

// State is the state directory of a daemon: what it remembers of the companies' databases, and the sign-ins of accounts.
type State struct {
	*witness.Folder
	signIns *oauth.Store
}

// OpenState opens the state directory of the daemon of this name; "" remembers as long as the process lives. Nothing is read or
// made yet.
func OpenState(path, name string) *State {
	id := sha256.Sum256([]byte(name))
	files := &signInFiles{memory: map[string][]byte{}}
	if path != "" {
		files.folder = filepath.Join(path, witness.SignIns)
	}
	return &State{witness.New(path, hex.EncodeToString(id[:4]), computer()), oauth.NewStore(files)}
}

// Close ends sign-ins that are under way, and waits for what has to be kept.
func (s *State) Close() { s.signIns.Close() }

// access is how an account reaches its server and logs in, with its secrets read.
type access struct {
	smtpout.Config
	signIn *oauth.Source // nil: it does not log in by OAuth
	secret string        // the password or the application's secret
}

// access reads the account's secrets and trust roots.
func (s *State) access(a *jobfile.Account) (access, error) {
	conf, err := smtpConfig(a)
	to := access{Config: conf, secret: conf.Password}
	if err != nil || a.OAuth == nil {
		return to, err
	}
	o := a.OAuth
	if !o.ClientSecret.IsZero() {
		if to.secret, err = o.ClientSecret.Read(); err != nil {
			return to, fmt.Errorf("account %s: client_secret: %w", a.Name, err)
		}
	}
	to.signIn, err = s.signIns.Source(oauth.Config{Account: a.Name, Username: a.Username, ClientID: o.ClientID, ClientSecret: to.secret,
		Device: o.DeviceURL, Authorize: o.AuthorizeURL, Token: o.TokenURL, Scopes: o.Scopes})
	if err == nil {
		to.Token = to.signIn.Token
	}
	return to, err
}

// signInFiles keeps sign-ins in a folder, or in memory where there is none.
type signInFiles struct {
	folder string
	mu     sync.Mutex
	memory map[string][]byte
}

func (f *signInFiles) path(name, kind string) string { return filepath.Join(f.folder, name+kind) }

// Read returns what was written last.
func (f *signInFiles) Read(name string) ([]byte, error) {
	if f.folder != "" {
		return os.ReadFile(f.path(name, ".json"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if text, ok := f.memory[name]; ok {
		return text, nil
	}
	return nil, fs.ErrNotExist
}

// Write replaces it, and returns when a crash of the computer does not bring the old text back.
func (f *signInFiles) Write(name string, text []byte) error {
	if f.folder != "" {
		path := f.path(name, ".json")
		if err := statefile.Write(path, text); err != nil {
			return err
		}
		return statefile.SyncFolder(path)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory[name] = text
	return nil
}

// lockEvery is how often somebody who waits for a lock looks.
const lockEvery = 50 * time.Millisecond

// Lock keeps other processes from the name.
func (f *signInFiles) Lock(ctx context.Context, name string) (func(), error) {
	if f.folder == "" {
		return func() {}, nil
	}
	if err := statefile.MakeFolder(f.folder); err != nil {
		return nil, err
	}
	path := f.path(name, ".lock")
	for {
		file, err := statefile.Lock(path)
		switch {
		case err == nil:
			if err := statefile.GiveAway(path); err != nil {
				return nil, errors.Join(err, file.Close())
			}
			return func() { _ = file.Close() }, nil // which ends the lock in any case
		case !errors.Is(err, statefile.ErrLocked):
			return nil, err
		case !sleep(ctx, lockEvery):
			return nil, ctx.Err()
		}
	}
}
