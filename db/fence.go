package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Beat is how far a daemon has come with a database: N counts up after mail was handed over. Two branches of one database
// may reach the same N, but not with the same Nonce.
type Beat struct {
	N     uint64 `json:"beat"`
	Nonce string `json:"nonce"`
}

// Fence is what a company's database says about itself. A copy says the same, but for Place.
type Fence struct {
	Tables   bool            // false: the schema is older than the fence
	Identity string          // which database it is; "" before the first start
	Adopting string          // the identity that an unfinished adoption gives it; "" for none
	Places   []string        // where it may be
	Beats    map[string]Beat // by instance
	Place    Place           // where it is now
}

// Place is where a database is.
type Place struct {
	Name    string // of server and database; the same as long as neither moves
	Cluster string // of the cluster that the server is a node of, "" for none
	Members int    // of that cluster, at the moment
}

// ClusterPlace is the place of the whole cluster, "" where there is none with several members: a single one may be a copy of a
// node.
func (p Place) ClusterPlace() string {
	if p.Cluster == "" || p.Members < 2 {
		return ""
	}
	return "cluster " + p.Cluster
}

// guard is the daemon's own beat, below which nothing is marked.
type guard struct {
	instance string
	Beat
}

// OlderError says that the database has gone back behind what this daemon remembers: it was restored.
type OlderError struct{ Database string }

// Error names the database.
func (e *OlderError) Error() string {
	return fmt.Sprintf("database %s is older than this daemon remembers it", e.Database)
}

const fenceStep = 2 // of the company's and of the control part

// has tells whether the part's step with the fence's tables is applied: a user with few rights could not tell a missing
// table from a forbidden one.
func (s *Store) has(ctx context.Context, part Part) (bool, error) {
	quoted, err := quote(s.database)
	if err != nil {
		return false, err
	}
	n, err := version(ctx, s.pool.db, quoted, part)
	return n >= fenceStep, wrap(err, "read the schema version of "+s.database)
}

// Fence reads what the database says about itself.
func (s *Store) Fence(ctx context.Context) (Fence, error) {
	f := Fence{Beats: map[string]Beat{}}
	var err error
	if f.Place, err = s.place(ctx); err != nil {
		return f, fmt.Errorf("ask where %s is: %w", s.database, err)
	}
	if f.Tables, err = s.has(ctx, CompanyPart); err != nil || !f.Tables {
		return f, err
	}
	said, err := selectAll[struct {
		What  string `db:"what"`
		Name  string `db:"name"`
		Beat  uint64 `db:"beat"`
		Nonce string `db:"nonce"`
	}](ctx, s.pool.db, s.sql.text("identity"))
	if err != nil {
		return f, fmt.Errorf("read the identity of %s: %w", s.database, err)
	}
	for _, one := range said {
		switch one.What {
		case "identity":
			f.Identity, f.Adopting = one.Name, one.Nonce
		case "place":
			f.Places = append(f.Places, one.Name)
		default:
			f.Beats[one.Name] = Beat{one.Beat, one.Nonce}
		}
	}
	return f, nil
}

const maxPlace = 400 // characters of outbox_place.place

// place tells where the database is, as the server knew within the last seconds.
func (s *Store) place(ctx context.Context) (Place, error) {
	known, err := s.pool.where.ask(ctx, s.pool.db)
	if err != nil {
		return Place{}, err
	}
	p := Place{Cluster: known["wsrep_cluster_state_uuid"], Name: fmt.Sprintf("%s:%s %s %s", known["hostname"], known["port"], known["datadir"], s.database)}
	if id := known["server_uuid"]; id != "" {
		p.Name += " " + id
	}
	p.Name = cut(p.Name, maxPlace)
	if p.Cluster != "" {
		if p.Members, err = strconv.Atoi(known["wsrep_cluster_size"]); err != nil {
			return p, fmt.Errorf("wsrep_cluster_size: %w", err)
		}
	}
	return p, nil
}

// where is what a server says about itself, asked seldom: listing variables costs a server more than a row does.
type where struct {
	mu    sync.Mutex
	known map[string]string
	asked time.Time
}

const whereFor = 4 * time.Second

// ask returns the variables that tell where the server is. What it does not know about itself is left out.
func (w *where) ask(ctx context.Context, q sqlx.QueryerContext) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.asked) < whereFor {
		return w.known, nil
	}
	known := map[string]string{}
	for _, question := range []string{"SHOW VARIABLES WHERE Variable_name IN ('hostname', 'port', 'datadir', 'server_uuid')", "SHOW STATUS LIKE 'wsrep_cluster%'"} {
		answers, err := selectAll[struct {
			Name  string         `db:"Variable_name"`
			Value sql.NullString `db:"Value"`
		}](ctx, q, question)
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			known[a.Name] = a.Value.String
		}
	}
	w.known, w.asked = known, time.Now()
	return known, nil
}

// random is a fresh identity or nonce.
func random() string {
	var b [12]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}

// Identify gives a database that has none an identity, and notes where it is. Of two daemons at once one is heard.
func (s *Store) Identify(ctx context.Context, at Place) error {
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, s.sql.text("identity-add"), random(), ""); err != nil {
			return err
		}
		return s.notePlaces(ctx, tx, at)
	})
	return wrap(err, "give "+s.database+" an identity")
}

// NotePlace notes that the database may be at this place.
func (s *Store) NotePlace(ctx context.Context, at Place) error {
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.notePlaces(ctx, tx, at) })
	return wrap(err, "note the place of "+s.database)
}

func (s *Store) notePlaces(ctx context.Context, tx *sqlx.Tx, at Place) error {
	for _, name := range []string{at.Name, at.ClusterPlace()} {
		if name == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, s.sql.text("place-add"), name); err != nil {
			return err
		}
	}
	return nil
}

// JoinBeat makes the instance's beat where there is none, and returns it.
func (s *Store) JoinBeat(ctx context.Context, instance string) (Beat, error) {
	if _, err := s.pool.write(ctx, s.sql.text("beat-add"), instance, random()); err != nil {
		return Beat{}, fmt.Errorf("make a beat in %s: %w", s.database, err)
	}
	b, _, err := s.readBeat(ctx, instance)
	return b, err
}

func (s *Store) readBeat(ctx context.Context, instance string) (b Beat, there bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.db.QueryRowxContext(ctx, s.sql.text("beat-read"), instance).Scan(&b.N, &b.Nonce)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return b, false, nil
	}
	return b, true, wrap(err, "read the beat of "+s.database)
}

// Guard lets Mark succeed only in a database that has come at least as far as the beat.
func (s *Store) Guard(instance string, b Beat) { s.guard.Store(&guard{instance, b}) }

// NextBeat counts the instance's beat up from the one that is remembered, and guards the marks by it. An *OlderError says that the
// database does not know that one any more.
func (s *Store) NextBeat(ctx context.Context, instance string, from Beat) (Beat, error) {
	next := Beat{from.N + 1, random()}
	n, err := s.pool.write(ctx, s.sql.text("beat-next"), next.Nonce, instance, from.N, from.Nonce)
	if err != nil && Kind(err) != KindLost {
		return from, fmt.Errorf("beat in %s: %w", s.database, err)
	}
	if n == 0 { // not as remembered, or the reply was lost
		now, there, err := s.readBeat(ctx, instance)
		switch {
		case err != nil:
			return from, err
		case !there || now.N < from.N || now.N == from.N && now.Nonce != from.Nonce:
			return from, &OlderError{s.database}
		}
		// Done after all; or not done, which the next turn is for; or an earlier life of this daemon still works.
		next = now
	}
	s.Guard(instance, next)
	return next, nil
}

// checkGuard returns an *OlderError when the database is older than the marks' guard. An error of the question itself says
// nothing.
func (s *Store) checkGuard(ctx context.Context) error {
	g := s.guard.Load()
	if g == nil {
		return nil
	}
	if b, there, err := s.readBeat(ctx, g.instance); err == nil && (!there || b.N < g.N) {
		return &OlderError{s.database}
	}
	return nil
}

// SameDatabase tells whether two stores are one database, as far as jobs.yaml tells.
func (s *Store) SameDatabase(other *Store) bool {
	return s.pool == other.pool && s.database == other.database
}

// Tries is how the tries of a row stand.
type Tries struct {
	Marked   int `db:"marked"`
	Accepted int `db:"accepted"`
}

// Tries tells how the tries of rows stand; a row without any is missing.
func (s *Store) Tries(ctx context.Context, ids []uint64) (map[uint64]Tries, error) {
	found, err := selectAll[struct {
		ID uint64 `db:"outbox_id"`
		Tries
	}](ctx, s.pool.db, s.sql.list("tries", len(ids)), idArgs(ids)...)
	by := map[uint64]Tries{}
	for _, f := range found {
		by[f.ID] = f.Tries
	}
	return by, wrap(err, "read tries of "+s.database)
}

// Waiting tells when those of the rows were inserted that wait or are being sent.
func (s *Store) Waiting(ctx context.Context, ids []uint64) (map[uint64]time.Time, error) {
	found, err := selectAll[struct {
		ID        uint64    `db:"id"`
		CreatedAt time.Time `db:"created_at"`
	}](ctx, s.pool.db, s.sql.list("again", len(ids)), idArgs(ids)...)
	by := map[uint64]time.Time{}
	for _, f := range found {
		by[f.ID] = f.CreatedAt
	}
	return by, wrap(err, "look for rows of "+s.database)
}
