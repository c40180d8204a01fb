// Package testnet runs many complete hubs in one process on this machine's loopback,
// with providers behind them and faults on demand.
//
// It promises that every hub is what `aimarket serve` runs (its own key, data folder,
// HTTP port and libp2p host), that hubs know of each other only what the mesh tells
// them, that each sells a few capabilities of its own which really work, and that Stop
// leaves nothing behind but a data folder somebody asked for.
//
// Limits: the hubs share one process, so a killed hub loses its connections and calls
// in flight, but what it had written stays written: power cuts are tested elsewhere. A
// slow hub is slow in what it answers over HTTP and streams and in its provider, not in
// its gossip. Money is demo money, limits on rates are off, and nothing listens on any
// address but loopback. Hubs are numbered from 1, as their names are.
package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/node"
)

// MaxNodes bounds a network: more do not fit the file descriptors of one process.
const MaxNodes = 1000

// Connections that each hub of a large network keeps and at which it trims: every one
// costs a file descriptor at both ends, and both are ours.
const (
	manyNodes    = 24
	manyConnLow  = 12
	manyConnHigh = 20
)

// Config is a network to start. Zero fields mean what their comments say.
type Config struct {
	Nodes    int               // 1…MaxNodes
	HTTPPort int               // of hub-1, the others follow; 0 takes free ports
	Topology Topology          // who joins by whom; "": Full
	Seed     uint64            // of the Random topology
	Policy   catalog.Admission // "": open

	Dir        string // data folders go under it and stay; "" is a temporary one that Stop removes
	Version    string // of this program
	AdminToken string // of every hub's operator routes; "" leaves them off
	OwnRows    int    // capabilities of its own that each hub sells, 0: DefaultOwnRows, -1: none
	Logger     *slog.Logger

	// Configure has the last word on a hub's configuration; nil changes nothing.
	Configure func(number int, c *node.Config)
}

// Network is a running test network. Its methods are safe for concurrent use.
type Network struct {
	cfg      Config
	dir      string
	provider *provider
	hubs     []*Hub // by number-1; the slice does not change after Start

	ops sync.Mutex // one operation that starts or ends hubs at a time

	mu    sync.RWMutex // guards what the gates of all hubs ask
	byKey map[identity.PublicKey]int
	byURL map[string]int // host:port of HubURL → number
	cuts  map[link]bool
}

// Start runs the network and returns when every hub serves. Whether they know each
// other yet is WaitConnected's question. ctx bounds the start alone.
func Start(ctx context.Context, c Config) (_ *Network, err error) {
	if c, err = c.complete(); err != nil {
		return nil, err
	}
	n := &Network{cfg: c, dir: c.Dir, byKey: map[identity.PublicKey]int{}, byURL: map[string]int{}, cuts: map[link]bool{}}
	if n.dir == "" {
		if n.dir, err = os.MkdirTemp("", "aimarket-testnet-"); err != nil {
			return nil, fmt.Errorf("testnet: making a folder for the hubs: %w", err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop())
		}
	}()
	if n.provider, err = startProvider(n); err != nil {
		return nil, err
	}
	for number := 1; number <= c.Nodes; number++ {
		n.hubs = append(n.hubs, newHub(n, number))
	}
	n.ops.Lock()
	defer n.ops.Unlock()
	for _, h := range n.hubs {
		if err := h.start(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (c Config) complete() (Config, error) {
	if c.Nodes < 1 || c.Nodes > MaxNodes {
		return c, fmt.Errorf("testnet: %d hubs are not 1…%d", c.Nodes, MaxNodes)
	}
	if c.HTTPPort < 0 || c.HTTPPort > 0 && c.HTTPPort+c.Nodes-1 > 65535 {
		return c, fmt.Errorf("testnet: %d hubs from port %d on do not fit below 65536; give a lower first port, or 0 for free ones", c.Nodes, c.HTTPPort)
	}
	switch c.Topology {
	case "":
		c.Topology = Full
	case Full, Ring, Random:
	default:
		return c, fmt.Errorf("testnet: topology %q is unknown: full, ring or random", c.Topology)
	}
	switch c.Policy {
	case "":
		c.Policy = catalog.AdmitAll
	case catalog.AdmitNone, catalog.AdmitVerified, catalog.AdmitAll:
	default:
		return c, fmt.Errorf("testnet: admission policy %q is unknown: closed, verified or open", c.Policy)
	}
	if c.OwnRows == 0 {
		c.OwnRows = DefaultOwnRows
	}
	if c.OwnRows > MaxOwnRows {
		return c, fmt.Errorf("testnet: a hub has at most %d capabilities of its own, not %d", MaxOwnRows, c.OwnRows)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Stop ends every hub, all at once, and removes the temporary folder. It may be called
// again.
func (n *Network) Stop() error {
	n.ops.Lock()
	defer n.ops.Unlock()
	errs := make([]error, len(n.hubs))
	var wg sync.WaitGroup
	for i, h := range n.hubs {
		wg.Go(func() { errs[i] = h.stop() })
	}
	wg.Wait()
	if n.provider != nil {
		errs = append(errs, n.provider.close())
	}
	if n.cfg.Dir == "" {
		errs = append(errs, os.RemoveAll(n.dir))
	}
	return errors.Join(errs...)
}

// Dir is where the hubs' data folders are.
func (n *Network) Dir() string { return n.dir }

// Len is the number of hubs, running or not.
func (n *Network) Len() int { return len(n.hubs) }

// Hub is the hub with a number from 1 to Len; nil for another.
func (n *Network) Hub(number int) *Hub {
	if number < 1 || number > len(n.hubs) {
		return nil
	}
	return n.hubs[number-1]
}

func (n *Network) hub(number int) (*Hub, error) {
	if h := n.Hub(number); h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("there is no hub %d; they are numbered 1 to %d", number, len(n.hubs))
}

// Kill ends a hub at once: its connections break without a word, calls in flight are
// cut off.
func (n *Network) Kill(number int) error {
	h, err := n.hub(number)
	if err != nil {
		return err
	}
	n.ops.Lock()
	defer n.ops.Unlock()
	return h.kill()
}

// Restart starts a hub again on its folder and ports. One that still runs is stopped
// first as an operator would stop it.
func (n *Network) Restart(ctx context.Context, number int) error {
	h, err := n.hub(number)
	if err != nil {
		return err
	}
	n.ops.Lock()
	defer n.ops.Unlock()
	if err := h.stop(); err != nil {
		return err
	}
	return h.start(ctx)
}

// running lists the hubs that run now.
func (n *Network) running() []*Hub {
	var up []*Hub
	for _, h := range n.hubs {
		if h.Node() != nil {
			up = append(up, h)
		}
	}
	return up
}

// now is the clock of all hubs.
func (n *Network) now() time.Time { return time.Now() }

func (n *Network) folder(h *Hub) string { return filepath.Join(n.dir, h.name) }
