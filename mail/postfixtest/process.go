//go:build postfix

package postfixtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// endTimeout is how long a program may take to end in order.
const endTimeout = 20 * time.Second

// process is a program in the foreground, the leader of a group with all that it starts.
type process struct {
	cmd   *exec.Cmd
	guard *exec.Cmd
	ended chan struct{}
	gone  bool // with its group; the number may be another's by now
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
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended shows in the log
		close(p.ended)
	}()
	if err := p.watch(); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// watch starts a shell that ends the group when the test's process dies, however it dies: then the pipe that the shell reads
// ends. Of a process that changes its user, as Postfix does, the kernel would forget to end it (PR_SET_PDEATHSIG).
func (p *process) watch() error {
	guard := exec.Command("/bin/sh", "-c", `read -r end; kill -KILL "-$1"`, "sh", strconv.Itoa(p.cmd.Process.Pid))
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it outlives a Ctrl-C
	if _, err := guard.StdinPipe(); err != nil {
		return err
	}
	if err := guard.Start(); err != nil {
		return err
	}
	p.guard = guard
	return nil
}

// end lets the program end in order, and then ends what is left of its group. One that was never started has ended.
func (p *process) end() error {
	if p == nil || p.gone {
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
	if p == nil || p.gone {
		return nil
	}
	if p.guard != nil {
		_ = p.guard.Process.Kill() // before there can be another group of that number
		_ = p.guard.Wait()         // it was killed
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.ended
	p.gone = true
	return nil
}
