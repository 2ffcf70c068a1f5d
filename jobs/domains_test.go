package jobs

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

func limitsOf(username string) *domains {
	hourly := func(n int) jobfile.Rate { return jobfile.Rate{N: n, Per: time.Hour} }
	return newDomains(&jobfile.Account{Host: "relay.example", Username: username, PerDomain: []jobfile.DomainRate{
		{Name: "gmail.example", Rate: hourly(300)}, {Name: "free.example", Rate: jobfile.Rate{Unlimited: true}}, {Name: "*", Rate: hourly(1000)}}})
}

func TestDomainLimits(t *testing.T) {
	d := limitsOf("eva")
	for domain, want := range map[string]int{"gmail.example": 300, "free.example": 0, "kunde.example": 1000} {
		b, limited := d.bucket(domain)
		if limited != (want > 0) || limited && (b.Name != "account:eva@relay.example to "+domain || b.Windows[0] != db.Window{N: want, Per: time.Hour}) {
			t.Errorf("%s: %+v, want %d", domain, b, want)
		}
		if d.single(domainHash(domain)) != limited {
			t.Errorf("%s: one at a time is %t", domain, !limited)
		}
	}
	var names []string
	for _, b := range d.bucketsOf([]string{"a@x.example", "b@free.example", "c@x.example", "d@gmail.example"}) {
		names = append(names, strings.TrimPrefix(b.Name, d.head))
	}
	if got := strings.Join(names, " "); got != "x.example gmail.example" {
		t.Errorf("buckets of %s", got)
	}
	if d := newDomains(&jobfile.Account{}); d.bucketsOf([]string{"a@x.example"}) != nil || d.single(1) || d.hold() != (db.Bucket{}).Hold() {
		t.Error("an account without limits by domain has some")
	}
}

// TestLongNamesFitTheirTable: a domain or a user name that is very long makes a bucket that can be kept.
func TestLongNamesFitTheirTable(t *testing.T) {
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + "." + strings.Repeat("d", 60) + ".example"
	a, _ := limitsOf(strings.Repeat("u", 200) + "1").bucket(long)
	b, _ := limitsOf(strings.Repeat("u", 200) + "2").bucket(long)
	if len(a.Name) > 240 || a.Name == b.Name {
		t.Errorf("%d characters: %s", len(a.Name), a.Name)
	}
}

// TestP4_CompaniesTakeTurnsAtADomain: who had it last leaves it for a moment to others that want it.
func TestP4_CompaniesTakeTurnsAtADomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := limitsOf("eva")
		wait := map[string]time.Duration{"account:eva@relay.example": 0, "account:eva@relay.example to gmail.example": 12 * time.Second}
		d.heard(wait)
		d.served(wait, "acme")
		if d.left("gmail.example", "acme") != 12*time.Second || d.left("gmail.example", "beta") != 12*time.Second || len(d.waiting("acme")) != 1 {
			t.Error("while nobody else wants it, it is the same for all")
		}
		time.Sleep(11 * time.Second)
		d.want("gmail.example", "acme")
		d.want("gmail.example", "beta")
		time.Sleep(time.Second)
		if d.left("gmail.example", "beta") != 0 || len(d.waiting("beta")) != 0 || d.left("gmail.example", "acme") != yieldTime || len(d.waiting("acme")) != 1 {
			t.Errorf("acme waits %s, beta %s", d.left("gmail.example", "acme"), d.left("gmail.example", "beta"))
		}
		time.Sleep(yieldTime)
		if d.left("gmail.example", "acme") != 0 {
			t.Error("beta did not take it")
		}
		time.Sleep(time.Second)
		if d.waiting("acme"); len(d.turns) != 0 {
			t.Error("what is over is kept")
		}
	})
}
