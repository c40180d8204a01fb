// Package p2p is this hub's place in the libp2p network: the host under the hub's own
// key, how it finds and reaches other hubs, and the HTTP v2 API over its streams.
//
// It promises:
//   - who is at the other end of a connection is proved by the handshake; a hub is its
//     Ed25519 key, and its peer ID is the same 32 bytes;
//   - a hub that was reached once is found again after a restart, without bootstrap
//     addresses, and a connection that was lost is tried again, sooner when the outage
//     was short;
//   - unless Config.Local, nothing that a stranger says makes this hub dial a private,
//     loopback or link-local address, whether written as an IP address, behind a DNS name
//     or behind a relay: what is dialled is judged after names were resolved;
//   - everything that strangers can make grow is bounded by a named constant.
//
// Limits: finding a hub confers nothing on it, that is catalog's business. A connected
// hub can learn this hub's IP address. The DHT tells who offers a category to anybody
// who asks, and lies as any DHT may.
package p2p

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// HTTPProtocol carries the HTTP v2 API: HTTP/1.1 with keep-alive on one stream.
const HTTPProtocol protocol.ID = "/aimarket/2/http"

// protocolPrefix begins every protocol that only hubs speak.
const protocolPrefix = "/aimarket/"

// userAgent is what identify tells other hubs.
const userAgent = "aimarket"

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
	Rand      io.Reader // jitter; nil: crypto/rand

	// Gate says which hubs may be connected, in either direction; nil: all. It is asked
	// for every dial and handshake, not again for connections that stand. It must be quick.
	Gate func(key identity.PublicKey) bool

	// Options is the seam for simulated networks: it brings the transports (and listen
	// addresses besides Listen), and no NAT, mDNS or AutoNAT is started. Identity, limits,
	// gater, relay and DHT stay as they are; options given here come last.
	Options []libp2p.Option
}
