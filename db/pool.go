package db

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// Server is how to reach one database server, or one cluster, as one user.
type Server struct {
	Host     string
	Port     int
	Socket   string // used instead of Host and Port when set
	Hosts    []Host // the nodes of a cluster, used instead of the above when set: the first that serves is taken
	Username string
	Password string
	TLS      bool   // verified TLS; never falls back to clear text
	CA       string // PEM file with the roots to trust; "" means the system's
}

const (
	dialTimeout = 5 * time.Second
	ioTimeout   = 30 * time.Second
	maxOpen     = 12
	// maxPacket only bounds what the driver sends; the server has a limit of its own.
	maxPacket = 1 << 30
)

// Pool is the connections to one server as one user, shared by all companies that are served this way.
type Pool struct {
	db      *sqlx.DB
	queries queries
	shapes  shapes
	key     string
	cluster *cluster // nil for a single server
	where   where
	reading driver.Connector // of queries, to a single server
	seats   *seats           // of queries
	home    driver.Connector // of the pool's own connections
	owns    owns             // of companies that have connections of their own
}

// Key is the same for pools that lead to the same server as the same user with the same password, which it does not
// tell.
func (p *Pool) Key() string { return p.key }

// sqlMode is how values are judged and texts are read, also in a printed schema: under a server's own mode a computed column
// may mean something else.
const sqlMode = "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'"

// sessionSettings are what every session sets for itself, so that nothing depends on the server's defaults: the zone and
// the rules for values, that a statement outside of a transaction is committed, that a COMMIT begins no new transaction, that
// no result is cut. An ALTER TABLE is waited for less long than a reply: the server's word comes first, and leaves nothing
// open.
func sessionSettings() map[string]string {
	return map[string]string{
		"time_zone":         "'+00:00'",
		"sql_mode":          sqlMode,
		"autocommit":        "1",
		"completion_type":   "0",
		"sql_safe_updates":  "0",
		"sql_select_limit":  "9223372036854775807",
		"lock_wait_timeout": strconv.Itoa(int(lockWait / time.Second)),
	}
}

// Open prepares a pool; it connects at the first statement. Sessions are UTC, READ COMMITTED, strict and may write.
func Open(s Server) (*Pool, error) {
	q, err := loadQueries(queryFiles)
	if err != nil {
		return nil, err
	}
	made, err := loadShapes()
	if err != nil {
		return nil, err
	}
	if len(s.Hosts) > 0 {
		nodes, err := s.nodes()
		if err != nil {
			return nil, err
		}
		c := newCluster(nodes)
		p := newPool(c, q, made, s.Key())
		p.cluster = c
		return p, nil
	}
	connector, reading, err := s.connectors(Host{s.Host, s.Port})
	if err != nil {
		return nil, err
	}
	p := newPool(prepared{connector}, q, made, s.Key())
	p.reading = reading
	return p, nil
}

// nodes are those of a cluster.
func (s Server) nodes() ([]*node, error) {
	var all []*node
	for _, h := range s.Hosts {
		connector, reading, err := s.connectors(h)
		if err != nil {
			return nil, err
		}
		all = append(all, &node{host: h, connector: connector, reading: reading})
	}
	return all, nil
}

// connectors make the driver's connections to one host, or to the socket: those of the pool, and those of queries.
func (s Server) connectors(h Host) (own, reading driver.Connector, err error) {
	c, err := s.config(h)
	if err == nil {
		own, err = mysql.NewConnector(c)
	}
	if err == nil {
		reading, err = mysql.NewConnector(readConfig(c))
	}
	return own, reading, wrap(err, "database connection of "+s.Username)
}

func (s Server) config(h Host) (*mysql.Config, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd = s.Username, s.Password
	c.Net, c.Addr = "tcp", h.String()
	if s.Socket != "" {
		c.Net, c.Addr = "unix", s.Socket
	}
	c.ParseTime, c.Loc = true, time.UTC
	c.InterpolateParams, c.ClientFoundRows = true, true
	c.Timeout, c.ReadTimeout, c.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	c.MaxAllowedPacket = maxPacket
	c.Collation = "utf8mb4_general_ci"
	c.Logger = silent{}
	c.Params = sessionSettings()
	if s.TLS {
		t, err := tlsConfig(h.Name, s.CA)
		if err != nil {
			return nil, err
		}
		c.TLS = t
	}
	return c, nil
}

// Key is that of the pool to the server.
func (s Server) Key() string {
	parts := []string{s.Host, strconv.Itoa(s.Port), s.Socket, s.Username, s.Password, strconv.FormatBool(s.TLS), s.CA}
	for _, h := range s.Hosts {
		parts = append(parts, h.String())
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:])
}

func tlsConfig(host, ca string) (*tls.Config, error) {
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return t, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read ca: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca %s: no PEM certificate in it", ca)
	}
	return t, nil
}

// Ping tells whether the server answers and lets the user in.
func (p *Pool) Ping(ctx context.Context) error { return p.db.PingContext(ctx) }

// Close ends all connections, as an io.Closer. The driver's error only tells of one that could not say goodbye, because the
// server or the network had ended it already: that is as good as closed.
func (p *Pool) Close() error {
	_ = p.db.Close()
	p.owns.close()
	return nil
}

// Exec runs a statement of the caller's own, for tools and tests.
func (p *Pool) Exec(ctx context.Context, statement string, args ...any) error {
	_, err := p.db.ExecContext(ctx, statement, args...)
	return err
}

// ReadText runs a query for one value and returns it as text, NULL as "NULL"; for tools and tests.
func (p *Pool) ReadText(ctx context.Context, query string, args ...any) (string, error) {
	v := sql.NullString{String: "NULL"}
	if err := p.db.GetContext(ctx, &v, query, args...); err != nil {
		return "", err
	}
	if !v.Valid {
		return "NULL", nil
	}
	return v.String, nil
}

// Version returns the server's own name for its version.
func (p *Pool) Version(ctx context.Context) (string, error) {
	var v string
	err := p.db.GetContext(ctx, &v, "SELECT VERSION()")
	return v, err
}

// silent keeps the driver from writing to stderr: its errors all come back as values.
type silent struct{}

func (silent) Print(...any) {}

const conflictTries = 8

// retry runs f again while it loses against another transaction. f must be a whole transaction or a single statement.
func retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		var unknown *commitUnknownError
		if Kind(err) != KindConflict || try == conflictTries || errors.As(err, &unknown) {
			return err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(try) * int64(10*time.Millisecond))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(err, ctx.Err())
		}
	}
}

// write runs one statement and returns how many rows it found.
func (p *Pool) write(ctx context.Context, statement string, args ...any) (rows int64, err error) {
	err = retry(ctx, func() error {
		r, err := p.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		rows, err = r.RowsAffected()
		return err
	})
	return rows, err
}

// commitUnknownError says that COMMIT was sent and that nobody knows what became of it.
type commitUnknownError struct{ err error }

func (e *commitUnknownError) Error() string { return "commit unknown: " + e.err.Error() }
func (e *commitUnknownError) Unwrap() error { return e.err }

// tx runs f in a transaction and tries again on conflicts. A COMMIT whose reply was lost is a *commitUnknownError:
// the caller reads back what became of it. A conflict at COMMIT (a failed certification) is a definite rollback.
func (p *Pool) tx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	return retry(ctx, func() error {
		tx, err := p.db.BeginTxx(ctx, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		if err := f(tx); err != nil {
			// The first error is the one to tell; a rollback that fails ends the connection and so rolls back.
			_ = tx.Rollback()
			return err
		}
		err = tx.Commit()
		if err == nil {
			return nil
		}
		if rolledBack(err) {
			return err
		}
		return &commitUnknownError{err}
	})
}

// newPool bounds the connections: they grow with servers and users, not with companies.
func newPool(connector driver.Connector, q queries, made shapes, key string) *Pool {
	d := sql.OpenDB(connector)
	d.SetMaxOpenConns(maxOpen)
	d.SetMaxIdleConns(maxOpen)
	d.SetConnMaxLifetime(4 * time.Minute)
	return &Pool{db: sqlx.NewDb(d, "mysql"), queries: q, shapes: made, key: key, seats: newSeats(), home: connector}
}
