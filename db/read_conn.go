package db

import (
	"context"
	"database/sql/driver"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// readConnector makes the connections of queries: to the server, or to the node of the cluster, that the pool uses.
type readConnector struct{ pool *Pool }

// Connect returns a session as the statements expect it.
func (c readConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.pool.cluster == nil {
		return prepared{c.pool.reading}.Connect(ctx)
	}
	return c.pool.cluster.connect(ctx, func(n *node) driver.Connector { return n.reading })
}

// Driver is that of all connections.
func (c readConnector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// readConfig is how a query's connection differs: values are bound by the server and come as they are, dates as text too, as not
// each is one; and a statement may be silent as long as its context lets it.
func readConfig(c *mysql.Config) *mysql.Config {
	c = c.Clone()
	c.ParseTime, c.InterpolateParams = false, false
	c.ReadTimeout = 0
	return c
}

// A query of one company leaves places to those of others on the same server.
const (
	seatsOfAll     = 8
	seatsOfCompany = 2
)

// seats bound the connections of queries.
type seats struct {
	all chan struct{}

	mu        sync.Mutex
	companies map[string]chan struct{}
}

func newSeats() *seats {
	return &seats{all: make(chan struct{}, seatsOfAll), companies: map[string]chan struct{}{}}
}

// take waits for a place and returns what gives it back.
func (s *seats) take(ctx context.Context, database string) (leave func(), err error) {
	s.mu.Lock()
	own := s.companies[database]
	if own == nil {
		own = make(chan struct{}, seatsOfCompany)
		s.companies[database] = own
	}
	s.mu.Unlock()
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
		return func() { <-s.all; <-own }, nil
	case <-ctx.Done():
		<-own
		return nil, ctx.Err()
	}
}
