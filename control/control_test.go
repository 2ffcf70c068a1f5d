package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

type question struct {
	Text  string `json:"text"`
	actor string
}

func (q *question) SetActor(name string) { q.actor = name }

type answer struct {
	Text  string `json:"text"`
	Actor string `json:"actor"`
}

// parcel is an answer with octets enclosed.
type parcel struct {
	Name    string `json:"name"`
	Content []byte `json:"-"`
}

func (p *parcel) Enclosed() *[]byte { return &p.Content }

// helpful is an error with all that an error can carry.
type helpful struct{}

func (helpful) Error() string     { return "it is broken" }
func (helpful) ErrorHint() string { return "mend it" }
func (helpful) WrongUsage() bool  { return true }

// folder is short: the path of a socket is bounded.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "oc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start serves the operations of these tests until the test ends or stop is called.
func start(t *testing.T, dir string) (stop func()) {
	t.Helper()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer("1.2.3", func(err error) { t.Log(err) })
	Handle(s, "echo", func(_ context.Context, q question) (answer, error) { return answer{q.Text, q.actor}, nil })
	Handle(s, "parcel", func(_ context.Context, q question) (parcel, error) {
		return parcel{q.Text, bytes.Repeat([]byte("\n\x00\xff{"), len(q.Text))}, nil
	})
	Handle(s, "fail", func(context.Context, question) (answer, error) { return answer{}, fmt.Errorf("try: %w", helpful{}) })
	Handle(s, "panic", func(context.Context, question) (answer, error) { panic("oh") })
	Handle(s, "wait", func(ctx context.Context, _ question) (answer, error) { <-ctx.Done(); return answer{}, ctx.Err() })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l, 100*time.Millisecond) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func dial(t *testing.T, dir string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), dir, "1.2.4")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCall(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	c := dial(t, dir)
	if c.DaemonVersion() != "1.2.3" {
		t.Errorf("version %q", c.DaemonVersion())
	}
	r, err := Call[question, answer](t.Context(), c, "echo", question{Text: "héllo", actor: "root(0)"})
	if err != nil || r.Text != "héllo" {
		t.Fatalf("%+v, %v", r, err)
	}
	want := unknownActor
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd":
		want = actorName(os.Getuid())
	}
	if r.Actor != want {
		t.Errorf("actor %q, want %q", r.Actor, want)
	}
}

func TestEnclosedOctetsArriveAsTheyAre(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	c := dial(t, dir)
	for _, n := range []int{0, 1, 10_000, 900_000} {
		name := strings.Repeat("é", n/2)
		r, err := Call[question, parcel](t.Context(), c, "parcel", question{Text: name})
		if err != nil || r.Name != name || !bytes.Equal(r.Content, bytes.Repeat([]byte("\n\x00\xff{"), len(name))) {
			t.Errorf("%d: %d octets, %v", n, len(r.Content), err)
		}
	}
}

func TestCallFails(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	c := dial(t, dir)
	_, err := Call[question, answer](t.Context(), c, "fail", question{})
	var remote *RemoteError
	if !errors.As(err, &remote) || *remote != (RemoteError{Text: "try: it is broken", Hint: "mend it", Usage: true}) {
		t.Errorf("%#v", err)
	}
	_, err = Call[question, answer](t.Context(), c, "new", question{})
	if !errors.As(err, &remote) || !strings.Contains(remote.Hint, "restart the daemon") || !strings.Contains(remote.Text, "1.2.3") {
		t.Errorf("%#v", err)
	}
	_, err = Call[map[string]string, answer](t.Context(), c, "echo", map[string]string{"actor": "root(0)"})
	if !errors.As(err, &remote) || !strings.Contains(remote.Text, `unknown field "actor"`) {
		t.Errorf("a claimed actor was taken: %#v", err)
	}
	_, err = Call[question, answer](t.Context(), c, "echo", question{Text: strings.Repeat("x", maxRequest)})
	if !errors.As(err, &remote) || !strings.Contains(remote.Text, "too large") {
		t.Errorf("%#v", err)
	}
	if _, err = Call[question, answer](t.Context(), c, "panic", question{}); err == nil {
		t.Error("an answer after a panic")
	}
	if _, err = Call[question, answer](t.Context(), c, "echo", question{Text: "on"}); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

func TestRequestsAreOneValue(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	c := dial(t, dir)
	for _, body := range []string{"", "{", `{} {}`, `[]`, `{"text": 7}`} {
		r, err := c.post(t.Context(), "echo", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", body, r.Status)
		}
		_ = r.Body.Close()
	}
	r, err := c.http.Get("http://outboxd/v1/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusOK {
		t.Error("GET was answered")
	}
}

func TestStopEndsWaitingOperations(t *testing.T) {
	dir := folder(t)
	stop := start(t, dir)
	c := dial(t, dir)
	ended := make(chan error)
	go func() {
		_, err := Call[question, answer](context.Background(), c, "wait", question{})
		ended <- err
	}()
	stop()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	if _, err := Dial(t.Context(), dir, "1"); !isNoDaemon(err) {
		t.Errorf("after the stop: %v", err)
	}
}

func isNoDaemon(err error) bool {
	var none *NoDaemonError
	return errors.As(err, &none)
}

func TestNoDaemon(t *testing.T) {
	dir := folder(t)
	if _, err := Dial(t.Context(), dir, "1"); !isNoDaemon(err) {
		t.Errorf("no socket: %v", err)
	}
	deadSocket(t, dir)
	if _, err := Dial(t.Context(), dir, "1"); !isNoDaemon(err) {
		t.Errorf("dead socket: %v", err)
	}
}

// deadSocket leaves a socket behind, as a killed daemon does.
func deadSocket(t *testing.T, dir string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListenTakesADeadDaemonsPlace(t *testing.T) {
	dir := folder(t)
	deadSocket(t, dir)
	start(t, dir)
	dial(t, dir)
	info, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != socketMode {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestListenRefusesASecondDaemon(t *testing.T) {
	dir := folder(t)
	stop := start(t, dir)
	var running *RunningError
	if _, err := Listen(dir); !errors.As(err, &running) || !strings.Contains(err.Error(), "another outboxd is running") {
		t.Errorf("second daemon: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); !errors.As(err, &running) {
		t.Errorf("second daemon without the lock's file: %v", err)
	}
	stop()
	start(t, dir)
}

func TestListenRefuses(t *testing.T) {
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir, SocketName), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, strings.Repeat("x", 100))); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a long path: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, SocketName, "in")); err == nil || !strings.Contains(err.Error(), "OUTBOXD_RUNTIME") {
		t.Errorf("a file in place of the folder: %v", err)
	}
}

func TestDialRefusesStrangers(t *testing.T) {
	dir := folder(t)
	l, err := net.Listen("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go func() { _ = h.Serve(l) }()
	defer h.Close()
	if _, err := Dial(t.Context(), dir, "1"); err == nil || !strings.Contains(err.Error(), "no outboxd") {
		t.Errorf("%v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	dir := folder(t)
	start(t, dir)
	var open []net.Conn
	for range maxOpen {
		c, err := net.Dial("unix", filepath.Join(dir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		c, err := Dial(ctx, dir, "1")
		if err == nil {
			c.Close()
		}
		waiting <- err
	}()
	for _, c := range open { // a place becomes free
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	cancel()
}

func TestBoundedStopsWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := bound(l, 0)
	ended := make(chan error)
	go func() { _, err := b.Accept(); ended <- err }()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestActorName(t *testing.T) {
	if got := actorName(1 << 30); got != fmt.Sprintf("unknown(%d)", 1<<30) {
		t.Error(got)
	}
	if actorOf(context.Background()) != unknownActor {
		t.Error("an actor out of nothing")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if actorOf(withActor(context.Background(), a)) != unknownActor {
		t.Error("an actor on a pipe")
	}
}

func TestPermission(t *testing.T) {
	c := &Client{path: filepath.Join(folder(t), "s")}
	if err := os.WriteFile(c.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var remote *RemoteError
	if err := c.reachable(fmt.Errorf("dial: %w", os.ErrPermission)); !errors.As(err, &remote) || !strings.Contains(remote.Hint, "sudo") {
		t.Error(err)
	}
	if err := c.reachable(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &remote) || remote.Hint == "" {
		t.Error(err)
	}
}
