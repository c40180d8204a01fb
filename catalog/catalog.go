// Package catalog owns what the market lists: capabilities, the manifest and the
// discovery document, peers, trust and the search over all of it.
package catalog

import (
	"context"
	"encoding/json"
	"time"

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
	HubURL        string // "http://localhost:9083", no trailing slash
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
	MaxRows       int   // bound on listed capabilities
}

// Catalog is safe for concurrent use.
type Catalog struct{}

// Open reads the catalogue from the store and builds the search index.
func Open(ctx context.Context, c Config) (*Catalog, error) { panic("skeleton") }
func (c *Catalog) Close() error                            { panic("skeleton") }

// Put lists or replaces rows in one batch. It does not apply the publishing gates.
func (c *Catalog) Put(ctx context.Context, rows []Capability) error { panic("skeleton") }

// Remove takes a row off; ErrUnknown if it is not listed.
func (c *Catalog) Remove(ctx context.Context, k Key) error { panic("skeleton") }

// Lookup finds what a call names: the exact (product, capability, hub), else the
// row of that hub with this capability id and the best trust. *UnknownError if none.
func (c *Catalog) Lookup(ctx context.Context, productID, capabilityID, sourceHub string) (Capability, error) {
	panic("skeleton")
}

// Observe feeds one finished call into the row's measured 30-day success and latency.
func (c *Catalog) Observe(k Key, success bool, latency time.Duration) { panic("skeleton") }

// Document is one signed document as published.
type Document struct {
	Body        []byte // exact bytes to serve
	ETag        string // strong, quoted
	GeneratedAt time.Time
}

// Status is what the discovery document says beyond the catalogue's own knowledge.
type Status struct {
	PaymentConfigured bool
	PaymentTestnet    bool   // demo money or a test chain
	Money             string // "demo", "off"
	PluginsLoaded     int
	PluginExtensions  map[string]json.RawMessage
	MCPEndpoint       bool
}

// Manifest, Discovery and Prices return the current signed documents. They are
// cached and signed anew only when their content changes.
func (c *Catalog) Manifest(ctx context.Context) (Document, error)            { panic("skeleton") }
func (c *Catalog) Discovery(ctx context.Context, s Status) (Document, error) { panic("skeleton") }
func (c *Catalog) Prices(ctx context.Context) (Document, error)              { panic("skeleton") }

// Query is one search; zero fields do not filter.
type Query struct {
	Intent       string
	BudgetMicros int64 // on the routed price; <0 or HasBudget false: none
	HasBudget    bool
	Category     string
	MaxLatencyMS int      // 0: none
	MinTrust     *float64 // nil: the hub's floor
	Hub          string   // "", "any", Local or a URL
	IncludeDemo  bool
	IncludeStale bool
	Limit        int // 0 is all when LimitAll, else 20; at most 100
	LimitAll     bool
	Offset       int
}

// Match is one hit with the explanation of its rank.
type Match struct {
	Capability
	Score        float64
	MatchType    string // exact, lexical, fuzzy, browse, …
	MatchedTerms []string
}

// Result is a page of hits.
type Result struct {
	Matches      []Match
	Total        int
	HubsSearched int
}

func (c *Catalog) Search(ctx context.Context, q Query) (Result, error) { panic("skeleton") }

// Registration is a publish request that already passed the shape checks of the wire.
type Registration struct {
	Capability        // InvokeURL, prices, schemas, ids as asked
	Publisher  string // authenticated publisher, or "" for the shared token
}

// Register applies the publishing gates and lists the row. *GateError says which failed.
func (c *Catalog) Register(ctx context.Context, r Registration) (Capability, error) {
	panic("skeleton")
}

// StakeRequest declares a stake. It is recorded as unverified.
type StakeRequest struct {
	PublisherID  string
	AmountMicros int64
	TxHash       string
}

// StakeStatus is a publisher's standing.
type StakeStatus struct {
	PublisherID string
	StakeMicros int64
	TrustScore  float64
	Verified    bool
}

func (c *Catalog) Stake(ctx context.Context, r StakeRequest) (StakeStatus, error) { panic("skeleton") }

// Counts is what the catalogue holds now.
type Counts struct {
	Local    int // capabilities of this hub
	Products int // distinct products of this hub
	Total    int // all rows
	Peers    int // active peers
	Pending  int
}

func (c *Catalog) Counts() Counts { panic("skeleton") }
