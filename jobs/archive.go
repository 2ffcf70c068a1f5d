package jobs

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"outboxd/db"
)

// archiveFile is the file of one run: compressed JSON lines, one compressed part for each step. It has the end .part until
// the run has ended. How much of it counts stands in the database, committed with the removal; so whatever a step that
// came to nothing has written is cut off, and no row stands in the files twice or not at all.
type archiveFile struct {
	dir, name string
	f         *os.File // nil until there is something to write
}

const (
	archiveEnd = ".jsonl.gz"
	partEnd    = ".part"
)

// openArchive ends what earlier runs on this computer have left open, and names a new file.
func (p *purger) openArchive(ctx context.Context, run db.Run) (*archiveFile, error) {
	a := &archiveFile{dir: p.job.Archive}
	head, host := p.c.name+"."+p.job.Name+".", "."+p.c.e.instance.Host
	all, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, &db.ArchiveError{Err: err}
	}
	for _, entry := range all {
		name, part := strings.CutSuffix(entry.Name(), archiveEnd+partEnd)
		if rest, own := strings.CutPrefix(name, head); !part || !own || !strings.Contains(rest+".", host+".") {
			continue
		}
		left := &archiveFile{dir: a.dir, name: name + archiveEnd}
		if left.f, err = os.OpenFile(left.path(), os.O_RDWR, 0); err != nil {
			return nil, &db.ArchiveError{Err: err}
		}
		if err := p.closeArchive(ctx, left); err != nil {
			return nil, err
		}
	}
	for n := 1; ; n++ {
		a.name = head + run.Scheduled.Format("2006-01-02T1504") + host
		if n > 1 {
			a.name += fmt.Sprintf(".%d", n)
		}
		a.name += archiveEnd
		if used, err := p.usedArchive(ctx, a); err != nil || !used {
			return a, err
		}
	}
}

// usedArchive tells whether there is a file of this name, here or as far as the database knows.
func (p *purger) usedArchive(ctx context.Context, a *archiveFile) (bool, error) {
	_, err := os.Lstat(filepath.Join(a.dir, a.name))
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, &db.ArchiveError{Err: err}
	}
	var octets int64
	err = p.whenItWorks(ctx, func(ctx context.Context) (err error) {
		octets, _, err = p.c.place.Store.Archived(ctx, a.name)
		return err
	})
	return octets > 0, err
}

// closeArchive ends a file at what counts of it.
func (p *purger) closeArchive(stop context.Context, a *archiveFile) error {
	if a.f == nil {
		return nil
	}
	var octets int64
	err := p.whenItWorks(stop, func(ctx context.Context) (err error) {
		octets, _, err = p.c.place.Store.Archived(ctx, a.name)
		return err
	})
	if err != nil {
		return errors.Join(err, a.f.Close()) // the next run ends it
	}
	if err := a.finish(octets); err != nil {
		return &db.ArchiveError{Err: err}
	}
	return nil
}

// File returns the file's name.
func (a *archiveFile) File() string { return a.name }

// path is where the file is while it is being written.
func (a *archiveFile) path() string { return filepath.Join(a.dir, a.name+partEnd) }

// Append writes entries behind what counts of the file, and returns the new length once all is on disk.
func (a *archiveFile) Append(octets int64, entries []any) (int64, error) {
	if a.f == nil {
		var err error
		if a.f, err = os.OpenFile(a.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return 0, err
		}
		if err := syncFolder(a.dir); err != nil {
			return 0, err
		}
	}
	if err := a.f.Truncate(octets); err != nil {
		return 0, err
	}
	if _, err := a.f.Seek(octets, 0); err != nil {
		return 0, err
	}
	buffered := bufio.NewWriter(a.f)
	packed := gzip.NewWriter(buffered)
	lines := json.NewEncoder(packed)
	lines.SetEscapeHTML(false)
	for _, e := range entries {
		if err := lines.Encode(e); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(packed.Close(), buffered.Flush()); err != nil {
		return 0, err
	}
	if err := a.f.Sync(); err != nil {
		return 0, err
	}
	return a.f.Seek(0, 1)
}

// finish cuts off what does not count and gives the file its name; an empty one goes.
func (a *archiveFile) finish(octets int64) error {
	if octets == 0 {
		return errors.Join(a.f.Close(), os.Remove(a.path()))
	}
	if err := errors.Join(a.f.Truncate(octets), a.f.Sync(), a.f.Close()); err != nil {
		return err
	}
	if err := os.Rename(a.path(), filepath.Join(a.dir, a.name)); err != nil {
		return err
	}
	return syncFolder(a.dir)
}

// syncFolder makes the names in a folder safe on disk.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
