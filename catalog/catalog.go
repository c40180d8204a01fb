// Package catalog owns what the market lists: capabilities, the manifest and the
// discovery document, other hubs and what admits them, trust, and the search over all of
// it.
//
// Other hubs' catalogues come in by signed heads and the listings that these bind
// (TakeHead, TakeUpdate), or by documents that were fetched from their addresses
// (TakeDiscovery, TakeManifest). All of it is verified under the key that is pinned for
// the hub. A hub is its key and therefore one peer, whatever its addresses. It is pending
// until the operator or the policy admits it, then active. The rows of an active one are
// stale, hidden unless asked for, when nothing confirmed its catalogue for
// Config.StaleAfter, and away, taken off until it is heard again, after Config.AwayAfter.
//
// The package promises that an own change, an own head and what the operator decides are
// on disk before the call that made them returns, that every change is searchable and in
// the next document from then on, that every listed row can be invoked by the protocol's
// rules and fits the protocol's schemas, that every number it prints is a JSON number in
// the form that canonical text reprints, that a peer's listing is held and served whole
// or not at all, and that nothing a pending peer says is ever read by search, lookup or a
// document, nor told to other hubs.
//
// Limits: a document or listing has at most MaxListed capabilities, the hub's own first
// and then by trust; what other hubs changed is not synced, since the next comparison
// with any of them brings it back after a crash; measured success and latency are
// published within FoldInterval and a crash may lose that much of them; a stake is what
// its publisher declared (Verified is false) until a chain confirms it. Peers, rows,
// listings and events are bounded each, and what finds no room is refused with ErrFull.
// The package knows no money beyond prices, opens no connection (only Config.URLs may
// resolve a name) and never runs a capability.
package catalog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/internal/store"
)

// Signer is the hub's key; *identity.Key satisfies it.
type Signer interface {
	PublicBase64() string
	SignBase64(msg []byte) string
}

// URLChecker decides whether a foreign URL may be stored; *safehttp.Client satisfies it.
type URLChecker interface {
	CheckURL(ctx context.Context, rawURL string) error
}

// Config is what Open needs.
type Config struct {
	Store         *store.DB
	Signer        Signer
	URLs          URLChecker
	Now           func() time.Time
	Logger        *slog.Logger // nil: discard
	HubURL        string       // "http://localhost:9083", no trailing slash
	HubName       string
	HubVersion    string
	RoutingFeeBps int
	MinTrust      float64 // floor of default search, 0.3
	CrawlInterval time.Duration
	SeedList      []string
	Chains        []string
	Tokens        []string
	Production    bool
	MinStake      int64 // micro-USD a publisher must stake
	PublishPerHr  int   // publishes per publisher-hour, 0 off
	MaxRows       int   // bound on listed capabilities; 0 and more than the index holds: what the index holds
	MaxHeldBytes  int64 // bound on peers' listings kept verbatim; 0: DefaultMaxHeldBytes
	MaxPending    int   // bound on host names of pending peers; 0: DefaultMaxPending

	Admission  Admission         // "" is AdmitNone
	SeedKeys   map[string]string // base or discovery URL of a seed → its key, pinned and trusted at first contact
	StaleAfter time.Duration     // 0: StaleAfter
	AwayAfter  time.Duration     // 0: AwayAfter
	Succeeds   *Succession       // the key that this hub's replaces, in its heads; nil for none
}

// Bounds on memory.
const (
	rowCacheBytes  = 16 << 20 // decoded rows that calls looked up
	bestCacheBytes = 2 << 20  // which row a bare capability id means
	pathCost       = 256      // bytes that one cached decision is counted as
	indexCapacity  = index.MaxRows / 2
)

// Catalog is safe for concurrent use.
type Catalog struct {
	cfg       Config
	idx       *index.Index
	rows      *cache[Key, *Capability] // nil: known not to be listed
	best      *cache[Key, Key]         // (capability, hub) → its row of the best trust
	publishes *limit.Limiter
	table     measureTable

	// mu orders changes: the store, the index and the fields below move together.
	// It is held across Apply, never across a sync.
	mu     sync.Mutex
	top    topList
	stakes int // records that MaxStakes bounds

	total, local, products atomic.Int64

	builtins sync.Map // Key → nothing: rows that run in this process

	peersMu   sync.RWMutex // taken after mu; guards the maps; a peer itself never changes
	peers     map[string]*Peer
	waiting   map[string]int         // pending peers by host name
	hidden    map[string]index.Flags // hubs whose rows the index hides, and how
	active    atomic.Int64
	pending   atomic.Int64
	staleNext time.Time // when staleness of peers is judged again

	addresses atomic.Pointer[ownAddresses]

	mesh   meshState
	events eventLog

	version  atomic.Uint64 // counts changes of anything a document shows
	manifest docCache
	wellKnow docCache
	prices   docCache
	omitted  atomic.Int64

	closing sync.Mutex // guards closed against folds that start
	closed  bool
	folds   sync.WaitGroup
	folding sync.Mutex // held by the fold under way
}

// Open reads the catalogue from the store and builds the search index.
func Open(ctx context.Context, cfg Config) (*Catalog, error) {
	if cfg.Store == nil || cfg.Signer == nil || cfg.URLs == nil || cfg.Now == nil {
		return nil, errors.New("catalog: open: Config needs Store, Signer, URLs and Now")
	}
	hub, err := NormalizeHubURL(cfg.HubURL)
	if err != nil {
		return nil, errf("catalog: open: hub URL %q: %v", cfg.HubURL, err)
	}
	cfg.HubURL = hub
	if cfg.RoutingFeeBps < 0 || cfg.RoutingFeeBps > maxRoutingFeeBps {
		return nil, errf("catalog: open: routing fee of %d basis points is not in 0…%d", cfg.RoutingFeeBps, maxRoutingFeeBps)
	}
	if !fraction(cfg.MinTrust) {
		return nil, errf("catalog: open: trust floor %v is not in 0…1", cfg.MinTrust)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.MaxRows <= 0 || cfg.MaxRows > indexCapacity {
		cfg.MaxRows = indexCapacity
	}
	if cfg.MaxHeldBytes <= 0 {
		cfg.MaxHeldBytes = DefaultMaxHeldBytes
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = DefaultMaxPending
	}
	if cfg.StaleAfter <= 0 {
		cfg.StaleAfter = StaleAfter
	}
	if cfg.AwayAfter <= 0 {
		cfg.AwayAfter = AwayAfter
	}
	c := &Catalog{
		cfg:       cfg,
		rows:      newCache[Key, *Capability](rowCacheBytes),
		best:      newCache[Key, Key](bestCacheBytes),
		publishes: limit.New(limit.Config{Max: cfg.PublishPerHr, Window: time.Hour, Now: cfg.Now}),
		peers:     map[string]*Peer{},
		waiting:   map[string]int{},
		hidden:    map[string]index.Flags{},
	}
	if err := c.openMesh(); err != nil {
		return nil, errf("catalog: open: %w", err)
	}
	if err := c.loadEvents(); err != nil {
		return nil, errf("catalog: open: %w", err)
	}
	if err := c.load(ctx); err != nil {
		return nil, errf("catalog: open: %w", err)
	}
	return c, nil
}

// Close saves measurements that were not folded yet and waits for those under way.
// The catalogue must not be used after.
func (c *Catalog) Close() error {
	c.closing.Lock()
	was := c.closed
	c.closed = true
	c.closing.Unlock()
	c.folds.Wait()
	if !was {
		c.fold(c.cfg.Now())
	}
	return nil
}

// Counts is what the catalogue holds now.
type Counts struct {
	Local     int   // capabilities of this hub
	Products  int   // distinct products of this hub
	Total     int   // all rows
	Peers     int   // active peers
	Pending   int   // peers that nobody admitted
	Omitted   int   // rows that the newest manifest had no room for
	Forgotten int64 // rows whose measurements were dropped for MaxMeasured
	HeldBytes int64 // of peers' listings, kept verbatim
	NoRoom    int64 // catalogues of peers that were not taken since the start, for MaxHeldBytes or MaxRows
}

// Counts costs no disk access.
func (c *Catalog) Counts() Counts {
	active, pending := c.peerCounts()
	c.peersMu.RLock()
	held := c.mesh.heldBytes
	c.peersMu.RUnlock()
	return Counts{
		Local:     int(c.local.Load()),
		Products:  int(c.products.Load()),
		Total:     int(c.total.Load()),
		Peers:     active,
		Pending:   pending,
		Omitted:   int(c.omitted.Load()),
		Forgotten: c.table.forgotten.Load(),
		HeldBytes: held,
		NoRoom:    c.mesh.noRoom.Load(),
	}
}

// touch makes every document stale.
func (c *Catalog) touch() {
	c.version.Add(1)
	c.pokeOwn()
}
