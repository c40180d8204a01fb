package admit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
)

const self = "https://self.example"

func testKey(name string) *identity.Key {
	seed := bytes.Repeat([]byte{0}, 32)
	copy(seed, name)
	k, err := identity.FromSeed(seed)
	if err != nil {
		panic(err)
	}
	return k
}

// hub is a peer on trial, as its operator set it up.
type hub struct {
	base      string
	key       *identity.Key
	signsWith *identity.Key // receipts; nil: key
	tools     []map[string]any
	generated time.Time
	unsigned  bool // discovery
	spoil     func(doc []byte) []byte
	reply     func(call canon.Value) (int, any) // nil: serves
	change    func(receipt map[string]any)      // before it is signed
	delay     time.Duration
}

func newHub(base string) *hub {
	return &hub{base: base, key: testKey("hub"), generated: time.Now(), tools: []map[string]any{tool("p1", "c1", 0)}}
}

func tool(product, capability string, price any) map[string]any {
	return map[string]any{"name": product + "." + capability, "description": "d", "input_schema": map[string]any{},
		"product_id": product, "capability_id": capability, "price_per_call_usd": price, "source_hub": "local"}
}

// needs gives a tool an input schema.
func needs(t map[string]any, schema string) map[string]any {
	t["input_schema"] = json.RawMessage(schema)
	return t
}

func (h *hub) peer() catalog.Peer {
	return catalog.Peer{URL: h.base, Status: catalog.PeerPending, PublicKey: h.key.PublicBase64()}
}

// market is hubs that are reached without a network, by HTTP or by key.
type market struct {
	mu    sync.Mutex
	hubs  map[string]*hub // by base
	fail  map[string]error
	calls []call
	now   int
	most  int
}

type call struct {
	base, id, visitor string
	input             string
}

func newMarket(hubs ...*hub) *market {
	m := &market{hubs: map[string]*hub{}, fail: map[string]error{}}
	for _, h := range hubs {
		m.hubs[h.base] = h
	}
	return m
}

// set puts a hub at an address.
func (m *market) set(base string, h *hub) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hubs[base] = h
}

func (m *market) Do(ctx context.Context, method, url string, h http.Header, body []byte) (*safehttp.Response, error) {
	m.mu.Lock()
	m.now++
	m.most = max(m.most, m.now)
	var hub *hub
	var base string
	var failure error = &safehttp.Error{Kind: safehttp.ErrUnreachable, Host: url, Reason: "nobody is there"}
	for b, x := range m.hubs {
		if strings.HasPrefix(url, b+"/") {
			hub, base = x, b
		}
	}
	for b, err := range m.fail {
		if strings.HasPrefix(url, b+"/") {
			hub, failure = nil, err
		}
	}
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.now--; m.mu.Unlock() }()
	if hub == nil {
		return nil, failure
	}
	if hub.delay > 0 {
		select {
		case <-time.After(hub.delay):
		case <-ctx.Done():
			return nil, &safehttp.Error{Kind: safehttp.ErrTimeout, Host: url, Reason: "slow", Cause: ctx.Err()}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status, doc := 404, []byte("{}")
	switch strings.TrimPrefix(url, base) {
	case "/.well-known/ai-market.json":
		status, doc = 200, hub.discovery()
	case "/ai-market/v2/manifest":
		status, doc = 200, hub.manifest()
	case "/ai-market/v2/invoke":
		v, err := canon.Parse(body)
		if err != nil || method != http.MethodPost {
			return nil, errors.New("a broken request")
		}
		m.calls = append(m.calls, call{base, v.Get("product_id").Str() + "/" + v.Get("capability_id").Str(), h["X-Aimarket-Sandbox-Visitor"][0], string(v.Get("input").Raw())})
		var answer any
		if hub.reply == nil {
			status, answer = 200, hub.serve(v)
		} else {
			status, answer = hub.reply(v)
		}
		doc = encode(answer)
	}
	return &safehttp.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: doc}, nil
}

func (h *hub) discovery() []byte {
	base := h.base
	doc := map[string]any{"name": "Hub", "protocol_versions": []string{"v2"}, "hub_version": "3", "manifest_url": base + "/ai-market/v2/manifest",
		"signer_public_key": h.key.PublicBase64()}
	if h.unsigned {
		return encode(doc)
	}
	return signed(doc, h.key, canon.ObjectMessage)
}

func (h *hub) manifest() []byte {
	doc := signed(map[string]any{"protocol_version": "v2", "generated_at": h.generated.UTC().Format(time.RFC3339), "tools": h.tools, "by_hub": map[string]any{}},
		h.key, canon.ManifestMessage)
	if h.spoil != nil {
		doc = h.spoil(doc)
	}
	return doc
}

// serve answers a call with a receipt, free of charge.
func (h *hub) serve(v canon.Value) any {
	receipt := map[string]any{"nonce": "rcpt_1", "product_id": v.Get("product_id").Str(), "capability_id": v.Get("capability_id").Str(),
		"price_usd": 0, "timestamp": "2026-11-24T12:00:00Z", "success": true, "latency_ms": 3, "sandbox": true}
	if h.change != nil {
		h.change(receipt)
	}
	key := h.key
	if h.signsWith != nil {
		key = h.signsWith
	}
	receipt = map[string]any{"receipt": json.RawMessage(signed(receipt, key, func(v canon.Value) ([]byte, error) {
		m, _, _, err := canon.ReceiptMessage(v)
		return m, err
	}))}
	return map[string]any{"success": true, "result": map[string]any{}, "receipt": receipt["receipt"], "price_usd": 0}
}

func encode(doc any) []byte {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return b
}

func signed(doc map[string]any, key *identity.Key, message func(canon.Value) ([]byte, error)) []byte {
	v, err := canon.Parse(encode(doc))
	if err != nil {
		panic(err)
	}
	m, err := message(v)
	if err != nil {
		panic(err)
	}
	doc["signature"] = map[string]any{"algorithm": "ed25519", "public_key": key.PublicBase64(), "value": key.SignBase64(m)}
	defer delete(doc, "signature")
	return encode(doc)
}

// office is a catalogue's waiting room: it keeps what it is told.
type office struct {
	mu      sync.Mutex
	due     chan struct{}
	waiting []catalog.Peer
	next    time.Time
	noted   map[string][]catalog.Trial
	reports []catalog.Experience
	err     error
	asked   int
}

func newOffice(waiting ...catalog.Peer) *office {
	return &office{due: make(chan struct{}, 1), waiting: waiting, noted: map[string][]catalog.Trial{}}
}

func (o *office) AdmissionDue() <-chan struct{} { return o.due }

func (o *office) TrialsDue(n int) ([]catalog.Peer, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	return append([]catalog.Peer(nil), o.waiting[:min(n, len(o.waiting))]...), o.next
}

func (o *office) NoteClaim(_ context.Context, url, claim string, shown bool, detail string) (catalog.Peer, error) {
	return catalog.Peer{}, errors.New("no look was due")
}

func (o *office) NoteTrial(_ context.Context, url string, t catalog.Trial) (catalog.Peer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.noted[url] = append(o.noted[url], t)
	if o.err != nil {
		return catalog.Peer{}, o.err
	}
	p := catalog.Peer{URL: url, Status: catalog.PeerPending, Trial: t}
	for i, w := range o.waiting {
		if w.URL == url {
			p = w
			o.waiting = append(o.waiting[:i:i], o.waiting[i+1:]...)
			break
		}
	}
	p.Trial = t
	if t.Passed {
		p.Status = catalog.PeerActive
	}
	return p, nil
}

func (o *office) Report(_ context.Context, e catalog.Experience) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reports = append(o.reports, e)
	return nil
}

func newAdmitter(t *testing.T, m *market, o *office, change ...func(*Config)) *Admitter {
	t.Helper()
	c := Config{Catalog: o, Fetch: m, HubURL: self, Now: time.Now, Rand: rand.Reader}
	for _, x := range change {
		x(&c)
	}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

var visitorForm = regexp.MustCompile(`^assay-[0-9a-f]{12}$`)

func (o *office) trials(url string) []catalog.Trial {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.noted[url]
}

func (o *office) asks() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}
