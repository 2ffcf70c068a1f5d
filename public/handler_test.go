package public

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"outboxd/jobs"
)

const (
	own  = "https://mail.acme.example"
	path = "/approve/acme/12/jan/good"
)

// desk plays the company: a run that waits for jan, with one good link.
type desk struct {
	codes, approvals []string
	standing         string
	open             bool
	err              error
	lost             error // of each look after the approval
}

func (d *desk) Approval(_ context.Context, l jobs.ApprovalLink) (jobs.Approval, error) {
	if l != (jobs.ApprovalLink{Company: "acme", Run: 12, Person: "jan", MAC: "good"}) {
		return jobs.Approval{}, jobs.ErrNoLink
	}
	if len(d.approvals) > 0 && d.lost != nil {
		return jobs.Approval{}, d.lost
	}
	return jobs.Approval{Company: "acme", Job: "statements", Person: "jan", Address: "j…@acme.example", Open: d.open, Standing: d.standing,
		Facts:    []jobs.ApprovalFact{{Name: "Get a mail", Value: "412"}},
		Troubles: []jobs.ApprovalTrouble{{Key: "7", Recipient: `"<script>x" <a@kunde.example>`, Reason: "no address"}}}, d.err
}

func (d *desk) MailCode(ctx context.Context, l jobs.ApprovalLink) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, err := d.Approval(ctx, l); err != nil {
		return err
	}
	d.codes = append(d.codes, l.Person)
	return nil
}

func (d *desk) ApproveByCode(ctx context.Context, l jobs.ApprovalLink, code string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, err := d.Approval(ctx, l); err != nil {
		return err
	}
	if code != "1234 5678" {
		return &jobs.AskError{Text: "That is not the code.", Hint: "Look again."}
	}
	d.approvals, d.open = append(d.approvals, l.Person), false
	return nil
}

// ask sends a request as a browser does, from a page of the origin; "" for none.
func ask(t *testing.T, d *desk, method, target, form, origin string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	Handler(func() Desk { return d }, own, func(error) {}).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLookingChangesNothing(t *testing.T) {
	d := &desk{open: true, standing: "It waits for approval."}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := ask(t, d, method, path, "", "")
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", method, r.Status)
		}
	}
	text := body(t, ask(t, d, http.MethodGet, path, "", ""))
	for _, want := range []string{"statements of acme", "It waits for approval.", "412", "Mail me a code", path + "/code", "&lt;script&gt;", "j…@acme.example"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, never := range []string{"<script", "Approve, and let", "jan@"} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if r := ask(t, d, http.MethodGet, path+"/approve?code=1234+5678", "", ""); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != path {
		t.Errorf("a reload of the answer: %s, to %s", r.Status, r.Header.Get("Location"))
	}
	if len(d.codes)+len(d.approvals) > 0 {
		t.Errorf("looking mailed %q and approved as %q", d.codes, d.approvals)
	}
}

func TestApprovalTakesTheCode(t *testing.T) {
	d := &desk{open: true}
	if text := body(t, ask(t, d, http.MethodPost, path+"/code", "", own)); !strings.Contains(text, "Approve, and let the mails go") || len(d.codes) != 1 {
		t.Fatalf("the code was asked for %d times: %s", len(d.codes), text)
	}
	r := ask(t, d, http.MethodPost, path+"/approve", "code=1111+1111", own)
	if text := body(t, r); r.StatusCode != http.StatusConflict || !strings.Contains(text, "That is not the code.") || !strings.Contains(text, `href="`+path+`"`) {
		t.Errorf("a wrong code: %s: %s", r.Status, text)
	}
	if r := ask(t, d, http.MethodPost, path+"/approve?code=1234+5678", "", own); r.StatusCode != http.StatusConflict {
		t.Errorf("a code in the address, which proxies write down, was taken: %s", r.Status)
	}
	r = ask(t, d, http.MethodPost, path+"/approve", "code=1234+5678", own)
	if text := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(text, "Approved by jan") || strings.Contains(text, "<form") {
		t.Errorf("the code: %s: %s", r.Status, text)
	}
	if len(d.approvals) != 1 {
		t.Errorf("approved as %q", d.approvals)
	}
}

func TestWhatIsNoLinkIsNothing(t *testing.T) {
	d := &desk{open: true}
	first := body(t, ask(t, d, http.MethodGet, "/approve/acme/12/jan/bad", "", ""))
	for _, target := range []string{"/", "/approve/", "/approve/acme/x/jan/good", "/approve/other/12/jan/good", "/approve/acme/12/eva/good", "/approve/acme/99999999999999999999/jan/good",
		"/approve/acme/12/jan/good/more/of/it", "/approve/acme/12/../../..", "/favicon.ico"} {
		r := ask(t, d, http.MethodGet, target, "", "")
		if r.StatusCode >= 300 && r.StatusCode < 400 {
			continue // the path was cleaned
		}
		if text := body(t, r); r.StatusCode != http.StatusNotFound || text != first {
			t.Errorf("%s: %s, another page than that of a wrong link", target, r.Status)
		}
	}
	for _, target := range []string{"/approve/acme/12/jan/bad/code", "/approve/acme/12/jan/bad/approve"} {
		if r := ask(t, d, http.MethodPost, target, "code=1234+5678", own); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", target, r.Status)
		}
	}
	if len(d.codes)+len(d.approvals) > 0 {
		t.Errorf("a wrong link mailed %q and approved as %q", d.codes, d.approvals)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	d := &desk{open: true}
	for _, origin := range []string{"https://evil.example", "null", "http://mail.acme.example"} {
		for _, act := range []string{"/code", "/approve"} {
			if r := ask(t, d, http.MethodPost, path+act, "code=1234+5678", origin); r.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %s: %s", act, origin, r.Status)
			}
		}
	}
	if len(d.codes)+len(d.approvals) > 0 {
		t.Errorf("another site mailed %q and approved as %q", d.codes, d.approvals)
	}
}

func TestPagesAreKeptByNobodyAndLoadNothing(t *testing.T) {
	for _, target := range []string{path, "/"} {
		r := ask(t, &desk{open: true}, http.MethodGet, target, "", "")
		policy := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", styleHash} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy has no %s: %s", target, want, policy)
			}
		}
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Referrer-Policy") != "same-origin" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", target, r.Header)
		}
	}
}

func TestADatabaseThatIsAwayIsToldWithoutDetails(t *testing.T) {
	d := &desk{open: true, err: &jobs.AskError{Text: "dial tcp 10.0.0.1:3306: refused", Err: errors.New("refused")}}
	var reported []error
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	Handler(func() Desk { return d }, own, func(err error) { reported = append(reported, err) }).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "10.0.0.1") || len(reported) != 1 {
		t.Errorf("%d, reported %v: %s", w.Code, reported, w.Body)
	}
}

// TestAnApprovalIsNotTakenBackByTheLookAfterIt: the page never says that nothing was changed when something was.
func TestAnApprovalIsNotTakenBackByTheLookAfterIt(t *testing.T) {
	d := &desk{open: true, lost: errors.New("connection reset")}
	r := ask(t, d, http.MethodPost, path+"/approve", "code=1234+5678", own)
	if text := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(text, "Approved by jan") || len(d.approvals) != 1 {
		t.Errorf("%s: %s", r.Status, text)
	}
}

// TestWhoeverHasSentAFormMayGo: what a form asks for is done also when the browser does not wait for the answer.
func TestWhoeverHasSentAFormMayGo(t *testing.T) {
	d := &desk{open: true}
	gone, leave := context.WithCancel(context.Background())
	leave()
	for _, act := range []string{"/code", "/approve"} {
		r := httptest.NewRequestWithContext(gone, http.MethodPost, path+act, strings.NewReader("code=1234+5678"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", own)
		Handler(func() Desk { return d }, own, func(err error) { t.Error(err) }).ServeHTTP(httptest.NewRecorder(), r)
	}
	if len(d.codes) != 1 || len(d.approvals) != 1 {
		t.Errorf("mailed %q, approved as %q", d.codes, d.approvals)
	}
}
