package oauth

import (
	"context"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Source is the sign-in of one account. Any goroutine may ask it.
type Source struct {
	store *Store
	key   string
	turn  chan struct{} // holds the one who renews, or writes a new sign-in

	mu       sync.Mutex
	conf     Config
	grant    *grant    // nil: none, or not read yet
	unsaved  error     // why grant could not be kept
	fault    *Error    // why the last renewal failed; nil after one that did not
	patience time.Time // the token in hand is used until then, although it is due
	kept     time.Time // when KeepAlive last tried
	gains    int
}

const (
	// renewTime bounds a renewal with all that belongs to it.
	renewTime = 30 * time.Second
	// youngToken is how old a token is at least that a refusal may blame: a younger one is as good as the next would be.
	youngToken = 10 * time.Minute
	// aheadAgain is when a renewal ahead of time is tried again after one that failed.
	aheadAgain = time.Minute
	// keepEvery is how often a sign-in is renewed that nobody uses: Microsoft ends one after 90 days, Google after six months.
	keepEvery = 7 * 24 * time.Hour
)

// want says which token will do.
type want struct {
	rejected string // the one that the server has just refused
	young    bool   // one of which a refusal says that no other would do
	fresh    bool   // only a new one
}

// use takes a configuration that differs in nothing that the sign-in depends on.
func (s *Source) use(c Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf = c
}

func (s *Source) config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf
}

// Token returns an access token that is good by the clock. rejected is the one that the server has just refused, "" else: it is
// replaced, unless it is so young that another would be no better; then it is returned again. The error is an *[Error], or the context's.
func (s *Source) Token(ctx context.Context, rejected string) (string, error) {
	w := want{rejected: rejected}
	if token := s.ready(w); token != "" {
		return token, nil
	}
	return s.renewed(ctx, w)
}

// Young returns a token that is so young that, if the server refuses it, another would be no better. Its errors are those of Token.
func (s *Source) Young(ctx context.Context) (string, error) {
	w := want{young: true}
	if token := s.ready(w); token != "" {
		return token, nil
	}
	return s.renewed(ctx, w)
}

// Renew renews the token whatever its age: to see whether that works, or to keep the sign-in alive. Its errors are those of Token.
func (s *Source) Renew(ctx context.Context) error {
	_, err := s.renewed(ctx, want{fresh: true})
	return err
}

// KeepAlive renews a sign-in that nobody has used for long, so that it does not end. It may be called often.
func (s *Source) KeepAlive(ctx context.Context) error {
	state := s.State()
	if state.Since.IsZero() {
		return nil
	}
	every := keepEvery
	if !state.Ends.IsZero() {
		every = min(every, state.Ends.Sub(state.Renewed)/2)
	}
	s.mu.Lock()
	early := time.Since(state.Renewed) < every || time.Since(s.kept) < min(every/4, time.Hour)
	if !early {
		s.kept = time.Now()
	}
	s.mu.Unlock()
	if early {
		return nil
	}
	return s.Renew(ctx)
}

// Gains counts the tokens that this process has got, by a sign-in or a renewal: what was in the way before one is over.
func (s *Source) Gains() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gains
}

// ready returns the token in hand if it will do, else "".
func (s *Source) ready(w want) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch g := s.grant; {
	case g == nil, w.fresh, !g.good(now):
	case (w.young || w.rejected == g.Access) && now.Sub(g.Renewed) >= youngToken:
	case now.Before(g.due()), now.Before(s.patience):
		return g.Access
	}
	return ""
}

// renewed waits for its turn and renews. The renewal goes on when the caller has gone: what the server gave must not be lost.
func (s *Source) renewed(ctx context.Context, w want) (string, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	type answer struct {
		token string
		err   *Error
	}
	done := make(chan answer, 1)
	if !s.store.do(func() {
		defer func() { <-s.turn }()
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTime)
		defer cancel()
		token, err := s.renew(work, w)
		done <- answer{token, err}
	}) {
		<-s.turn
		return "", context.Canceled
	}
	select {
	case a := <-done:
		if a.err != nil {
			return "", a.err
		}
		return a.token, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// renew asks the server for another token, unless somebody else has done so meanwhile. The caller has the turn.
func (s *Source) renew(ctx context.Context, w want) (string, *Error) {
	if token := s.ready(w); token != "" {
		return token, nil
	}
	conf := s.config()
	if g, stranger, err := s.latest(); g == nil { // nothing is made where there is nothing to keep
		return s.failed(conf.noGrant(stranger, err), w)
	}
	unlock, err := s.store.files.Lock(ctx, conf.Account)
	if err != nil {
		return s.failed(conf.noGrant(false, err), w)
	}
	defer unlock()
	before, stranger, err := s.latest()
	if before == nil {
		return s.failed(conf.noGrant(stranger, err), w)
	}
	if token := s.ready(w); token != "" {
		return token, nil
	}
	token, err := conf.client().TokenSource(conf.with(ctx), &oauth2.Token{RefreshToken: before.Refresh}).Token()
	if err != nil {
		return s.failed(conf.explain(err, before.Refresh, before.Access), w)
	}
	next := *before
	if err := next.take(token, time.Now()); err != nil {
		return s.failed(passing("the sign-in server "+hostOf(conf.Token)+" gives "+err.Error(), remedyStrange, nil), w)
	}
	s.keep(&next)
	return next.Access, nil
}

// latest is the sign-in in hand or the one in the file, whichever is newer; none when its file was removed. stranger tells that the
// file has one for another configuration.
func (s *Source) latest() (g *grant, stranger bool, err error) {
	kept, err := load(s.store.files, s.config().Account)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case kept == nil && err == nil && s.unsaved == nil:
		s.grant = nil
	case kept.fits(s.key) && (s.grant == nil || kept.Serial > s.grant.Serial):
		s.grant, s.unsaved = kept, nil
	}
	return s.grant, kept != nil && !kept.fits(s.key), err
}

// keep takes a new grant and writes it. What cannot be written is used all the same, and written with the next renewal.
func (s *Source) keep(next *grant) {
	next.Serial++
	err := next.save(s.store.files)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant, s.fault, s.unsaved, s.patience = next, nil, err, time.Time{}
	s.gains++
}

// failed notes why there is no new token. The one in hand is used while it lasts, when the trouble may pass; one that was rejected is
// dropped.
func (s *Source) failed(why *Error, w want) (string, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = why
	if s.grant != nil && w.rejected != "" && s.grant.Access == w.rejected {
		dropped := *s.grant
		dropped.Access = ""
		s.grant = &dropped
	}
	now := time.Now()
	if why.Passing() && !w.fresh && s.grant != nil && s.grant.good(now) && s.grant.Access != w.rejected {
		s.patience = now.Add(aheadAgain)
		return s.grant.Access, nil
	}
	return "", why
}
