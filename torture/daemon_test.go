//go:build unix

package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"outboxd/db/dbtest"
)

// killed is what the tally counts kills under.
const killed = "daemon: kill -9"

// daemon is one outboxd, a process of its own, in one life after the other.
type daemon struct {
	s       *site
	name    string
	runtime string // short: the path of a socket is bounded
	log     string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error
	ours  bool // its end is our doing
	born  time.Time
}

func newDaemon(s *site, number int) *daemon {
	s.t.Helper()
	runtime, err := os.MkdirTemp("", "ob")
	if err != nil {
		s.t.Fatal(err)
	}
	d := &daemon{s: s, name: fmt.Sprintf("daemon %d", number), runtime: runtime, log: filepath.Join(s.dir, fmt.Sprintf("daemon%d.log", number))}
	s.t.Cleanup(func() {
		d.kill()
		_ = os.RemoveAll(runtime)
	})
	return d
}

// start begins a life.
func (d *daemon) start() {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.s.t.Error(err)
		return
	}
	defer log.Close()
	cmd := exec.Command(d.s.binary, "--config", d.s.config, "run")
	cmd.Env = append(os.Environ(), "OUTBOXD_RUNTIME="+d.runtime, "GORACE=halt_on_error=1")
	cmd.Stdout, cmd.Stderr = log, log
	dbtest.EndWithParent(cmd)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmd.Start(); err != nil {
		d.s.t.Error(err)
		return
	}
	d.cmd, d.ended, d.ours, d.born = cmd, make(chan error, 1), false, time.Now()
	go d.watch(cmd, d.ended)
}

// watch notices a daemon that ends by itself.
func (d *daemon) watch(cmd *exec.Cmd, ended chan error) {
	err := cmd.Wait()
	d.mu.Lock()
	ours := d.ours
	d.mu.Unlock()
	if !ours {
		d.s.tally.breaks("ended", fmt.Sprintf("%s ended by itself: %v\n%s", d.name, err, d.tail()))
	}
	ended <- err
}

// tail is the end of the daemon's log.
func (d *daemon) tail() string {
	b, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// end sends a signal and waits for the end of the process: an error if it takes longer than patience.
func (d *daemon) end(signal os.Signal, patience time.Duration) error {
	d.mu.Lock()
	cmd, ended := d.cmd, d.ended
	d.cmd, d.ours = nil, true
	d.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(signal) // it may have ended by itself
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
	}
	_ = cmd.Process.Kill()
	<-ended
	return fmt.Errorf("%s did not end in %s", d.name, patience)
}

// stop ends it in order. A process that has not got to its signals yet ends by the signal itself, which harms nobody.
func (d *daemon) stop() error {
	d.mu.Lock()
	young := time.Since(d.born) < 2*time.Second
	d.mu.Unlock()
	err := d.end(syscall.SIGTERM, time.Minute)
	var exit *exec.ExitError
	if young && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil
	}
	return err
}

// kill ends it as the kernel does, frozen or not.
func (d *daemon) kill() { _ = d.end(os.Kill, time.Minute) }

// freeze stops the process for a while, unless it is killed meanwhile.
func (d *daemon) freeze(t time.Duration) {
	d.mu.Lock()
	cmd := d.cmd
	d.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	pause(d.s.bad.done, t)
	_ = cmd.Process.Signal(syscall.SIGCONT)
}

// do runs a command of the program beside the daemon.
func (d *daemon) do(args ...string) error {
	cmd := exec.Command(d.s.binary, append([]string{"--config", d.s.config}, args...)...)
	cmd.Env = append(os.Environ(), "OUTBOXD_RUNTIME="+d.runtime)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("outboxd %s: %w\n%.1000s", strings.Join(args[:2], " "), err, out)
	}
	return nil
}
