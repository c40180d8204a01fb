package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// The public server's bounds. A request's header must arrive quickly; its body
// and answer get the time of the slowest provider plus a reader's patience.
const (
	headerTimeout   = 10 * time.Second
	bodyTimeout     = 30 * time.Second
	answerTimeout   = 90 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 32 << 10
	shutdownTimeout = 40 * time.Second // above MaxRequestTimeout, so that calls in flight finish
	adminPatience   = time.Second      // a profile that runs on is no reason to keep the hub from stopping
	settlePatience  = time.Second      // with calls whose connections are cut off
)

// listener is one bound address and the server behind it.
type listener struct {
	net.Listener
	server   *http.Server
	patience time.Duration // with exchanges under way, when it is shut down
}

// bind takes the public address before anything is opened: a port in use then
// leaves no trace in the data folder. Who connects meanwhile waits for the answer.
func (n *Node) bind(ctx context.Context) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; is another hub running? choose another with --listen", n.cfg.Listen, err)
	}
	n.public = &listener{Listener: ln, patience: n.cfg.patience}
	n.onClose("public address", func(context.Context) error { return ignore(ln.Close(), net.ErrClosed) })
	if base, any := strings.CutSuffix(n.cfg.HubURL, ":0"); any {
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		n.cfg.HubURL = base + ":" + port
	}
	return nil
}

// listen makes the servers. The public one is closed first, the operator's can be
// asked until the end.
func (n *Node) listen(ctx context.Context) error {
	network, address, err := n.adminAddress()
	if err != nil {
		return err
	}
	if address != "" {
		ln, err := listenAdmin(ctx, network, address)
		if err != nil {
			return err
		}
		n.admin = &listener{Listener: ln, patience: adminPatience, server: newServer(n.api.AdminHandler())}
		n.admin.server.WriteTimeout = 0 // profiles and backups take their time
		n.onClose("admin address", n.admin.shutdown)
	}
	n.public.server = newServer(n.handler())
	n.onClose("public server", n.public.shutdown)
	return nil
}

func listenAdmin(ctx context.Context, network, address string) (net.Listener, error) {
	var c net.ListenConfig
	if network == "unix" {
		_ = os.Remove(address) // left over from a crash; the store's lock says no other hub is alive
		c.Control = privateSocket
	}
	ln, err := c.Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listening for the operator on %s: %w; choose another with --admin-listen, or 'off'", address, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("keeping the admin socket private: %w", err), ln.Close())
		}
	}
	return ln, nil
}

// privateSocket sets the mode before the socket has a name, so that there is no
// moment in which others may connect. Systems that cannot get it from the chmod
// that follows.
func privateSocket(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// handler is the public API, the same over HTTP and over streams.
func (n *Node) handler() http.Handler {
	if n.cfg.Wrap != nil {
		return n.cfg.Wrap(n.api.Handler())
	}
	return n.api.Handler()
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
}

// shutdown takes no more connections, waits for the exchanges under way and cuts
// off those that outlast its patience.
func (l *listener) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(fmt.Errorf("exchanges were still under way after %s and are cut off", l.patience), l.server.Close())
	}
	return errors.Join(err, ignore(l.Listener.Close(), net.ErrClosed)) // for a server that never served
}

func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// adminAddress says where the operator's handler listens.
func (n *Node) adminAddress() (network, address string, err error) {
	switch n.cfg.AdminListen {
	case "", "off":
		return "", "", nil
	case "unix":
		address, err = AdminSocket(n.cfg.DataDir)
		return "unix", address, err
	}
	host, _, err := net.SplitHostPort(n.cfg.AdminListen)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("admin address %q is not on loopback: pprof and backup must not face the network; give 'unix', 'off' or one such as 127.0.0.1:9084", n.cfg.AdminListen)
	}
	return "tcp", n.cfg.AdminListen, nil
}

// maxSocketPath is what every kernel's socket address holds: Linux takes 108 bytes
// with the final zero, others 104.
const maxSocketPath = 103

// AdminSocket is the path of a data folder's admin socket, relative to the working
// directory if only that is short enough for a socket.
func AdminSocket(dataDir string) (string, error) {
	path := filepath.Join(dataDir, "admin.sock")
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if abs, err := filepath.Abs(path); err == nil {
			if rel, err := filepath.Rel(wd, abs); err == nil && len(rel) <= maxSocketPath {
				return rel, nil
			}
		}
	}
	return "", fmt.Errorf("the admin socket %s would have a path of %d bytes and sockets take %d: move the data folder, start from inside it, or give --admin-listen 127.0.0.1:PORT or 'off'",
		path, len(path), maxSocketPath)
}

// Run serves until ctx ends or a server fails, then closes the node.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	var work sync.WaitGroup
	for _, l := range []*listener{n.public, n.admin} {
		if l == nil {
			continue
		}
		work.Go(func() {
			if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serving %s: %w", l.Addr(), err)
			}
		})
	}
	work.Go(func() { sweepEvery(ctx, ledger.SweepEvery, n.sweep) })
	n.cfg.Logger.Info("hub is ready", "url", n.cfg.HubURL, "listen", n.public.Addr().String(),
		"public_key", n.key.PublicBase64(), "capabilities", n.catalog.Counts().Total, "money", n.cfg.Money, "mesh", n.JoinAddress())
	if n.cfg.Money == ledger.Demo {
		n.cfg.Logger.Warn("DEMO MONEY: channels are credited from nothing and nothing is owed; use --money off for a hub without money")
	}

	var err error
	select {
	case <-ctx.Done():
		n.cfg.Logger.Info("stopping: finishing the calls in flight")
	case err = <-failed:
	}
	cancel()
	// The context that asked to stop is over; closing has its own time.
	err = errors.Join(err, n.Close(context.WithoutCancel(ctx)))
	work.Wait()
	if err == nil {
		n.cfg.Logger.Info("stopped")
	}
	return err
}

// sweepEvery sweeps now, since a hub that was down has something to catch up on,
// and then every interval until ctx ends.
func sweepEvery(ctx context.Context, interval time.Duration, sweep func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		sweep(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// sweep expires channels and drops what is past its time.
func (n *Node) sweep(ctx context.Context) {
	expired, reaped, err := n.ledger.Sweep(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		n.cfg.Logger.Error("sweeping the ledger failed; it is tried again", "in", ledger.SweepEvery, "error", err)
	case expired+reaped > 0:
		n.cfg.Logger.Info("swept the ledger", "channels_expired", expired, "holds_reaped", reaped)
	}
}
