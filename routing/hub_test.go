package routing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/ledger/storagetest"
)

// A hub under test: a real ledger over memory, a catalogue of a few rows, and
// whatever the test hangs on the router.
type hub struct {
	*Router
	t       testing.TB
	ledger  *ledger.Ledger
	money   *faultyLedger
	market  *market
	clock   *clock
	config  Config
	channel ledger.Channel // opened with 5 USD
	secret  string
}

const deposit = 5 * ledger.USD

type option func(*Config)

func newHub(t testing.TB, options ...option) *hub {
	t.Helper()
	h := &hub{t: t, clock: &clock{now: time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)}, market: newMarket()}
	h.config = Config{
		Catalog: h.market, Signer: testKey(1), Now: h.clock.Now, Rand: rand.Reader,
		HubURL: "http://hub.example", Mode: ledger.Demo,
		SandboxTrials: 3, SandboxPerIPHour: 30, MinTrustInvoke: 0.35,
		RequestTimeout: 30 * time.Second, Builtins: builtins(),
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, o := range options {
		o(&h.config)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{
		Storage: storagetest.NewMemory(), Signer: testKey(1), Now: h.clock.Now, Rand: rand.Reader,
		Mode: h.config.Mode, HubURL: h.config.HubURL, Limits: ledger.Limits{OpensPerWallet: -1, ClosesPerWallet: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.ledger = l
	h.money = &faultyLedger{Ledger: l}
	h.config.Ledger = h.money
	if h.config.Mode == ledger.Demo {
		h.channel, h.secret = h.open(deposit)
	}
	h.Router, err = New(t.Context(), h.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("closing the router: %v", err)
		}
		h.checkBooks()
	})
	return h
}

func (h *hub) open(amount ledger.Money) (ledger.Channel, string) {
	h.t.Helper()
	ch, secret, err := h.ledger.OpenChannel(context.Background(), ledger.OpenRequest{Deposit: amount})
	if err != nil {
		h.t.Fatal(err)
	}
	return ch, secret
}

// checkBooks asserts every invariant of the ledger, and that nothing is held.
func (h *hub) checkBooks() {
	h.t.Helper()
	report, err := h.ledger.Check(context.Background())
	if err != nil {
		h.t.Errorf("checking the books: %v", err)
	}
	for _, v := range report.Violations {
		h.t.Errorf("invariant %d broken on %s: %s", v.Invariant, v.Subject, v.Detail)
	}
	if held := h.ledger.Stats().Held; held != 0 {
		h.t.Errorf("%d micro-USD still held after every call ended", held)
	}
}

func (h *hub) balance() ledger.Money {
	h.t.Helper()
	ch, err := h.ledger.Channel(context.Background(), h.channel.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return ch.Balance
}

// paid is a call of the echo on the hub's channel.
func (h *hub) paid() Call {
	c := call1("echo@v1", `{"text":"hello"}`)
	c.ChannelID, c.Secret = h.channel.ID, h.secret
	return c
}

func call1(capability, input string) Call {
	return Call{ProductID: "hub", CapabilityID: capability, SourceHub: "local", Input: parse(input), ClientKey: "192.0.2.1"}
}

func (h *hub) mustInvoke(c Call) (Answer, canon.Value) {
	h.t.Helper()
	a, err := h.Invoke(context.Background(), c)
	if err != nil {
		h.t.Fatalf("Invoke: %v (cause %v)", err, errors.Unwrap(err))
	}
	v, err := canon.Parse(a.Body)
	if err != nil {
		h.t.Fatalf("the answer is not JSON: %v\n%s", err, a.Body)
	}
	return a, v
}

func (h *hub) mustRefuse(c Call, want Kind) *Refusal {
	h.t.Helper()
	a, err := h.Invoke(context.Background(), c)
	return wantRefusal(h.t, a, err, want)
}

func wantRefusal(t testing.TB, a Answer, err error, want Kind) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got answer %s and error %v, want a refusal of kind %s", a.Body, err, want)
	}
	if r.Kind != want {
		t.Fatalf("refused as %s (%s; cause %v), want %s", r.Kind, r.Detail, r.Cause, want)
	}
	if a.Body != nil {
		t.Errorf("a refusal came with a body: %s", a.Body)
	}
	if strings.TrimSpace(r.Detail) == "" {
		t.Error("a refusal without detail")
	}
	for _, f := range r.Fields {
		if _, err := canon.Parse(f.Value); err != nil {
			t.Errorf("member %s of the refusal is not JSON: %v: %s", f.Name, err, f.Value)
		}
	}
	return r
}

func field(r *Refusal, name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return string(f.Value)
		}
	}
	return ""
}

func fieldNames(r *Refusal) string {
	var names []string
	for _, f := range r.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

func parse(s string) canon.Value {
	v, err := canon.Parse([]byte(s))
	if err != nil {
		panic(fmt.Sprintf("test JSON %s: %v", s, err))
	}
	return v
}

// builtins are the capabilities of the test hub's own process.
func builtins() map[string]Func {
	return map[string]Func{
		"echo@v1": func(_ context.Context, in canon.Value) (json.RawMessage, error) { return in.Raw(), nil },
		"free@v1": func(_ context.Context, in canon.Value) (json.RawMessage, error) { return in.Raw(), nil },
		"list@v1": func(context.Context, canon.Value) (json.RawMessage, error) {
			return json.RawMessage(`[1,2.50,"three"]`), nil
		},
		"picky@v1": func(context.Context, canon.Value) (json.RawMessage, error) {
			return nil, fmt.Errorf("converting: %w", inputFault("input.unit must be a unit of length"))
		},
		"broken@v1": func(context.Context, canon.Value) (json.RawMessage, error) {
			return nil, errors.New("out of paper")
		},
		"panics@v1": func(context.Context, canon.Value) (json.RawMessage, error) { panic("boom") },
		"nojson@v1": func(context.Context, canon.Value) (json.RawMessage, error) {
			return json.RawMessage(`{"a":`), nil
		},
	}
}

type inputFault string

func (f inputFault) Error() string      { return string(f) }
func (f inputFault) InvalidInput() bool { return true }

const echoPrice = 1000 // 0.001 USD

// market is a catalogue for tests.
type market struct {
	mu       sync.Mutex
	rows     []catalog.Capability
	observed []observation
	fail     error
}

type observation struct {
	key     catalog.Key
	success bool
}

func newMarket() *market {
	m := &market{}
	for id := range builtins() {
		m.add(catalog.Capability{
			Key:         catalog.Key{ProductID: "hub", CapabilityID: id, SourceHub: catalog.Local},
			PriceMicros: echoPrice, RoutedMicros: echoPrice, TrustScore: 0.9, Builtin: true,
		})
	}
	m.set("free@v1", func(c *catalog.Capability) { c.PriceMicros, c.RoutedMicros = 0, 0 })
	m.add(catalog.Capability{Key: catalog.Key{ProductID: "hub", CapabilityID: "gone@v1", SourceHub: catalog.Local}, PriceMicros: echoPrice, Builtin: true})
	m.add(catalog.Capability{Key: catalog.Key{ProductID: "hub", CapabilityID: "nowhere@v1", SourceHub: catalog.Local}, PriceMicros: echoPrice})
	return m
}

func (m *market) add(c catalog.Capability) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = append(m.rows, c)
}

func (m *market) set(capability string, change func(*catalog.Capability)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		if m.rows[i].CapabilityID == capability {
			change(&m.rows[i])
		}
	}
}

func (m *market) Lookup(_ context.Context, product, capability, source string) (catalog.Capability, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return catalog.Capability{}, m.fail
	}
	var found *catalog.Capability
	for i := range m.rows {
		c := &m.rows[i]
		if c.SourceHub != source || c.CapabilityID != capability {
			continue
		}
		if c.ProductID == product {
			return *c, nil
		}
		found = c
	}
	if found != nil {
		return *found, nil
	}
	return catalog.Capability{}, &catalog.UnknownError{ProductID: product, CapabilityID: capability, SourceHub: source}
}

func (m *market) Observe(k catalog.Key, success bool, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observed = append(m.observed, observation{k, success})
}

func (m *market) seen() (good, bad int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.observed {
		if o.success {
			good++
		} else {
			bad++
		}
	}
	return good, bad
}

// provider adds a row of a provider at url.
func (m *market) provider(url string, change ...func(*catalog.Capability)) {
	c := catalog.Capability{
		Key:         catalog.Key{ProductID: "prod-x", CapabilityID: "translate@v1", SourceHub: catalog.Local},
		PriceMicros: 400_000, RoutedMicros: 400_000, TrustScore: 0.5, InvokeURL: url,
	}
	for _, f := range change {
		f(&c)
	}
	m.add(c)
}

// clock only moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// testKey is a signer from a one-byte seed, apart from the identity package so
// that a fault there cannot hide one here.
type testKey byte

func (k testKey) private() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte{byte(k)})
	return ed25519.NewKeyFromSeed(seed[:])
}

func (k testKey) public() ed25519.PublicKey { return k.private().Public().(ed25519.PublicKey) }

func (k testKey) PublicBase64() string { return base64.StdEncoding.EncodeToString(k.public()) }

func (k testKey) SignBase64(msg []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(k.private(), msg))
}

func (k testKey) Derive(purpose string) [32]byte {
	return sha256.Sum256(append([]byte{byte(k)}, purpose...))
}

// checkReceipt verifies a receipt's signature and returns the parsed document.
func checkReceipt(t testing.TB, raw []byte) canon.Value {
	t.Helper()
	doc, err := canon.Parse(raw)
	if err != nil {
		t.Fatalf("receipt is not JSON: %v\n%s", err, raw)
	}
	msg, _, _, err := canon.ReceiptMessage(doc)
	if err != nil {
		t.Fatalf("receipt has no canonical form: %v\n%s", err, raw)
	}
	sig, err := base64.StdEncoding.DecodeString(doc.Get("signature").Get("value").Str())
	if err != nil || !ed25519.Verify(testKey(1).public(), msg, sig) {
		t.Fatalf("receipt's signature does not verify over %q: %s", msg, raw)
	}
	return doc
}

// faultyLedger is the real ledger with places to stand in its way.
type faultyLedger struct {
	*ledger.Ledger
	beforeCapture func() error
	captures      int
	releases      int
	mu            sync.Mutex
}

func (f *faultyLedger) Capture(ctx context.Context, h *ledger.Hold, d ledger.Delivery) error {
	f.mu.Lock()
	f.captures++
	before := f.beforeCapture
	f.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	return f.Ledger.Capture(ctx, h, d)
}

func (f *faultyLedger) Release(ctx context.Context, h *ledger.Hold) error {
	f.mu.Lock()
	f.releases++
	f.mu.Unlock()
	return f.Ledger.Release(ctx, h)
}

// providerFunc is a provider in this process.
type providerFunc func(ctx context.Context, url string, header http.Header, body []byte) (*safehttp.Response, error)

func (f providerFunc) Do(ctx context.Context, _, url string, header http.Header, body []byte) (*safehttp.Response, error) {
	return f(ctx, url, header, body)
}

func respond(status int, body string) providerFunc {
	return func(context.Context, string, http.Header, []byte) (*safehttp.Response, error) {
		return &safehttp.Response{Status: status, Header: http.Header{}, Body: []byte(body)}, nil
	}
}

func withProvider(p Provider) option { return func(c *Config) { c.Provider = p } }

func withPlugins(p ...PluginConfig) option { return func(c *Config) { c.Plugins = p } }
