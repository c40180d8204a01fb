package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// A hub under test: the real store, ledger, catalogue and router over memory, with
// a few capabilities of known behaviour.
type hub struct {
	*Server
	t      testing.TB
	clock  *clock
	key    *identity.Key
	client string // the address requests come from
	doc    *documentChecker
}

const (
	adminSecret     = "admin-secret"
	publisherSecret = "publisher-secret"
	metricsSecret   = "metrics-secret"
	hubURL          = "http://hub.example"
	stranger        = "203.0.113.7:40000"
)

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// setup is what a test may change before the hub is built.
type setup struct {
	http    Config
	routing routing.Config
	ledger  ledger.Config
	catalog catalog.Config
	rows    []catalog.Capability
}

func newHub(t testing.TB, options ...func(*setup)) *hub {
	t.Helper()
	clk := &clock{now: time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)}
	key, err := identity.FromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open("hub", store.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	outbound := safehttp.New(safehttp.Options{AllowLocal: true, Timeout: 5 * time.Second, Resolver: fixedNames{}})
	s := setup{rows: testRows()}
	s.catalog = catalog.Config{
		Store: db, Signer: key, URLs: outbound, Now: clk.Now, HubURL: hubURL, HubName: "Test Hub", HubVersion: "1.2.3",
		RoutingFeeBps: 100, MinTrust: 0.3, CrawlInterval: time.Hour, Chains: []string{"base"}, Tokens: []string{"USDT"},
		MinStake: 10 * int64(ledger.USD), PublishPerHr: 5,
	}
	s.ledger = ledger.Config{Storage: ledger.NewPebbleStorage(db), Signer: key, Now: clk.Now, Rand: rand.Reader, Mode: ledger.Demo, HubURL: hubURL,
		Limits: ledger.Limits{OpensPerWallet: -1, ClosesPerWallet: -1}}
	s.routing = routing.Config{
		Store: db, Provider: outbound, Signer: key, Now: clk.Now, Rand: rand.Reader, HubURL: hubURL, Mode: ledger.Demo,
		Builtins: testFuncs(), SandboxTrials: 3, SandboxPerIPHour: 30, MinTrustInvoke: 0.35, RequestTimeout: 5 * time.Second,
		Plugins: []routing.PluginConfig{{Plugin: gatePlugin{}, EntryKey: "gate"}},
	}
	s.http = Config{
		PublicKey: key.Public(), Now: clk.Now, HubURL: hubURL, HubName: "Test Hub", Version: "1.2.3", Mode: ledger.Demo,
		AdminToken: adminSecret, PublisherTokens: map[string]string{"pub-1": publisherSecret},
	}
	for _, o := range options {
		o(&s)
	}
	cat, err := catalog.Open(t.Context(), s.catalog)
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Put(t.Context(), s.rows); err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(t.Context(), s.ledger)
	if err != nil {
		t.Fatal(err)
	}
	s.routing.Catalog, s.routing.Ledger = cat, led
	router, err := routing.New(t.Context(), s.routing)
	if err != nil {
		t.Fatal(err)
	}
	s.http.Catalog, s.http.Ledger, s.http.Router = cat, led, router
	server, err := New(s.http)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{Server: server, t: t, clock: clk, key: key, client: stranger}
	if _, bench := t.(*testing.B); !bench {
		h.doc = newDocumentChecker(t, server)
	}
	t.Cleanup(func() {
		if err := router.Close(context.Background()); err != nil {
			t.Errorf("closing the router: %v", err)
		}
		if err := cat.Close(); err != nil {
			t.Errorf("closing the catalogue: %v", err)
		}
		outbound.Close()
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return h
}

// Options.

func moneyOff(s *setup) {
	s.http.Mode, s.ledger.Mode, s.routing.Mode = ledger.Off, ledger.Off, ledger.Off
}
func noTokens(s *setup)   { s.http.AdminToken, s.http.PublisherTokens = "", nil }
func production(s *setup) { s.http.Production = true }

// fixedNames resolves every name to one public address, without a network.
type fixedNames struct{}

func (fixedNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if strings.HasSuffix(host, ".invalid") {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

// testRows are the hub's capabilities: a cheap one, a dear one, a free one, one
// that fails and one that nothing can run.
func testRows() []catalog.Capability {
	row := func(id string, micros int64, about string) catalog.Capability {
		return catalog.Capability{
			Key: catalog.Key{ProductID: "hub", CapabilityID: id, SourceHub: catalog.Local}, SourceHubName: "Test Hub",
			Name: strings.TrimSuffix(id, "@v1"), Version: "v1", Description: about, InputSchema: []byte(`{"type":"object"}`), OutputSchema: []byte(`{}`),
			PriceMicros: micros, TrustScore: 0.9, P50LatencyMS: 5, SuccessRate30d: 0.99, Builtin: true,
		}
	}
	weak := row("weak@v1", 1000, "is not trusted enough to be called")
	weak.Builtin, weak.InvokeURL, weak.TrustScore = false, "https://provider.example/weak", 0.32
	gone := row("gone@v1", 1000, "has a provider that does not answer")
	gone.Builtin, gone.InvokeURL = false, "http://127.0.0.1:1/gone"
	return []catalog.Capability{
		row("echo@v1", 1000, "Echo: gives back the text it is given"),
		row("dear@v1", 2_500_000, "costs two dollars and a half"),
		row("free@v1", 0, "costs nothing"),
		row("fail@v1", 1000, "always fails"),
		row("idle@v1", 1000, "has no code behind it"),
		weak, gone,
	}
}

func testFuncs() map[string]routing.Func {
	echo := func(_ context.Context, in canon.Value) (json.RawMessage, error) {
		return append([]byte(nil), in.Raw()...), nil
	}
	return map[string]routing.Func{
		"echo@v1": echo, "dear@v1": echo, "free@v1": echo,
		"fail@v1": func(context.Context, canon.Value) (json.RawMessage, error) {
			return nil, errors.New("broken on purpose")
		},
	}
}

// gatePlugin blocks inputs and outputs that say so, and has routes of its own.
type gatePlugin struct{}

func (gatePlugin) Info() routing.PluginInfo {
	return routing.PluginInfo{Name: "aimarket-gate", Version: "0.1.0", Description: "blocks on demand", Category: "security"}
}

func (gatePlugin) PreCheck(_ context.Context, in *routing.Payload, _ routing.CallInfo) (routing.Verdict, error) {
	if strings.Contains(in.Text(), "block-me") {
		return routing.Verdict{Blocked: true, Category: "class:injection", Reason: "asked to be blocked"}, nil
	}
	return routing.Verdict{}, nil
}

func (gatePlugin) PostCheck(_ context.Context, out *routing.Payload, _ routing.CallInfo) (routing.Verdict, error) {
	if strings.Contains(out.Text(), "block-answer") {
		return routing.Verdict{Blocked: true, Category: "class:PII", Reason: "the answer asked to be blocked"}, nil
	}
	return routing.Verdict{}, nil
}

func (gatePlugin) RegisterRoutes(add func(method, path string, h http.HandlerFunc)) {
	add(http.MethodGet, "/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hello":"plugin"}`)
	})
	add(http.MethodGet, "/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
}

// response is one answer, read whole.
type response struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	value  canon.Value // Invalid unless the body is JSON
}

// header pairs for do: "Name: value".
func (h *hub) do(method, target, body string, headers ...string) *response {
	h.t.Helper()
	r := httptest.NewRequest(method, "http://hub.example"+target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr = h.client
	for _, line := range headers {
		k, v, _ := strings.Cut(line, ": ")
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	res := &response{t: h.t, status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		v, err := canon.Parse(res.body)
		if err != nil {
			h.t.Fatalf("%s %s: the answer claims to be JSON but %v\n%s", method, target, err, res.body)
		}
		res.value = v
	}
	if h.doc != nil {
		h.doc.check(h.t, method, r.URL.EscapedPath(), res)
	}
	return res
}

func (h *hub) get(target string, headers ...string) *response {
	h.t.Helper()
	return h.do(http.MethodGet, target, "", headers...)
}

func (h *hub) post(target, body string, headers ...string) *response {
	h.t.Helper()
	return h.do(http.MethodPost, target, body, headers...)
}

// want fails the test unless the status is the one expected.
func (r *response) want(status int) *response {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d\n%s", r.status, status, r.body)
	}
	return r
}

// at walks members by dotted path; a number is an element.
func (r *response) at(path string) canon.Value {
	r.t.Helper()
	v := r.value
	for _, part := range strings.Split(path, ".") {
		if v.Kind() == canon.Array {
			i := 0
			var found canon.Value
			for e := range v.Elements {
				if part == itoa(i) {
					found = e
				}
				i++
			}
			v = found
		} else {
			v = v.Get(part)
		}
	}
	return v
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

// str is the string at path; the test fails if there is none.
func (r *response) str(path string) string {
	r.t.Helper()
	v := r.at(path)
	if v.Kind() != canon.String {
		r.t.Fatalf("%s is %s, want a string\n%s", path, v.Kind(), r.body)
	}
	return v.Str()
}

// num is the number token at path.
func (r *response) num(path string) string {
	r.t.Helper()
	v := r.at(path)
	if v.Kind() != canon.Number {
		r.t.Fatalf("%s is %s, want a number\n%s", path, v.Kind(), r.body)
	}
	return v.Token()
}

// is compares the raw JSON at path.
func (r *response) is(path, raw string) *response {
	r.t.Helper()
	if got := string(r.at(path).Raw()); got != raw {
		r.t.Fatalf("%s is %s, want %s\n%s", path, got, raw, r.body)
	}
	return r
}

// open opens a channel and returns its id and secret.
func (h *hub) open(deposit string) (id, secret string) {
	h.t.Helper()
	r := h.post(prefix+"/channel/open", `{"deposit_usd":`+deposit+`}`).want(http.StatusOK)
	return r.str("channel.channel_id"), r.str("channel.channel_secret")
}

// on are the headers that pay with a channel.
func on(id, secret string) []string {
	return []string{"X-Payment-Channel: " + id, "X-Payment-Channel-Secret: " + secret}
}
