package db_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestP2_ManyClaimersShareTheRows(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 500, "kunde.example")
	c := wholeClaim(t, d.Store, 7)
	var mu sync.Mutex
	taken := map[uint64]int{}
	byInstance := map[string]int{}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			own := c
			own.Instance = []db.Instance{me, other}[i%2]
			// Several looks without a row may only mean that the others were quicker.
			for empty := 0; empty < 20; {
				got, err := d.Store.Claim(ctx, own)
				if err != nil {
					t.Error(err)
					return
				}
				if len(got.Rows) == 0 {
					empty++
				}
				mu.Lock()
				for _, r := range got.Rows {
					taken[r.ID]++
					byInstance[own.Instance.ID]++
					if !strings.HasPrefix(r.Token, own.Instance.ID+"-") {
						t.Errorf("row %d has the token %s", r.ID, r.Token)
					}
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for id, n := range taken {
		if n != 1 {
			t.Errorf("row %d was taken %d times", id, n)
		}
	}
	if len(taken) != 500 {
		t.Errorf("%d rows were taken; by instance %v", len(taken), byInstance)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending' AND claims = 1"); got != "500" {
		t.Errorf("%s rows are being sent", got)
	}
}

func TestClaimedRowCarriesWhatTheSenderWrote(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, reply_to, subject, body_text, body_html, headers, priority, reference, account)
		VALUES ('a@b.example', 'c@b.example', 'd@b.example', 'Eva <e@b.example>', 'f@b.example', 'žltý', 'T', '<p>T</p>', '{"X-A":"b"}', 2, 'invoice:1', 'main')`)
	r := one(t, d.Store)
	got := fmt.Sprintf("%+v", []any{r.Recipients, r.Cc, r.Bcc, r.From, r.ReplyTo, r.Subject, r.Text, r.HTML, r.Headers, r.Priority, r.Reference, r.Account,
		r.Claims, r.Attempts, r.Lane, r.Size, r.Expired, r.Known})
	want := `[a@b.example c@b.example d@b.example Eva <e@b.example> f@b.example žltý T <p>T</p> {"X-A":"b"} 2 invoice:1 main 1 0 0 20 false []]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.CreatedAt.IsZero() || r.Domain == 0 || r.Template+r.Language != "" || r.Raw || r.Attached || !r.First {
		t.Errorf("created %v, domain %d, %+v", r.CreatedAt, r.Domain, r)
	}
}

func TestP2_MessageIDNeverChanges(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	first := one(t, d.Store)
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: first.Lease, Change: db.Change{State: db.Queued, Verdict: true}}))
	second := one(t, d.Store, func(c *db.Claim) { c.Domain = "another.example" })
	if second.MessageID != first.MessageID || second.Token == first.Token {
		t.Errorf("Message-ID %q became %q", first.MessageID, second.MessageID)
	}
}

func TestP4_ClaimGoesByPriorityThenTime(t *testing.T) {
	d := dbtest.New(t)
	for id, row := range map[int][2]string{1: {"5", "50"}, 2: {"3", "10"}, 3: {"3", "20"}, 4: {"1", "1"}, 5: {"2", "5"}, 6: {"1", "2"}, 7: {"4", "40"}} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, priority, send_after) VALUES (?, 'a@b.example', ?, NOW() - INTERVAL ? MINUTE)", id, row[0], row[1])
	}
	release := func() {
		d.Exec(t, "UPDATE {db}.outbox SET state = 'queued', lease_until = NULL")
	}
	if got := ids(claimAll(t, d.Store, 10)); !slices.Equal(got, []uint64{6, 4, 5, 3, 2, 7, 1}) {
		t.Errorf("the most urgent first: %v", got)
	}
	release()
	if got := ids(claimAll(t, d.Store, 4, func(c *db.Claim) { c.LowFirst = true })); !slices.Equal(got, []uint64{6, 4, 1, 7}) {
		t.Errorf("after priority 1 the longest waiting first: %v", got)
	}
	release()
	if got := ids(claimAll(t, d.Store, 10, func(c *db.Claim) { c.Priorities = []int{4, 5} })); !slices.Equal(got, []uint64{7, 1}) {
		t.Errorf("only the low ones: %v", got)
	}
}

func TestClaimTakesOnlyWhatIsDueAndAsked(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, send_after) VALUES (1, 'a@b.example', NOW() + INTERVAL 1 HOUR)")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, held) VALUES (2, 'a@b.example', 1)")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, lane) VALUES (3, 'a@b.example', 9)")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, account) VALUES (4, 'a@b.example', 'other')")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, state) VALUES (5, 'a@b.example', 'cancelled')")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, expires_at) VALUES (6, 'a@b.example', NOW() - INTERVAL 1 HOUR)")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients) VALUES (7, 'a@b.example')")
	route := routeOf(t, d.Store)
	for _, r := range mustRoutes(t, d.Store) {
		if r.Account == "" {
			route = r.Hash
		}
	}
	rows := claimAll(t, d.Store, 10, func(c *db.Claim) { c.Routes = []uint32{route} })
	if !slices.Equal(ids(rows), []uint64{6, 7}) || !rows[0].Expired || rows[1].Expired {
		t.Errorf("claimed %v", ids(rows))
	}
	if rows := claimAll(t, d.Store, 10, func(c *db.Claim) { c.Routes = nil }); len(rows) != 0 {
		t.Errorf("claimed %v of no route", ids(rows))
	}
	if rows := claimAll(t, d.Store, 0); len(rows) != 0 {
		t.Errorf("claimed %v with no sender free", ids(rows))
	}
}

func mustRoutes(t testing.TB, s *db.Store) []db.Route {
	t.Helper()
	routes, err := s.Routes(deadline(t), 0, -1, 100)
	must(t, err)
	return routes
}

func TestRoutesHopOverTheRows(t *testing.T) {
	d := dbtest.New(t)
	for _, account := range []string{"a", "b", "c", "B"} {
		d.Exec(t, "INSERT INTO {db}.outbox (recipients, account) VALUES ('a@b.example', ?), ('c@b.example', ?)", account, account)
	}
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, from_address) VALUES ('a@b.example', 'Eva <e@acme.example>')")
	all := mustRoutes(t, d.Store)
	if len(all) != 4 {
		t.Fatalf("routes %+v", all)
	}
	seen := map[string]bool{}
	for _, r := range all {
		seen[strings.ToLower(r.Account)+r.From] = true
	}
	if !seen["a"] || !seen["b"] || !seen["c"] || !seen["Eva <e@acme.example>"] {
		t.Errorf("routes %+v", all)
	}
	two, err := d.Store.Routes(deadline(t), 0, -1, 2)
	must(t, err)
	rest, err := d.Store.Routes(deadline(t), 0, int64(two[1].Hash), 100)
	must(t, err)
	if !slices.Equal(append(two, rest...), all) {
		t.Errorf("in two parts: %+v and %+v", two, rest)
	}
}

func TestClaimWeighsBodiesBeforeItReadsThem(t *testing.T) {
	d := dbtest.New(t)
	for _, size := range []int{600, 300, 200, 5000, 10} {
		d.Exec(t, "INSERT INTO {db}.outbox (recipients, body_text, body_html) VALUES ('a@b.example', REPEAT('x', ?), 'h')", size-1)
	}
	small := func(c *db.Claim) { c.Octets, c.MaxSize = 1000, 1000 }
	var sizes []string
	for range 4 {
		for _, r := range claimAll(t, d.Store, 10, small) {
			sizes = append(sizes, fmt.Sprintf("%d:%d", r.Size, len(r.Text)+len(r.HTML)))
		}
		sizes = append(sizes, "|")
	}
	// What is over MaxSize weighs nothing: it stays unread.
	if got := strings.Join(sizes, " "); got != "600:600 300:300 | 200:200 5000:0 10:10 | | |" {
		t.Errorf("sizes and octets read: %s", got)
	}
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, body_text) VALUES ('a@b.example', REPEAT('x', 900))")
	if r := one(t, d.Store, func(c *db.Claim) { c.Octets = 10 }); len(r.Text) != 900 {
		t.Error("the first row goes whatever it weighs")
	}
}

// A body that is as large as the server lets through is read back: one row never stops the others.
func TestBodiesNearMaxAllowedPacket(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, body_text) VALUES ('a@b.example', REPEAT('x', @@max_allowed_packet - 1024))")
	d.Exec(t, "UPDATE {db}.outbox SET body_html = body_text") // together twice the limit
	d.Exec(t, shortest)
	rows := claimAll(t, d.Store, 10, func(c *db.Claim) { c.Octets, c.MaxSize = 1<<30, 1<<30 })
	if len(rows) != 2 || int64(len(rows[0].Text)+len(rows[0].HTML)) != rows[0].Size {
		t.Fatalf("claimed %d rows", len(rows))
	}
}

// P4: a transaction that somebody has left open holds up its own rows and no others.
func TestP4_LockedRowIsPassedOver(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 5, "kunde.example")
	person := session(t, d)
	for _, statement := range []string{"BEGIN", "UPDATE " + d.Name + ".outbox SET subject = 'changed' ORDER BY id LIMIT 2"} {
		_, err := person.ExecContext(ctx, statement)
		must(t, err)
	}
	if got := ids(claimAll(t, d.Store, 1)); !slices.Equal(got, []uint64{3}) {
		t.Errorf("claimed %v behind locked rows", got)
	}
	if got := ids(claimAll(t, d.Store, 10)); !slices.Equal(got, []uint64{4, 5}) {
		t.Errorf("claimed %v behind locked rows", got)
	}
	_, err := person.ExecContext(ctx, "COMMIT")
	must(t, err)
	if rows := claimAll(t, d.Store, 10); len(rows) != 2 || rows[0].Subject != "changed" {
		t.Errorf("claimed %v after the commit", ids(rows))
	}
}

// A row that breaks the table's rules, inserted with the rules switched off, fails alone.
func TestP4_RowThatBreaksTheTablesRulesFailsAlone(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	pool, err := db.Open(d.Server)
	must(t, err)
	defer pool.Close()
	version, err := pool.Version(deadline(t))
	must(t, err)
	insert := `INSERT INTO ` + d.Name + `.outbox (recipients, headers, priority) VALUES ('u@kunde.example', '{broken', 3)`
	if !strings.Contains(version, "MariaDB") { // MySQL lets nobody past an enforced rule
		if err := pool.Exec(deadline(t), insert); db.Kind(err) != db.KindData {
			t.Errorf("a row that breaks a rule: %v", err)
		}
		return
	}
	must(t, pool.Exec(deadline(t), `SET STATEMENT check_constraint_checks=0 FOR `+insert+`, ('v@kunde.example', NULL, 9)`))
	d.Exec(t, shortest)
	if rows := claimAll(t, d.Store, 10); len(rows) != 2 {
		t.Errorf("claimed %d rows", len(rows))
	}
	routes, err := d.Store.Routes(deadline(t), 0, -1, 10)
	must(t, err)
	if n, err := d.Store.RefuseMisfits(deadline(t), routes); err != nil || n != 1 {
		t.Errorf("refused %d rows, %v", n, err)
	}
	if got := columns(t, d, "state, priority"); got != "sending 3,failed 3,failed 5,sending 3" {
		t.Errorf("rows are %q", got)
	}
	if got := d.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 2`); !strings.Contains(got, "{broken") {
		t.Errorf("last_error is %q", got)
	}
}
