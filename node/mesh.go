package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/httpapi"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/p2p"
	"github.com/aimarket/aimarket/p2p/admit"
	"github.com/aimarket/aimarket/p2p/crawl"
	"github.com/aimarket/aimarket/p2p/gossip"
)

// mesh is what finds other hubs and keeps their catalogues.
type mesh struct {
	host    *p2p.Host // nil for a hub that speaks HTTP only
	gossip  *gossip.Mesh
	crawler *crawl.Crawler
	trials  *admit.Admitter

	ctx   context.Context // of reads in the background
	soon  chan struct{}   // a place for each of them
	reads sync.WaitGroup
}

// offerEvery is how often the categories that the DHT knows this hub by are looked over.
// Nobody waits for them, and a hub that starts has enough to do.
const offerEvery = 3 * time.Minute

// maxSoon bounds the hubs that are read in the background at once, outside a cycle.
const maxSoon = 8

// openMesh starts the host, the gossip, the crawler and the trials. The API must be
// there: hubs call it over streams from the first connection on.
func (n *Node) openMesh(ctx context.Context) error {
	if n.cfg.P2P {
		if err := n.openHost(ctx); err != nil {
			return err
		}
	}
	crawler, err := crawl.New(crawl.Config{
		Catalog: n.catalog, Fetch: n.door(), HubURL: n.cfg.HubURL, Seeds: n.cfg.SeedList,
		Interval: n.crawlInterval(), MaxDepth: n.cfg.MaxCrawlDepth, StaleAfter: n.cfg.StaleAfter,
		Logger: n.cfg.Logger.With("part", "crawler"), Registry: n.registry, Now: n.cfg.Now, Rand: n.cfg.Rand,
	})
	if err != nil {
		return fmt.Errorf("building the crawler: %w", err)
	}
	n.mesh.crawler = crawler
	n.onClose("crawler", func(context.Context) error { return crawler.Close() })
	var stop context.CancelFunc
	n.mesh.ctx, stop = context.WithCancel(context.WithoutCancel(ctx))
	n.mesh.soon = make(chan struct{}, maxSoon)
	n.onClose("reads of admitted hubs", func(context.Context) error { stop(); n.mesh.reads.Wait(); return nil })
	crawler.Start()

	trials, err := admit.New(admit.Config{
		Catalog: n.catalog, Fetch: n.door(), Admitted: n.admitted, HubURL: n.cfg.HubURL,
		Logger: n.cfg.Logger.With("part", "admission"), Registry: n.registry, Now: n.cfg.Now, Rand: n.cfg.Rand,
	})
	if err != nil {
		return fmt.Errorf("starting the admission of peers: %w", err)
	}
	n.mesh.trials = trials
	n.onClose("admission of peers", func(context.Context) error { return trials.Close() })
	return nil
}

func (n *Node) crawlInterval() time.Duration {
	if !n.cfg.AutoCrawl {
		return 0
	}
	return n.cfg.CrawlInterval
}

func (n *Node) openHost(ctx context.Context) error {
	host, err := p2p.New(ctx, p2p.Config{
		Key: n.key, Store: n.store, Listen: n.cfg.P2PListen, Announce: n.cfg.P2PAnnounce, Bootstrap: n.cfg.Bootstrap,
		Local: n.cfg.AllowLocal, MDNS: n.cfg.MDNS, DHT: true, Relay: n.cfg.Relay,
		ConnLow: n.cfg.ConnLow, ConnHigh: n.cfg.ConnHigh, Gate: n.cfg.Gate, Handler: n.handler(),
		Logger: n.cfg.Logger.With("part", "p2p"), Registry: n.registry, Now: n.cfg.Now, Rand: n.cfg.Rand,
	})
	if err != nil {
		return fmt.Errorf("joining the mesh: %w", err)
	}
	n.mesh.host = host
	n.onClose("mesh host", func(context.Context) error { return host.Close() })
	n.tellAddresses()

	m, err := gossip.New(ctx, gossip.Config{
		Host: host.LibP2P(), Catalog: n.catalog, Learn: host.Learn, Refresh: n.refresh(), Sync: n.cfg.Compare,
		Logger: n.cfg.Logger.With("part", "gossip"), Registry: n.registry, Now: n.cfg.Now,
	})
	if err != nil {
		return fmt.Errorf("joining the gossip: %w", err)
	}
	n.mesh.gossip = m
	n.onClose("gossip", func(context.Context) error { return m.Close() })

	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { n.watchAddresses(ctx) })
	came := make(chan peer.ID, maxCame)
	host.LibP2P().Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		select {
		case came <- c.RemotePeer():
		default: // its trial is due again before long as it is
		}
	}})
	watch.Go(func() { n.watchConnections(ctx, came) })
	n.onClose("address watch", func(context.Context) error { stop(); watch.Wait(); return nil })
	return nil
}

// refresh is how often this hub says that it is still there: twice before others would
// take it for stale by the rule that it applies itself.
func (n *Node) refresh() time.Duration {
	if n.cfg.Refresh == 0 && n.cfg.StaleAfter > 0 {
		return n.cfg.StaleAfter / 2
	}
	return n.cfg.Refresh
}

// maxCame bounds the connections that wait to be told to the catalogue.
const maxCame = 256

// watchConnections tells the catalogue who can be reached now: a hub whose trial found it
// nowhere is tried again.
func (n *Node) watchConnections(ctx context.Context, came <-chan peer.ID) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-came:
			pub, err := id.ExtractPublicKey()
			if err != nil || pub.Type() != crypto.Ed25519 {
				continue // no hub
			}
			if raw, err := pub.Raw(); err == nil && len(raw) == len(identity.PublicKey{}) {
				n.catalog.NoteReachable(identity.PublicKey(raw))
			}
		}
	}
}

// watchAddresses keeps this hub's announced addresses in line with where it is
// reached: interfaces come and go, relays are found.
func (n *Node) watchAddresses(ctx context.Context) {
	offer := time.NewTicker(offerEvery)
	defer offer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-offer.C:
			if head, ok := n.catalog.HeadOf(n.key.Public()); ok {
				n.mesh.host.Provide(head.Categories) // does nothing while they are the same
			}
		case <-n.mesh.host.AddressesChanged():
			n.tellAddresses()
		}
	}
}

func (n *Node) tellAddresses() {
	n.catalog.SetAddresses(n.mesh.host.PeerID(), n.mesh.host.Multiaddrs(), n.publicURL())
}

// publicURL is the address to announce: only one that somebody chose. The one derived
// from the listen address names this machine to itself alone.
func (n *Node) publicURL() string {
	if n.cfg.urlGiven {
		return n.cfg.HubURL
	}
	return ""
}

// admitted brings a new peer's catalogue in.
func (n *Node) admitted(ctx context.Context, p catalog.Peer) {
	if p.Sequence > 0 && n.mesh.gossip != nil {
		if key, err := identity.ParsePublicKey(p.PublicKey); err == nil {
			n.mesh.gossip.Want(key)
			return
		}
	}
	if _, err := n.mesh.crawler.CrawlHub(ctx, p.URL); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("the catalogue of an admitted hub could not be read; the next crawl tries again", "hub", p.URL, "error", err)
	}
}

// The doors of the HTTP API into the mesh. They are there before the mesh is.

func (n *Node) crawl(ctx context.Context) (any, error) { return n.mesh.crawler.Crawl(ctx) }

func (n *Node) noticed(crawlerURL, userAgent string) { n.mesh.crawler.Noticed(crawlerURL, userAgent) }

// crawlSoon reads one hub in the background; at most maxSoon at a time, what is more
// waits for the next cycle.
func (n *Node) crawlSoon(hubURL string) {
	select {
	case n.mesh.soon <- struct{}{}:
	default:
		return
	}
	n.mesh.reads.Go(func() {
		defer func() { <-n.mesh.soon }()
		if p, ok := n.catalog.Peer(hubURL); ok {
			n.admitted(n.mesh.ctx, p)
		}
	})
}

func (n *Node) link(publicKey string) httpapi.Link {
	key, err := identity.ParsePublicKey(publicKey)
	if err != nil || n.mesh.host == nil {
		return httpapi.Link{}
	}
	l := n.mesh.host.Link(key)
	return httpapi.Link{Connected: l.Connected, Address: l.Address, Relayed: l.Relayed, Latency: l.Latency}
}

// door reaches hubs by URL: those known by their key over streams, all others over HTTP.
func (n *Node) door() crawl.Fetcher {
	return door{out: n.out, host: n.mesh.host, gate: n.cfg.GateURL, timeout: n.cfg.RequestTimeout, nowhere: !n.cfg.urlGiven}
}

// registerMesh adds what the mesh counts.
func (n *Node) registerMesh(r *prometheus.Registry) {
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("aimarket_peers_active", "Hubs whose catalogue counts.", func() float64 { return float64(n.catalog.Counts().Peers) })
	gauge("aimarket_peers_pending", "Hubs that are known and not admitted.", func() float64 { return float64(n.catalog.Counts().Pending) })
	gauge("aimarket_listings_bytes", "Bytes of other hubs' listings that are kept verbatim.", func() float64 { return float64(n.catalog.Counts().HeldBytes) })
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "aimarket_listings_refused_total", Help: "Catalogues of other hubs that were not taken for lack of room."},
		func() float64 { return float64(n.catalog.Counts().NoRoom) }))
	gauge("aimarket_mesh_connections", "Hubs connected over the mesh.", func() float64 {
		if n.mesh.host == nil {
			return 0
		}
		return float64(len(n.mesh.host.Connected()))
	})
}

// byKey reports whether a URL names a hub by its key.
func byKey(url string) bool { return strings.HasPrefix(url, "libp2p://") }
