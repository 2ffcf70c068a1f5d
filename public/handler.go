package public

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"outboxd/jobs"
)

// Desk is who answers for the companies.
type Desk interface {
	// Approval is what the holder of a link may see. A link that is none is jobs.ErrNoLink.
	Approval(ctx context.Context, l jobs.ApprovalLink) (jobs.Approval, error)
	// MailCode mails a code, which approves once and for a short time, to the address of the person whose link it is.
	MailCode(ctx context.Context, l jobs.ApprovalLink) error
	// ApproveByCode lets the run go.
	ApproveByCode(ctx context.Context, l jobs.ApprovalLink, code string) error
}

// handler answers the requests.
type handler struct {
	desk   func() Desk
	report func(error)
}

// Handler returns what answers requests. own is the address at which people reach it: a form is taken from pages of that one alone.
func Handler(desk func() Desk, own string, report func(error)) http.Handler {
	h := &handler{desk, report}
	mux := http.NewServeMux()
	const page = jobs.ApprovalPath + "{company}/{run}/{person}/{mac}"
	mux.HandleFunc("GET "+page, h.show)
	mux.HandleFunc("POST "+page+"/code", h.code)
	mux.HandleFunc("POST "+page+"/approve", h.approve)
	mux.HandleFunc("GET "+page+"/{act}", h.back)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { h.gone(w) })
	foreign := http.NewCrossOriginProtection()
	if u, err := url.Parse(own); err == nil {
		_ = foreign.AddTrustedOrigin(u.Scheme + "://" + u.Host) // jobs.yaml was checked: it is an origin
	}
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusForbidden, view{Title: "Not from here", Trouble: "This form was sent from another site. Open the link of your mail, and use the form there."})
	}))
	return protected(foreign.Handler(mux))
}

// protected has browsers keep nothing, load nothing, run nothing and pass the link on to nobody.
func protected(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src '"+styleHash+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Robots-Tag", "noindex, nofollow")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		asked := r.Context()
		if r.Method == http.MethodPost {
			asked = context.WithoutCancel(asked) // what it asks for is done whole, also for a browser that does not wait
		}
		ctx, cancel := context.WithTimeout(asked, askTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// link is the one that a request is for; false when it can be none.
func link(r *http.Request) (jobs.ApprovalLink, bool) {
	run, err := strconv.ParseUint(r.PathValue("run"), 10, 64)
	return jobs.ApprovalLink{Company: r.PathValue("company"), Run: run, Person: r.PathValue("person"), MAC: r.PathValue("mac")}, err == nil
}

// show shows the run. It changes nothing: mail programs and their guards fetch links before anybody reads the mail.
func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	l, ok := link(r)
	if !ok {
		h.gone(w)
		return
	}
	a, err := h.desk().Approval(r.Context(), l)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, approvalView(a, r.URL.Path))
}

// back leads a reload of what a form has answered to the page.
func (h *handler) back(w http.ResponseWriter, r *http.Request) {
	act := r.URL.EscapedPath()
	http.Redirect(w, r, act[:strings.LastIndexByte(act, '/')], http.StatusSeeOther)
}

// code mails the code, and asks for it.
func (h *handler) code(w http.ResponseWriter, r *http.Request) {
	l, ok := link(r)
	if !ok {
		h.gone(w)
		return
	}
	a, err := h.desk().Approval(r.Context(), l)
	if err == nil {
		err = h.desk().MailCode(r.Context(), l)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	v := approvalView(a, backOf(r))
	v.Coded = true
	write(w, http.StatusOK, v)
}

// approve takes the code. Once it has, the page says so, whatever comes of the look at the run.
func (h *handler) approve(w http.ResponseWriter, r *http.Request) {
	l, ok := link(r)
	if !ok {
		h.gone(w)
		return
	}
	if err := h.desk().ApproveByCode(r.Context(), l, r.PostFormValue("code")); err != nil {
		h.refuse(w, r, err)
		return
	}
	v := view{Title: "Approved", Person: l.Person}
	if a, err := h.desk().Approval(r.Context(), l); err == nil {
		v = approvalView(a, "")
	} else {
		h.report(err)
	}
	v.Done = true
	write(w, http.StatusOK, v)
}

// refuse answers with why not. What is no matter of the one who asks is reported, and told without its details.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var ask *jobs.AskError
	switch {
	case errors.Is(err, jobs.ErrNoLink):
		h.gone(w)
	case errors.As(err, &ask) && ask.Err == nil:
		write(w, http.StatusConflict, view{Title: "Not done", Trouble: ask.Text, Hint: ask.Hint, Back: backOf(r)})
	default:
		h.report(err)
		write(w, http.StatusServiceUnavailable, view{Title: "Not now", Trouble: "The database does not answer at the moment.", Hint: "Nothing was changed. Try again in a minute.", Back: backOf(r)})
	}
}

// backOf is the page of the link whose form was sent.
func backOf(r *http.Request) string {
	return strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/code"), "/approve")
}

// gone is the answer to all that is no link, or not any more.
func (h *handler) gone(w http.ResponseWriter) {
	write(w, http.StatusNotFound, view{Title: "Nothing is here", Trouble: "The link is not complete, or what it led to is gone.",
		Hint: "Copy the whole link of the mail. If you have it from somebody else: it is for that person alone."})
}
