package p2p

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// dialTimeout bounds one attempt to reach a hub at all its addresses.
const dialTimeout = 15 * time.Second

// Host is one hub's libp2p node. It is safe for concurrent use.
type Host struct {
	cfg       Config
	log       *slog.Logger
	host      host.Host
	id        peer.ID
	gate      *gate
	peers     *remembered
	bootstrap []peer.AddrInfo
	redial    *redialer
	dht       *dht.IpfsDHT // nil without
	provide   provisions
	relay     io.Closer // nil without
	mdns      io.Closer // nil without
	web       *webServer
	transport *http.Transport
	uses      *uses
	latency   latencies
	metrics   *metrics
	changed   chan struct{}
	pings     chan peer.ID
	sightings chan peer.AddrInfo

	randMu sync.Mutex
	ctx    context.Context // until Close
	stop   context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
	failed error // of Close
}

// New starts the host, joins by the bootstrap addresses and the hubs it remembers, and
// keeps looking for others until Close. It does not wait until it has joined. ctx bounds
// the start alone.
func New(ctx context.Context, c Config) (*Host, error) {
	if c.Key == nil {
		return nil, errors.New("p2p: no key to be known by")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.ConnLow <= 0 {
		c.ConnLow = defaultConnLow
	}
	if c.ConnHigh <= 0 {
		c.ConnHigh = max(defaultConnHigh, 2*c.ConnLow)
	}
	if c.ConnHigh < c.ConnLow {
		return nil, fmt.Errorf("p2p: connections are trimmed at %d down to %d: the first must not be smaller", c.ConnHigh, c.ConnLow)
	}
	h := &Host{
		cfg: c, log: c.Logger, metrics: newMetrics(), redial: newRedialer(), latency: latencies{hubs: map[peer.ID]time.Duration{}},
		changed: make(chan struct{}, 1), pings: make(chan peer.ID, maxPingQueue), sightings: make(chan peer.AddrInfo, maxSightings),
	}
	h.ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := h.start(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) start() error {
	c := h.cfg
	var err error
	if h.bootstrap, err = parseNamed("bootstrap address", c.Bootstrap); err != nil {
		return err
	}
	if h.id, err = peerIDOf(c.Key.Public()); err != nil {
		return err
	}
	h.bootstrap = slices.DeleteFunc(h.bootstrap, func(i peer.AddrInfo) bool { return i.ID == h.id })
	h.gate = &gate{local: c.Local, meet: c.Gate, now: time.Now, metrics: h.metrics, trusted: map[trust]time.Time{}}
	for _, info := range h.bootstrap {
		h.gate.allow(info, true)
	}
	if h.peers, err = loadRemembered(c.Store, h.log, h.metrics); err != nil {
		return err
	}
	if err := h.open(); err != nil {
		return err
	}
	h.uses = &uses{n: map[peer.ID]int{}, conns: h.host.ConnManager()}
	h.transport = h.newTransport()
	if c.DHT {
		if err := h.openDHT(); err != nil {
			return err
		}
	}
	if err := h.register(c.Registry); err != nil {
		return fmt.Errorf("p2p: registering metrics: %w", err)
	}
	if err := h.watch(); err != nil {
		return err
	}
	if c.Handler != nil {
		h.web = h.serve(c.Handler)
	}
	if c.Relay {
		if err := h.openRelay(); err != nil {
			return err
		}
	}
	if err := h.listen(); err != nil { // now that it can serve who comes
		return err
	}
	h.rejoin()
	h.wg.Go(h.redialLoop)
	h.wg.Go(h.pingLoop)
	h.wg.Go(h.flushLoop)
	if h.dht != nil {
		h.wg.Go(h.provideLoop)
		h.wg.Go(h.discoverLoop)
	}
	if c.Local && len(c.Listen) == 0 && len(c.Options) == 0 {
		h.wg.Go(h.localRelays)
	}
	if c.MDNS && len(c.Options) == 0 {
		h.openMDNS()
	}
	return nil
}

// open builds the libp2p host.
func (h *Host) open() error {
	c := h.cfg
	private, err := crypto.UnmarshalEd25519PrivateKey(c.Key.Private())
	if err != nil {
		return fmt.Errorf("p2p: the hub's key as a libp2p identity: %w", err)
	}
	listen, err := parseMultiaddrs("listen address", c.Listen)
	if err != nil {
		return err
	}
	announce, err := parseMultiaddrs("announced address", c.Announce)
	if err != nil {
		return err
	}
	limits, err := resourceManager(c.ConnHigh, c.Local)
	if err != nil {
		return fmt.Errorf("p2p: resource limits: %w", err)
	}
	conns, err := connManager(c.ConnLow, c.ConnHigh)
	if err != nil {
		return fmt.Errorf("p2p: connection limits: %w", errors.Join(err, limits.Close()))
	}
	opened := make(chan struct{})
	opts := []libp2p.Option{
		libp2p.Identity(private), libp2p.UserAgent(userAgent), libp2p.DisableMetrics(),
		libp2p.ResourceManager(limits), libp2p.ConnectionManager(conns), libp2p.ConnectionGater(h.gate),
		libp2p.AddrsFactory(announcer(c.Local, announce)), libp2p.EnableRelay(), libp2p.WithDialTimeout(dialTimeout),
		// Among few hubs a hundred failed dials in a row mean that some hubs are away, not
		// that UDP or IPv6 does not work: libp2p would stop dialling when the network is cut.
		libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),
	}
	simulated := len(c.Options) > 0
	if !c.Local || simulated {
		opts = append(opts, libp2p.EnableAutoRelayWithPeerSource(h.relayCandidates(opened),
			autorelay.WithNumRelays(wantedRelays), autorelay.WithMinCandidates(1), autorelay.WithMaxCandidates(maxRelayCandidates),
			autorelay.WithBootDelay(relayBootDelay), autorelay.WithMinInterval(relaySearchEvery), autorelay.WithBackoff(relayBackoff)))
	}
	if !simulated {
		// Over TCP the handshake is Noise alone: every implementation has it, and two hubs need not negotiate.
		opts = append(opts, libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(quic.NewTransport), libp2p.Security(noise.ID, noise.New),
			libp2p.SwarmOpts(swarm.WithDialRanker(rankDials)))
	}
	if simulated {
		opts = append(opts, libp2p.ListenAddrs(listen...))
	} else {
		opts = append(opts, libp2p.NoListenAddrs)
	}
	switch {
	case simulated:
		opts = append(opts, libp2p.ForceReachabilityPublic(), libp2p.DisableIdentifyAddressDiscovery())
	case len(listen) == 0:
		opts = append(opts, libp2p.ForceReachabilityPrivate(), libp2p.DisableIdentifyAddressDiscovery())
	case c.Local: // AutoNAT knows public addresses only
		opts = append(opts, libp2p.ForceReachabilityPublic(), libp2p.DisableIdentifyAddressDiscovery())
	default:
		opts = append(opts, libp2p.NATPortMap(), libp2p.EnableNATService(), libp2p.EnableAutoNATv2(), libp2p.EnableHolePunching())
	}
	node, err := libp2p.New(append(opts, c.Options...)...)
	if err != nil {
		return fmt.Errorf("p2p: starting the host: %w", errors.Join(err, conns.Close(), limits.Close()))
	}
	h.host = node
	close(opened)
	return nil
}

// listen begins to take connections. It is no option of the host: one that fails to listen
// while it is built leaves goroutines behind.
func (h *Host) listen() error {
	listen, err := parseMultiaddrs("listen address", h.cfg.Listen)
	if err != nil || len(listen) == 0 || len(h.cfg.Options) > 0 {
		return err
	}
	if err := h.host.Network().Listen(listen...); err != nil {
		return fmt.Errorf("p2p: listening on %s: %w; choose other addresses, or none to be reached through relays", strings.Join(h.cfg.Listen, ", "), err)
	}
	if got := ma.FilterAddrs(h.host.Network().ListenAddresses(), isDirect); len(got) < len(listen) {
		h.log.Warn("not every listen address could be had; is another program using the port?", "wanted", h.cfg.Listen, "got", got)
	}
	return nil
}

// isDirect leaves out the relay transport's own listener.
func isDirect(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err != nil
}

// LibP2P is the libp2p host itself.
func (h *Host) LibP2P() host.Host { return h.host }

// PeerID is this hub's peer ID in base58.
func (h *Host) PeerID() string { return h.id.String() }

// Multiaddrs are where others reach this hub now, each with /p2p/<id>, relayed ones
// included: at most 16 of at most 256 bytes, the ones that most can dial first.
func (h *Host) Multiaddrs() []string {
	addrs := slices.Clone(h.host.Addrs())
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
	var out []string
	for _, a := range addrs {
		text := a.String()
		if _, id := peer.SplitAddr(a); id == "" {
			text += "/p2p/" + h.id.String()
		}
		if len(text) <= maxAddressBytes && len(out) < maxAddresses {
			out = append(out, text)
		}
	}
	return out
}

// AddressesChanged has an element whenever Multiaddrs may have changed. It is for one
// reader.
func (h *Host) AddressesChanged() <-chan struct{} { return h.changed }

// jitter is a random duration in [d/2, 3d/2).
func (h *Host) jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(h.random()%uint64(max(d, 1)))
}

func (h *Host) random() uint64 {
	var b [8]byte
	h.randMu.Lock()
	defer h.randMu.Unlock()
	if _, err := io.ReadFull(h.cfg.Rand, b[:]); err != nil {
		return 0 // without chance everything is merely in step
	}
	return binary.LittleEndian.Uint64(b[:])
}

// sleep waits for d; false if Close came first.
func (h *Host) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-h.ctx.Done():
		return false
	}
}

// Close leaves the network: requests under way over streams have a moment to end. It may
// be called again.
func (h *Host) Close() error {
	h.closed.Do(func() {
		var errs []error
		h.stop()
		if h.mdns != nil {
			errs = append(errs, h.mdns.Close())
		}
		if h.web != nil {
			errs = append(errs, h.web.close())
		}
		if h.transport != nil {
			h.transport.CloseIdleConnections()
		}
		h.wg.Wait()
		if h.relay != nil {
			errs = append(errs, h.relay.Close())
		}
		if h.dht != nil {
			errs = append(errs, h.dht.Close())
		}
		if h.host != nil {
			errs = append(errs, h.host.Close())
		}
		if h.peers != nil {
			errs = append(errs, h.peers.flush())
		}
		h.failed = errors.Join(errs...)
	})
	return h.failed
}
