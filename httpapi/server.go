package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// Config is what New needs. Zero fields mean what their comments say.
type Config struct {
	Catalog   *catalog.Catalog
	Ledger    *ledger.Ledger
	Router    *routing.Router
	PublicKey identity.PublicKey // the key that signs this hub's documents and receipts

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discard

	HubURL  string // no trailing slash; may carry a path, under which every route then works too
	HubName string
	Version string
	Mode    ledger.Mode

	AdminToken      string            // AIMARKET_ADMIN_TOKEN; "" turns operator routes off (503)
	PublisherTokens map[string]string // AIMARKET_PUBLISHER_TOKENS: publisher id → secret
	PublishToken    string            // AIMARKET_PUBLISH_TOKEN: one secret for all publishers, ignored in production
	Production      bool

	CORSOrigins       []string       // AIMARKET_CORS_ORIGINS; empty or "*": any
	TrustedProxies    []netip.Prefix // AIMARKET_TRUSTED_PROXIES
	ChannelRatePerMin int            // AIMARKET_CHANNEL_RATE_PER_MIN per client address; ≤ 0 off
	InvokeRatePerMin  int            // what the router enforces, for the RateLimit-Limit header; ≤ 0 unknown
	MaxInvokeBody     int64          // bytes; 0: MaxInvokeBody

	MetricsPublic bool                 // AIMARKET_METRICS_PUBLIC
	MetricsToken  string               // AIMARKET_METRICS_TOKEN
	Registry      *prometheus.Registry // nil: a fresh one

	Ready  func() []string                             // what still keeps the hub from being ready; nil: nothing
	Backup func(ctx context.Context, dir string) error // nil: POST /backup answers 501

	Admission catalog.Admission // what makes a pending hub active without the operator; "": nothing

	// Links tells how the hub with a key (standard base64) is connected now; nil: peers
	// are listed without it.
	Links func(publicKey string) Link
	// Crawl runs a crawl cycle to its end and returns its report, which must marshal to an
	// object with discovered, indexed, errors, peers_found and hubs; nil: 501.
	Crawl func(ctx context.Context) (any, error)
	// CrawlHub has one hub read soon: after the operator admitted it or changed its key.
	// It must return at once. nil: the hub is read when its turn comes.
	CrawlHub func(hubURL string)
	// Noticed is told whoever asked for the discovery document as a crawler (federation
	// notes §4, reciprocal discovery), after the answer was sent. Both texts are a stranger's
	// claim, of at most MaxCrawlerURL and MaxUserAgent bytes. It must return at once.
	Noticed func(crawlerURL, userAgent string)
}

// Link is the present connection to another hub over libp2p.
type Link struct {
	Connected bool
	Address   string        // remote multiaddr
	Relayed   bool          // through another hub
	Latency   time.Duration // smoothed round trip, 0 unknown
}

// Server holds the routes. It is safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	started time.Time

	anyOrigin bool
	basePath  string         // path of HubURL, "" if none
	key       string         // the hub's public key, base64
	rails     *limit.Limiter // channel routes, per client address
	announces *limit.Limiter
	reports   *limit.Limiter // POST /reputation/events, per client address
	metrics   *metrics
	idPrefix  string
	nobody    string // a visitor id that nobody uses
	requests  atomic.Uint64
	table     []*route
	plugins   []routing.PluginInfo
	openapi   document
	pages     map[string]page
	router    chi.Routes
	literals  map[string][]string // path without parameters → its methods
	handler   http.Handler
	adminMux  http.Handler

	metricsHandler http.Handler
}

// New checks the configuration and builds every handler and document that does
// not change while the hub runs.
func New(c Config) (*Server, error) {
	if c.Catalog == nil || c.Ledger == nil || c.Router == nil {
		return nil, errors.New("httpapi: catalogue, ledger and router are all needed")
	}
	if c.Mode != ledger.Demo && c.Mode != ledger.Off {
		return nil, fmt.Errorf("httpapi: money mode %q is unknown to this surface", c.Mode)
	}
	u, err := url.Parse(c.HubURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("httpapi: hub URL %q is not absolute", c.HubURL)
	}
	s := &Server{cfg: c, log: c.Logger, now: c.Now, basePath: strings.TrimRight(u.EscapedPath(), "/")}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.cfg.MaxInvokeBody <= 0 {
		s.cfg.MaxInvokeBody = MaxInvokeBody
	}
	if s.cfg.Registry == nil {
		s.cfg.Registry = prometheus.NewRegistry()
	}
	s.started = s.now()
	s.anyOrigin = contains(c.CORSOrigins, "*")
	s.key = c.PublicKey.String()
	if s.metrics, err = newMetrics(s.cfg.Registry); err != nil {
		return nil, fmt.Errorf("httpapi: register metrics: %w", err)
	}
	s.metricsHandler = metricsHandler(s.cfg.Registry)
	s.rails = limit.New(limit.Config{Max: c.ChannelRatePerMin, Window: time.Minute, Now: s.now})
	s.announces = limit.New(limit.Config{Max: announcesPerMin, Window: time.Minute, Now: s.now})
	s.reports = limit.New(limit.Config{Max: reportsPerMin, Window: time.Minute, Now: s.now})
	var prefix [4]byte
	if _, err := rand.Read(prefix[:]); err != nil {
		return nil, fmt.Errorf("httpapi: random prefix of request ids: %w", err)
	}
	s.idPrefix = hex.EncodeToString(prefix[:]) + "-"
	s.nobody = s.idPrefix + "nobody"

	s.table = s.routes()
	if s.pages, err = buildPages(s); err != nil {
		return nil, fmt.Errorf("httpapi: build pages: %w", err)
	}
	if s.openapi, err = s.describe(); err != nil {
		return nil, fmt.Errorf("httpapi: print the OpenAPI document: %w", err)
	}
	router, err := s.mount()
	if err != nil {
		return nil, err
	}
	s.handler = s.outer(router)
	s.adminMux = s.adminRoutes()
	return s, nil
}

// Handler is the public surface.
func (s *Server) Handler() http.Handler { return s.handler }

// AdminHandler is for the operator alone: profiles, metrics, state and backup
// without a token. Serve it on a unix socket or a loopback address only.
func (s *Server) AdminHandler() http.Handler { return s.adminMux }
