package jobfile

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// content checks where a company's mails get their content from.
func (c *checker) content(e entry) {
	checkLanguage(e.src, e.path+".language", &e.Language)
	c.templates(e.src, e.path+".templates", &e.Templates)
	c.attachments(e.src, e.path+".attachments", &e.Attachments)
	c.holidays(e.src, e.path+".holidays", &e.Holidays)
	if e.Reader != nil {
		c.reader(e)
	} else if c.alone(e) {
		user := c.userOf(e)
		e.Company.Reader = &Reader{Username: user.Username, Password: user.Password, Time: readTime, Rows: readRows}
	}
}

// What a query may take where no reader says otherwise: the defaults of Reader.
const (
	readTime = 30 * time.Second
	readRows = 100_000
)

// alone tells whether the user that works in the company's database works in no other, so that its queries cannot reach one.
func (c *checker) alone(e entry) bool {
	user := c.userOf(e).Username
	for _, other := range c.companies {
		if other.Name != e.Name && c.sameServer(other.Server, e.Server) && c.userOf(other).Username == user {
			return false
		}
	}
	if c.Control == nil || c.Control.Database == e.Database || !c.sameServer(c.Control.Server, e.Server) {
		return user != ""
	}
	return user != "" && user != c.serverUser(c.Control.Server).Username
}

// sameServer tells whether two entries lead to one server.
func (c *checker) sameServer(a, b string) bool {
	of := func(name string) []string {
		if s := find(c.Servers, func(s *Server) bool { return s.Name == name }); s != nil {
			return s.Addresses()
		}
		return nil
	}
	return a == b || slices.ContainsFunc(of(a), func(address string) bool { return slices.Contains(of(b), address) })
}

// userOf is the database user that outboxd works as in the company's database.
func (c *checker) userOf(e entry) Login {
	if e.Login != nil {
		return *e.Login
	}
	return c.serverUser(e.Server)
}

func (c *checker) serverUser(name string) Login {
	if s := find(c.Servers, func(s *Server) bool { return s.Name == name }); s != nil {
		return Login{Username: s.Username, Password: s.Password}
	}
	return Login{}
}

// reader warns of a user that may do more than read what the company's queries need.
func (c *checker) reader(e entry) {
	at := e.path + ".reader"
	c.secret(e.src, at+".password", &e.Reader.Password)
	own := c.userOf(e).Username
	if e.src.has(at+".username") && e.Reader.Username == own && !c.alone(e) {
		e.src.warn(at+".username", own, "is the user that outboxd itself works as, so a row's query may read all that it may", "a user of its own, with the right to SELECT what the queries need and nothing else")
	}
}

func checkLanguage(s *source, path string, tag *string) {
	if !s.has(path) {
		return
	}
	if err := parseLanguage(*tag); err != nil {
		s.wrong(path, *tag, err.Error(), "for example sk, en or de-AT")
		*tag = ""
	}
}

// parseLanguage tells whether a text is the tag of a language (BCP 47) that is known.
func parseLanguage(tag string) error {
	switch _, err := language.Parse(tag); {
	case strings.Contains(tag, "_"), strings.TrimSpace(tag) == "":
		return errors.New("is no language")
	case err != nil:
		return errors.New("is no known language")
	}
	return nil
}

// templates checks the folder of the templates; what is in it is looked at when they are loaded.
func (c *checker) templates(s *source, path string, folder *string) {
	if !s.has(path) {
		return
	}
	written := *folder
	*folder = c.resolve(*folder)
	switch info, err := os.Stat(*folder); {
	case errors.Is(err, fs.ErrNotExist):
		s.wrong(path, written, "there is no such folder", "make it, or remove the key")
	case err != nil:
		s.wrong(path, written, "cannot be looked at", "the user that outboxd runs as must be allowed to read it")
	case !info.IsDir():
		s.wrong(path, written, "is no folder", "name the folder; each template is a folder in it")
	default:
		return
	}
	*folder = "" // nothing more to be said of it
}

// attachments checks the folder of the files. One that cannot be used here and now is a warning: it may be mounted later, and
// the rows that need it wait.
func (c *checker) attachments(s *source, path string, folder *string) {
	if !s.has(path) {
		return
	}
	written := *folder
	*folder = c.resolve(*folder)
	const until = ", so rows that name a file wait"
	switch info, err := os.Stat(*folder); {
	case errors.Is(err, fs.ErrNotExist):
		s.warn(path, written, "there is no such folder"+until, "make it, or mount it")
	case err != nil:
		s.warn(path, written, "cannot be looked at"+until, "the user that outboxd runs as must be allowed to read it")
	case !info.IsDir():
		s.wrong(path, written, "is no folder", "name the folder below which the files lie")
	}
}

var (
	extensionForm = regexp.MustCompile(`^\.[^./\\*\s]+$`)
	// RFC 6838 4.2, or all subtypes.
	mediaTypeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/(\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$`)
)

// checkForbidden checks the types that are not sent, and stores them in lower case.
func checkForbidden(s *source, path string, types []string) {
	for i, text := range types {
		at := indexed(path, i)
		if !s.has(at) {
			continue
		}
		if !extensionForm.MatchString(text) && !mediaTypeForm.MatchString(text) {
			s.wrong(at, text, "is neither a media type nor a file extension", "for example application/x-msdownload, image/* or .exe")
		}
		types[i] = strings.ToLower(text)
	}
}
