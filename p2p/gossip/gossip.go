// Package gossip spreads heads, listings and reputation events between hubs over
// gossipsub and repairs what gossip lost by comparing catalogues.
package gossip

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// The topics and protocols of the mesh.
const (
	AnnounceTopic = "/aimarket/2/announce" // heads and reputation events
	ManifestTopic = "/aimarket/2/manifest" // updates of at most MaxGossipUpdate bytes
	SyncProtocol  = "/aimarket/2/sync"     // compares two catalogues
	FetchProtocol = "/aimarket/2/fetch"    // one update by key and held digest

	MaxGossipUpdate = 64 << 10
)

// Catalog is what gossip needs of the catalogue; *catalog.Catalog satisfies it.
type Catalog interface {
	TakeHead(ctx context.Context, h *catalog.Head, s catalog.Source) catalog.Intake
	TakeUpdate(ctx context.Context, u *catalog.Update, s catalog.Source) catalog.Intake
	TakeEvents(ctx context.Context, events []canon.Value, s catalog.Source) (catalog.EventCounts, catalog.Verdict)
	Heads() []catalog.HeadRef
	HeadOf(key identity.PublicKey) (*catalog.Head, bool)
	UpdateFor(ctx context.Context, key identity.PublicKey, have string) ([]byte, error)
	OwnChanges() <-chan struct{}
	NextUpdate(ctx context.Context, refresh bool) (*catalog.Update, error)
	EventsDue() <-chan struct{}
	NextEvents() [][]byte
}

// Config is what New needs; zero durations take the defaults that the constants name.
type Config struct {
	Host     host.Host
	Catalog  Catalog
	Learn    func(key identity.PublicKey, multiaddrs []string) // told the addresses of accepted heads; may be nil
	Refresh  time.Duration                                     // between heads of an unchanged listing
	Sync     time.Duration                                     // between comparisons with a random peer
	Logger   *slog.Logger
	Registry *prometheus.Registry // nil: no metrics
	Now      func() time.Time
	Rand     *rand.Rand // jitter; nil: seeded by the runtime
}

// Mesh is one hub's part in the gossip.
type Mesh struct{}

// New joins the topics and serves the protocols until Close.
func New(ctx context.Context, c Config) (*Mesh, error) { panic("skeleton") }

// Close leaves the topics and waits for what is under way.
func (m *Mesh) Close() error { panic("skeleton") }

// Want fetches the newest listing of a hub that was just admitted.
func (m *Mesh) Want(key identity.PublicKey) { panic("skeleton") }
