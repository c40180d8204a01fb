package node

import (
	"cmp"
	"fmt"
	"net"
	"slices"
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
// Of several it is always the same one.
func (n *Node) JoinAddress() string {
	if n.mesh.host == nil {
		return ""
	}
	local, _ := net.InterfaceAddrs() // without them only the order of equals is another
	return joinAddress(append(n.mesh.host.Multiaddrs(), n.mesh.host.ListenAddresses()...), local)
}

// joinAddress chooses among multiaddrs by how many hubs can dial them: public before
// private before loopback, direct before relayed, TCP before QUIC, because UDP is what
// firewalls drop, and IPv4 before IPv6. Equals follow the order of the machine's
// interfaces, in which bridges of containers come last, after what an operator announced.
func joinAddress(addrs []string, interfaces []net.Addr) string {
	key := func(a string) [5]int {
		k := [5]int{0, 1, 1, 0, -1}
		m, err := multiaddr.NewMultiaddr(a)
		switch {
		case err != nil || manet.IsIPLoopback(m):
			k[0] = 2
		case manet.IsPrivateAddr(m):
			k[0] = 1
		}
		if !strings.Contains(a, "/p2p-circuit") {
			k[1] = 0
		}
		if strings.Contains(a, "/tcp/") {
			k[2] = 0
		}
		if strings.HasPrefix(a, "/ip6/") {
			k[3] = 1
		}
		if ip, err := manet.ToIP(m); err == nil {
			k[4] = slices.IndexFunc(interfaces, func(i net.Addr) bool {
				n, ok := i.(*net.IPNet)
				return ok && n.IP.Equal(ip)
			})
		}
		return k
	}
	if len(addrs) == 0 {
		return ""
	}
	return slices.MinFunc(addrs, func(a, b string) int {
		ka, kb := key(a), key(b)
		return cmp.Or(slices.Compare(ka[:], kb[:]), strings.Compare(a, b))
	})
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
