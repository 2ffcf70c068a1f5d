package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Host is one node of a cluster.
type Host struct {
	Name string
	Port int
}

// String is the host as it is written in an address.
func (h Host) String() string { return net.JoinHostPort(h.Name, strconv.Itoa(h.Port)) }

// ParseHost reads host:port.
func ParseHost(address string) (Host, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return Host{}, err
	}
	n, err := strconv.Atoi(port)
	return Host{name, n}, err
}

const (
	nodeTime = 5 * time.Second  // to connect to a node, log in, and learn its state
	nodeSlow = time.Second      // a node that keeps a caller longer, who then has no more time, has failed
	nodeRest = 10 * time.Second // between two looks at a node that serves, or that did not
)

// cluster connects to the first of its nodes that serves. It keeps all sessions of a pool on one node, since writes on two
// nodes may cost each other a failed certification: when a node fails, its sessions end as they come back to the pool, and
// when an earlier node is well again those of the later ones do.
//
// The node in use and those that failed are looked at every nodeRest in the background, so that no session waits for one
// that is dead while another serves.
type cluster struct {
	nodes []*node
	now   func() time.Time
	end   context.Context // of the looks in the background
	stop  context.CancelFunc
	looks sync.WaitGroup

	mu sync.Mutex // of the nodes' fields below
}

type node struct {
	host      Host
	connector driver.Connector
	reading   driver.Connector // of queries

	failed error     // why it did not serve when it was last tried; nil when it did, or was never tried
	lookAt time.Time // when to look at it anew
}

func newCluster(nodes []*node) *cluster {
	c := &cluster{nodes: nodes, now: time.Now}
	c.end, c.stop = context.WithCancel(context.Background())
	return c
}

// Connect returns a session of the first node that serves, tried in their order, those that failed lately last. When none
// does, the *NoNodeError has each node's reason.
func (c *cluster) Connect(ctx context.Context) (driver.Conn, error) {
	return c.connect(ctx, func(n *node) driver.Connector { return n.connector })
}

// connect is Connect by one of the nodes' connectors.
func (c *cluster) connect(ctx context.Context, by func(n *node) driver.Connector) (driver.Conn, error) {
	order, late := []*node{}, []*node{}
	c.mu.Lock()
	for _, n := range c.nodes {
		if n.failed == nil {
			order = append(order, n)
		} else {
			late = append(late, n)
		}
	}
	c.mu.Unlock()
	for _, n := range append(order, late...) {
		begun := time.Now()
		session, err := n.connect(ctx, by(n))
		if ctx.Err() != nil {
			if time.Since(begun) > nodeSlow { // the next caller is not to wait for it too
				c.note(n, ctx.Err())
			}
			if err == nil {
				err = session.Close()
			}
			return nil, errors.Join(ctx.Err(), err)
		}
		c.note(n, err)
		if err == nil {
			return &nodeSession{nodeConn: session, node: n, cluster: c}, nil
		}
	}
	return nil, c.noNode()
}

// Driver is that of the nodes.
func (c *cluster) Driver() driver.Driver { return c.nodes[0].connector.Driver() }

// Close ends the looks in the background; sql.DB calls it.
func (c *cluster) Close() error {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.looks.Wait()
	return nil
}

// note takes in how a node was found.
func (c *cluster) note(n *node, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.failed, n.lookAt = err, c.now().Add(nodeRest)
}

func (c *cluster) noNode() *NoNodeError {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &NoNodeError{}
	for _, n := range c.nodes {
		e.Nodes = append(e.Nodes, NodeError{n.host, n.failed})
	}
	return e
}

// home tells whether the node is the one to be used: the first that has not failed. When all have, any is. It begins
// looks at nodes whose time has come.
func (c *cluster) home(n *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := n
	for _, o := range c.nodes {
		if !c.now().Before(o.lookAt) && (o.failed != nil || o == n) && c.end.Err() == nil {
			o.lookAt = c.now().Add(nodeTime + nodeRest)
			c.looks.Go(func() { c.look(o) })
		}
	}
	for _, o := range c.nodes {
		if o.failed == nil {
			first = o
			break
		}
	}
	return first == n
}

// look tries a node.
func (c *cluster) look(n *node) {
	session, err := n.connect(c.end, n.connector)
	if c.end.Err() == nil {
		c.note(n, err)
	}
	if err == nil {
		_ = session.Close() // it has served its purpose
	}
}

// connect opens a session of a node that serves.
func (n *node) connect(ctx context.Context, by driver.Connector) (nodeConn, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	conn, err := by.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(nodeConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver connection %T lacks a method", conn), conn.Close())
	}
	state, err := askState(ctx, session)
	if err == nil {
		err = state.serves()
	}
	if err == nil {
		err = prepare(ctx, session)
	}
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return session, nil
}

// NodeState is how a node of a cluster stands.
type NodeState struct {
	Host  Host
	State string // in its own words, when it serves
	Err   error  // why it does not
	Clock time.Time
}

// Nodes looks at every node of the pool's cluster, all at once; none for a single server.
func (p *Pool) Nodes(ctx context.Context) []NodeState {
	if p.cluster == nil {
		return nil
	}
	all := make([]NodeState, len(p.cluster.nodes))
	var looks sync.WaitGroup
	for i, n := range p.cluster.nodes {
		looks.Go(func() { all[i] = n.describe(ctx) })
	}
	looks.Wait()
	return all
}

func (n *node) describe(ctx context.Context) NodeState {
	session, err := n.connect(ctx, n.connector)
	if err != nil {
		return NodeState{Host: n.host, Err: err}
	}
	state, err := askState(ctx, session)
	if err == nil {
		err = state.read(ctx, session, showClock)
	}
	micros, parsed := strconv.ParseInt(state["clock"], 10, 64)
	return NodeState{n.host, state.String(), errors.Join(err, parsed, session.Close()), time.UnixMicro(micros)}
}

// NodeError is why a node does not serve.
type NodeError struct {
	Host Host
	Err  error
}

// NoNodeError says that no node of a cluster serves.
type NoNodeError struct{ Nodes []NodeError }

// Error has each node's reason.
func (e *NoNodeError) Error() string {
	reasons := make([]string, len(e.Nodes))
	for i, n := range e.Nodes {
		reasons[i] = fmt.Sprintf("%s: %v", n.Host, n.Err)
	}
	return "no host of the cluster serves: " + strings.Join(reasons, "; ")
}

// kind is that of all nodes where they agree; else one of them may come back.
func (e *NoNodeError) kind() ErrorKind {
	kind := Kind(e.Nodes[0].Err)
	for _, n := range e.Nodes[1:] {
		if Kind(n.Err) != kind {
			return KindLost
		}
	}
	return kind
}

// nodeConn is what a connection of the MySQL driver can do.
type nodeConn interface {
	driver.Conn
	driver.Pinger
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.NamedValueChecker
	driver.SessionResetter
	driver.Validator
}

// nodeSession is a session of a cluster's node.
type nodeSession struct {
	nodeConn
	node    *node
	cluster *cluster
}

// hear passes an error on; one that says that the node serves no more turns the pool away from it.
func (s *nodeSession) hear(err error) error {
	if leavesNode(err) {
		s.cluster.note(s.node, err)
	}
	return err
}

// ExecContext runs a statement.
func (s *nodeSession) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	r, err := s.nodeConn.ExecContext(ctx, query, args)
	return r, s.hear(err)
}

// QueryContext runs a query.
func (s *nodeSession) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := s.nodeConn.QueryContext(ctx, query, args)
	return r, s.hear(err)
}

// BeginTx begins a transaction.
func (s *nodeSession) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := s.nodeConn.BeginTx(ctx, o)
	if err != nil {
		return nil, s.hear(err)
	}
	return nodeTx{tx, s}, nil
}

// ResetSession is called before the session is used again.
func (s *nodeSession) ResetSession(ctx context.Context) error {
	if !s.cluster.home(s.node) {
		return driver.ErrBadConn // nothing was sent: database/sql takes another
	}
	return s.nodeConn.ResetSession(ctx)
}

type nodeTx struct {
	driver.Tx
	session *nodeSession
}

// Commit ends the transaction.
func (t nodeTx) Commit() error { return t.session.hear(t.Tx.Commit()) }
