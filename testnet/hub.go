package testnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/node"
)

// Hub is one hub of the network, running or not.
type Hub struct {
	net    *Network
	number int
	name   string
	slow   atomic.Int64 // time.Duration
	dead   atomic.Bool  // killed: its gates let nothing pass

	mu     sync.RWMutex // a reader may use node as long as it holds it
	node   *node.Node   // nil: not running
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // of the last run

	// Known from the first start on and kept by every other; guarded by mu.
	url    string
	key    identity.PublicKey
	listen []string // multiaddrs with ports
}

func newHub(n *Network, number int) *Hub {
	return &Hub{net: n, number: number, name: fmt.Sprintf("hub-%d", number)}
}

// Number and Name tell which hub it is.
func (h *Hub) Number() int  { return h.number }
func (h *Hub) Name() string { return h.name }

// URL and Key are the hub's, the same after every start.
func (h *Hub) URL() string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.url
}

// Key is the hub's public key.
func (h *Hub) Key() identity.PublicKey {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.key
}

// Node is the hub itself, nil while it does not run.
func (h *Hub) Node() *node.Node {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.node
}

// use calls f with the node if the hub runs; the hub does not end before f returns.
func (h *Hub) use(f func(*node.Node)) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.node == nil {
		return false
	}
	f(h.node)
	return true
}

// config is the hub's configuration: `serve` on loopback, open and without limits.
func (h *Hub) config() node.Config {
	c := h.net.cfg
	port := "0"
	if c.HTTPPort > 0 {
		port = strconv.Itoa(c.HTTPPort + h.number - 1)
	}
	h.mu.RLock()
	listen := h.listen
	if u, err := url.Parse(h.url); err == nil && u.Port() != "" {
		port = u.Port()
	}
	h.mu.RUnlock()
	nc := node.Config{
		DataDir: h.net.folder(h), Listen: net.JoinHostPort("127.0.0.1", port), HubURL: "http://localhost:" + port,
		HubName: h.name, Version: c.Version, Money: ledger.Demo, AllowLocal: true, AdminToken: c.AdminToken,
		MaxOpenChannels: 10_000, ReapHoldsAfter: 24 * time.Hour, RequestTimeout: 28 * time.Second, SandboxTrials: 3,
		RoutingFeeBps: 100, MinTrust: 0.3, MinTrustInvoke: 0.35, MinStake: stake, CrawlInterval: time.Hour, MaxCrawlDepth: 3,
		Chains: []string{"base"}, Tokens: []string{"USDC"},

		P2P: true, P2PListen: listen, Bootstrap: h.bootstrap(), Admission: c.Policy,
		Gate: h.mayMeet, GateURL: h.mayAsk, Wrap: h.slowly,
		Logger: c.Logger.With("hub", h.name), Now: h.net.now,
	}
	if len(nc.P2PListen) == 0 {
		nc.P2PListen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	if c.Nodes > manyNodes {
		nc.ConnLow, nc.ConnHigh = manyConnLow, manyConnHigh
	}
	if c.Configure != nil {
		c.Configure(h.number, &nc)
	}
	return nc
}

// bootstrap is where the hub joins: at its neighbours that run.
func (h *Hub) bootstrap() []string {
	c := h.net.cfg
	var addrs []string
	for _, number := range c.Topology.neighbours(h.number, c.Nodes, c.Seed) {
		h.net.hubs[number-1].use(func(n *node.Node) {
			if p := n.P2P(); p != nil {
				addrs = append(addrs, p.Multiaddrs()...)
			}
		})
	}
	return addrs
}

// start runs the hub and lists its own capabilities. The caller holds ops.
func (h *Hub) start(ctx context.Context) error {
	if h.Node() != nil {
		return nil
	}
	h.dead.Store(false)
	n, err := node.New(ctx, h.config())
	if err != nil {
		return fmt.Errorf("starting %s: %w", h.name, err)
	}
	if err := h.adopt(n); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", h.name, err), n.Close(ctx))
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	h.mu.Lock()
	h.node, h.cancel, h.done, h.err = n, cancel, done, nil
	h.mu.Unlock()
	go func() {
		defer close(done)
		err := n.Run(run)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.err = err
		if h.node == n { // it failed by itself
			h.node = nil
		}
	}()
	if err := h.net.provider.list(ctx, h, n); err != nil {
		return errors.Join(fmt.Errorf("listing what %s sells: %w", h.name, err), h.stop())
	}
	return nil
}

// adopt notes who the hub is, for its next start and for the gates of the others.
func (h *Hub) adopt(n *node.Node) error {
	key, err := identity.ParsePublicKey(n.PublicKey())
	if err != nil {
		return err
	}
	u, err := url.Parse(n.URL())
	if err != nil {
		return err
	}
	var listen []string
	if p := n.P2P(); p != nil {
		for _, a := range p.LibP2P().Addrs() {
			if s := a.String(); strings.HasPrefix(s, "/ip4/127.0.0.1/") && !slices.Contains(listen, s) {
				listen = append(listen, s)
			}
		}
	}
	h.mu.Lock()
	h.url, h.key, h.listen = n.URL(), key, listen
	h.mu.Unlock()
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.net.byKey[key] = h.number
	for _, host := range []string{"localhost", "127.0.0.1"} {
		h.net.byURL[net.JoinHostPort(host, u.Port())] = h.number
	}
	return nil
}

// take makes the hub not running for everybody else and hands over what is left to end.
func (h *Hub) take() (n *node.Node, cancel context.CancelFunc, done chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, cancel, done = h.node, h.cancel, h.done
	h.node, h.cancel, h.done = nil, nil, nil
	return n, cancel, done
}

// stop ends the hub as an operator would. The caller holds ops.
func (h *Hub) stop() error {
	_, cancel, done := h.take()
	if done == nil {
		return nil
	}
	cancel()
	<-done
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.err != nil {
		return fmt.Errorf("stopping %s: %w", h.name, h.err)
	}
	return nil
}

// kill ends the hub without a goodbye: the others see their connections break before
// anything of it could tell them why. The caller holds ops.
func (h *Hub) kill() error {
	n, cancel, done := h.take()
	if done == nil {
		return fmt.Errorf("%s does not run", h.name)
	}
	h.dead.Store(true)
	if n != nil {
		h.part(n)
		over, end := context.WithCancel(context.Background())
		end() // no patience with calls in flight
		if err := n.Close(over); err != nil {
			h.net.cfg.Logger.Debug("killed", "hub", h.name, "left", err)
		}
	}
	cancel()
	<-done
	return nil
}

// disconnect closes the connections that the gate forbids now: it is not asked again
// for those that stand.
func (h *Hub) disconnect() { h.use(h.part) }

func (h *Hub) part(n *node.Node) {
	p := n.P2P()
	if p == nil {
		return
	}
	network := p.LibP2P().Network()
	for _, id := range network.Peers() {
		if key, err := keyOf(id); err == nil && !h.mayMeet(key) {
			if err := network.ClosePeer(id); err != nil {
				h.net.cfg.Logger.Debug("closing a connection", "hub", h.name, "to", id, "error", err)
			}
		}
	}
}

// keyOf is the key that a peer ID is made of.
func keyOf(id peer.ID) (key identity.PublicKey, err error) {
	public, err := id.ExtractPublicKey()
	if err != nil {
		return key, err
	}
	raw, err := public.Raw()
	if err == nil && copy(key[:], raw) != len(key) {
		err = fmt.Errorf("a key of %d bytes is no Ed25519 key", len(raw))
	}
	return key, err
}
