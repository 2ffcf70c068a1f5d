//go:build postfix

package postfixtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// dovecotServices end the settings of either version: the socket at which Postfix asks, and no pauses for wrong passwords.
const dovecotServices = `service auth {
  unix_listener %[1]s/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`

// dovecotFile is Dovecot 2.3 as nothing but a SASL server. Wrong passwords are answered at once, and however often.
const dovecotFile = `base_dir = %[1]s/dovecot
state_dir = %[1]s/dovecot
log_path = %[1]s/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 xoauth2
auth_failure_delay = 0
auth_username_chars =
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = %[1]s/oauth2.conf
}
` + dovecotServices

// oauthFile has Dovecot ask the tests' own server what a token is worth.
const oauthFile = `introspection_mode = post
introspection_url = %s
username_attribute = username
active_attribute = active
active_value = true
timeout_msecs = 30000
`

// dovecot24File and the token server of Dovecot 2.4, whose settings have other names.
const dovecot24File = `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = %[1]s/dovecot
state_dir = %[1]s/dovecot
log_path = %[1]s/dovecot.log
protocols =
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain login cram-md5 xoauth2
auth_failure_delay = 0
auth_username_chars =
passdb passwd-file {
  mechanisms_filter = plain login cram-md5
  passwd_file_path = %[1]s/users
  default_password_scheme = PLAIN
}
oauth2 {
  introspection_mode = post
  introspection_url = %[2]s
  username_attribute = username
  active_attribute = active
  active_value = true
}
passdb oauth2 {
  mechanisms_filter = xoauth2
}
` + dovecotServices

func (s *Server) writeDovecot() error {
	program, err := find("dovecot")
	if err != nil {
		return err
	}
	version, err := exec.Command(program, "--version").Output()
	if err != nil {
		return fmt.Errorf("dovecot --version: %w", err)
	}
	file := fmt.Sprintf(dovecotFile, s.dir)
	if !strings.HasPrefix(string(version), "2.3.") {
		file = fmt.Sprintf(dovecot24File, s.dir, s.tokens.url)
	}
	return errors.Join(s.write("dovecot.conf", file), s.write("oauth2.conf", fmt.Sprintf(oauthFile, s.tokens.url)))
}

func (s *Server) startDovecot() error {
	program, err := find("dovecot")
	if err != nil {
		return err
	}
	if s.dovecot, err = launch(s.path("dovecot.out"), program, "-F", "-c", s.path("dovecot.conf")); err != nil {
		return err
	}
	return s.await("Dovecot", s.dovecot, func() bool {
		_, err := os.Stat(s.path("auth"))
		return err == nil
	})
}

// writeUsers writes the passwords. Dovecot reads the file anew when its time in seconds has changed: each change has its own.
func (s *Server) writeUsers() error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		fmt.Fprintf(&b, "%s:{PLAIN}%s\n", name, s.users[name])
	}
	s.changes++
	at := time.Now().Add(time.Duration(s.changes)*time.Second - time.Hour)
	return errors.Join(s.write("users", b.String()), os.Chtimes(s.path("users"), at, at))
}

// tokens is an introspection server (RFC 7662).
type tokens struct {
	url string
	mu  sync.Mutex
	of  func(token string) (user string) // nil: no token is good
}

func newTokens(t testing.TB) *tokens {
	k := &tokens{}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	k.url = server.URL + "/introspect"
	return k
}

func (k *tokens) set(of func(string) string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of = of
}

// ServeHTTP answers for one token.
func (k *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	of := k.of
	k.mu.Unlock()
	user := ""
	if of != nil {
		user = of(r.FormValue("token"))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"active": user != "", "username": user}) // Dovecot may have gone meanwhile
}
