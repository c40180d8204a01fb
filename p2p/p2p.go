// Package p2p is this hub's place in the libp2p network: the host under the hub's own
// key, how it finds and reaches other hubs, and the HTTP v2 API over its streams.
package p2p

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// Config is what New needs.
type Config struct {
	Key       *identity.Key
	Store     *store.DB    // keeps the addresses of known hubs; nil keeps them in memory
	Listen    []string     // multiaddrs; none listens nowhere
	Announce  []string     // further multiaddrs at which others reach this hub
	Bootstrap []string     // multiaddrs with /p2p/<id> of hubs to join by
	Local     bool         // private and loopback addresses may be announced and dialled
	MDNS      bool         // find hubs on the local network
	DHT       bool         // take part in the hubs' DHT
	Relay     bool         // serve as a relay for hubs behind NATs
	ConnLow   int          // connections kept when trimming, 0: 96
	ConnHigh  int          // connections that start trimming, 0: 192
	Handler   http.Handler // the HTTP v2 API, served to hubs over streams; nil serves none
	Logger    *slog.Logger
	Registry  *prometheus.Registry // nil: no metrics
	Now       func() time.Time
	Rand      io.Reader

	// Gate says which hubs may be connected, asked for every connection in and out;
	// nil lets all. Test networks cut links with it. Disconnect closes what it now forbids.
	Gate func(key identity.PublicKey) bool

	Options []libp2p.Option // seam for simulated networks: replaces transports and addresses
}

// Host is one hub's libp2p node.
type Host struct {
	host host.Host
}

// New starts the host, joins by the bootstrap addresses and the hubs it remembers, and
// keeps looking for others until Close.
func New(ctx context.Context, c Config) (*Host, error) { panic("skeleton") }

// LibP2P is the libp2p host itself.
func (h *Host) LibP2P() host.Host { return h.host }

// PeerID is this hub's peer ID in base58.
func (h *Host) PeerID() string { panic("skeleton") }

// Multiaddrs are where others reach this hub now, each with /p2p/<id>, relayed ones included.
func (h *Host) Multiaddrs() []string { panic("skeleton") }

// AddressesChanged has an element whenever Multiaddrs may have changed.
func (h *Host) AddressesChanged() <-chan struct{} { panic("skeleton") }

// Learn notes addresses of a hub, with or without /p2p/<id>, and remembers them over restarts.
func (h *Host) Learn(key identity.PublicKey, multiaddrs []string) { panic("skeleton") }

// Connect reaches a hub by its known addresses, directly or through relays.
func (h *Host) Connect(ctx context.Context, key identity.PublicKey) error { panic("skeleton") }

// RoundTrip makes Host an http.RoundTripper for URLs under catalog.KeyURL: the request
// goes over a stream to the hub with that key, which the connection proves.
func (h *Host) RoundTrip(r *http.Request) (*http.Response, error) { panic("skeleton") }

// Link is the present connection to a hub.
type Link struct {
	Connected bool
	Address   string // remote multiaddr
	Relayed   bool
	Latency   time.Duration // smoothed round trip, 0 unknown
}

// Link tells how a hub is connected now.
func (h *Host) Link(key identity.PublicKey) Link { panic("skeleton") }

// Connected lists the keys of connected hubs (peers with an Ed25519 key).
func (h *Host) Connected() []identity.PublicKey { panic("skeleton") }

// Provide publishes in the DHT that this hub offers these categories, and keeps doing so.
func (h *Host) Provide(categories []string) { panic("skeleton") }

// FindProviders asks the DHT for hubs that offer a category.
func (h *Host) FindProviders(ctx context.Context, category string, n int) ([]identity.PublicKey, error) {
	panic("skeleton")
}

// CallerKey is the key of the hub that a request came from when it came over a
// stream of this host; false for requests over HTTP.
func CallerKey(r *http.Request) (identity.PublicKey, bool) { panic("skeleton") }

// Close leaves the network.
func (h *Host) Close() error { panic("skeleton") }

// Disconnect closes every connection that Gate forbids now.
func (h *Host) Disconnect() { panic("skeleton") }
