//go:build galera

package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"outboxd/db"
)

// Cluster is MariaDB nodes with Galera on loopback, as make test-galera starts them.
type Cluster struct {
	Nodes []*Node
	dir   string
}

// Node is one of them.
type Node struct {
	db.Server // how to reach it as root
	Name      string
	dir       string
	daemon    string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

// SyncTime is how long a node may take to join, with all of the data if it must.
const SyncTime = 2 * time.Minute

// providers are where packages put Galera.
var providers = []string{"/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so", "/usr/lib/libgalera_smm.so"}

// nodeFile is a node's configuration. A dead node is given up after 1.5 s instead of five: one is killed every five. What a
// node commits need not be on its disk, since the others have it.
const nodeFile = `[mysqld]
user = %[1]s
datadir = %[2]s/data
tmpdir = %[2]s
socket = %[2]s/s
pid_file = %[2]s/pid
port = %[3]d
bind_address = 127.0.0.1
skip_name_resolve
max_connections = 200
binlog_format = ROW
innodb_autoinc_lock_mode = 2
innodb_flush_log_at_trx_commit = 2
innodb_buffer_pool_size = 256M
innodb_log_file_size = 64M
wsrep_on = ON
wsrep_provider = %[4]s
wsrep_cluster_name = outboxd
wsrep_cluster_address = gcomm://%[5]s
wsrep_node_name = %[6]s
wsrep_node_address = 127.0.0.1
wsrep_node_incoming_address = 127.0.0.1:%[3]d
wsrep_sst_method = mariabackup
wsrep_sst_auth = root:
wsrep_sst_receive_address = 127.0.0.1:%[7]d
wsrep_slave_threads = 2
wsrep_provider_options = "gmcast.listen_addr=tcp://%[8]s;ist.recv_addr=127.0.0.1:%[9]d;gcache.size=256M;gcache.recover=yes;evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1.5S;evs.install_timeout=PT3S;evs.inactive_timeout=PT6S"
`

// Galera starts a cluster of three nodes, which ends with the test.
func Galera(t testing.TB) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "outboxd-galera-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir}
	t.Cleanup(func() {
		for _, n := range c.Nodes {
			n.Kill()
		}
		if t.Failed() {
			t.Logf("the nodes' logs are in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	err = c.configure(3)
	if err == nil {
		err = c.bootstrap()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Cluster) configure(nodes int) error {
	daemon, _, err := programs()
	if err != nil {
		return err
	}
	provider := ""
	for _, path := range providers {
		if _, err := os.Stat(path); err == nil {
			provider = path
			break
		}
	}
	if _, err := exec.LookPath("wsrep_sst_mariabackup"); err != nil || provider == "" {
		return errors.New("Galera and its scripts are needed for this test: make test-galera installs them, or says what to install")
	}
	var ports [][4]int
	var addresses []string
	for range nodes {
		var p [4]int
		for i := range p {
			if p[i], err = freePort(); err != nil {
				return err
			}
		}
		ports = append(ports, p)
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", p[1]))
	}
	for i, p := range ports {
		n := &Node{Server: db.Server{Host: "127.0.0.1", Port: p[0], Username: "root"}, Name: fmt.Sprintf("node%d", i+1), daemon: daemon}
		n.dir = filepath.Join(c.dir, n.Name)
		text := fmt.Sprintf(nodeFile, userName(), n.dir, p[0], provider, strings.Join(addresses, ","), n.Name, p[2], addresses[i], p[3])
		if err := errors.Join(os.MkdirAll(filepath.Join(n.dir, "data"), 0o700), os.WriteFile(n.file(), []byte(text), 0o600)); err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, n)
	}
	return nil
}

// bootstrap starts the first node on fresh data, gives the others a copy of it, and starts them. A full transfer takes a
// quarter of a minute; with the copy they only get what is newer.
func (c *Cluster) bootstrap() error {
	_, install, err := programs()
	if err != nil {
		return err
	}
	first := c.Nodes[0]
	out, err := exec.Command(install, "--no-defaults", "--datadir="+first.dir+"/data", "--auth-root-authentication-method=normal", "--skip-test-db", "--user="+userName()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	// Once, so that the data know the cluster they are of.
	if err := errors.Join(first.launch("--wsrep-new-cluster"), first.AwaitSynced(), first.end(syscall.SIGTERM)); err != nil {
		return err
	}
	for _, n := range c.Nodes[1:] {
		if err := os.CopyFS(filepath.Join(n.dir, "data"), os.DirFS(filepath.Join(first.dir, "data"))); err != nil {
			return err
		}
		for _, own := range []string{"galera.cache", "gvwstate.dat"} {
			_ = os.Remove(filepath.Join(n.dir, "data", own)) // where there is one
		}
	}
	if err := errors.Join(first.launch("--wsrep-new-cluster"), first.AwaitSynced()); err != nil {
		return err
	}
	for _, n := range c.Nodes[1:] {
		if err := errors.Join(n.launch(), n.AwaitSynced()); err != nil {
			return err
		}
	}
	return nil
}

// Hosts are the nodes in an order that begins with the given one.
func (c *Cluster) Hosts(first int) []db.Host {
	var hosts []db.Host
	for i := range c.Nodes {
		n := c.Nodes[(first+i)%len(c.Nodes)]
		hosts = append(hosts, db.Host{Name: n.Host, Port: n.Port})
	}
	return hosts
}

func (n *Node) file() string { return filepath.Join(n.dir, "cnf") }

// Log is where the node's own log is.
func (n *Node) Log() string { return filepath.Join(n.dir, "log") }

func (n *Node) launch(flags ...string) error {
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(n.daemon, append([]string{"--defaults-file=" + n.file()}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	EndWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended shows in the log
		close(ended)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.ended = cmd, ended
	return nil
}

// Kill ends the node at once.
func (n *Node) Kill() { _ = n.end(syscall.SIGKILL) }

func (n *Node) end(signal os.Signal) error {
	n.mu.Lock()
	cmd, ended := n.cmd, n.ended
	n.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(signal) // it may have ended by itself
	select {
	case <-ended:
		return nil
	case <-time.After(SyncTime):
		return fmt.Errorf("%s does not end", n.Name)
	}
}

// Alive tells whether the process runs.
func (n *Node) Alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

var position = regexp.MustCompile(`Recovered position: (\S+)`)

// Restart starts a node that was killed, from the position that its data have reached, as the service's own scripts do.
func (n *Node) Restart() error {
	out, err := exec.Command(n.daemon, "--defaults-file="+n.file(), "--wsrep-recover").CombinedOutput()
	found := position.FindSubmatch(out)
	if err != nil || found == nil {
		return n.launch() // it has none: it gets all the data anew
	}
	return n.launch("--wsrep-start-position=" + string(found[1]))
}

// AwaitSize returns when the node sees a cluster of so many.
func (n *Node) AwaitSize(size int) error {
	pool, err := db.Open(n.Server)
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), SyncTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := pool.ReadText(ctx, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_cluster_size'")
		if err == nil && got == fmt.Sprint(size) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s sees a cluster of %s, not of %d, see %s: %w", n.Name, got, size, n.Log(), errors.Join(ctx.Err(), err))
		}
		<-tick.C
	}
}

// Synced tells whether the node takes part in everything; the error says why it does not.
func (n *Node) Synced(ctx context.Context) error {
	server := n.Server
	server.Hosts = []db.Host{{Name: n.Host, Port: n.Port}}
	pool, err := db.Open(server)
	if err != nil {
		return err
	}
	return errors.Join(pool.Ping(ctx), pool.Close())
}

// AwaitSynced returns when the node takes part in everything.
func (n *Node) AwaitSynced() error {
	ctx, cancel := context.WithTimeout(context.Background(), SyncTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := n.Synced(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !n.Alive() {
			return fmt.Errorf("%s, see %s: %w", n.Name, n.Log(), err)
		}
		<-tick.C
	}
}
