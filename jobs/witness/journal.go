package witness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/statefile"
)

// journal is the file of mails handed over that is being written: a line a record, never synced for one mail, begun anew
// each day and when it is large.
type journal struct {
	file   *os.File
	day    string
	of     string // the identity of the last lines
	size   int64
	wrote  bool // since the last Rest
	failed bool // so that a full disk is told of once
}

const (
	maxJournal  = 16 << 20 // octets of one file
	maxJournals = 64       // files of a company and daemon
	dayForm     = "20060102"
	stampForm   = dayForm + "T150405.000000"
)

// ofMark begins the line that says from which database the mails of the next lines are.
const ofMark = "= "

// Handed notes that mail of a database was handed over, or what became of it. An error is returned once until it works again.
func (c *Company) Handed(identity string, r Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.folder.path == "" {
		return nil
	}
	err := c.append(identity, r.line())
	told := c.journal.failed
	c.journal.failed = err != nil
	if err == nil || told {
		return nil
	}
	return fmt.Errorf("note what was handed over for %s: %w", c.name, err)
}

func (c *Company) append(identity, line string) error {
	j := &c.journal
	if today := time.Now().UTC().Format(dayForm); j.file == nil || j.day != today || j.size > maxJournal {
		if err := c.begin(today); err != nil {
			return err
		}
	}
	if j.of != identity {
		j.of, line = identity, ofMark+identity+"\n"+line
	}
	n, err := j.file.WriteString(line)
	j.size += int64(n)
	j.wrote = true
	return err
}

// begin goes on with the day's last file, or begins a new one and drops those that are too old or too many.
func (c *Company) begin(today string) error {
	if err := c.journal.close(); err != nil {
		return err
	}
	dir := filepath.Join(c.folder.path, c.folder.instance)
	if err := statefile.MakeFolder(dir); err != nil {
		return err
	}
	all, err := c.journals(escaped(dir))
	if err != nil {
		return err
	}
	name := filepath.Join(dir, c.name+"."+time.Now().UTC().Format(stampForm)+".sent")
	if n := len(all); n > 0 && strings.HasPrefix(stamp(all[n-1]), today) {
		if info, err := os.Stat(all[n-1]); err == nil && info.Size() <= maxJournal {
			name = all[n-1]
		}
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, statefile.Mode)
	if err != nil {
		return err
	}
	n, err := file.WriteString("\n") // ends a line that a crash has cut
	c.journal = journal{file: file, day: today, size: int64(n)}
	if info, stat := file.Stat(); stat == nil {
		c.journal.size = info.Size()
	}
	return errors.Join(err, drop(all))
}

// drop removes files that are too old or too many.
func drop(all []string) error {
	var errs []error
	oldest := time.Now().UTC().Add(-db.HandedFor).Format(dayForm)
	for i, file := range all {
		if stamp(file) < oldest || i < len(all)-maxJournals {
			errs = append(errs, os.Remove(file))
		}
	}
	return errors.Join(errs...)
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// Rest closes the file when nothing was written since the last Rest: a thousand quiet companies keep none open.
func (c *Company) Rest() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.journal.wrote {
		c.journal.wrote = false
		return nil
	}
	return c.journal.close()
}

// Close closes the file.
func (c *Company) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.journal.close()
}

// journals lists the company's files below folders, the oldest first.
func (c *Company) journals(folders string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folders, c.name+".*.sent"))
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(stamp(a), stamp(b)) })
	return files, err
}

// stamp is when a file was begun.
func stamp(file string) string {
	_, stamp, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".sent"), ".")
	return stamp
}

// Records gives f what all daemons of this state directory have noted about the company, the newest files of at most so many
// octets, with the database that each is from. What cannot be read is told in the error and does not keep back the rest.
func (c *Company) Records(octets int64, f func(identity string, r Record)) error {
	if c.folder.path == "" {
		return nil
	}
	files, err := c.journals(filepath.Join(escaped(c.folder.path), "*"))
	errs := []error{err}
	first := len(files)
	for first > 0 {
		info, err := os.Stat(files[first-1])
		if err != nil {
			errs = append(errs, err)
		} else if octets -= info.Size(); octets < 0 {
			break
		}
		first--
	}
	for _, file := range files[first:] {
		errs = append(errs, readJournal(file, f))
	}
	return errors.Join(errs...)
}

func readJournal(file string, f func(string, Record)) error {
	opened, err := os.Open(file)
	if err != nil {
		return err
	}
	defer opened.Close() // it was only read
	lines := bufio.NewReader(opened)
	identity := ""
	for {
		line, err := lines.ReadString('\n')
		if of, ok := strings.CutPrefix(line, ofMark); ok {
			identity = strings.TrimSpace(of)
		} else if r, ok := parseLine(line); ok {
			f(identity, r)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
}

var globbed = regexp.MustCompile(`[\\*?\[]`)

// escaped is a path that Glob takes as it stands.
func escaped(path string) string { return globbed.ReplaceAllString(path, `\$0`) }
