package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail/compose"
)

func packed(row db.Row, conf jobfile.Account) (*parcel, error) {
	if row.MessageID == "" {
		row.MessageID = "<1@acme.example>"
	}
	nobody := &suppressions{fetch: func(context.Context, []string) (map[string]db.Suppression, error) { return nil, nil }}
	k := newPacker(&Place{Company: &jobfile.Company{Timezone: time.UTC}, list: nobody}, &conf, &jobfile.Deliver{})
	k.maxSize = 1000
	row.Ready = time.Unix(0, 0)
	w, err := (&resolver{accounts: []*jobfile.Account{&conf}}).resolve(row.Account, row.From)
	if err != nil {
		return nil, err
	}
	return k.pack(context.Background(), row, w, nil)
}

var packAccount = jobfile.Account{Name: "main", From: "Acme <noreply@acme.example>"}

func TestPackRefuses(t *testing.T) {
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprintf("r%d@kunde.example", i))
	}
	const to = "a@kunde.example"
	for _, c := range []struct {
		row  db.Row
		want string
	}{
		{db.Row{Recipients: to, Size: 1001}, "the mail's content is 1001 octets, and 1000 is the limit"},
		{db.Row{}, "recipients: there is no address"},
		{db.Row{Recipients: "nobody"}, "recipients: "},
		{db.Row{Recipients: to, Cc: "nobody"}, "cc: "},
		{db.Row{Recipients: to, Bcc: "nobody"}, "bcc: "},
		{db.Row{Recipients: to, ReplyTo: "nobody"}, "reply_to: "},
		{db.Row{Recipients: to, From: "nobody"}, "from_address \"nobody\""},
		{db.Row{Recipients: to, Headers: "{"}, "headers: "},
		{db.Row{Recipients: to, Subject: "a\nb"}, "subject: "},
		{db.Row{Recipients: strings.Join(many, ",")}, "recipients: 101 addresses"},
		{db.Row{Recipients: to + ",b@kunde.example", Known: []db.Recipient{{Position: 0, Address: to, State: db.RecipientAccepted},
			{Position: 1, Address: "b@kunde.example", State: db.RecipientFailed}}}, "no recipient is open any more"},
	} {
		_, err := packed(c.row, packAccount)
		var row *rowError
		if !errors.As(err, &row) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.80v: %v, want %s", c.row, err, c.want)
		}
	}
}

func TestPackEnvelope(t *testing.T) {
	conf := packAccount
	conf.ReplyTo, conf.ReturnPath = "help@acme.example", "bounces@acme.example"
	p, err := packed(db.Row{Recipients: "a@kunde.example", Text: "x"}, conf)
	if err != nil {
		t.Fatal(err)
	}
	if p.envelope.From != "bounces@acme.example" || p.from != "noreply@acme.example" || !slices.Equal(p.envelope.To, []string{"a@kunde.example"}) || p.all != nil {
		t.Errorf("envelope %+v from %s, recipients %v", p.envelope, p.from, p.all)
	}
	if text := string(p.message); !strings.Contains(text, "Reply-To: <help@acme.example>") && !strings.Contains(text, "Reply-To: help@acme.example") {
		t.Errorf("no Reply-To in\n%s", text)
	}
	p, err = packed(db.Row{Recipients: "a@kunde.example", From: "eva@acme.example", ReplyTo: "eva@acme.example"}, packAccount)
	if err != nil || p.envelope.From != "eva@acme.example" || strings.Contains(string(p.message), "help@") {
		t.Errorf("%+v %v", p, err)
	}
}

// TestPackKnown: what is known of a recipient counts, but not a mark that was never followed by a body.
func TestPackKnown(t *testing.T) {
	row := db.Row{Lease: db.Lease{ID: 1, Token: "t"}, Recipients: "a@k.example, b@k.example", Cc: "c@k.example", Bcc: "d@k.example", Known: []db.Recipient{
		{Position: 0, Address: "a@k.example", State: db.RecipientAccepted},
		{Position: 1, Address: "b@k.example", State: db.RecipientSending, Token: "old"},
		{Position: 2, Address: "other@k.example", State: db.RecipientFailed},
	}}
	p, err := packed(row, packAccount)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"b@k.example", "c@k.example", "d@k.example"}; !slices.Equal(p.envelope.To, want) {
		t.Errorf("sent to %q, want %q", p.envelope.To, want)
	}
	marks := p.marked([]bool{true, false, true})
	var states []string
	for _, m := range marks {
		states = append(states, m.Kind+" "+string(m.State)+" "+m.Token)
	}
	if got, want := strings.Join(states, ", "), " accepted , to sending t, cc open , bcc sending t"; got != want {
		t.Errorf("marks %q, want %q", got, want)
	}
	if p.all[1].State != db.RecipientOpen {
		t.Error("the mark changed what is known")
	}
}

func TestPackFieldErrorsNameTheColumn(t *testing.T) {
	_, err := packed(db.Row{Recipients: "a@kunde.example", Headers: `{"Bcc": "x"}`}, packAccount)
	var field *compose.FieldError
	if errors.As(err, &field) || err == nil || !strings.HasPrefix(err.Error(), "headers: ") {
		t.Errorf("%T %v", err, err)
	}
}
