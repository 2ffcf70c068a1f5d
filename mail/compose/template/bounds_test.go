package template_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// TestNoListOrObjectIsPrinted: Go would write them as map[name:Eva] and [<nil>].
func TestNoListOrObjectIsPrinted(t *testing.T) {
	found := func(r *template.Request) {
		r.Query = func(context.Context, string) (*table.Result, error) { return &table.Result{}, nil }
	}
	for _, c := range []struct{ html, params, want string }{
		{`{{.x}}`, `{"x": {"name": "Eva"}}`, ".x: an object cannot be printed"},
		{`{{.x}}`, `{"x": []}`, ".x: a list cannot be printed"},
		{`{{range .x}}{{.}}{{end}}`, `{"x": [[null]]}`, ".: a list cannot be printed"},
		{`{{$y := .x}}{{$y}}`, `{"x": {}}`, "$y: an object cannot be printed"},
		{`{{print .x}}`, `{"x": [null]}`, "a list cannot be printed"},
		{`{{printf "%v" .x}}`, `{"x": [null]}`, "a list cannot be printed"},
		{`{{query "items" "send"}}`, `{}`, "a query's result cannot be printed"},
	} {
		r, err := render(t, c.html, c.params, found)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %q, %v, want %s", c.html, c.params, r.HTML, err, c.want)
		}
	}
}

// TestARenderingIsBounded: neither memory nor time of a template has no end.
func TestARenderingIsBounded(t *testing.T) {
	many := `{"x": [` + strings.Repeat(`{"a": 1},`, 20000) + `{"a": 1}], "long": "` + strings.Repeat("%d", 100000) + `", "n": 1` + strings.Repeat("0", 400) + `}`
	const large, endless = "the mail becomes larger than 32 MB", "rendering took too long"
	for _, c := range []struct{ html, want string }{
		{`{{range 9000000000000000000}}{{continue}} {{end}}`, endless},
		{`{{range 9000000000000000000}}{{if eq . 1}}{{break}}{{end}}{{end}}{{range 9000000000000000000}}{{end}}`, endless},
		{`{{$x := "0123456789"}}{{range 60}}{{$x = print $x $x}}{{end}}`, large},
		{`{{$x := "0123456789"}}{{range 60}}{{$x = printf "%s%[1]s" $x}}{{end}}`, large},
		{`{{$x := "\\\\"}}{{range 60}}{{$x = js $x $x}}{{end}}`, large},
		{`{{$x := plural .n "other" .long}}`, large},
		{`{{$x := table .x` + strings.Repeat(` "a"`, 100) + `}}`, large},
		{`{{$x := printf "%900000s" "x"}}`, "at most 999"},
		{`{{$x := printf "%*d" 900000 1}}`, "at most 999"},
	} {
		template.SetMaxTime(t, time.Minute)
		if c.want == endless {
			template.SetMaxTime(t, 200*time.Millisecond)
		}
		if _, err := render(t, c.html, many); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.html, err, c.want)
		}
	}
}

// TestAQueryTakesNoTimeOfTheTemplate: its own limit bounds it. A stop is no fault of the row.
func TestAQueryTakesNoTimeOfTheTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := render(t, `{{range (query "items" "send").Rows}}{{end}}done`, "{}", func(r *template.Request) {
			r.Query = func(ctx context.Context, _ string) (*table.Result, error) {
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
				}
				return &table.Result{}, ctx.Err()
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	set := load(t, files("x/subject.txt", "S", "x/body.html", "{{range 9000000000000000000}}{{end}}"), "")
	x, _ := set.Template("x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Render(ctx, template.Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a stop: %v", err)
	}
}
