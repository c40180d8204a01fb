package testnet

import (
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
	"syscall"
	"time"
)

// Bounds on the control socket's exchanges.
const (
	maxCommand   = 64 << 10
	maxStatus    = 64 << 20
	maxSocket    = 103 // bytes of a socket's path that every system takes
	commandTime  = 2 * time.Minute
	controlClose = time.Second
)

// DefaultControl is the socket's path where none is given: one per user.
func DefaultControl() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("aimarket-testnet-%d.sock", os.Getuid()))
}

// Command steers a running network through its control socket.
type Command struct {
	Do    string `json:"do"`              // kill, restart, cut, heal, slow, status
	Hub   int    `json:"hub,omitempty"`   // kill, restart, slow
	A     []int  `json:"a,omitempty"`     // cut: one side
	B     []int  `json:"b,omitempty"`     // cut: the other, empty for all others
	Delay int64  `json:"delay,omitempty"` // slow: nanoseconds
}

// obey carries out a command.
func (n *Network) obey(ctx context.Context, c Command) error {
	switch c.Do {
	case "kill":
		return n.Kill(c.Hub)
	case "restart":
		return n.Restart(ctx, c.Hub)
	case "cut":
		return n.Cut(c.A, c.B)
	case "heal":
		n.Heal()
		return nil
	case "slow":
		return n.Slow(c.Hub, time.Duration(c.Delay))
	case "status":
		return nil
	}
	return fmt.Errorf("the command %q is unknown: kill, restart, cut, heal, slow or status", c.Do)
}

// Control is a network's control socket.
type Control struct {
	net    *Network
	ln     net.Listener
	server *http.Server
	done   chan error
}

// ListenControl opens the control socket at path, readable to this user alone. A
// socket that nobody answers on any more is replaced, one in use refused.
func ListenControl(n *Network, path string) (*Control, error) {
	if len(path) > maxSocket {
		return nil, fmt.Errorf("the control socket's path %s has %d bytes and sockets take %d: give a shorter one", path, len(path), maxSocket)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("a test network already answers on %s: end it, or give this one another socket with --control", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is in the way: it is no socket; give another path with --control", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replacing the old control socket: %w; give another path with --control", err)
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the control socket %s: %w; give another path with --control", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("keeping the control socket private: %w", err), ln.Close())
	}
	c := &Control{net: n, ln: ln, done: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", c.serve)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerWait, WriteTimeout: commandTime + time.Minute}
	go func() { c.done <- c.server.Serve(ln) }()
	return c, nil
}

// Close stops listening and removes the socket.
func (c *Control) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), controlClose)
	defer cancel()
	err := c.server.Shutdown(ctx)
	if err != nil {
		err = c.server.Close()
	}
	if served := <-c.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// serve obeys one command and answers with the network's state after it, or with what
// was wrong.
func (c *Control) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), commandTime)
	defer cancel()
	var cmd Command
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	dec.DisallowUnknownFields()
	err := dec.Decode(&cmd)
	if err == nil {
		err = c.net.obey(ctx, cmd)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		return
	}
	_ = json.NewEncoder(w).Encode(c.net.Status())
}

// Steer sends a command to the network whose control socket is at path and returns
// its state afterwards.
func Steer(ctx context.Context, path string, cmd Command) (Status, error) {
	var s Status
	body, err := json.Marshal(cmd)
	if err != nil {
		return s, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://testnet/", bytes.NewReader(body))
	if err != nil {
		return s, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return s, fmt.Errorf("no test network answers on %s: %w; start one with aimarket testnet up, or name its socket with --control", path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	if err != nil {
		return s, fmt.Errorf("reading the test network's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		_ = json.Unmarshal(raw, &refusal)
		return s, fmt.Errorf("%s: %s", cmd.Do, refusal.Error)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("the test network's answer is not its state: %w", err)
	}
	return s, nil
}
