// Package gossip spreads heads, listings and reputation events between hubs over
// gossipsub and repairs what gossip lost by comparing catalogues.
//
// It promises that a message is forwarded only after its signature was verified and
// the catalogue took it; that whatever one peer sends, says or withholds costs a
// bounded amount of memory, time and verification, each bound with a name in
// limits.go and a counter in metrics.go; and that hubs which stay connected to each
// other end up with the same listings even if every gossip message is lost.
//
// Gossip is the fast path and may lose messages. Three slower ones repair it: the
// head that follows each burst of updates, the heads that a hub passes on when it
// learned them by a comparison, and the comparisons themselves, on connect and from
// time to time with a random peer. A listing that is missing or does not fit a message
// is pulled over a stream from whoever offered it.
//
// The package decides nothing about a hub: whether a head counts, and what follows
// from it, is the catalogue's judgement. It opens no port and finds no peers; the host
// it is given does.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
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
	RefOf(key identity.PublicKey) (catalog.HeadRef, bool)
	RawHead(key identity.PublicKey) ([]byte, bool)
	UpdateFor(ctx context.Context, key identity.PublicKey, have string) ([]byte, error)
	OwnChanges() <-chan struct{}
	NextUpdate(ctx context.Context, refresh bool) (*catalog.Update, error)
	EventsDue() <-chan struct{}
	NextEvents() [][]byte
}

// Config is what New needs; zero durations take the defaults that the constants name.
type Config struct {
	Host    host.Host
	Catalog Catalog
	// Learn is told the addresses that new heads name, those of hubs that wait for
	// admission included: they must be reached to be tried. It must not block; may be nil.
	Learn    func(key identity.PublicKey, multiaddrs []string)
	Refresh  time.Duration // between heads of an unchanged listing, DefaultRefresh
	Sync     time.Duration // between comparisons with a random peer, DefaultSync
	Logger   *slog.Logger
	Registry *prometheus.Registry // nil: no metrics
	Now      func() time.Time
	Rand     *rand.Rand // jitter; nil: seeded by the runtime
}

// Mesh is one hub's part in the gossip. It is safe for concurrent use.
type Mesh struct {
	cfg    Config
	host   host.Host
	self   peer.ID
	key    identity.PublicKey
	cat    Catalog
	log    *slog.Logger
	count  *counters
	chance *chance

	ps     *pubsub.PubSub
	topics map[string]*topic

	verified *lru.Cache[[32]byte, *verified] // heads whose signature was checked, by digest of their bytes
	lanes    *lanes
	limits   *limits
	blame    *blame
	scores   scores

	pulls   *pulls
	syncs   *syncs
	rumours *rumours
	joined  chan struct{} // the first peer joined the announcements
	since   atomic.Int64  // when that was, nanoseconds of Unix time; 0 never

	stop   context.CancelFunc
	work   sync.WaitGroup
	closes sync.Mutex // keeps new work from starting while Close waits
	closed bool
}

// New joins the topics and serves the protocols until Close. ctx bounds only the start.
func New(ctx context.Context, c Config) (*Mesh, error) {
	if c.Host == nil || c.Catalog == nil {
		return nil, errors.New("gossip: New needs a Host and a Catalog")
	}
	c.defaults()
	key, ok := keyOf(c.Host.ID())
	if !ok {
		return nil, fmt.Errorf("gossip: the host's peer ID %s is of no Ed25519 key; start the host under the hub's own key", c.Host.ID())
	}
	count, err := newCounters(c.Registry)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &Mesh{
		cfg: c, host: c.Host, self: c.Host.ID(), key: key, cat: c.Catalog, log: c.Logger, count: count,
		chance: &chance{r: c.Rand}, topics: map[string]*topic{}, lanes: newLanes(), limits: newLimits(c.Now), blame: newBlame(c.Now),
		rumours: newRumours(), joined: make(chan struct{}, 1), stop: stop,
	}
	m.verified, _ = lru.New[[32]byte, *verified](maxVerifiedHeads) // fails only for sizes ≤ 0
	m.pulls, m.syncs = newPulls(m), newSyncs(m)
	if err := m.join(run); err != nil {
		stop()
		m.leave()
		return nil, err
	}
	connects, err := m.watchConnects()
	if err != nil {
		stop()
		m.leave()
		return nil, err
	}
	m.serve(run)
	m.work.Go(func() { m.publishLoop(run) })
	m.work.Go(func() { m.watchTopic(run) })
	m.work.Go(func() { m.pulls.loop(run) })
	m.work.Go(func() { m.syncs.loop(run, connects) })
	return m, nil
}

func (c *Config) defaults() {
	if c.Refresh <= 0 {
		c.Refresh = DefaultRefresh
	}
	if c.Sync <= 0 {
		c.Sync = DefaultSync
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Want asks for the newest listing of a hub that the catalogue lists as active, for
// example one that was just admitted: from the hub itself, which is dialled if its
// addresses are known, or from any connected peer.
func (m *Mesh) Want(key identity.PublicKey) {
	m.syncs.admitted(key)
	w := catalog.Want{Key: key}
	var seq uint64
	if h, ok := m.cat.RefOf(key); ok {
		w.Digest, seq = h.Digest, h.Sequence
	}
	m.pulls.add(w, seq, idOf(key), 0)
}

// SyncWith compares catalogues with a connected peer soon.
func (m *Mesh) SyncWith(p peer.ID) { m.syncs.request(p, 0) }

// Close leaves the topics and waits for what is under way.
func (m *Mesh) Close() error {
	m.closes.Lock()
	m.closed = true
	m.closes.Unlock()
	m.host.RemoveStreamHandler(SyncProtocol)
	m.host.RemoveStreamHandler(FetchProtocol)
	m.stop()
	m.leave()
	m.work.Wait()
	return nil
}

// begin registers work that Close has to wait for; false once Close was called.
func (m *Mesh) begin() bool {
	m.closes.Lock()
	defer m.closes.Unlock()
	if !m.closed {
		m.work.Add(1)
	}
	return !m.closed
}

// keyOf is the Ed25519 key that a peer ID stands for.
func keyOf(p peer.ID) (identity.PublicKey, bool) {
	pub, err := p.ExtractPublicKey()
	if err != nil {
		return identity.PublicKey{}, false
	}
	raw, err := pub.Raw()
	if err != nil || len(raw) != len(identity.PublicKey{}) {
		return identity.PublicKey{}, false
	}
	return identity.PublicKey(raw), true
}
