package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"outboxd/mail"
)

// Login is a sign-in that a person is about to make. Nothing that can be read from it is a secret.
type Login struct {
	ID      string // what it is asked for by
	URL     string // the page to open
	Code    string // to be entered there; "" when the address of the last page is to be pasted back
	Expires time.Time

	source *Source
	state  string // of the address that is pasted back
	proof  string // the code verifier of RFC 7636
	end    context.CancelFunc
	done   chan struct{} // closed when a sign-in by device code has ended
	err    *Error        // how; to be read when done is closed
}

const (
	loginTime  = 15 * time.Minute // to sign in, where the server sets no shorter one
	maxShown   = 2 << 10          // octets of an address that a server wants shown
	maxPasted  = 16 << 10         // octets
	maxPause   = 60               // seconds between two questions; a server may ask for no more
	usualPause = 5                // RFC 8628 3.2
)

// Begin starts a sign-in, by device code where the provider has it and paste is not wanted. An earlier one of the account that has
// not ended yet ends. The error is an *[Error].
func (s *Source) Begin(ctx context.Context, paste bool) (*Login, error) {
	conf := s.config()
	l := &Login{ID: rand.Text(), Expires: time.Now().Add(loginTime), source: s, done: make(chan struct{})}
	switch {
	case paste && conf.Authorize == "":
		return nil, refused(mail.ClassConfig, "the account has no authorize_url to sign in at by pasting an address", remedyStrange, nil)
	case paste, conf.Device == "":
		l.byAddress(conf)
	default:
		if err := l.byCode(ctx, conf); err != nil {
			return nil, err
		}
	}
	s.store.begun(conf.Account, l)
	return l, nil
}

// begun makes a login the account's only one.
func (s *Store) begun(account string, l *Login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.logins[account]; before != nil {
		before.end()
	}
	s.logins[account] = l
}

// Login returns a sign-in that was begun and has not been followed by another one of its account; else nil.
func (s *Store) Login(id string) *Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logins {
		if subtle.ConstantTimeCompare([]byte(l.ID), []byte(id)) == 1 {
			return l
		}
	}
	return nil
}

// Account is the name of the account to be signed in to.
func (l *Login) Account() string { return l.source.config().Account }

// byCode asks for a device code and waits, in the background, for the person to enter it.
func (l *Login) byCode(ctx context.Context, conf Config) *Error {
	var secret []oauth2.AuthCodeOption
	if conf.ClientSecret != "" { // RFC 8628 3.1; package oauth2 sends it with the other questions alone
		secret = append(secret, oauth2.SetAuthURLParam("client_secret", conf.ClientSecret))
	}
	da, err := conf.client().DeviceAuth(conf.with(ctx), secret...)
	if err != nil {
		return conf.explain(err)
	}
	left := time.Until(da.Expiry)
	if da.Expiry.IsZero() || left > 2*loginTime {
		left = loginTime
	}
	if left <= 0 || da.DeviceCode == "" || !showable(da.UserCode, 64) || !showable(da.VerificationURI, maxShown) || checkAddress(da.VerificationURI) != nil {
		return passing("the sign-in server "+hostOf(conf.Device)+" gives no code that could be shown", remedyStrange, nil)
	}
	if da.Interval < 1 || da.Interval > maxPause {
		da.Interval = usualPause
	}
	l.URL, l.Code, l.Expires = da.VerificationURI, da.UserCode, time.Now().Add(left)
	da.Expiry = l.Expires
	var waiting context.Context
	waiting, l.end = context.WithDeadline(l.source.store.ended, l.Expires)
	if !l.source.store.do(func() {
		defer close(l.done)
		defer l.end()
		l.err = l.await(waiting, conf, da)
	}) {
		return passing("outboxd is about to end", remedyServer, nil)
	}
	return nil
}

// await asks again and again whether the person has signed in, as RFC 8628 3.5 has it. Trouble on the way does not end it.
func (l *Login) await(ctx context.Context, conf Config, da *oauth2.DeviceAuthResponse) *Error {
	for {
		token, err := conf.client().DeviceAccessToken(conf.with(ctx), da)
		if err == nil {
			return l.source.begin(token)
		}
		if ctx.Err() != nil {
			return refused(mail.ClassAuth, "nobody has signed in in time, or another sign-in was begun", conf.named(remedyLate), nil)
		}
		if why := conf.explain(err, da.DeviceCode); !why.Passing() {
			return why
		}
	}
}

// byAddress makes the page at which a person consents (RFC 6749 4.1, RFC 7636).
func (l *Login) byAddress(conf Config) {
	l.state, l.proof, l.end = rand.Text(), oauth2.GenerateVerifier(), func() {}
	// Google and strict OpenID providers give a refresh token only where a person consents anew. With Microsoft that would ask people
	// for a consent that only their administrator may give.
	prompt := "consent"
	if strings.HasPrefix(hostOf(conf.Authorize), "login.microsoftonline.") {
		prompt = "select_account"
	}
	l.URL = conf.client().AuthCodeURL(l.state, oauth2.S256ChallengeOption(l.proof), oauth2.AccessTypeOffline,
		oauth2.SetAuthURLParam("prompt", prompt), oauth2.SetAuthURLParam("login_hint", conf.Username))
}

// Wait returns when the sign-in by device code has ended, or with done false when the context has. The error is an *[Error].
func (l *Login) Wait(ctx context.Context) (done bool, err error) {
	select {
	case <-l.done:
		if l.err != nil {
			return true, l.err
		}
		return true, nil
	case <-ctx.Done():
		return false, nil
	}
}

// Redeem ends a sign-in with the address that the browser came to. After an error that lies in the address it may be
// called again. The error is an *[Error].
func (l *Login) Redeem(ctx context.Context, pasted string) error {
	conf := l.source.config()
	if time.Now().After(l.Expires) {
		return refused(mail.ClassAuth, "this sign-in was begun too long ago", conf.named(remedyLate), nil)
	}
	code, wrong := l.codeIn(conf, pasted)
	if wrong != nil {
		return wrong
	}
	// The code is good once: what it brings is kept, also when the person has gone.
	done := make(chan *Error, 1)
	if !l.source.store.do(func() { done <- l.redeem(context.WithoutCancel(ctx), conf, code) }) {
		return passing("outboxd is about to end", remedyServer, nil)
	}
	if why := <-done; why != nil {
		return why
	}
	return nil
}

// redeem turns the code into a sign-in.
func (l *Login) redeem(ctx context.Context, conf Config, code string) *Error {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	token, err := conf.client().Exchange(conf.with(ctx), code, oauth2.VerifierOption(l.proof))
	if err != nil {
		return conf.explain(err, code, l.proof)
	}
	return l.source.begin(token)
}

// codeIn takes the code out of a pasted address.
func (l *Login) codeIn(conf Config, pasted string) (string, *Error) {
	u, err := url.Parse(strings.TrimSpace(pasted))
	if err != nil || len(pasted) > maxPasted || !strings.HasPrefix(u.Scheme, "http") || !isLoopback(u.Hostname()) {
		return "", refused(mail.ClassConfig, "that is not the address at which the browser ends", conf.named(remedyPaste), nil)
	}
	q := u.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(l.state)) != 1 {
		return "", refused(mail.ClassConfig, "the address does not belong to this sign-in", conf.named(remedyStale), nil)
	}
	if answer := q.Get("error"); answer != "" {
		return "", conf.explain(&oauth2.RetrieveError{ErrorCode: answer, ErrorDescription: q.Get("error_description")})
	}
	if q.Get("code") == "" {
		return "", refused(mail.ClassConfig, "there is no code in the address", conf.named(remedyPaste), nil)
	}
	return q.Get("code"), nil
}

// begin makes the first grant of a sign-in and keeps it.
func (s *Source) begin(t *oauth2.Token) *Error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	conf := s.config()
	if t.RefreshToken == "" {
		return refused(mail.ClassConfig, "the provider has given no refresh token", conf.named(remedyNoRefresh), nil)
	}
	now := time.Now()
	next := &grant{Version: grantVersion, Account: conf.Account, Username: conf.Username, Key: s.key, SignedIn: now}
	if err := next.take(t, now); err != nil {
		return refused(mail.ClassConfig, "the sign-in server gives "+err.Error(), remedyStrange, nil)
	}
	if err := s.write(next); err != nil {
		return refused(mail.ClassConfig, err.Error(), conf.named(remedyNotKept), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant, s.fault, s.unsaved, s.patience = next, nil, nil, time.Time{}
	s.gains++
	return nil
}

// write keeps a new sign-in in place of any other of the account.
func (s *Source) write(next *grant) error {
	ctx, cancel := context.WithTimeout(context.Background(), renewTime)
	defer cancel()
	unlock, err := s.store.files.Lock(ctx, next.Account)
	if err != nil {
		return err
	}
	defer unlock()
	if before, _ := load(s.store.files, next.Account); before != nil { // one that cannot be read is replaced
		next.Serial = before.Serial
	}
	next.Serial++
	return next.save(s.store.files)
}

// showable tells whether a server's text may be shown to a person as it is.
func showable(text string, most int) bool {
	return text != "" && len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f })
}
