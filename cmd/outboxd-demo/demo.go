package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"outboxd/mail/page"
	"outboxd/mail/smtptest"
)

// demo shows what happens: it prints it and keeps the pages in the folder up to date.
type demo struct {
	out      io.Writer
	folder   string
	command  string // inserts a further mail
	pool     *sql.DB
	samples  []*sample
	story    *story
	rows     []row
	arriving <-chan smtptest.Message
	mails    []caught
	printed  map[string]string // row -> what was last said of it
	daemon   asker
	answers  answers // of the daemon, by row
	changed  bool    // since the page was written
}

// asker tells what a row waits for.
type asker interface {
	why(ctx context.Context, row string) (text string, until time.Time, err error)
}

// answers are what the daemon last said of each row. They still hold when it has stopped.
type answers map[string]answer

type answer struct {
	text  string
	until time.Time
}

func (a answers) why(_ context.Context, row string) (string, time.Time, error) {
	return a[row].text, a[row].until, nil
}

// lookEvery is how often the rows are read.
const lookEvery = 300 * time.Millisecond

// DifferentError says that the samples did not come out as expected in time.
type DifferentError struct{ Differences []string }

// Error lists the differences, one a line.
func (e *DifferentError) Error() string {
	return "not as expected:\n  " + strings.Join(e.Differences, "\n  ")
}

// watch follows mails and rows until ctx ends, the daemon ends, or (if limit is not 0) the samples are as expected;
// when they are not so within limit, it returns a *DifferentError.
func (d *demo) watch(ctx context.Context, daemon <-chan error, limit time.Duration) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-tick.C:
		case err := <-daemon:
			return fmt.Errorf("the daemon ended by itself: %w", err)
		case <-late:
			return &DifferentError{d.differences()}
		case <-ctx.Done():
			return nil
		}
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if limit > 0 && len(d.differences()) == 0 {
			return nil
		}
	}
}

// differences are those of the samples and of the mailing.
func (d *demo) differences() []string {
	wrong := differences(d.samples, d.rows, d.mails, time.Now())
	if d.story != nil {
		wrong = append(wrong, d.story.differences(d.mails)...)
	}
	return wrong
}

// look shows the mails that arrived and the rows that changed. A mail arrives before its row says so: with the rows read
// first, the mails are shown first.
func (d *demo) look(ctx context.Context) error {
	rows, err := readRows(ctx, d.pool)
	if err != nil {
		return err
	}
	if err := d.showMails(ctx); err != nil {
		return err
	}
	if err := d.ask(ctx, rows); err != nil {
		return err
	}
	d.showRows(rows)
	if d.story != nil {
		if err := d.story.look(ctx, d.mails); err != nil {
			return err
		}
	}
	if !d.changed {
		return nil
	}
	d.changed = false
	return writeIndex(d.folder, map[string]any{
		"Now": time.Now(), "Rows": rows, "Mails": d.mails, "Command": d.command,
	})
}

// showMails shows what the catching server took since the last look.
func (d *demo) showMails(ctx context.Context) error {
	for {
		select {
		case m := <-d.arriving:
			if err := d.showMail(ctx, m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (d *demo) showMail(ctx context.Context, m smtptest.Message) error {
	row, err := rowOf(ctx, d.pool, m.MessageID)
	if err != nil {
		return err
	}
	c, err := writeMail(d.folder, len(d.mails)+1, row, m)
	if err != nil {
		return fmt.Errorf("write mail %d: %w", len(d.mails)+1, err)
	}
	d.mails, d.changed = append(d.mails, c), true
	d.say("%-9s  mail to %s: %s%s%s", c.Row, strings.Join(c.Envelope, ", "), c.Subject, indent, page.FileURL(filepath.Join(d.folder, c.Page)))
	return nil
}

// showRows tells what changed since the last look.
func (d *demo) showRows(rows []row) {
	for i := range rows {
		r := &rows[i]
		for _, m := range d.mails {
			if m.Row == r.Name {
				r.Pages = append(r.Pages, m.Page)
			}
		}
		line := r.String()
		if d.printed[r.Name] == line {
			continue
		}
		d.printed[r.Name], d.changed = line, true
		if worthSaying(*r) {
			d.say("%s", line)
		}
	}
	d.rows = rows
}

const (
	// mostAsked bounds the questions of one look: somebody may have inserted thousands of rows.
	mostAsked = 10
	// soon is how long a due row may take before it counts as one that waits.
	soon = 1500 * time.Millisecond
	// same is the difference between two answers that is none: the daemon computes the time anew for each.
	same = 2 * time.Second
)

// ask finds out what rows wait for that are due and still queued: the limit of their account.
func (d *demo) ask(ctx context.Context, rows []row) error {
	asked := 0
	for i := range rows {
		r := &rows[i]
		if r.State != "queued" || time.Since(r.Next) < soon || asked == mostAsked {
			continue
		}
		asked++
		text, until, err := d.daemon.why(ctx, r.Name)
		if err != nil {
			return err
		}
		if before := d.answers[r.Name].until; until.Sub(before).Abs() < same {
			until = before
		}
		d.answers[r.Name] = answer{text, until}
		if until.After(time.Now()) {
			r.Next, r.Why = until, text
		}
	}
	return nil
}

// worthSaying leaves out what lasts for a moment only.
func worthSaying(r row) bool {
	return r.State != "sending" && (r.State != "queued" || r.When() != "")
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, clock(time.Now())+"  "+format+"\n", args...)
}
