package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
	"unicode/utf8"

	"outboxd/db"
	"outboxd/jobs"
)

// followEvery is how often a run that is followed is looked at.
const followEvery = 500 * time.Millisecond

// follow shows how a run goes until it waits for a person or has ended: by a bar on a terminal, elsewhere by a line at the end. Ctrl-C
// ends the looking on; the run goes on without it.
func follow(i *invocation, r jobs.RunInfo) error {
	if i.alone {
		_, err := fmt.Fprintf(i.stdout, "No daemon is running on this computer: %s goes on as soon as one does, here or on another one.\n", clean(r.RunName))
		return err
	}
	ctx, stop := signal.NotifyContext(i.ctx, os.Interrupt)
	defer stop()
	bar := &progress{w: i.stderr, on: isTerminal(i.stderr)}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	before := i.ctx
	i.ctx = ctx
	defer func() { i.ctx = before }()
	for goesOn(r.State) {
		bar.draw(r)
		select {
		case <-ctx.Done():
		case <-tick.C:
			reply, err := ask(i, opMailingList, jobs.MailingListRequest{Run: r.RunName})
			if err != nil && ctx.Err() == nil {
				bar.clear()
				return err
			}
			if err == nil {
				r = reply.Runs[0]
			}
		}
		if ctx.Err() != nil {
			bar.clear()
			_, err := fmt.Fprintf(i.stdout, "%s goes on without you. How it does: outboxd mailing list; to stop it: outboxd mailing stop %s\n", clean(r.RunName), clean(r.RunName))
			return err
		}
	}
	bar.clear()
	return printOutcome(i, r)
}

// goesOn tells whether a run gets further without a person.
func goesOn(s db.RunState) bool {
	return s == db.RunRunning || s == db.RunSending || s == db.RunCancelling
}

// printOutcome says where a run stands. One that did not come to a good end is exit status 1.
func printOutcome(i *invocation, r jobs.RunInfo) error {
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "%s is %s: %s\n", clean(r.RunName), r.State, countsText(r))
	printWaiting(w, r)
	if !r.State.Open() && r.Sum() > r.Sent {
		fmt.Fprintf(w, "Who has not got it, and what to do: outboxd mailing report %s --failed\n", clean(r.RunName))
	}
	if w.err == nil && (r.State == db.RunFailed || r.State == db.RunStopped || r.State == db.RunCancelled) {
		return exitError(exitFailed)
	}
	return w.err
}

// countsText says how many mails have come to which end.
func countsText(r jobs.RunInfo) string {
	parts := jobs.EndTexts(r.RunCounts)
	if r.Left > 0 {
		parts = append(parts, jobs.Grouped(r.Left)+" not ended")
	}
	if len(parts) == 0 {
		parts = []string{"nothing sent"}
	}
	if of := audienceOf(r); of != "" {
		parts = append(parts, "of "+of)
	}
	return strings.Join(parts, ", ")
}

// progress is a line on a terminal that is drawn anew and anew.
type progress struct {
	w     io.Writer
	on    bool
	drawn int // characters on the line
}

const (
	barWidth  = 16
	mostWidth = 79
)

// draw shows how far a run is: its rows while they are made, then those that have ended.
func (p *progress) draw(r jobs.RunInfo) {
	if !p.on {
		return
	}
	done, all, what := r.Sum(), r.Enqueued, "ended"
	if r.Audience != nil {
		all = *r.Audience
	}
	if r.State == db.RunRunning {
		done, what = r.Enqueued, "made"
		if r.Audience == nil {
			p.line(fmt.Sprintf("%s %s: %s rows made", clean(r.RunName), r.State, jobs.Grouped(done)))
			return
		}
	}
	text := fmt.Sprintf("%s %s %s %s of %s %s", clean(r.RunName), r.State, barOf(done, all), jobs.Grouped(done), jobs.Grouped(all), what)
	var more []string // as much as there is room for
	if r.Finish != nil {
		more = append(more, ", until "+r.Finish.In(zoneOf(r.Timezone)).Format("2 Jan 15:04"))
	}
	if r.Rate > 0 {
		more = append(more, fmt.Sprintf(", %s/hour", jobs.Grouped(int64(r.Rate))))
	}
	for _, part := range more {
		if utf8.RuneCountInString(text+part) <= mostWidth {
			text += part
		}
	}
	p.line(text)
}

// line puts a text in the place of the one before.
func (p *progress) line(text string) {
	text = short(text, mostWidth)
	n := len([]rune(text))
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.drawn-n)))
	p.drawn = n
}

// clear takes the line away.
func (p *progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}

// barOf is a bar that is full when all is done.
func barOf(done, all int64) string {
	full := 0
	if all > 0 {
		full = int(min(done, all) * barWidth / all)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// busy shows on a terminal that something takes its time, until done is called.
func busy(i *invocation, what string) (done func()) {
	bar := &progress{w: i.stderr, on: isTerminal(i.stderr)}
	if !bar.on {
		return func() {}
	}
	ctx, cancel := context.WithCancel(i.ctx)
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			bar.line(fmt.Sprintf("%s, %s", what, time.Since(began).Round(time.Second)))
			select {
			case <-ctx.Done():
				bar.clear()
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-ended }
}
