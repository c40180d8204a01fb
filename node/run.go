package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
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
	sweepInterval   = 300 * time.Second
)

// listener is one bound address and the server behind it.
type listener struct {
	net.Listener
	server *http.Server
}

func (n *Node) listen(ctx context.Context) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; is another hub running? choose another with --listen", n.cfg.Listen, err)
	}
	n.public = n.serve(ln, n.api.Handler())
	n.onClose("public address", n.public.shutdown)

	network, address, err := n.adminAddress()
	if err != nil || address == "" {
		return err
	}
	if network == "unix" {
		_ = os.Remove(address) // left over from a crash; the store's lock says no other hub is alive
	}
	admin, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return fmt.Errorf("listening for the operator on %s: %w; choose another with --admin-listen, or 'off'", address, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o600); err != nil {
			admin.Close()
			return fmt.Errorf("keeping the admin socket private: %w", err)
		}
	}
	n.admin = n.serve(admin, n.api.AdminHandler())
	n.admin.server.WriteTimeout = 0 // profiles and backups take their time
	n.onClose("admin address", n.admin.shutdown)
	return nil
}

func (n *Node) serve(ln net.Listener, h http.Handler) *listener {
	return &listener{ln, &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}}
}

func (l *listener) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("calls were still in flight after %s", shutdownTimeout), l.server.Close())
	}
	_ = l.Listener.Close() // for a server that never served
	return err
}

// adminAddress says where the operator's handler listens. A socket's path may
// not exceed what the kernel's address structure holds.
func (n *Node) adminAddress() (network, address string, err error) {
	switch n.cfg.AdminListen {
	case "", "off":
		return "", "", nil
	case "unix":
		return "unix", AdminSocket(n.cfg.DataDir), nil
	}
	host, _, err := net.SplitHostPort(n.cfg.AdminListen)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("admin address %q is not on loopback: pprof and backup must not face the network", n.cfg.AdminListen)
	}
	return "tcp", n.cfg.AdminListen, nil
}

// AdminSocket is the path of a data folder's admin socket.
func AdminSocket(dataDir string) string {
	const longest = 100 // sockaddr_un holds 108 bytes on Linux, 104 elsewhere
	path := filepath.Join(dataDir, "admin.sock")
	if len(path) <= longest {
		return path
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) <= longest {
			return rel
		}
	}
	return path // listening reports what is wrong with it
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
	work.Go(func() { n.sweep(ctx) })
	n.cfg.Logger.Info("hub is ready", "url", n.cfg.HubURL, "listen", n.public.Addr().String(),
		"public_key", n.key.PublicBase64(), "capabilities", n.catalog.Counts().Total, "money", n.cfg.Money)
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

// sweep expires channels and drops what is past its time, until ctx ends.
func (n *Node) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		expired, reaped, err := n.ledger.Sweep(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			n.cfg.Logger.Error("sweeping the ledger failed; it is tried again", "in", sweepInterval, "error", err)
		case expired+reaped > 0:
			n.cfg.Logger.Info("swept the ledger", "channels_expired", expired, "holds_reaped", reaped)
		}
	}
}
