package node

import (
	"fmt"
	"net"
	"strings"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/p2p"
)

// URL is the address others reach the hub by, Addr the one it listens on.
func (n *Node) URL() string    { return n.cfg.HubURL }
func (n *Node) Addr() net.Addr { return n.public.Addr() }

// PublicKey is the hub's key in base64, Mode its kind of money.
func (n *Node) PublicKey() string { return n.key.PublicBase64() }
func (n *Node) Mode() ledger.Mode { return n.cfg.Money }

// LogBytes is how much the store's write-ahead log has taken since the start.
func (n *Node) LogBytes() int64 { return n.store.Metrics().LogBytes }

// Banner is what a person sees when the hub starts.
func (n *Node) Banner() string {
	money := "DEMO MONEY: channels are credited from nothing. Do not sell for it."
	if n.cfg.Money == ledger.Off {
		money = "off: every call is free"
	}
	mesh := "off: this hub speaks HTTP only"
	if n.mesh.host != nil {
		if mesh = n.JoinAddress(); mesh == "" {
			mesh = "on, reached through relays only"
		}
	}
	return fmt.Sprintf(`
  %s (aimarket %s)

    page       %s
    API        %[3]s/docs
    data       %[4]s
    key        %[5]s
    listed     %[6]d capabilities
    money      %[7]s
    mesh       %[8]s

  Try: aimarket search "count the words of a text"      Stop: Ctrl-C

`, n.cfg.HubName, n.cfg.Version, n.cfg.HubURL, n.cfg.DataDir, n.PublicKey(), n.catalog.Counts().Total, money, mesh)
}

// JoinAddress is the multiaddr to give to --bootstrap of another hub: a public one if
// there is one, else one of the local network, else this machine's own; "" without a mesh.
func (n *Node) JoinAddress() string {
	if n.mesh.host == nil {
		return ""
	}
	best, rank := "", -1
	for _, a := range append(n.mesh.host.Multiaddrs(), n.mesh.host.ListenAddresses()...) {
		r := 2
		if m, err := multiaddr.NewMultiaddr(a); err != nil || manet.IsIPLoopback(m) {
			r = 0
		} else if manet.IsPrivateAddr(m) {
			r = 1
		}
		if r > rank && strings.Contains(a, "/tcp/") || best == "" {
			best, rank = a, r
		}
	}
	return best
}

// unready lists what keeps the hub from serving; readiness shows it.
func (n *Node) unready() []string {
	if err := n.store.Failed(); err != nil {
		return []string{"the store has failed and takes no more writes; restart the hub: " + err.Error()}
	}
	return nil
}

// registerMetrics adds what the HTTP API does not see: money and the database.
func (n *Node) registerMetrics(r *prometheus.Registry) {
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("aimarket_channels_open", "Open payment channels.", func() float64 { return float64(n.ledger.Stats().OpenChannels) })
	gauge("aimarket_channels_free_micros", "Money free on open channels, micro-USD.", func() float64 { return float64(n.ledger.Stats().Free) })
	gauge("aimarket_channels_held_micros", "Money held for calls in flight, micro-USD.", func() float64 { return float64(n.ledger.Stats().Held) })
	gauge("aimarket_obligations_owed_micros", "Remainders the operator owes, micro-USD.", func() float64 { return float64(n.ledger.Stats().Owed) })
	gauge("aimarket_capabilities", "Capabilities listed.", func() float64 { return float64(n.catalog.Counts().Total) })

	gauge("aimarket_store_bytes", "Disk space of the database.", func() float64 { return float64(n.store.Metrics().DiskBytes) })
	gauge("aimarket_store_log_bytes", "Bytes given to the write-ahead log since the start.", func() float64 { return float64(n.LogBytes()) })
	gauge("aimarket_store_stalls", "Times that writers waited for the disk since the start.", func() float64 { return float64(n.store.Metrics().Stalls) })
	gauge("aimarket_store_failed", "1 when the store takes no more writes.", func() float64 {
		if n.store.Failed() != nil {
			return 1
		}
		return 0
	})
}

// Catalog is the node's catalogue, for those that run nodes in their own process.
func (n *Node) Catalog() *catalog.Catalog { return n.catalog }

// P2P is the node's place in the mesh; nil for a hub that speaks HTTP only.
func (n *Node) P2P() *p2p.Host { return n.mesh.host }
