package template

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	gotime "time"

	"outboxd/mail/compose"
	"outboxd/mail/compose/table"
)

// Request is one mail to be rendered.
type Request struct {
	Language string // the row's, as in sk or pt-BR; "" is the company's
	Params   string // a JSON object; "" is an empty one
	// Query runs a query of the template, whose parameters are the row's: they are bound, never pasted. nil refuses queries.
	Query func(ctx context.Context, statement string) (*table.Result, error)
}

// Rendered is a mail's content.
type Rendered struct {
	Language string // that numbers and dates are written in, as in sk or pt-BR
	Subject  string // one line
	Text     string // "" when the template has none: it is made from the HTML
	HTML     string
	Inline   []compose.Attachment // the images that the HTML shows by cid:NAME, in the order of their names
}

// state is one rendering. The functions of an instance are bound to it for the instance's life.
type state struct {
	ctx     context.Context
	locale  *locale
	zone    *gotime.Location
	variant *variant
	params  map[string]any
	ask     askFunc
	results map[string]*Result // of queries, by name: each runs once a mail
	made    int                // octets that functions have made
}

type askFunc = func(ctx context.Context, statement string) (*table.Result, error)

// tick ends a rendering whose context has ended, also where nothing is written.
func (s *state) tick() (bool, error) { return false, context.Cause(s.ctx) }

// instance is a variant's programs bound to one state.
type instance struct {
	state               state
	subject, text, html run
	out                 limited
}

func (v *variant) instance() (*instance, error) {
	if in, ok := v.idle.Get().(*instance); ok {
		return in, nil
	}
	in := &instance{}
	in.state.variant = v
	for _, part := range []struct {
		program *program
		run     *run
	}{{v.subject, &in.subject}, {v.text, &in.text}, {v.html, &in.html}} {
		if part.program == nil {
			continue
		}
		var err error
		if *part.run, err = part.program.clone(&in.state); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// Render makes a mail of a template. The error is an *Error or a *SkipError, or wraps that of Query, or the context's where it was cancelled.
func (t *Template) Render(ctx context.Context, r Request) (rendered Rendered, err error) {
	lang, err := canonical(r.Language)
	if err != nil {
		return Rendered{}, &Error{Problem: Problem{Message: fmt.Sprintf("%q is no language", r.Language), Hint: "write it like sk or pt-BR"}}
	}
	v, tag := t.choose(lang)
	if v == nil {
		return Rendered{}, &Error{Problem: Problem{Message: fmt.Sprintf("the template %q has no body in %q or %q", t.name, lang, t.set.language),
			Hint: "it has one in " + strings.Join(slices.Sorted(maps.Keys(t.variants)), ", ")}}
	}
	params, err := ParseParams(r.Params)
	if err != nil {
		return Rendered{}, err
	}
	dropNulls(params)
	in, err := v.instance()
	if err != nil {
		return Rendered{}, &Error{Problem: Problem{Message: err.Error()}}
	}
	defer func() {
		if p := recover(); p != nil { // the instance is not used again
			rendered, err = Rendered{}, &Error{Problem: Problem{Message: fmt.Sprintf("the template %q cannot be rendered: %v", t.name, p)}}
		}
	}()
	limited, watch := newWatch(ctx)
	defer watch.stop()
	in.state = state{ctx: limited, locale: t.set.locales.get(tag), zone: t.set.zone, variant: v, params: params, ask: watch.pausing(ctx, r.Query)}
	rendered, err = in.render(v)
	rendered.Language = tag.String()
	in.release(v)
	return rendered, err
}

// release gives an instance back without what the mail was about.
func (in *instance) release(v *variant) {
	in.state = state{}
	if in.out.buf.Cap() > 1<<20 {
		in.out.buf = bytes.Buffer{}
	}
	v.idle.Put(in)
}

func (in *instance) render(v *variant) (r Rendered, err error) {
	for _, part := range []struct {
		run  run
		text *string
	}{{in.subject, &r.Subject}, {in.text, &r.Text}, {in.html, &r.HTML}} {
		if part.run == nil {
			continue
		}
		in.out.ctx = in.state.ctx
		in.out.buf.Reset()
		if err := part.run(&in.out, in.state.params); err != nil {
			return Rendered{}, v.explain(err)
		}
		*part.text = in.out.buf.String()
	}
	r.Subject = oneLine(r.Subject)
	if strings.Contains(r.HTML, unsafe) {
		return Rendered{}, &Error{Problem: Problem{Message: "a parameter cannot stand in the place of the HTML where it would be printed",
			Hint: "an address begins with https:, http: or mailto:, and a style holds no code; tel: and others are written into the template itself"}}
	}
	r.Inline = v.inline(r.HTML)
	return r, nil
}

// unsafe is what html/template writes in the place of a value that could be code.
const unsafe = "ZgotmplZ"

// limited is a bounded output that ends with its context.
type limited struct {
	buf bytes.Buffer
	ctx context.Context
}

func (l *limited) Write(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	if l.buf.Len()+len(p) > maxOutput {
		return 0, errOutput
	}
	return l.buf.Write(p)
}

// oneLine folds line breaks and runs of blanks to one blank. A no-break space stays.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		switch r {
		case ' ', '\t', '\n', '\v', '\f', '\r', '\u0085', '\u2028', '\u2029':
			return true
		}
		return false
	}), " ")
}

// inline returns the images that the HTML refers to.
func (v *variant) inline(html string) []compose.Attachment {
	var all []compose.Attachment
	if len(v.images) == 0 {
		return all
	}
	used := map[string]bool{}
	for i := strings.IndexByte(html, ':'); i >= 0; {
		rest := html[i+1:]
		if i >= len("cid") && strings.EqualFold(html[i-len("cid"):i], "cid") {
			used[rest[:nameLength(rest)]] = true
		}
		next := strings.IndexByte(rest, ':')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if a, ok := v.images[name]; ok {
			all = append(all, a)
		}
	}
	return all
}

// nameLength counts the characters of a file's name that s begins with, as imageName has them.
func nameLength(s string) int {
	i := 0
	for i < len(s) && ('a' <= s[i] && s[i] <= 'z' || 'A' <= s[i] && s[i] <= 'Z' || '0' <= s[i] && s[i] <= '9' || s[i] == '.' || s[i] == '_' || s[i] == '-') {
		i++
	}
	return i
}

// execError is what text/template says: template: FILE:LINE:COLUMN: executing "..." at <...>: MESSAGE. The column counts octets from 0.
var execError = regexp.MustCompile(`(?s)^(?:html/)?template: ?(.*?):(\d+):(\d+): (?:executing ".*?" at <(.*?)>: )?(.*)$`)

// explain makes an error for a person of what ended an execution.
func (v *variant) explain(err error) error {
	var skip *SkipError
	if errors.As(err, &skip) {
		return skip
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("render: %w", err) // the row can do nothing for it
	}
	e := &Error{Problem: Problem{Message: err.Error()}}
	var s site
	place := ""
	if m := execError.FindStringSubmatch(err.Error()); m != nil {
		s = v.sites[m[1]+":"+m[2]+":"+m[3]]
		place = m[4]
		e.File, e.Message = m[1], m[5]
		e.Line, _ = strconv.Atoi(m[2])
		octets, _ := strconv.Atoi(m[3])
		e.Column = v.column(m[1], e.Line, octets)
	}
	var gone missing
	var failed *queryError
	var container containerError
	switch {
	case errors.As(err, &gone):
		e.Message, e.Hint = s.missing(gone)
	case errors.As(err, &failed): // whose fault it is, who ran the query knows
		e.Message = fmt.Sprintf("the query %q", failed.name)
		return fmt.Errorf("%s: %w", e.Problem, failed.err)
	case errors.As(err, &container):
		e.Message, e.Hint = fmt.Sprintf("%s: %v", cmp.Or(s.text, place), container), containerHint
	case errors.Is(err, errTime), errors.Is(err, context.DeadlineExceeded):
		e.Message, e.Hint = errTime.Error(), "is there a loop in it that has no end?"
	case errors.Is(err, errOutput):
		e.Message, e.Hint = errOutput.Error(), "give the template less, or let it write less"
	default:
		e.Message = plainMessage(e.Message, place)
	}
	return e
}
