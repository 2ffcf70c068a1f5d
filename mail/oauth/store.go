package oauth

import (
	"context"
	"sync"
)

// Store has the sign-ins of all accounts of one process.
type Store struct {
	files Files
	ended context.Context
	end   context.CancelFunc
	work  sync.WaitGroup // renewals and sign-ins under way

	mu      sync.Mutex
	closed  bool
	sources map[string]*Source // by account
	logins  map[string]*Login  // by account; one at a time
}

// NewStore returns a store over files. Nothing is read yet.
func NewStore(files Files) *Store {
	s := &Store{files: files, sources: map[string]*Source{}, logins: map[string]*Login{}}
	s.ended, s.end = context.WithCancel(context.Background())
	return s
}

// Source returns the sign-in of an account: the same one for as long as username and application stay the same.
func (s *Store) Source(c Config) (*Source, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.sources[c.Account]; have != nil && have.key == c.key() {
		have.use(c)
		return have, nil
	}
	have := &Source{store: s, key: c.key(), conf: c, turn: make(chan struct{}, 1)}
	s.sources[c.Account] = have
	return have, nil
}

// do does work in the background that Close waits for, and tells whether it was not too late for that.
func (s *Store) do(work func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(work)
	}
	return !s.closed
}

// Close ends sign-ins under way and waits for renewals to be kept. Afterwards there are tokens only while those at hand last.
func (s *Store) Close() {
	s.end()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.work.Wait()
}
