//go:build postfix

package postfixtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// endTimeout is how long a program may take to end in order.
const endTimeout = 20 * time.Second

// process is a program in the foreground, the leader of a group with all that it starts.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// find looks for a program, also where PATH may not.
func find(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: Postfix and Dovecot are needed for this test, and make test-postfix installs them, or says what to install", name)
}

func launch(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	p.cmd.Dir = "/"
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // the kernel ends it when the test's process dies
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended shows in the log
		close(p.ended)
	}()
	return p, nil
}

// end lets the program end in order, and then ends what is left of its group. One that was never started has ended.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return p.kill()
	case <-time.After(endTimeout):
		return errors.Join(fmt.Errorf("%s did not end in %s", p.cmd.Path, endTimeout), p.kill())
	}
}

// kill ends the program and its group at once.
func (p *process) kill() error {
	if p == nil {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.ended
	return nil
}
