// Package oauthtest is an authorization server for tests: it gives codes and tokens as RFC 6749 and RFC 8628 have it, and
// misbehaves as a script says.
package oauthtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Server signs one user in for one application. Its fields are set before it is asked.
type Server struct {
	ClientID, ClientSecret string
	Life                   int            // seconds of an access token; 0: the answer does not say
	Rotate                 bool           // each renewal ends the refresh token that it was made with
	Interval               int            // of a device code
	CodeLife               int            // seconds of a device code
	Extra                  map[string]any // further fields of each token's answer

	mu       sync.Mutex
	script   []Answer
	asked    []url.Values
	issued   int
	refresh  map[string]bool // refresh tokens that work
	access   map[string]bool // access tokens that work
	approved bool
	denied   bool
	codes    map[string]string // authorization codes with their challenges
}

// Answer is given once in place of the usual one of the token endpoint.
type Answer struct {
	Status int    // 0: the usual answer after all, once Before was called
	Body   string // JSON
	Type   string // of Body; "": application/json
	Before func() // called first
	Lose   bool   // does what was asked, and the answer gets lost
	To     string // a redirect
}

// Refuse is an answer of RFC 6749 5.2.
func Refuse(code, description string) Answer {
	body, err := json.Marshal(map[string]string{"error": code, "error_description": description})
	if err != nil {
		panic(err)
	}
	return Answer{Status: http.StatusBadRequest, Body: string(body)}
}

// Script adds answers, each given once, in their order.
func (s *Server) Script(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, answers...)
}

// Approve lets the person sign in with the device code; Deny has the person say no.
func (s *Server) Approve() { s.change(func() { s.approved = true }) }

// Deny is the other answer of the person.
func (s *Server) Deny() { s.change(func() { s.denied = true }) }

// Revoke ends everything that was given.
func (s *Server) Revoke() {
	s.change(func() { clear(s.refresh); clear(s.access) })
}

// RevokeAccess ends the access tokens before their time.
func (s *Server) RevokeAccess() { s.change(func() { clear(s.access) }) }

func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Good tells whether an access token works.
func (s *Server) Good(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access[token]
}

// Renewals counts the renewals that were asked for.
func (s *Server) Renewals() int { return s.count("refresh_token") }

// Polls counts the questions with a device code.
func (s *Server) Polls() int { return s.count("urn:ietf:params:oauth:grant-type:device_code") }

func (s *Server) count(grant string) (n int) {
	for _, q := range s.Asked() {
		if q.Get("grant_type") == grant {
			n++
		}
	}
	return n
}

// Asked returns the forms that came to the token endpoint.
func (s *Server) Asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Consent is the person who opens an address in a browser and agrees: it returns the address at which the browser ends.
func (s *Server) Consent(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	if q.Get("client_id") != s.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		return "", fmt.Errorf("no request for a code: %s", u.RawQuery)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.issued++
	code := fmt.Sprintf("code-%d", s.issued)
	s.codes[code] = q.Get("code_challenge")
	return q.Get("redirect_uri") + "/?" + url.Values{"state": {q.Get("state")}, "code": {code}}.Encode(), nil
}

func (s *Server) init() {
	if s.codes == nil {
		s.codes, s.refresh, s.access = map[string]string{}, map[string]bool{}, map[string]bool{}
	}
}

// Start serves on loopback; the addresses are its URL with /device, /authorize and /token.
func (s *Server) Start() *httptest.Server { return httptest.NewServer(s) }

// RoundTrip answers without a network, for synctest. A Lose is an error.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	lost := false
	func() {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				lost = true
			} else if p != nil {
				panic(p)
			}
		}()
		s.ServeHTTP(w, r)
	}()
	if lost {
		return nil, io.ErrUnexpectedEOF
	}
	if err := r.Context().Err(); err != nil { // too late
		return nil, err
	}
	return w.Result(), nil
}

// ServeHTTP answers as an authorization server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		http.Error(w, "no", http.StatusMethodNotAllowed)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/device") {
		s.device(w, r)
		return
	}
	s.mu.Lock()
	s.init()
	s.asked = append(s.asked, r.PostForm)
	var a Answer
	if len(s.script) > 0 {
		a, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	if a.Before != nil {
		a.Before()
	}
	switch {
	case a.To != "":
		http.Redirect(w, r, a.To, http.StatusTemporaryRedirect)
	case a.Status != 0:
		kind := a.Type
		if kind == "" {
			kind = "application/json"
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(a.Status)
		_, _ = io.WriteString(w, a.Body)
	case a.Lose:
		s.usual(r.PostForm)
		panic(http.ErrAbortHandler)
	default:
		status, reply := s.usual(r.PostForm)
		write(w, status, reply)
	}
}

func write(w http.ResponseWriter, status int, reply map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

func (s *Server) device(w http.ResponseWriter, r *http.Request) {
	if r.PostForm.Get("client_id") != s.ClientID {
		write(w, http.StatusBadRequest, map[string]any{"error": "invalid_client", "error_description": "AADSTS700016: no such application"})
		return
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	scheme := r.URL.Scheme
	if scheme == "" {
		scheme = "http"
	}
	write(w, http.StatusOK, map[string]any{"device_code": "device-secret", "user_code": "ABCD-EFGH", "verification_uri": scheme + "://" + host + "/verify",
		"expires_in": s.CodeLife, "interval": s.Interval})
}

// usual does what a form asks for.
func (s *Server) usual(q url.Values) (int, map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(code, text string) (int, map[string]any) {
		return http.StatusBadRequest, map[string]any{"error": code, "error_description": text}
	}
	if q.Get("client_id") != s.ClientID || q.Get("client_secret") != s.ClientSecret {
		return refuse("invalid_client", "the client is not known")
	}
	switch q.Get("grant_type") {
	case "refresh_token":
		if !s.refresh[q.Get("refresh_token")] {
			return refuse("invalid_grant", "the refresh token is over: "+q.Get("refresh_token"))
		}
		if s.Rotate {
			delete(s.refresh, q.Get("refresh_token"))
			return s.give(true)
		}
		return s.give(false)
	case "authorization_code":
		challenge, known := s.codes[q.Get("code")]
		sum := sha256.Sum256([]byte(q.Get("code_verifier")))
		if !known || challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return refuse("invalid_grant", "no such code")
		}
		delete(s.codes, q.Get("code"))
		return s.give(true)
	case "urn:ietf:params:oauth:grant-type:device_code":
		switch {
		case q.Get("device_code") != "device-secret":
			return refuse("invalid_grant", "no such code")
		case s.denied:
			return refuse("access_denied", "the person said no")
		case !s.approved:
			return refuse("authorization_pending", "")
		}
		s.approved = false
		return s.give(true)
	}
	return refuse("unsupported_grant_type", "")
}

// give issues tokens; without another refresh token the old one goes on.
func (s *Server) give(refresh bool) (int, map[string]any) {
	s.issued++
	access := fmt.Sprintf("access-token-%d", s.issued)
	s.access[access] = true
	reply := map[string]any{"token_type": "Bearer", "access_token": access}
	if s.Life != 0 {
		reply["expires_in"] = s.Life
	}
	if refresh {
		token := fmt.Sprintf("refresh-token-%d", s.issued)
		s.refresh[token] = true
		reply["refresh_token"] = token
	}
	maps.Copy(reply, s.Extra)
	return http.StatusOK, reply
}
