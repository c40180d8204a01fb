package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/p2p"
	"github.com/aimarket/aimarket/p2p/gossip"
)

// Hub is one member of the mesh: catalogue, libp2p host and gossip over a database in
// memory. It has no HTTP surface, no money and no built-in capabilities.
type Hub struct {
	Index   int
	Key     *identity.Key
	Catalog *catalog.Catalog
	Host    *p2p.Host
	Mesh    *gossip.Mesh
	Metrics *prometheus.Registry // of the host and the gossip, since the last start

	w    *World
	disk *vfs.MemFS // outlives a restart
	db   *store.DB
}

// memTable is small because the disk is in memory, too: until a memtable is full, what was
// written lies in the memtable and in the log.
const memTable = 512 << 10

// anywhere lets every URL pass: in here all addresses are simulated.
type anywhere struct{}

func (anywhere) CheckURL(context.Context, string) error { return nil }

// start opens a hub on its disk and joins the mesh by the addresses of others.
func (h *Hub) start(ctx context.Context, bootstrap []string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting hub %d: %w", h.Index, err), h.stop())
		}
	}()
	if h.db, err = store.Open("db", store.Options{FS: h.disk, CacheBytes: 256 << 10, MemTableBytes: memTable}); err != nil {
		return err
	}
	cfg := h.w.cfg
	h.Catalog, err = catalog.Open(ctx, catalog.Config{
		Store: h.db, Signer: h.Key, URLs: cfg.URLs, Now: time.Now, HubURL: h.URL(), HubName: fmt.Sprintf("hub %d", h.Index),
		HubVersion: "sim", RoutingFeeBps: 100, MinTrust: 0.3, CrawlInterval: time.Hour, Admission: cfg.Admission, SeedKeys: h.w.pins(),
		StaleAfter: cfg.StaleAfter, AwayAfter: cfg.AwayAfter, MaxRows: 10_000 + 100*cfg.Hubs,
	})
	if err != nil {
		return err
	}
	h.Metrics = prometheus.NewRegistry()
	h.Host, err = p2p.New(ctx, p2p.Config{
		Key: h.Key, Store: h.db, Bootstrap: bootstrap, Local: !cfg.Public, Registry: h.Metrics, DHT: cfg.DHT, ConnLow: cfg.ConnLow, ConnHigh: cfg.ConnHigh,
		Options: h.w.wire.options(h.Index), Now: time.Now, Rand: h.w.entropy(h.Index),
	})
	if err != nil {
		return err
	}
	h.Catalog.SetAddresses(h.Host.PeerID(), h.Host.Multiaddrs(), h.URL())
	h.Mesh, err = gossip.New(ctx, gossip.Config{
		Host: h.Host.LibP2P(), Catalog: h.Catalog, Learn: h.Host.Learn, Now: time.Now, Registry: h.Metrics,
		Rand: rand.New(rand.NewPCG(cfg.Seed, uint64(h.Index))),
	})
	return err
}

// pins are the keys of all hubs by their URLs, where the policy does not admit everybody.
func (w *World) pins() map[string]string {
	if w.cfg.Admission == catalog.AdmitAll {
		return nil
	}
	pins := make(map[string]string, len(w.Hubs))
	for _, h := range w.Hubs {
		pins[h.URL()] = h.Key.PublicBase64()
	}
	return pins
}

// stop closes what start opened, in reverse.
func (h *Hub) stop() error {
	var errs []error
	if h.Mesh != nil {
		errs = append(errs, h.Mesh.Close())
	}
	if h.Host != nil {
		errs = append(errs, h.Host.Close())
	}
	if h.Catalog != nil {
		errs = append(errs, h.Catalog.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	h.Mesh, h.Host, h.Catalog, h.db = nil, nil, nil, nil
	return errors.Join(errs...)
}

// Running reports whether the hub is up.
func (h *Hub) Running() bool { return h.Catalog != nil }

// URL is the hub's base URL, which nobody can reach.
func (h *Hub) URL() string { return fmt.Sprintf("http://hub-%d.sim", h.Index) }

// addr is the hub's multiaddr with its peer ID.
func (h *Hub) addr() string {
	id, err := peerID(h.Key)
	if err != nil {
		panic(err) // a key that signs is a key
	}
	return address(h.Index) + "/p2p/" + id.String()
}

func peerID(k *identity.Key) (peer.ID, error) {
	pub := k.Public()
	p, err := crypto.UnmarshalEd25519PublicKey(pub[:])
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(p)
}

// Publish lists or replaces one of the hub's capabilities.
func (h *Hub) Publish(ctx context.Context, name string, priceMicros int64) error {
	return h.Catalog.Put(ctx, []catalog.Capability{{
		Key:  catalog.Key{ProductID: fmt.Sprintf("prod-%d", h.Index), CapabilityID: name + "@v1", SourceHub: catalog.Local},
		Name: name, Version: "v1", Description: fmt.Sprintf("%s of hub %d: it does what its name says", name, h.Index),
		PriceMicros: priceMicros, TrustScore: 0.6, P50LatencyMS: 20, SuccessRate30d: 0.99, InvokeURL: h.URL() + "/run/" + name,
	}})
}

// Unpublish takes one of them off.
func (h *Hub) Unpublish(ctx context.Context, name string) error {
	return h.Catalog.Remove(ctx, catalog.Key{ProductID: fmt.Sprintf("prod-%d", h.Index), CapabilityID: name + "@v1", SourceHub: catalog.Local})
}

// Price is what the hub sells another's capability for, without its own fee; false if
// it does not know it.
func (h *Hub) Price(ctx context.Context, seller *Hub, name string) (int64, bool) {
	hub := seller.URL()
	if seller == h {
		hub = catalog.Local
	}
	r, err := h.Catalog.Lookup(ctx, fmt.Sprintf("prod-%d", seller.Index), name+"@v1", hub)
	return r.PriceMicros, err == nil
}
