package crawl

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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

// world is hubs that are reached without a network, so that a whole crawl also runs in
// virtual time.
type world struct {
	mu    sync.Mutex
	sites map[string]*site
	asked []string       // method-less log of URLs, in order
	open  map[string]int // exchanges now, by host
	most  map[string]int // the most there were at once, by host; "" is all together
}

// site is one hub of the world, as its operator set it up.
type site struct {
	base       string
	key        *identity.Key
	name       string
	neighbours []string // peers
	observed   []string
	seeds      []string
	tools      []map[string]any
	manifest   string // URL, "": the usual one
	etag       bool
	unsigned   bool // discovery
	delay      time.Duration
	serve      func(r *http.Request) (*safehttp.Response, error) // replaces everything
	generated  time.Time                                         // of the manifest
	spoil      func(doc []byte) []byte                           // changes the signed manifest
	conditions []string                                          // If-None-Match headers seen, by order
	headers    http.Header                                       // of the last request
}

func newWorld() *world {
	return &world{sites: map[string]*site{}, open: map[string]int{}, most: map[string]int{}}
}

func testKey(name string) *identity.Key {
	seed := bytes.Repeat([]byte{0}, 32)
	copy(seed, name)
	k, err := identity.FromSeed(seed)
	if err != nil {
		panic(err)
	}
	return k
}

func (w *world) add(base string, neighbours ...string) *site {
	s := &site{base: base, key: testKey(base[max(0, len(base)-32):]), name: base, neighbours: neighbours, etag: true,
		tools: []map[string]any{tool("p1", "c1")}, generated: time.Now()}
	w.sites[base] = s
	return s
}

func tool(product, capability string) map[string]any {
	return map[string]any{"name": product + "." + capability, "description": "d", "input_schema": map[string]any{},
		"product_id": product, "capability_id": capability, "price_per_call_usd": 0, "source_hub": "local"}
}

func (w *world) Do(ctx context.Context, method, url string, h http.Header, body []byte) (*safehttp.Response, error) {
	host := hostOf(url)
	w.mu.Lock()
	w.asked = append(w.asked, url)
	for _, k := range []string{host, ""} {
		w.open[k]++
		w.most[k] = max(w.most[k], w.open[k])
	}
	var s *site
	for base, candidate := range w.sites {
		if strings.HasPrefix(url, base+"/") && (s == nil || len(base) > len(s.base)) {
			s = candidate
		}
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.open[host]--
		w.open[""]--
		w.mu.Unlock()
	}()
	if s == nil {
		return nil, &safehttp.Error{Kind: safehttp.ErrUnreachable, Host: host, Reason: "nobody is there"}
	}
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, &safehttp.Error{Kind: safehttp.ErrTimeout, Host: host, Reason: "slow", Cause: ctx.Err()}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := httptest.NewRequest(method, url, nil).WithContext(ctx)
	r.Header = h.Clone()
	s.headers = h.Clone()
	if s.serve != nil {
		return s.serve(r)
	}
	return s.answer(r)
}

// requests, opened and change are for tests whose crawler works in the background.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *world) opened() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[""]
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// answer is what an honest hub sends.
func (s *site) answer(r *http.Request) (*safehttp.Response, error) {
	var doc []byte
	switch strings.TrimPrefix(r.URL.String(), s.base) {
	case discoveryPath:
		doc = s.discovery()
	case manifestPath, "/static/manifest.json":
		doc = s.listing()
	default:
		return &safehttp.Response{Status: 404, Header: http.Header{}}, nil
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if s.etag {
		tag := `"` + canon.Digest(doc)[:16] + `"`
		h.Set("ETag", tag)
		s.conditions = append(s.conditions, r.Header.Get("If-None-Match"))
		if r.Header.Get("If-None-Match") == tag {
			return &safehttp.Response{Status: 304, Header: h}, nil
		}
	}
	return &safehttp.Response{Status: 200, Header: h, Body: doc}, nil
}

func (s *site) discovery() []byte {
	manifest := s.manifest
	if manifest == "" {
		manifest = s.base + manifestPath
	}
	peers, observed := []any{}, []any{}
	for _, n := range s.neighbours {
		peers = append(peers, map[string]any{"url": n, "name": "n"})
	}
	for _, n := range s.observed {
		observed = append(observed, map[string]any{"url": n, "name": "n", "status": "observed"})
	}
	doc := map[string]any{"name": s.name, "protocol_versions": []string{"v2"}, "hub_version": "3.0.0", "manifest_url": manifest,
		"signer_public_key": s.key.PublicBase64(), "capabilities_count": len(s.tools), "peers": peers, "observed_hubs": observed}
	if s.seeds != nil {
		doc["federation"] = map[string]any{"seed_list": s.seeds}
	}
	if s.unsigned {
		return encode(doc)
	}
	return signed(doc, s.key, canon.ObjectMessage)
}

func (s *site) listing() []byte {
	doc := signed(map[string]any{"protocol_version": "v2", "generated_at": s.generated.UTC().Format("2006-01-02T15:04:05Z"),
		"base_url": s.base, "tools": s.tools, "by_hub": map[string]any{}}, s.key, canon.ManifestMessage)
	if s.spoil != nil {
		doc = s.spoil(doc)
	}
	return doc
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

// shelf is a catalogue that keeps what it is given and decides by the protocol's plain
// rules: who is trusted is active, everybody else pending.
type shelf struct {
	mu          sync.Mutex
	check       func(ctx context.Context, url string) error
	trusted     map[string]bool
	peers       map[string]*catalog.Peer
	rows        map[string]int
	sights      []string // url|discoverer|depth
	unreachable map[string]string
	unchanged   []string
	manifests   map[string]int // taken, by hub
	full        bool
	forgot      map[string]bool // of which a 304 is not enough
}

func newShelf(trusted ...string) *shelf {
	s := &shelf{trusted: map[string]bool{}, peers: map[string]*catalog.Peer{}, rows: map[string]int{}, unreachable: map[string]string{},
		manifests: map[string]int{}, forgot: map[string]bool{}}
	for _, t := range trusted {
		s.trusted[t] = true
	}
	return s
}

func (s *shelf) put(p catalog.Peer) {
	if p.FirstSeen.IsZero() {
		p.FirstSeen = time.Now()
	}
	s.peers[p.URL] = &p
}

func (s *shelf) Sight(ctx context.Context, url, discoverer string, depth int) (bool, error) {
	if s.check != nil {
		if err := s.check(ctx, url); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sights = append(s.sights, fmt.Sprintf("%s|%s|%d", url, discoverer, depth))
	if s.peers[url] != nil {
		return false, nil
	}
	if s.full {
		return false, fmt.Errorf("%w: too many wait", catalog.ErrFull)
	}
	s.peers[url] = &catalog.Peer{URL: url, Status: catalog.PeerPending, Discoverer: discoverer, Depth: depth, FirstSeen: time.Now()}
	return true, nil
}

func (s *shelf) TakeDiscovery(_ context.Context, d *catalog.CrawledDiscovery, discoverer string, depth int) catalog.Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[d.BaseURL]
	if p == nil {
		p = &catalog.Peer{URL: d.BaseURL, Status: catalog.PeerPending, Discoverer: discoverer, Depth: depth, FirstSeen: time.Now()}
		s.peers[d.BaseURL] = p
	}
	if p.PublicKey != "" && p.PublicKey != d.PublicKey {
		p.Status = catalog.PeerKeyMismatch
		return catalog.Sighting{Intake: catalog.Intake{Verdict: catalog.Reject, Reason: catalog.ReasonKeyChanged, Detail: "key changed", State: p.Status}}
	}
	p.PublicKey = d.PublicKey
	if s.trusted[d.BaseURL] {
		p.Status = catalog.PeerActive
		return catalog.Sighting{Intake: catalog.Intake{Reason: catalog.ReasonApplied, State: p.Status}, FetchManifest: true, FollowNeighbour: true, Elsewhere: d.OtherBase()}
	}
	return catalog.Sighting{Intake: catalog.Intake{Reason: catalog.ReasonPending, State: p.Status}, FetchPreview: true, FollowNeighbour: d.Signed, Elsewhere: d.OtherBase()}
}

func (s *shelf) TakeManifest(_ context.Context, url string, raw []byte) catalog.Intake {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[url]
	doc, err := canon.Parse(raw)
	if err != nil {
		return catalog.Intake{Verdict: catalog.Reject, Reason: catalog.ReasonMalformed, Detail: err.Error(), State: p.Status}
	}
	if doc.Get("tools").Kind() != canon.Array {
		return catalog.Intake{Verdict: catalog.Reject, Reason: catalog.ReasonMalformed, Detail: "no tools", State: p.Status}
	}
	key, err := identity.ParsePublicKey(p.PublicKey)
	if err != nil {
		return catalog.Intake{Verdict: catalog.Reject, Reason: catalog.ReasonSignature, Detail: "no key", State: p.Status}
	}
	m, _ := canon.ManifestMessage(doc)
	if err := identity.VerifyBase64(key, m, doc.Get("signature").Get("value").Str()); err != nil {
		return catalog.Intake{Verdict: catalog.Reject, Reason: catalog.ReasonSignature, Detail: err.Error(), State: p.Status}
	}
	if at, _ := time.Parse(time.RFC3339, doc.Get("generated_at").Str()); time.Since(at) > catalog.MaxManifestAge {
		return catalog.Intake{Verdict: catalog.Ignore, Reason: catalog.ReasonExpired, Detail: "too old", State: p.Status}
	}
	s.manifests[url]++
	if p.Status != catalog.PeerActive {
		return catalog.Intake{Reason: catalog.ReasonPending, State: p.Status}
	}
	delete(s.forgot, url)
	s.rows[url] = doc.Get("tools").Len()
	return catalog.Intake{Reason: catalog.ReasonApplied, State: p.Status, Changed: true, Taken: s.rows[url]}
}

func (s *shelf) TakeUnchanged(_ context.Context, url string) catalog.Intake {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgot[url] {
		return catalog.Intake{Verdict: catalog.Ignore, Reason: catalog.ReasonWanted}
	}
	s.unchanged = append(s.unchanged, url)
	return catalog.Intake{Reason: catalog.ReasonApplied, State: catalog.PeerActive}
}

func (s *shelf) TakeUnreachable(_ context.Context, url, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreachable[url] = why
}

func (s *shelf) sighted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sights)
}

func (s *shelf) Peers(state catalog.PeerState) (out []catalog.PeerInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p.Status == state {
			out = append(out, catalog.PeerInfo{Peer: *p})
		}
	}
	return out
}

func newCrawler(t *testing.T, f Fetcher, s Catalog, change ...func(*Config)) *Crawler {
	t.Helper()
	c := Config{Catalog: s, Fetch: f, HubURL: self, MaxDepth: 3, Now: time.Now, Rand: rand.Reader}
	for _, x := range change {
		x(&c)
	}
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func seeds(urls ...string) func(*Config) { return func(c *Config) { c.Seeds = urls } }

func crawl(t *testing.T, c *Crawler) Report {
	t.Helper()
	r, err := c.Crawl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// of is what a report says of one hub.
func of(t *testing.T, r Report, url string) HubReport {
	t.Helper()
	i := slices.IndexFunc(r.Hubs, func(h HubReport) bool { return h.URL == url })
	if i < 0 {
		t.Fatalf("%s is not in the report: %+v", url, r.Hubs)
	}
	return r.Hubs[i]
}

func has(r Report, url string) bool {
	return slices.ContainsFunc(r.Hubs, func(h HubReport) bool { return h.URL == url })
}

func name(i int) string { return fmt.Sprintf("http://h%d.example", i) }

var errRefused = errors.New("address is not public")
