// Package crawl reads the .well-known documents of hubs, breadth first from the seeds,
// and feeds what it finds to the catalogue's intake.
package crawl

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/safehttp"
)

// Fetcher does one exchange with a hub; *safehttp.Client satisfies it for http(s) URLs,
// node's adds those under catalog.KeyURL.
type Fetcher interface {
	Do(ctx context.Context, method, url string, header http.Header, body []byte) (*safehttp.Response, error)
}

// Catalog is what the crawler needs of the catalogue; *catalog.Catalog satisfies it.
type Catalog interface {
	TakeDiscovery(ctx context.Context, d *catalog.CrawledDiscovery, discoverer string, depth int) catalog.Sighting
	TakeManifest(ctx context.Context, hubURL string, raw []byte) catalog.Intake
	TakeUnchanged(ctx context.Context, hubURL string) catalog.Intake
	TakeUnreachable(ctx context.Context, hubURL string, why string)
	Sight(ctx context.Context, hubURL, discoverer string, depth int) (added bool, err error)
	Peers(state catalog.PeerState) []catalog.PeerInfo
}

// Config is what New needs.
type Config struct {
	Catalog  Catalog
	Fetch    Fetcher
	HubURL   string        // this hub's, sent as X-AIMarket-Crawler
	Seeds    []string      // base or discovery URLs
	Interval time.Duration // between cycles; ≤0 crawls only when asked
	MaxDepth int           // depth of the last hubs fetched, 3
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Now      func() time.Time
	Rand     io.Reader
}

// Crawler crawls in the background and on demand.
type Crawler struct{}

// New checks the configuration; Start begins.
func New(c Config) (*Crawler, error) { panic("skeleton") }

// Start crawls a few seconds from now and then at every interval, until Close.
func (c *Crawler) Start() { panic("skeleton") }

// HubReport is what happened at one hub in a cycle.
type HubReport struct {
	URL        string            `json:"url"`
	Depth      int               `json:"depth"`
	Discoverer string            `json:"discoverer"`
	Status     string            `json:"status"`  // state of the peer afterwards, "" if it is none
	Outcome    string            `json:"outcome"` // indexed, unchanged, pending, refused, failed, skipped
	Detail     string            `json:"detail,omitempty"`
	Indexed    int               `json:"indexed"`
	Dropped    []catalog.Dropped `json:"dropped,omitempty"`
	NewPeers   int               `json:"new_peers"`
	Duration   time.Duration     `json:"duration_ns"`
}

// Report is one cycle.
type Report struct {
	Discovered int           `json:"discovered"`
	Indexed    int           `json:"indexed"`
	Errors     int           `json:"errors"`
	PeersFound int           `json:"peers_found"`
	Truncated  bool          `json:"truncated"` // a bound ended the cycle early
	Hubs       []HubReport   `json:"hubs"`
	StartedAt  time.Time     `json:"started_at"`
	Duration   time.Duration `json:"duration_ns"`
}

// Crawl runs a cycle now, or joins the one under way.
func (c *Crawler) Crawl(ctx context.Context) (Report, error) { panic("skeleton") }

// CrawlHub reads one hub now: after the operator approved it.
func (c *Crawler) CrawlHub(ctx context.Context, hubURL string) (HubReport, error) { panic("skeleton") }

// Close stops the cycle under way and waits.
func (c *Crawler) Close() error { panic("skeleton") }
