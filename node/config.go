package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/ledger"
)

// Config is everything a node can be told. It is plain values: where they came
// from (flags, environment, file) and what they are by default is the command's
// business: zero means what the comment says, never "default".
type Config struct {
	DataDir        string // database, key and admin socket
	Listen         string // public HTTP, host:port
	AdminListen    string // pprof, metrics, backup: "unix" for DataDir/admin.sock, host:port on loopback, "" off
	HubURL         string // how others reach Listen; "" derives it
	HubName        string
	Version        string // of this program
	SigningKeyPath string // "" is DataDir/hub_signing_key
	AcceptNewKey   bool   // start although the key is not the one the folder belongs to

	Money      ledger.Mode
	Production bool // refuses what only a test network may have
	SkipSeed   bool // list no built-in capabilities

	FactoryURL    string // where an AI factory's products are called; "" lists none
	FactoryRoot   string // its folder; "" is ./data
	FactorySQLite string // its database; "" is FactoryRoot/state/pipeline.db

	AdminToken      string // "" turns the operator routes off (503)
	PublishToken    string // shared publisher token; "" leaves publishing open outside production
	PublisherTokens map[string]string

	AllowLocal     bool     // provider URLs on loopback and private addresses
	CORSOrigins    []string // empty: any origin
	TrustedProxies []netip.Prefix
	MetricsPublic  bool
	MetricsToken   string

	InvokesPerMinute   int           // per client address, 0 off
	ChannelsPerMinute  int           // opens and closes per client address, 0 off
	OpensPerHour       int           // per wallet, 0 off; callers without one share ten times as many
	ClosesPerHour      int           // likewise
	PublishesPerHour   int           // per publisher, 0 off
	SandboxTrials      int           // per visitor for life, 0 turns trials off
	SandboxPerHour     int           // trials per client address, 0 off
	MaxOpenChannels    int           // at least 1
	ReapHoldsAfter     time.Duration // 0 never
	RequestTimeout     time.Duration // one provider call
	RoutingFeeBps      int
	MinTrust           float64 // floor of a search that names none
	MinTrustInvoke     float64 // floor of a call to a provider's endpoint
	MinStake           ledger.Money
	RequireProviderSig bool

	Chains, Tokens []string
	SeedList       []string
	CrawlInterval  time.Duration
	SeedKeys       map[string]string // seed address → its key, pinned and trusted at first contact
	MaxCrawlDepth  int               // hops from a seed that are crawled, 0…3
	AutoCrawl      bool              // crawl by itself, at CrawlInterval
	Plugins        []string          // allow-list; nil admits every built-in plugin
	PluginsSet     bool              // an allow-list was given, even an empty one

	P2P         bool                          // take part in the mesh; false is a hub that speaks HTTP only
	P2PListen   []string                      // multiaddrs
	P2PAnnounce []string                      // further multiaddrs at which others reach this hub
	Bootstrap   []string                      // multiaddrs of hubs to join by
	MDNS        bool                          // find hubs on the local network
	Relay       bool                          // serve as a relay for hubs behind NATs
	Admission   catalog.Admission             // what makes a stranger's catalogue count
	StaleAfter  time.Duration                 // silence that hides a peer's rows, 0: catalog.StaleAfter
	AwayAfter   time.Duration                 // silence that removes them, 0: catalog.AwayAfter
	MaxPending  int                           // bound on pending peers by host name, 0: catalog.DefaultMaxPending
	ConnLow     int                           // mesh connections kept when trimming, 0: p2p's
	ConnHigh    int                           // mesh connections that start trimming, 0: p2p's
	Refresh     time.Duration                 // between heads of an unchanged listing, 0: gossip's
	Compare     time.Duration                 // between comparisons with a peer, 0: gossip's
	Gate        func(identity.PublicKey) bool // which hubs may be connected over the mesh; nil: all
	GateURL     func(url string) bool         // which URLs of hubs may be asked over HTTP; nil: all

	Wrap func(http.Handler) http.Handler // around the public API over HTTP and streams; nil: nothing

	Logger *slog.Logger
	Now    func() time.Time
	Rand   io.Reader

	urlGiven bool // HubURL was chosen, not derived

	// Seams for tests.
	files    vfs.FS        // the database's; nil is vfs.Default
	patience time.Duration // with calls in flight at shutdown; 0 is shutdownTimeout
}

// Validate refuses what no hub can run with, as New would. It opens nothing.
func (c Config) Validate() error {
	_, err := c.complete()
	return err
}

// complete derives what was left open and refuses what cannot work.
func (c Config) complete() (Config, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("listen address %q is not host:port: give one such as localhost:9083 or :9083", c.Listen)
	}
	c.urlGiven = c.HubURL != ""
	if c.HubURL == "" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "localhost"
		}
		c.HubURL = "http://" + net.JoinHostPort(host, port)
	}
	c.HubURL = strings.TrimRight(c.HubURL, "/")
	u, err := url.Parse(c.HubURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return c, fmt.Errorf("hub URL %q is not an http(s) address: give the one others use to reach this hub, such as https://hub.example.com", c.HubURL)
	}
	if c.DataDir == "" {
		return c, errors.New("no data folder: give --data DIR")
	}
	if c.SigningKeyPath == "" {
		c.SigningKeyPath = filepath.Join(c.DataDir, keyFile)
	}
	switch c.Money {
	case ledger.Demo, ledger.Off:
	default:
		return c, fmt.Errorf("money mode %q is unknown: demo (credit from nothing, for trying things) or off (every call free)", c.Money)
	}
	if c.Production {
		if c.Money == ledger.Demo {
			return c, errors.New("production refuses demo money, which credits deposits nobody paid: use --money off, or leave production off")
		}
		if c.AllowLocal {
			return c, errors.New("production refuses providers on local addresses: leave --allow-local-publish off")
		}
		if c.AdminToken == "" {
			return c, errors.New("production needs an operator token: set AIMARKET_ADMIN_TOKEN")
		}
	}
	switch c.Admission {
	case "", catalog.AdmitNone, catalog.AdmitVerified:
	case catalog.AdmitAll:
		if c.Production {
			return c, errors.New("production refuses the open admission policy, under which any stranger is sold: use verified or closed")
		}
	default:
		return c, fmt.Errorf("admission policy %q is unknown: closed (the operator decides), verified (hubs that pass a trial) or open (everybody, for test networks)", c.Admission)
	}
	if c.MaxCrawlDepth < 0 || c.MaxCrawlDepth > 3 {
		return c, fmt.Errorf("crawl depth %d is outside 0…3", c.MaxCrawlDepth)
	}
	if c.StaleAfter < 0 || c.AwayAfter < 0 {
		return c, errors.New("the time until a silent peer's rows are stale or away must not be negative")
	}
	if c.RoutingFeeBps < 0 || c.RoutingFeeBps > 10_000 {
		return c, fmt.Errorf("routing fee of %d basis points is outside 0…10000", c.RoutingFeeBps)
	}
	for _, v := range []struct {
		name  string
		value float64
	}{{"minimum trust", c.MinTrust}, {"minimum trust to invoke", c.MinTrustInvoke}} {
		if !(v.value >= 0 && v.value <= 1) {
			return c, fmt.Errorf("%s %v is outside 0…1", v.name, v.value)
		}
	}
	if c.MaxOpenChannels < 1 {
		return c, fmt.Errorf("at most %d open channels leaves nobody one: give 1 or more", c.MaxOpenChannels)
	}
	if c.MinStake < 0 {
		return c, fmt.Errorf("minimum stake of %d micro-USD is negative", c.MinStake)
	}
	if c.CrawlInterval < 0 {
		return c, fmt.Errorf("crawl interval %s is negative", c.CrawlInterval)
	}
	if err := c.completeFactory(); err != nil {
		return c, err
	}
	if c.RequestTimeout <= 0 || c.RequestTimeout > MaxRequestTimeout {
		return c, fmt.Errorf("request timeout %s is not above 0 and at most %s: clients give up at 30 s", c.RequestTimeout, MaxRequestTimeout)
	}
	if c.files == nil {
		c.files = vfs.Default
	}
	if c.patience == 0 {
		c.patience = shutdownTimeout
	}
	return c, nil
}

// MaxRequestTimeout keeps a provider call inside the patience of the published
// clients, which time out at 30 s and then retry.
const MaxRequestTimeout = 30 * time.Second
