package jobs

import (
	"strings"
	"testing"

	"outboxd/jobs/jobfile"
)

// staff is a company with people.
func staff() *jobfile.Company {
	return &jobfile.Company{Name: "acme", People: []*jobfile.Person{
		{Name: "eva", Email: "eva@acme.example", May: []string{"start"}, User: "eva", DatabaseUser: "eva"},
		{Name: "jan", Email: "jan@acme.example", May: []string{"start", "approve"}, User: "jnovak", DatabaseUser: "jan_db"},
		{Name: "ada", Email: "ada@acme.example", May: []string{"approve"}, User: "twin", DatabaseUser: "ada"},
		{Name: "ida", Email: "ida@acme.example", May: []string{"approve"}, User: "twin", DatabaseUser: "ida"},
		{Name: "unknown", Email: "x@acme.example", May: []string{"approve"}, User: "unknown", DatabaseUser: "x"},
	}}
}

func named(p *jobfile.Person) string {
	if p == nil {
		return ""
	}
	return p.Name
}

func TestPersonOfAnActor(t *testing.T) {
	for actor, want := range map[string]string{"eva(1000)": "eva", "jnovak(1001)": "jan", "jan(1002)": "", "root(0)": "", "unknown": "", "unknown(1000)": "",
		"": "", "(1000)": "", "twin(7)": "", "EVA(1000)": "", "eva": "eva", `ACME\eva`: "", "eva(1000)x": "", "eva@10.0.0.5": ""} {
		if got := named(personOf(staff(), actor)); got != want {
			t.Errorf("%q is %q, want %q", actor, got, want)
		}
	}
}

func TestPersonOfADatabaseUser(t *testing.T) {
	for user, want := range map[string]string{"eva@10.0.0.5": "eva", "jan_db@localhost": "jan", "jan@localhost": "", "@localhost": "", "": "", "eva": "eva",
		"eva@jan_db@localhost": "", "jan_db@": "jan", "outboxd@localhost": ""} {
		if got := named(personOfDatabase(staff(), user)); got != want {
			t.Errorf("%q is %q, want %q", user, got, want)
		}
	}
}

func TestWhoeverMayNotLearnsWhoMay(t *testing.T) {
	c := staff()
	for _, e := range []struct {
		actor string
		texts []string
	}{
		{"eva(1000)", []string{"eva(1000) may not approve mailings of acme: eva has not the right approve", "ask who may: ada, ida, jan, unknown; ", "people: eva: may: [approve]"}},
		{"root(0)", []string{"it is the user of none of its people", "people: NAME: {email: ADDRESS, user: root, may: [approve]}"}},
		{"unknown(99)", []string{"user: USER,"}},
	} {
		err := forbidden(c, e.actor, personOf(c, e.actor), "approve mailings", mayApprove).(*AskError)
		for _, text := range e.texts {
			if !strings.Contains(err.Text+"\n"+err.Hint, text) {
				t.Errorf("%s: lacks %q: %s\n%s", e.actor, text, err.Text, err.Hint)
			}
		}
	}
	err := forbidden(&jobfile.Company{Name: "beta"}, "eva(1000)", nil, "start mailings", mayStart).(*AskError)
	if !strings.Contains(err.Hint, "ask who may: nobody yet;") {
		t.Error(err.Hint)
	}
}
