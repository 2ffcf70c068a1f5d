package public

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"outboxd/jobs"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var (
	pageForm = template.Must(template.New("page").Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(pageStyle) }}).Parse(pageText))
	// styleHash lets the page's own style pass the policy (Content Security Policy Level 3, section 2.3.1), and no other.
	styleHash = func() string {
		sum := sha256.Sum256([]byte(pageStyle))
		return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	}()
)

// view is what a page shows.
type view struct {
	Title   string
	Lead    string
	Facts   []fact
	Rows    []jobs.ApprovalTrouble // of the audience that get nothing
	Action  string                 // where forms go; "" without any
	Person  string
	Address string // where the code goes, hardly readable
	Coded   bool   // the code is on its way
	Done    bool   // it is approved
	Trouble string
	Hint    string
	Back    string
}

type fact struct{ Name, Value string }

// approvalView is the page of a run.
func approvalView(a jobs.Approval, path string) view {
	v := view{Title: a.Job + " of " + a.Company, Lead: a.Standing, Person: a.Person, Address: a.Address, Rows: a.Troubles}
	for _, f := range a.Facts {
		v.Facts = append(v.Facts, fact{f.Name, f.Value})
	}
	if a.Open {
		v.Action = path
	}
	return v
}

// write writes a page with its length: one that was cut off is no page.
func write(w http.ResponseWriter, status int, v view) {
	var b bytes.Buffer
	if err := pageForm.Execute(&b, v); err != nil {
		http.Error(w, "the page cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have gone
}
