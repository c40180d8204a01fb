package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// never is how long a packet takes that is lost. The network knows no loss of its own.
const never = 1000 * time.Hour

// linkBits is the bandwidth of a hub's link in each direction, bits per second.
const linkBits = 100 * simnet.Mibps

// wire is the simulated network: every hub has an address of its own, a link of
// linkBits and the same way to every other.
type wire struct {
	net     *simnet.Simnet
	latency time.Duration // one way

	mu    sync.Mutex
	rng   *rand.Rand
	loss  float64
	index map[netip.Addr]int
	side  []int // hubs on different sides cannot hear each other
	slow  map[int]time.Duration
	conns []*simnet.SimConn

	nowhere map[string]int // packets to addresses where nobody is, at most maxNowhere of them
}

// maxNowhere bounds the addresses that a run counts packets to.
const maxNowhere = 1000

func newWire(latency time.Duration, loss float64, rng *rand.Rand) *wire {
	w := &wire{latency: latency, loss: loss, rng: rng, index: map[netip.Addr]int{}, slow: map[int]time.Duration{}, nowhere: map[string]int{}}
	w.net = &simnet.Simnet{LatencyFunc: w.delay, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return w
}

// delay is asked for every packet.
func (w *wire) delay(p *simnet.Packet) time.Duration {
	from, to := w.hub(p.From), w.hub(p.To)
	w.mu.Lock()
	defer w.mu.Unlock()
	if to < 0 && len(w.nowhere) < maxNowhere {
		w.nowhere[p.To.String()]++
	}
	if from < 0 || to < 0 || w.side[from] != w.side[to] || w.loss > 0 && w.rng.Float64() < w.loss {
		return never
	}
	return w.latency + w.slow[from] + w.slow[to]
}

func (w *wire) hub(a net.Addr) int {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return -1
	}
	ip, _ := netip.AddrFromSlice(udp.IP)
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, ok := w.index[ip.Unmap()]; ok {
		return i
	}
	return -1
}

// hubPort is where every hub listens.
const hubPort = 8000

// address is where hub i listens.
func address(i int) string { return addressAt(i, hubPort) }

func addressAt(i, port int) string {
	return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", simnet.IntToPublicIPv4(i), port)
}

// options put a libp2p host on the wire as hub i.
func (w *wire) options(i int) []libp2p.Option { return w.optionsAt(i, hubPort) }

// optionsAt lets several hosts share the address of hub i. What it uses of libp2p's
// internals is here and nowhere else.
func (w *wire) optionsAt(i, port int) []libp2p.Option {
	ip, _ := netip.AddrFromSlice(simnet.IntToPublicIPv4(i))
	w.mu.Lock()
	w.index[ip.Unmap()] = i
	for len(w.side) <= i {
		w.side = append(w.side, 0)
	}
	w.mu.Unlock()
	own := &ownAddress{}
	reuse := []quicreuse.Option{
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return own, nil }),
		quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
			own.ip.Store(&a.IP)
			link := simnet.LinkSettings{BitsPerSecond: linkBits}
			c := w.net.NewEndpoint(a, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link})
			w.mu.Lock()
			w.conns = append(w.conns, c)
			w.mu.Unlock()
			return c, nil
		}),
	}
	return []libp2p.Option{
		libp2p.ListenAddrStrings(addressAt(i, port)),
		libp2p.MultiaddrResolver(names{}),
		libp2p.QUICReuse(func(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, o ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			cm, err := quicreuse.NewConnManager(reset, token, o...)
			if err == nil {
				l.Append(fx.StopHook(cm.Close))
			}
			return cm, err
		}, reuse...),
		libp2p.Transport(libp2pquic.NewTransport),
	}
}

// names resolves the DNS names of multiaddrs in the simulated world, where every name is
// the address of a machine inside somebody's network: a resolver of the real one would
// stop the virtual clock.
type names struct{}

func (names) ResolveDNSAddr(context.Context, peer.ID, ma.Multiaddr, int, int) ([]ma.Multiaddr, error) {
	return nil, nil
}

func (names) ResolveDNSComponent(_ context.Context, a ma.Multiaddr, _ int) ([]ma.Multiaddr, error) {
	if len(a) == 0 {
		return nil, nil
	}
	inside, err := ma.NewMultiaddr("/ip4/10.66.0.1")
	if err != nil {
		return nil, err
	}
	return []ma.Multiaddr{append(inside, a[1:]...)}, nil
}

// bareOptions are those of a host that is no hub.
func bareOptions() []libp2p.Option {
	return []libp2p.Option{
		libp2p.DisableIdentifyAddressDiscovery(), // waits for what never happens in virtual time
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		libp2p.DisableRelay(),
	}
}

// ownAddress answers which address a hub sends from: the one it listens on.
type ownAddress struct{ ip atomic.Pointer[net.IP] }

func (o *ownAddress) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return *o.ip.Load(), nil
}

// traffic is what went over the wire so far, both directions of all hubs, in bytes.
func (w *wire) traffic() (sent, received int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		s := c.Stats()
		sent += int64(s.BytesSent)
		received += int64(s.BytesRcvd)
	}
	return sent, received
}

// split puts hubs on sides; those not named are on side 0.
func (w *wire) split(sides ...[]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.side)
	for n, side := range sides {
		for _, i := range side {
			w.side[i] = n + 1
		}
	}
}

func (w *wire) setSlow(i int, more time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow[i] = more
}

func (w *wire) setLoss(p float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss = p
}
