//go:build galera

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const (
	killEvery   = 5 * time.Second
	insertEvery = 100 * time.Millisecond
	insertRows  = 8   // by each inserter at a time
	loseEvery   = 400 // mails from one lost reply to the next
	pacedShare  = 300 // one row in so many goes by the account with a limit
	pacedMinute = 60  // its limit
)

// galeraRun is three daemons, three inserters and an SMTP server at work on a cluster whose nodes are killed.
type galeraRun struct {
	t       *testing.T
	cluster *dbtest.Cluster
	db      *dbtest.Database
	smtp    *smtptest.Server
	daemons []*exec.Cmd

	mu       sync.Mutex
	inserted map[string]bool // recipients whose COMMIT was answered
	doubtful map[string]bool // recipients whose COMMIT was not
	kills    int
	back     []time.Duration // from a kill to Synced
	gaps     []time.Duration // between two kills
	lost     int             // replies lost on purpose
}

// TestGaleraNodesAreKilled kills a node of three every five seconds, for as long as OUTBOXD_GALERA_TIME says, while three
// daemons, each with another first host, send rows that are inserted through all nodes; and compares ledger and table.
func TestGaleraNodesAreKilled(t *testing.T) {
	lasts := 2 * time.Minute
	if text := os.Getenv("OUTBOXD_GALERA_TIME"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	r := &galeraRun{t: t, cluster: dbtest.Galera(t), inserted: map[string]bool{}, doubtful: map[string]bool{}}
	login := r.cluster.Nodes[0].Server
	login.Hosts = r.cluster.Hosts(0)
	r.db = dbtest.On(t, login)
	r.smtp = smtptest.New(t, smtptest.WithoutMessages())
	for i := range r.cluster.Nodes {
		r.daemons = append(r.daemons, r.daemon(i))
	}
	begun := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var busy sync.WaitGroup
	for i := range r.cluster.Nodes {
		busy.Go(func() { r.insert(ctx, i) })
	}
	busy.Go(func() { r.loseReplies(ctx) })
	busy.Go(func() { r.kill(ctx) })
	busy.Wait()
	r.finish()
	r.compare(time.Since(begun))
}

// daemon starts outboxd with a node as its first host.
func (r *galeraRun) daemon(first int) *exec.Cmd {
	var hosts []string
	for _, h := range r.cluster.Hosts(first) {
		hosts = append(hosts, fmt.Sprintf("%q", h))
	}
	config := filepath.Join(r.t.TempDir(), "jobs.yaml")
	text := fmt.Sprintf(`version: 1
servers:
  main: {hosts: [%[1]s], username: root, encryption: none}
accounts:
  bulk: {host: 127.0.0.1, port: %[2]d, encryption: none, from: Acme <bulk@acme.example>, rate: unlimited, own_relay: true, connections: 8}
  paced: {host: localhost, port: %[2]d, encryption: none, from: Acme <paced@acme.example>, rate: 3600/hour, own_relay: true, limits: [%[3]d/minute]}
  system: {host: 127.0.0.1, port: 1, encryption: none, from: noreply@acme.example, rate: 300/hour}
companies:
  acme: {server: main, database: %[4]s, accounts: [bulk, paced], jobs: {send: {kind: deliver, poll: 200ms, retry: {first: 1s}}}}
`, strings.Join(hosts, ", "), r.smtp.Port(), pacedMinute, r.db.Name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	runtime, err := os.MkdirTemp("", "ob")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = os.RemoveAll(runtime) })
	return startDaemon(r.t, config, runtime)
}

// insert adds rows through one node after the other, as a DBA's program would that tries the next when one is gone.
func (r *galeraRun) insert(ctx context.Context, first int) {
	tick := time.NewTicker(insertEvery)
	defer tick.Stop()
	login := r.cluster.Nodes[0].Server
	login.Hosts = r.cluster.Hosts(first)
	pool, err := db.Open(login)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer pool.Close()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var values []string
		recipients := map[string]bool{}
		for i := range insertRows {
			to, account := fmt.Sprintf("i%dn%dr%d@kunde.example", first, n, i), "bulk"
			if (n*insertRows+i)%pacedShare == 0 {
				account = "paced"
			}
			recipients[to] = true
			values = append(values, fmt.Sprintf("('%s', 'Invoice', REPEAT('Dear customer. ', 100), '%s')", to, account))
		}
		err := pool.Exec(context.WithoutCancel(ctx), "INSERT INTO "+r.db.Name+".outbox (recipients, subject, body_text, account) VALUES "+strings.Join(values, ", "))
		r.mu.Lock()
		if err == nil {
			maps.Copy(r.inserted, recipients)
		} else {
			maps.Copy(r.doubtful, recipients)
		}
		r.mu.Unlock()
	}
}

// loseReplies has the server accept a mail now and then and not say so.
func (r *galeraRun) loseReplies(ctx context.Context) {
	for ctx.Err() == nil {
		hook := r.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Skip: loseEvery, Times: 1, Do: smtptest.LoseReply()})
		select {
		case <-hook.Reached():
			r.lost++
		case <-ctx.Done():
		}
	}
	r.smtp.ClearScript()
}

// kill ends one node after the other and starts it again. All three must be in the cluster before, or there would be no
// quorum left.
func (r *galeraRun) kill(ctx context.Context) {
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	last := time.Now()
	var returning sync.WaitGroup
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			returning.Wait()
			return
		}
		returning.Wait()
		for _, node := range r.cluster.Nodes {
			if err := node.AwaitSynced(); err != nil {
				r.t.Error(err)
				return
			}
		}
		node := r.cluster.Nodes[n%len(r.cluster.Nodes)]
		node.Kill()
		killed := time.Now()
		r.kills++
		r.gaps, last = append(r.gaps, killed.Sub(last)), killed
		returning.Go(func() {
			// Once the others have given it up: a node that knocks while they still agree on that keeps all of them waiting.
			survivor := r.cluster.Nodes[(n+1)%len(r.cluster.Nodes)]
			if err := errors.Join(survivor.AwaitSize(len(r.cluster.Nodes)-1), node.Restart(), node.AwaitSynced()); err != nil {
				r.t.Error(err)
			}
			r.back = append(r.back, time.Since(killed))
		})
	}
}

// finish waits until every row has ended, and ends the daemons.
func (r *galeraRun) finish() {
	deadline, tick := time.Now().Add(5*time.Minute), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for r.db.Read(r.t, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`) != "0" {
		if time.Now().After(deadline) {
			r.t.Error("rows are left: " + r.db.Read(r.t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', state, account, n)) FROM (SELECT state, account, COUNT(*) n FROM {db}.outbox GROUP BY state, account) s`))
			break
		}
		<-tick.C
	}
	for _, d := range r.daemons {
		if err := d.Process.Signal(os.Interrupt); err != nil {
			r.t.Error(err)
		}
		if err := d.Wait(); err != nil {
			r.t.Errorf("daemon: %v", err)
		}
	}
}

// compare holds the table of each node against the first one's, and that against the server's ledger, and prints the figures.
func (r *galeraRun) compare(took time.Duration) {
	t := r.t
	const sum = `SELECT CONCAT_WS(' ', COUNT(*), SUM(CRC32(CONCAT_WS(',', id, state, recipients, attempts, claims, lease_token)))) FROM {db}.outbox`
	want := r.db.Read(t, sum)
	for _, n := range r.cluster.Nodes {
		if got := r.on(n, sum); got != want {
			t.Errorf("%s holds %s, the first one %s", n.Name, got, want)
		}
	}
	states := r.states()
	for to := range r.inserted {
		if states[to] == "" {
			t.Errorf("%s was committed and is not in the table", to)
		}
	}
	r.judge(states)
	paced, pause := r.paced()
	slices.Sort(r.back)
	slices.Sort(r.gaps)
	middle := func(d []time.Duration) time.Duration { return d[len(d)/2].Round(10 * time.Millisecond) }
	t.Logf("%d rows in %s on three nodes, three daemons: %d kills, one every %s (longest pause %s); a node was back after %s (at most %s)",
		len(states), took.Round(time.Second), r.kills, middle(r.gaps), slices.Max(r.gaps).Round(10*time.Millisecond), middle(r.back), slices.Max(r.back).Round(10*time.Millisecond))
	t.Logf("longest time without a mail %s; fullest minute of the account with %d/minute: %d", pause.Round(10*time.Millisecond), pacedMinute, paced)
	if paced > pacedMinute {
		t.Errorf("%d mails in a minute, the limit is %d", paced, pacedMinute)
	}
	if r.kills == 0 || len(states) == 0 {
		t.Error("nothing was shown")
	}
}

// states reads the state of each recipient's row.
func (r *galeraRun) states() map[string]string {
	states := map[string]string{}
	for _, state := range []string{"sent", "uncertain", "queued", "sending", "failed"} {
		for _, to := range strings.Fields(r.on(r.cluster.Nodes[0], `SELECT COALESCE(GROUP_CONCAT(recipients SEPARATOR ' '), '') FROM {db}.outbox WHERE state = '`+state+`'`)) {
			if states[to] != "" {
				r.t.Errorf("%s stands in the table twice", to)
			}
			states[to] = state
		}
	}
	return states
}

// judge holds the rows against the server's ledger.
func (r *galeraRun) judge(states map[string]string) {
	t, ledger := r.t, r.smtp.RecipientLedger()
	lost, twice, unseen, uncertain, delivered, kept := 0, 0, 0, 0, 0, 0
	for to, state := range states {
		if r.doubtful[to] {
			kept++
		}
		entry := ledger[to]
		switch {
		case len(entry.Accepted) > 1:
			twice++
			t.Errorf("%s was sent %d times", to, len(entry.Accepted))
		case state == "uncertain":
			uncertain++
			delivered += len(entry.Accepted)
			if len(entry.Began) == 0 {
				unseen++
				t.Errorf("%s is uncertain and the server saw no DATA", to)
			}
		case state != "sent" || len(entry.Accepted) == 0:
			lost++
			t.Errorf("%s is %s in the table and was accepted %d times", to, state, len(entry.Accepted))
		}
	}
	for to := range ledger {
		if states[to] == "" {
			t.Errorf("%s was sent and is not in the table", to)
		}
	}
	t.Logf("lost %d, twice %d, uncertain %d (%d delivered, %d replies lost on purpose), uncertain without DATA %d; INSERTs without an answer %d rows, of which %d are in the table",
		lost, twice, uncertain, delivered, r.lost, unseen, len(r.doubtful), kept)
}

// on reads one value on one node, with room for long texts.
func (r *galeraRun) on(n *dbtest.Node, query string) string {
	r.t.Helper()
	pool, err := db.Open(n.Server)
	if err != nil {
		r.t.Fatal(err)
	}
	defer pool.Close()
	text, err := pool.ReadText(r.t.Context(), strings.ReplaceAll("SET STATEMENT group_concat_max_len = 1 << 30 FOR "+query, "{db}", r.db.Name))
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// paced returns the most mails of the limited account in any minute, and the longest time without any mail at all.
func (r *galeraRun) paced() (most int, pause time.Duration) {
	var all, own []time.Time
	byAccount := map[string]bool{}
	for _, to := range strings.Fields(r.on(r.cluster.Nodes[0], `SELECT COALESCE(GROUP_CONCAT(recipients SEPARATOR ' '), '') FROM {db}.outbox WHERE account = 'paced'`)) {
		byAccount[to] = true
	}
	for to, entry := range r.smtp.RecipientLedger() {
		all = append(all, entry.Began...)
		if byAccount[to] {
			own = append(own, entry.Began...)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	slices.SortFunc(own, time.Time.Compare)
	for i := 1; i < len(all); i++ {
		pause = max(pause, all[i].Sub(all[i-1]))
	}
	first := 0
	for i, at := range own {
		for at.Sub(own[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most, pause
}
