package mailing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"outboxd/jobs/jobfile"
)

// The kinds of a spec: those of the jobs.
const (
	KindMailing = "mailing"
	KindReport  = "report"
)

// Spec is what a run does. It stands as JSON in outbox_run.spec: what jobs.yaml says later changes nothing about a run that has begun.
type Spec struct {
	Kind      string         `json:"kind"`
	Job       string         `json:"job"`           // as the run has it: @AUDIENCE of a mailing that a person started
	Was       string         `json:"was,omitempty"` // the job's name before
	Audience  string         `json:"audience,omitempty"`
	Statement string         `json:"statement,omitempty"` // of the audience
	With      map[string]any `json:"with,omitempty"`      // values of its parameters: a text, a bool, or a json.Number
	Template  string         `json:"template,omitempty"`
	Subject   string         `json:"subject,omitempty"`
	Text      string         `json:"text,omitempty"`
	HTML      string         `json:"html,omitempty"`
	Attach    []Attach       `json:"attach,omitempty"`
	Key       []string       `json:"key,omitempty"`      // columns; none: the whole row
	OncePer   string         `json:"once_per,omitempty"` // run, day, week, month, quarter, year, ever
	Account   string         `json:"account,omitempty"`
	Priority  int            `json:"priority,omitempty"`
	Proof     *Proof         `json:"proof,omitempty"`
	Approval  *Approval      `json:"approval,omitempty"`
	Recheck   string         `json:"recheck,omitempty"`
	Canary    *Canary        `json:"canary,omitempty"`
	OnSent    string         `json:"on_sent,omitempty"`
	OnFailed  string         `json:"on_failed,omitempty"`
	Summary   []string       `json:"summary,omitempty"`
	Host      string         `json:"host,omitempty"`
	To        []string       `json:"to,omitempty"`       // of a report
	IfEmpty   string         `json:"if_empty,omitempty"` // of a report: skip, send, fail
	Meant     *time.Time     `json:"meant,omitempty"`    // the wall time that the run stands for, where a holiday has moved it
}

// Attach is what goes with each mail: a file, or what a query returns.
type Attach struct {
	File    string `json:"file,omitempty"` // below the company's attachments folder; may have placeholders
	Query   string `json:"query,omitempty"`
	As      string `json:"as,omitempty"`      // xlsx, csv, html
	Name    string `json:"name,omitempty"`    // may have placeholders
	Options string `json:"options,omitempty"` // JSON, as in outbox_attachment.options
}

// Proof is who sees samples beforehand, and how many.
type Proof struct {
	To      []string `json:"to"`
	Samples int      `json:"samples"`
}

// Approval is who lets a run go.
type Approval struct {
	By      []string      `json:"by"`
	Within  time.Duration `json:"within,omitempty"` // 0: whenever
	Else    string        `json:"else,omitempty"`   // cancel, go
	Starter bool          `json:"starter,omitempty"`
}

// Names are those who may let a run go that somebody has started: not the starter, unless that is said.
func (a Approval) Names(startedBy string) []string {
	if a.Starter {
		return a.By
	}
	return slices.DeleteFunc(slices.Clone(a.By), func(name string) bool { return name == startedBy })
}

// Canary is how a run begins with a few mails.
type Canary struct {
	First     int64         `json:"first"`
	Wait      time.Duration `json:"wait"`
	StopAbove float64       `json:"stop_above"` // percent
}

// Stops tells whether so many of the first mails were refused or came back that the others must not follow.
func (c Canary) Stops(ended, bad int64) bool {
	return bad > 0 && float64(bad)*100 > c.StopAbove*float64(ended)
}

// Parse reads what JSON wrote. Numbers are as they were written.
func Parse(text string) (Spec, error) {
	var s Spec
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more behind it")
		}
	}
	if err != nil {
		return Spec{}, fmt.Errorf("the run's spec is not what outboxd wrote: %w", err)
	}
	return s, nil
}

// JSON is the spec as it stands in outbox_run. It cannot fail for a spec that was made of a jobs.yaml; one that holds what JSON has
// no word for gives "".
func (s Spec) JSON() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it in the table
	if err := e.Encode(s); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// At is the spec of a run at a wall time of a schedule. What a holiday has moved into another month stands for the month that was
// meant: else the customers of January, mailed on 31 December, would be those whom December has had already.
func (s Spec) At(when *jobfile.Schedule, scheduled time.Time) Spec {
	if when != nil {
		if meant := when.Meant(scheduled); !meant.Equal(scheduled) {
			s.Meant = &meant
		}
	}
	return s
}

// Stands is the wall time that a run stands for: the scheduled one, unless a holiday has moved that.
func (s Spec) Stands(scheduled time.Time) time.Time {
	if s.Meant != nil {
		return *s.Meant
	}
	return scheduled
}

// Period is within what the run's business keys are mailed once, by the wall time for which it was scheduled; "" when that is the run
// alone.
func (s Spec) Period(scheduled time.Time) string {
	scheduled = s.Stands(scheduled)
	switch s.OncePer {
	case "day":
		return scheduled.Format(time.DateOnly)
	case "week":
		year, week := scheduled.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	case "month":
		return scheduled.Format("2006-01")
	case "quarter":
		return fmt.Sprintf("%04d-Q%d", scheduled.Year(), quarter(scheduled))
	case "year":
		return scheduled.Format("2006")
	case "ever":
		return "ever"
	}
	return ""
}

func quarter(t time.Time) int { return (int(t.Month()) + 2) / 3 }
