package sim

import (
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
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
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
}

func newWire(latency time.Duration, loss float64, rng *rand.Rand) *wire {
	w := &wire{latency: latency, loss: loss, rng: rng, index: map[netip.Addr]int{}, slow: map[int]time.Duration{}}
	w.net = &simnet.Simnet{LatencyFunc: w.delay, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return w
}

// delay is asked for every packet.
func (w *wire) delay(p *simnet.Packet) time.Duration {
	from, to := w.hub(p.From), w.hub(p.To)
	w.mu.Lock()
	defer w.mu.Unlock()
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

// address is where hub i listens.
func address(i int) string {
	return "/ip4/" + simnet.IntToPublicIPv4(i).String() + "/udp/8000/quic-v1"
}

// options put a libp2p host on the wire as hub i. What they use of libp2p's internals is
// here and nowhere else.
func (w *wire) options(i int) []libp2p.Option {
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
		libp2p.ListenAddrStrings(address(i)),
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
