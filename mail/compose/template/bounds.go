package template

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"reflect"
	"regexp"
	"strings"
	"time"

	"outboxd/mail/compose/table"
)

// maxOutput bounds what one part of a mail may become, and what functions make for it, in octets.
const maxOutput = 32 << 20

var errOutput = fmt.Errorf("the mail becomes larger than %d MB", maxOutput>>20)

// maxTime bounds a rendering, but for the time of its queries.
var maxTime = 10 * time.Second

var errTime = errors.New("rendering took too long")

// watch ends a rendering at its time. While a query runs the time stands still.
type watch struct {
	timer *time.Timer
	end   context.CancelCauseFunc
}

func newWatch(ctx context.Context) (context.Context, *watch) {
	ctx, end := context.WithCancelCause(ctx)
	return ctx, &watch{time.AfterFunc(maxTime, func() { end(errTime) }), end}
}

// pausing is how a query is run.
func (w *watch) pausing(ctx context.Context, ask askFunc) askFunc {
	if ask == nil {
		return nil
	}
	return func(_ context.Context, statement string) (*table.Result, error) {
		w.timer.Stop()
		defer w.timer.Reset(maxTime)
		return ask(ctx, statement)
	}
}

func (w *watch) stop() {
	w.timer.Stop()
	w.end(nil)
}

// makes counts octets that functions make, before they do.
func (s *state) makes(octets int) error {
	if s.made += octets; s.made < 0 || s.made > maxOutput {
		return errOutput
	}
	return nil
}

// containerError says that a value has no one way to be written.
type containerError struct{ value any }

func (e containerError) Error() string { return show(e.value) + " cannot be printed" }

const containerHint = "write one of its fields, go through it with range, or make a table of it"

// shown ends every action that prints.
func shown(v any) (any, error) {
	switch v.(type) {
	case string, Number, htmltemplate.HTML: // nearly all
		return v, nil
	}
	if isContainer(v) {
		return nil, containerError{v}
	}
	return given(v)
}

func isContainer(v any) bool {
	switch reflect.ValueOf(v).Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer:
		return true
	}
	return false
}

// printable values are there and are no lists or objects. octets is what they have together.
func printableValues(values []any) (octets int, err error) {
	if err := firstMissing(values); err != nil {
		return 0, err
	}
	for _, v := range values {
		if isContainer(v) {
			return 0, containerError{v}
		}
		octets += length(v)
	}
	return octets, nil
}

// length is how many octets a value has when it is written, at least.
func length(v any) int {
	if r := reflect.ValueOf(v); r.Kind() == reflect.String {
		return r.Len()
	}
	return 32
}

// maxWidth is how wide printf makes a value, in characters.
const maxWidth = 999

var wide = regexp.MustCompile(`%[^a-zA-Z%]*\d{4}`)

// formatted is how many octets a format can make of values at most.
func formatted(format string, values []any) (int, error) {
	if strings.Contains(format, "*") || wide.MatchString(format) {
		return 0, fmt.Errorf("a width in a format is written out and at most %d", maxWidth)
	}
	longest := maxWidth
	for _, v := range values {
		longest = max(longest, 4*length(v)) // as %q writes what is no letter
	}
	verbs := strings.Count(format, "%")
	if verbs > maxOutput/longest {
		return 0, errOutput
	}
	return len(format) + verbs*longest, nil
}
