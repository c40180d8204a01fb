package catalog

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey is the protocol's published test key; signatures by it repeat exactly.
var testKey = func() ed25519.PrivateKey {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		panic(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}()

type testSigner struct{}

func (testSigner) PublicBase64() string {
	return base64.StdEncoding.EncodeToString(testKey.Public().(ed25519.PublicKey))
}

func (testSigner) SignBase64(msg []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(testKey, msg))
}

// publicOnly is a URLChecker that needs no network: it refuses what is plainly
// local, and anything that holds "blocked".
type publicOnly struct {
	mu    sync.Mutex
	asked int
}

func (p *publicOnly) CheckURL(_ context.Context, raw string) error {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if strings.Contains(raw, "localhost") || strings.Contains(raw, "127.0.0.1") || strings.Contains(raw, "blocked") {
		return errors.New("address is not public")
	}
	return nil
}

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var testStart = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// hub is a catalogue over a file system in memory.
type hub struct {
	*Catalog
	t     testing.TB
	fs    vfs.FS
	db    *store.DB
	clock *clock
	urls  *publicOnly
	cfg   Config
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newHub(t testing.TB, change ...func(*Config)) *hub {
	t.Helper()
	h := &hub{t: t, fs: vfs.NewMem(), clock: &clock{now: testStart}, urls: &publicOnly{}}
	h.cfg = Config{
		Signer:        testSigner{},
		URLs:          h.urls,
		Now:           h.clock.Now,
		HubURL:        "https://hub.example.com",
		HubName:       "Test Hub",
		HubVersion:    "4.0.0",
		RoutingFeeBps: 100,
		MinTrust:      0.3,
		CrawlInterval: time.Hour,
		Chains:        []string{"base"},
		Tokens:        []string{"USDT"},
		MinStake:      10 * usd,
		PublishPerHr:  5,
		MaxRows:       100_000,
	}
	for _, f := range change {
		f(&h.cfg)
	}
	h.open(t)
	t.Cleanup(func() { h.close(t) })
	return h
}

func (h *hub) open(t fataler) {
	t.Helper()
	db, err := store.Open("db", store.Options{FS: h.fs})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	h.db, h.cfg.Store = db, db
	if h.Catalog, err = Open(context.Background(), h.cfg); err != nil {
		db.Close()
		t.Fatalf("open catalogue: %v", err)
	}
}

func (h *hub) close(t fataler) {
	t.Helper()
	heldListings(t, h.Catalog) // whatever a test did
	previews(t, h.Catalog)
	if err := h.Catalog.Close(); err != nil {
		t.Fatalf("close catalogue: %v", err)
	}
	if err := h.db.Close(); err != nil {
		t.Fatalf("close store: %v", err)
	}
}

func (h *hub) reopen(t fataler) {
	t.Helper()
	h.close(t)
	h.open(t)
}

// row is a valid capability that tests change as they need.
func row(product, capability string) Capability {
	return Capability{
		Key:            Key{ProductID: product, CapabilityID: capability, SourceHub: Local},
		Name:           strings.TrimSuffix(capability, "@v1"),
		Version:        "v1",
		Description:    "Does " + capability + " for tests.",
		InputSchema:    []byte(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`),
		OutputSchema:   []byte(`{"type":"object"}`),
		PriceMicros:    1000,
		TrustScore:     0.85,
		P50LatencyMS:   3,
		SuccessRate30d: 0.99,
		Builtin:        true,
	}
}

func (h *hub) put(rows ...Capability) {
	h.t.Helper()
	if err := h.Put(context.Background(), rows); err != nil {
		h.t.Fatalf("put: %v", err)
	}
}

func (h *hub) stake(publisher string, amountUSD int64) {
	h.t.Helper()
	_, err := h.Stake(context.Background(), StakeRequest{PublisherID: publisher, AmountMicros: amountUSD * usd})
	if err != nil {
		h.t.Fatalf("stake: %v", err)
	}
}

// registration is a publish request that passes every gate once its publisher staked.
func registration(publisher, product string) Registration {
	r := row(product, "tool@v1")
	r.Builtin, r.TrustScore = false, 0
	r.PublisherID = publisher
	r.InvokeURL = "https://provider.example.com/" + product
	return Registration{Capability: r}
}

func gateOf(err error) Gate {
	var g *GateError
	if errors.As(err, &g) {
		return g.Gate
	}
	return Gate(fmt.Sprintf("no gate: %v", err))
}

func ids(rows []Match) string {
	var out []string
	for _, m := range rows {
		out = append(out, m.ProductID+"/"+m.CapabilityID)
	}
	return strings.Join(out, " ")
}

// crawled marks a peer as read just now.
func (h *hub) crawled(hubURL string) {
	h.t.Helper()
	p, ok := h.Peer(hubURL)
	if !ok {
		h.t.Fatalf("%s is no peer", hubURL)
	}
	p.LastCrawl = h.clock.Now()
	h.mu.Lock()
	commit, err := h.storePeer(&p)
	h.mu.Unlock()
	if err == nil {
		err = commit.Wait()
	}
	must(h.t, err)
}
