package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// Client speaks to the daemon of one runtime folder.
type Client struct {
	http    *http.Client
	path    string
	version string
	daemon  string
}

// NoDaemonError says that no daemon listens.
type NoDaemonError struct{ Socket string }

// Error names the socket.
func (e *NoDaemonError) Error() string {
	return "no outboxd is running (nobody answers on " + e.Socket + ")"
}

// RemoteError is an error of an operation, told by the daemon, or of the way to it.
type RemoteError struct {
	Text  string
	Hint  string // what to do; may be ""
	Usage bool   // it was asked wrongly
	Err   error  // what happened on the way; nil for what the daemon told
}

// Error returns the text; the hint stands apart.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap returns what happened on the way.
func (e *RemoteError) Unwrap() error { return e.Err }

// ErrorHint tells what to do.
func (e *RemoteError) ErrorHint() string { return e.Hint }

// WrongUsage tells whether the request was wrong.
func (e *RemoteError) WrongUsage() bool { return e.Usage }

// Dial finds the daemon of a runtime folder and learns its version. A *NoDaemonError says that there is none.
func Dial(ctx context.Context, folder, version string) (*Client, error) {
	c := &Client{path: filepath.Join(folder, SocketName), version: version}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "unix", c.path)
			},
			MaxIdleConns:    1,
			IdleConnTimeout: idleTime / 2,
		},
		Timeout: operationTime + replyTime,
	}
	hello, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := c.post(hello, "", nil)
	if err != nil {
		return nil, c.reachable(err)
	}
	c.daemon = r.Header.Get(versionHeader)
	if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxReply)); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket %s: %w", c.path, err), r.Body.Close())
	}
	if err := r.Body.Close(); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.path, err)
	}
	if c.daemon == "" {
		return nil, fmt.Errorf("control socket %s: what answers there is no outboxd", c.path)
	}
	return c, nil
}

// reachable says what a failed connection means.
func (c *Client) reachable(err error) error {
	_, missing := os.Lstat(c.path)
	switch {
	case errors.Is(err, errRefused), errors.Is(missing, fs.ErrNotExist):
		return &NoDaemonError{c.path}
	case errors.Is(err, fs.ErrPermission):
		return &RemoteError{Text: fmt.Sprintf("this user may not use the control socket %s", c.path),
			Hint: "ask as root or as the daemon's user (sudo -u outboxd outboxd ...), or join its group (usermod -aG outboxd USER, then log in anew)", Err: err}
	}
	return &RemoteError{Text: fmt.Sprintf("the daemon does not answer on %s: %v", c.path, err),
		Hint: "look what it is doing: systemctl status outboxd, journalctl -u outboxd -n 50", Err: err}
}

// DaemonVersion is the version of the program that answers.
func (c *Client) DaemonVersion() string { return c.daemon }

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// post sends one request; its URL's host means nothing on a unix socket.
func (c *Client) post(ctx context.Context, name string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://outboxd/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(versionHeader, c.version)
	return c.http.Do(r)
}

// Call asks the daemon for an operation. An error of the operation is a *RemoteError.
func Call[Q, R any](ctx context.Context, c *Client, name string, q Q) (reply R, err error) {
	request, err := json.Marshal(q)
	if err != nil {
		return reply, err
	}
	r, err := c.post(ctx, name, request)
	if err != nil {
		return reply, c.reachable(err)
	}
	defer func() { err = errors.Join(err, r.Body.Close()) }()
	body := bufio.NewReader(io.LimitReader(r.Body, maxReply+maxEnclosed))
	text, err := readLine(body)
	if err != nil {
		return reply, fmt.Errorf("read the daemon's reply: %w", err)
	}
	if r.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &reply); err != nil {
			return reply, fmt.Errorf("understand the daemon's reply: %w", err)
		}
		if e, ok := any(&reply).(Encloser); ok {
			if *e.Enclosed(), err = io.ReadAll(body); err != nil {
				return reply, fmt.Errorf("read the daemon's reply: %w", err)
			}
		}
		return reply, nil
	}
	var f failure
	if err := json.Unmarshal(text, &f); err != nil || f.Error == "" {
		return reply, fmt.Errorf("control socket %s: %s", c.path, r.Status)
	}
	if r.StatusCode == http.StatusNotFound {
		f.Hint = "restart the daemon: it is older than this program"
	}
	return reply, &RemoteError{Text: f.Error, Hint: f.Hint, Usage: f.Usage}
}

// readLine reads a reply's JSON, which has no line feed but the one behind it.
func readLine(from *bufio.Reader) (line []byte, err error) {
	for {
		part, err := from.ReadSlice('\n')
		switch line = append(line, part...); {
		case len(line) > maxReply:
			return nil, fmt.Errorf("it is longer than %d octets", maxReply)
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
