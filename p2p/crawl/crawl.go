// Package crawl reads the .well-known documents of hubs, breadth first from the seeds,
// and feeds what it finds to the catalogue's intake.
//
// It promises (federation notes §2, §3):
//   - one cycle at a time, each discovery document at most once in it, seeds first and
//     then pending peers, newest first; their neighbours one hop further, up to MaxDepth;
//   - hubs are read in parallel, but one host is asked one thing at a time, and hubs
//     that strangers name never take all the room;
//   - every wait is bounded: an exchange, a hub, a cycle; so is every list and cache;
//   - a document that did not change is not sent again (ETag and If-None-Match), and an
//     address that fails is asked less and less often;
//   - nothing is fetched but through the Fetcher, which judges every address as it
//     connects; no redirect is followed.
//
// It decides nothing about peers: keys, admission, what a manifest may list and which
// addresses are safe are the catalogue's and the Fetcher's business. Caches and failure
// counts do not outlive the process. Neighbours known by key alone (libp2p://) are left
// to the mesh.
package crawl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/safehttp"
)

// Bounds on time.
const (
	FirstCycle      = 5 * time.Second  // after Start (federation notes §2)
	MinInterval     = 60 * time.Second // between cycles, likewise
	MaxJitter       = 60 * time.Second // added to the interval, at most a tenth of it
	ExchangeTimeout = 30 * time.Second // one request and its answer
	HubTimeout      = 45 * time.Second // everything that is read of one hub in a cycle
	CycleTimeout    = 15 * time.Minute
	// frontierTimeout ends seeds, strangers and their neighbours early enough that slow
	// ones cannot keep active peers from being refreshed.
	frontierTimeout = CycleTimeout * 2 / 3
)

// Bounds on a cycle.
const (
	Parallel       = 16     // hubs read at a time
	MaxStrangers   = 12     // of them hubs that are not active
	MaxHubs        = 2000   // hubs read
	MaxAddresses   = 20_000 // addresses that are looked at, read or not
	MaxNeighbours  = 4096   // followed of one hub: its peers, its seeds, what it observed
	MaxNewOfTeller = 256    // addresses never heard of that are followed of one hub; the others wait for the next cycle
	RefreshHubs    = 25     // active peers that nobody links, stalest first (federation notes §2)
	MaxHubReports  = 4000   // hubs that a report lists
	maxSingle      = 8      // CrawlHub calls at a time
)

// rereadFresh is how often a mesh member's discovery document is read all the same: for
// neighbours that speak HTTP only.
const rereadFresh = 24 * time.Hour

// ErrClosed reports a crawl that was asked for after Close, or ended by it.
var ErrClosed = errors.New("crawl: the crawler is closed")

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
	Interval time.Duration // between cycles, at least MinInterval; ≤0 crawls only when asked
	MaxDepth int           // depth of the last hubs fetched, 3
	// StaleAfter is how long after its catalogue was last confirmed a mesh member needs no
	// crawl: as long as its rows count. 0: catalog.StaleAfter.
	StaleAfter time.Duration
	Logger     *slog.Logger
	Registry   *prometheus.Registry
	Now        func() time.Time
	Rand       io.Reader
}

// Crawler crawls in the background and on demand. It is safe for concurrent use.
type Crawler struct {
	cfg     Config
	self    string // this hub's URL in normal form, without the scheme
	seeds   []seed
	metrics *metrics
	hosts   *hostLocks
	docs    *documents
	tags    *tags
	failing *failing
	read    *readTimes
	notices *notices
	single  chan struct{}

	random sync.Mutex // guards cfg.Rand

	ctx  context.Context // until Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	started bool
	closed  bool
	now     *cycle // under way; nil: none
}

// seed is one entry of the seed list; why says what is wrong with it.
type seed struct{ given, url, why string }

// New checks the configuration; Start begins. Noticed works at once. Close it.
func New(c Config) (*Crawler, error) {
	switch {
	case c.Catalog == nil || c.Fetch == nil:
		return nil, errors.New("crawl: a catalogue and a fetcher are needed")
	case c.MaxDepth < 0:
		return nil, fmt.Errorf("crawl: a depth of %d is none; 0 reads the seeds alone", c.MaxDepth)
	case c.Now == nil || c.Rand == nil:
		return nil, errors.New("crawl: a clock and a source of randomness are needed")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = catalog.StaleAfter
	}
	self, err := catalog.NormalizeHubURL(c.HubURL)
	if err != nil {
		return nil, fmt.Errorf("crawl: this hub's own URL %q: %w", c.HubURL, err)
	}
	m, err := newMetrics(c.Registry)
	if err != nil {
		return nil, fmt.Errorf("crawl: metrics: %w", err)
	}
	k := &Crawler{
		cfg: c, self: schemeless(self), metrics: m, hosts: newHostLocks(), docs: newDocuments(), tags: newTags(),
		failing: newFailing(), read: newReadTimes(), notices: newNotices(), single: make(chan struct{}, maxSingle),
	}
	for _, given := range c.Seeds {
		s := seed{given: given}
		if s.url, err = BaseURL(given); err != nil {
			s.url, s.why = given, err.Error()
		}
		k.seeds = append(k.seeds, s)
	}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.work.Go(k.watchNotices)
	return k, nil
}

// isSelf compares base URLs in normal form; the scheme makes no difference.
func (c *Crawler) isSelf(base string) bool { return schemeless(base) == c.self }

func schemeless(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

// Start crawls FirstCycle from now and then at every interval, until Close. It does
// nothing for a crawler without an interval.
func (c *Crawler) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closed || c.cfg.Interval <= 0 {
		return
	}
	c.started = true
	c.work.Go(c.loop)
}

func (c *Crawler) loop() {
	for wait := FirstCycle; ; wait = c.pause() {
		timer := time.NewTimer(wait)
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if y := c.join(false); y != nil {
			<-y.done // it ends with Close
		}
	}
}

// pause is the time to the next cycle: jittered, so that hubs that were started
// together do not ask together for ever.
func (c *Crawler) pause() time.Duration {
	interval := max(c.cfg.Interval, MinInterval)
	return interval + time.Duration(c.uniform()*float64(min(MaxJitter, interval/10)))
}

// uniform draws from [0, 1).
func (c *Crawler) uniform() float64 {
	var b [8]byte
	c.random.Lock()
	_, err := io.ReadFull(c.cfg.Rand, b[:])
	c.random.Unlock()
	if err != nil {
		return 0.5 // jitter is a courtesy, no secret
	}
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// Crawl runs a cycle now, or joins the one under way, and returns its report. It tries
// failing addresses too, however long they have been failing. If ctx ends first the
// cycle goes on without its caller.
func (c *Crawler) Crawl(ctx context.Context) (Report, error) {
	y := c.join(true)
	if y == nil {
		return Report{}, ErrClosed
	}
	select {
	case <-y.done:
		if c.ctx.Err() != nil {
			return y.report, ErrClosed
		}
		return y.report, nil
	case <-ctx.Done():
		return Report{}, fmt.Errorf("crawl: the cycle goes on, its report was not waited for: %w", ctx.Err())
	}
}

// join returns the cycle under way, or a new one; nil after Close.
func (c *Crawler) join(manual bool) *cycle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	y := c.now
	if y == nil {
		y = newCycle(c)
		c.now = y
		c.work.Go(func() {
			y.run(c.ctx)
			c.mu.Lock()
			c.now = nil
			c.mu.Unlock()
			close(y.done)
		})
	}
	if manual {
		y.manual.Store(true)
	}
	return y
}

// Close stops the cycle under way and waits.
func (c *Crawler) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
	return nil
}
