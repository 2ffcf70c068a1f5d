package jobfile

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// checker looks at what the decoder could read: values that cannot be, and values that contradict each other. It
// passes over what the decoder has refused, so that one mistake is one problem, and fills in the defaults that depend
// on other keys.
type checker struct {
	main *source
	*mainFile
	dir       string    // where relative paths start
	now       time.Time // by which schedules are looked at
	companies []entry
}

func (c *checker) all() {
	if !c.main.has("") {
		return
	}
	if c.main.has("version") {
		checkVersion(c.main, c.Version)
	}
	c.checkPresence()
	for _, s := range c.Servers {
		if path := join("servers", s.Name); c.main.has(path) {
			c.server(path, s)
		}
	}
	c.general()
	for _, a := range c.Accounts {
		if path := join("accounts", a.Name); c.main.has(path) {
			c.account(path, a)
		}
	}
	c.checkTwins()
	c.checkCompanies()
	c.checkControl()
	c.checkAlerts()
	c.checkPublic()
	c.checkSigning()
}

func checkVersion(s *source, version int) {
	if version != 1 {
		s.wrong("version", strconv.Itoa(version), "is not known to this program", "write version: 1")
	}
}

// checkPresence reports what a file without its groups cannot do. A missing key was reported by the decoder.
func (c *checker) checkPresence() {
	if c.main.has("servers") && len(c.Servers) == 0 {
		c.main.wrong("servers", "", "names no server", "")
	}
	if c.main.has("accounts") && len(c.Accounts) == 0 {
		c.main.wrong("accounts", "", "names no account", "")
	}
	switch {
	case len(c.companies) > 0:
	case c.main.written("include"):
		if c.main.has("include") {
			c.main.warn("include", "", "there is no company at all, so nothing is sent", "")
		}
	case c.main.has("companies"):
		c.main.wrong("companies", "", "names no company", "")
	case !c.main.written("companies"):
		c.main.wrong("companies", "", "is missing", "name the companies here, or include files that do")
	}
}

func (c *checker) checkControl() {
	switch {
	case c.main.has("control"):
		c.checkServerName(c.main, "control.server", c.Control.Server)
		checkDatabaseAt(c.main, "control.database", c.Control.Database)
	case c.main.written("control"):
	case c.main.written("include") || len(c.companies) > 1:
		c.main.wrong("control", "", "is missing", "it may be left out only with one company and no include; for example control: {server: main, database: outboxd}")
	case len(c.companies) == 1:
		c.Control = &Control{Server: c.companies[0].Server, Database: c.companies[0].Database}
	}
}

func (c *checker) checkServerName(s *source, path, name string) {
	if !s.has(path) || !c.main.has("servers") || len(c.Servers) == 0 {
		return
	}
	var names []string
	for _, server := range c.Servers {
		if server.Name == name {
			return
		}
		names = append(names, server.Name)
	}
	s.wrong(path, name, "no such server", knownHint(name, names))
}

// knownHint helps with a name that is not there.
func knownHint(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 || len(names) > 10 {
		return ""
	}
	return "there is " + namesOf(names)
}

func checkDatabaseAt(s *source, path, name string) {
	if !s.has(path) {
		return
	}
	if err := checkDatabase(name); err != nil {
		s.wrong(path, name, err.Error(), "letters, digits, _ $ and -, at most 64 characters")
	}
}

func (c *checker) checkAlerts() {
	if c.Alerts == nil || !c.main.has("alerts") {
		return
	}
	for i, to := range c.Alerts.To {
		checkAddress(c.main, indexed("alerts.to", i), to)
	}
}

func (c *checker) accountNamed(name string) *Account {
	return find(c.Accounts, func(a *Account) bool { return a.Name == name })
}

func (c *checker) accountNames() []string {
	names := make([]string, len(c.Accounts))
	for i, a := range c.Accounts {
		names[i] = a.Name
	}
	return names
}

// secret checks where a secret is kept, and makes the path of its file absolute to the main file's folder.
func (c *checker) secret(s *source, path string, secret *Secret) {
	if !s.has(path) {
		return
	}
	switch {
	case secret.File != "":
		secret.File = c.resolve(secret.File)
	case secret.Credential != "" && !credentialForm.MatchString(secret.Credential):
		s.wrong(path+".credential", "", "is no name of a credential", "the ID given to LoadCredential=, without a path")
	case secret.Env != "" && !envForm.MatchString(secret.Env):
		s.wrong(path+".env", "", "is no name of an environment variable", "the name of the variable, not its value")
	}
}

// resolve returns a path as seen from the main file's folder.
func (c *checker) resolve(path string) string {
	path = filepath.FromSlash(path)
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.dir, path)
}

const maxCA = 4 << 20 // octets: all the authorities of the world need less than one

// readCA reads a regular file; a named pipe or a device would be waited for for ever.
func readCA(path string) (pem []byte, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxCA:
		return nil, errors.New("it is no file of certificates")
	}
	return os.ReadFile(path)
}

// checkAddress reports what is no mail address and returns its display name and the bare address.
func checkAddress(src *source, path, text string) (name, addr string, ok bool) {
	if !src.has(path) {
		return "", "", false
	}
	name, addr, err := parseAddress(text)
	if err != nil {
		src.wrong(path, text, err.Error(), "for example Acme <mail@acme.example>")
		return "", "", false
	}
	return name, addr, true
}

// checkBareAddress is checkAddress where a display name has no place.
func checkBareAddress(src *source, path, text string) (addr string, ok bool) {
	name, addr, ok := checkAddress(src, path, text)
	if ok && name != "" {
		src.wrong(path, text, "has a display name", "the address alone belongs here: "+addr)
		return "", false
	}
	return addr, ok
}

// checkCA reports a certificate file that would never be looked at. One that cannot be used here and now is a warning: it
// may be there on the computer that runs the file.
func (c *checker) checkCA(path string, encryption string, ca *string) {
	if !c.main.has(path) {
		return
	}
	written := *ca
	*ca = c.resolve(*ca)
	if encryption == None {
		c.main.wrong(path, written, "is of no use with encryption none", "remove it, or encrypt the connection")
		return
	}
	pem, err := readCA(*ca)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.main.warn(path, written, "there is no such file, so nothing can connect", "put the certificates of the authorities there, in PEM form")
	case err != nil:
		c.main.warn(path, written, "cannot be read, so nothing can connect", "the user that outboxd runs as must be allowed to read it")
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		c.main.warn(path, written, "has no certificate in PEM form, so nothing can connect", "a file with -----BEGIN CERTIFICATE----- in it")
	}
}
