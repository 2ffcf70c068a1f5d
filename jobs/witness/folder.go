package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"outboxd/db"
	"outboxd/statefile"
)

// Folder is the state directory as one daemon uses it. Nothing is made in it before there is something to keep.
type Folder struct {
	path     string // "" keeps nothing on disk
	instance string
	computer string

	mu        sync.Mutex
	companies map[string]*Company
}

// New returns the state directory at path for a daemon on a computer. With an empty path it remembers as long as the
// process lives.
func New(path, instance, computer string) *Folder {
	return &Folder{path: path, instance: instance, computer: computer, companies: map[string]*Company{}}
}

// Instance is whose folder it is.
func (f *Folder) Instance() string { return f.instance }

// Company returns what is remembered of a company, always the same one for a name.
func (f *Folder) Company(name string) *Company {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.companies[name]
	if c == nil {
		c = &Company{folder: f, name: name}
		f.companies[name] = c
	}
	return c
}

// Company is what is remembered of one company.
type Company struct {
	folder *Folder
	name   string

	mu      sync.Mutex
	read    bool
	own     memory
	others  []memory
	journal journal
}

// memory is the file of one daemon about one company.
type memory struct {
	Company    string     `json:"company"`
	Instance   string     `json:"instance"`
	Computer   string     `json:"computer"`   // a file that came from another one vouches for nothing
	Identities []Identity `json:"identities"` // the newest last
}

// Identity is what is remembered of one database of a company.
type Identity struct {
	Identity  string             `json:"identity"`
	Addresses []string           `json:"addresses"`       // how jobs.yaml says that it is reached, host by host
	Beats     map[string]db.Beat `json:"beats"`           // of all daemons, as last seen
	Again     []Mail             `json:"again,omitempty"` // that waited to be sent although they had been
}

// Mail is one row: numbers may come again after a restore, the two together do not.
type Mail struct {
	ID      uint64 `json:"id"`
	Created int64  `json:"created"` // outbox.created_at in µs since 1970
}

const maxIdentities = 16 // of a company; the oldest are forgotten

// SignIns is the one folder of the state directory that is no daemon's: the sign-ins of accounts.
const SignIns = "oauth"

// Known lists what any daemon of this state directory remembers of the company. An error tells of a file that could not be
// read; the others count all the same.
func (c *Company) Known() ([]db.Known, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.load()
	var all []db.Known
	for _, m := range append([]memory{c.own}, c.others...) {
		for _, i := range m.Identities {
			for instance, beat := range i.Beats {
				all = append(all, db.Known{Identity: i.Identity, Instance: instance, Company: c.name, Beat: beat})
			}
		}
	}
	return all, err
}

// Own returns what this daemon remembers of a database, on this computer; false when it does not know it.
func (c *Company) Own(identity string) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load() // Known tells of files that cannot be read
	if c.own.Computer != c.folder.computer {
		return Identity{}, false
	}
	n := slices.IndexFunc(c.own.Identities, func(i Identity) bool { return i.Identity == identity })
	if n < 0 {
		return Identity{}, false
	}
	return c.own.Identities[n], true
}

// Note remembers how far a database has come. What is remembered of it already is never taken back.
func (c *Company) Note(now Identity) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.load()
	n := slices.IndexFunc(c.own.Identities, func(i Identity) bool { return i.Identity == now.Identity })
	merged := Identity{Identity: now.Identity, Addresses: now.Addresses, Again: now.Again, Beats: maps.Clone(now.Beats)}
	if n >= 0 {
		before := c.own.Identities[n]
		for instance, beat := range before.Beats {
			if beat.N > merged.Beats[instance].N {
				merged.Beats[instance] = beat
			}
		}
		if c.own.Computer == c.folder.computer && slices.Equal(merged.Addresses, before.Addresses) && slices.Equal(merged.Again, before.Again) && maps.Equal(merged.Beats, before.Beats) {
			return err
		}
		c.own.Identities = slices.Delete(c.own.Identities, n, n+1)
	}
	c.own.Identities = append(c.own.Identities, merged)
	c.own.Identities = c.own.Identities[max(0, len(c.own.Identities)-maxIdentities):]
	c.own.Company, c.own.Instance, c.own.Computer = c.name, c.folder.instance, c.folder.computer
	return errors.Join(err, c.write())
}

func (c *Company) file() string {
	return filepath.Join(c.folder.path, c.folder.instance, c.name+".json")
}

// load reads the files of all daemons once. The caller holds the lock.
func (c *Company) load() error {
	if c.read || c.folder.path == "" {
		c.read = true
		c.own.Computer = c.folder.computer
		return nil
	}
	files, err := filepath.Glob(filepath.Join(escaped(c.folder.path), "*", c.name+".json"))
	errs := []error{err}
	for _, file := range files {
		if filepath.Base(filepath.Dir(file)) == SignIns {
			continue
		}
		var m memory
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, fmt.Errorf("read what is remembered of %s: %s: %w", c.name, file, err))
		case file == c.file():
			c.own = m
		default:
			c.others = append(c.others, m)
		}
	}
	c.read = true
	return errors.Join(errs...)
}

// write replaces the file; a crash leaves the old one or the new one.
func (c *Company) write() error {
	if c.folder.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(c.own, "", "  ")
	if err != nil {
		return err
	}
	if err := statefile.Write(c.file(), append(text, '\n')); err != nil {
		return fmt.Errorf("remember %s: %w", c.name, err)
	}
	return nil
}
