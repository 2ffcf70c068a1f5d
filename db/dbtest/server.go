// Package dbtest gives tests a real MariaDB: one server a test process, one fresh schema a test.
//
// The server is the mariadbd of the machine, started on a folder of its own with its data on disk, reached by a socket
// and a port of 127.0.0.1, and ended with the process. With OUTBOXD_TEST_DSN set (user:password@tcp(host:port)/) the
// tests run against that server instead. A missing mariadbd fails the test and says what to install.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"outboxd/db"
)

// Server is a running MariaDB.
type Server struct {
	db.Server        // how to reach it as root, by TCP
	Socket    string // its socket
	dir       string
	options   Options
	cmd       *exec.Cmd
	ended     chan struct{}
}

// Options say how to start a server.
type Options struct {
	Durable bool     // fsync on every commit, as in production
	Flags   []string // further flags of mariadbd
}

const startTimeout = 60 * time.Second

// Own starts a server for one test alone, which ends with the test.
func Own(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start makes a data folder and starts a server on it. Stop ends it and removes the folder.
func start(o Options) (*Server, error) {
	daemon, install, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "outboxd-db-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, Socket: filepath.Join(dir, "s"), options: o}
	out, err := s.command(install, "--no-defaults", "--datadir="+s.data(), "--auth-root-authentication-method=normal",
		"--skip-test-db", "--user="+userName()).CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mariadb-install-db: %w\n%s", err, out), os.RemoveAll(dir))
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s.Server = db.Server{Host: "127.0.0.1", Port: port, Username: "root"}
	if err := s.launch(daemon); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command gives a program a folder of its own for temporary tables: a server that starts removes those that it finds, and
// other packages' servers start at the same time.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+s.dir)
	return cmd
}

func (s *Server) launch(daemon string) error {
	// Nothing waits for the disk, which a process that is killed does not lose; tables are made in half the time.
	flush := []string{"--innodb-flush-log-at-trx-commit=2", "--loose-innodb-flush-method=nosync", "--debug-no-sync"}
	if s.options.Durable {
		flush = []string{"--innodb-flush-log-at-trx-commit=1"}
	}
	logFile, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	args := slices.Concat([]string{"--no-defaults", "--datadir=" + s.data(), "--socket=" + s.Socket, "--port=" + strconv.Itoa(s.Port),
		"--bind-address=127.0.0.1", "--user=" + userName(), "--skip-log-bin", "--skip-name-resolve",
		"--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M", "--max-connections=200", "--pid-file=" + filepath.Join(s.dir, "pid")}, flush, s.options.Flags)
	s.cmd = s.command(daemon, args...)
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	EndWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended shows in the log
		close(ended)
	}(s.cmd, s.ended)
	return s.await()
}

// await returns when the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-s.ended:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("mariadbd ended while starting:\n%s", log)
		case <-ctx.Done():
			return fmt.Errorf("mariadbd did not answer in %s", startTimeout)
		}
	}
}

// Copy starts a server on a copy of a killed one's data, as one who has copied its disk; at a port, 0 for a free one. It ends
// with the test.
func (s *Server) Copy(t testing.TB, port int) *Server {
	t.Helper()
	daemon, _, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "outboxd-db-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Server{dir: dir, Socket: filepath.Join(dir, "s"), options: s.options, Server: s.Server}
	c.Port = port
	if err := os.CopyFS(c.data(), os.DirFS(s.data())); err != nil {
		t.Fatal(err)
	}
	if err := c.launch(daemon); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Kill ends the server at once, as a power cut would.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}

// Restart starts a killed server on its old data and port, with its old options.
func (s *Server) Restart() error {
	daemon, _, err := programs()
	if err != nil {
		return err
	}
	return s.launch(daemon)
}

// Stop kills the server and removes its data.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
	default:
		if err := s.Kill(); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.dir)
}

// programs finds mariadbd and mariadb-install-db.
func programs() (daemon, install string, err error) {
	find := func(name string) string {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/libexec"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path
			}
		}
		return ""
	}
	daemon, install = find("mariadbd"), find("mariadb-install-db")
	if daemon == "" || install == "" {
		return "", "", errors.New("mariadbd and mariadb-install-db are needed for this test: apt-get install mariadb-server-core mariadb-client-core (macOS: brew install mariadb), or set OUTBOXD_TEST_DSN")
	}
	return daemon, install, nil
}

// FreePorts returns ports that nobody uses.
func FreePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
