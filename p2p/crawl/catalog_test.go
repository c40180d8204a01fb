package crawl

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/internal/store"
)

// anyURL lets every address be stored.
type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

// open is a real catalogue of a hub, over a store in memory.
func open(t *testing.T, url string, change ...func(*catalog.Config)) (*catalog.Catalog, *identity.Key) {
	t.Helper()
	db, err := store.Open("db", store.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	key := testKey(url)
	c := catalog.Config{Store: db, Signer: key, URLs: anyURL{}, Now: time.Now, HubURL: url, HubName: url, HubVersion: "1", RoutingFeeBps: 100,
		MinTrust: 0.3, CrawlInterval: time.Hour, MaxRows: 10_000, Admission: catalog.AdmitVerified}
	for _, x := range change {
		x(&c)
	}
	k, err := catalog.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, key
}

// published serves a catalogue's own documents as a hub does.
type published struct {
	catalog *catalog.Catalog
	down    bool
}

func (p *published) serve(r *http.Request) (*safehttp.Response, error) {
	if p.down {
		return &safehttp.Response{Status: 503, Header: http.Header{}}, nil
	}
	var doc catalog.Document
	var err error
	switch r.URL.Path {
	case discoveryPath:
		doc, err = p.catalog.Discovery(r.Context(), catalog.Status{})
	case manifestPath:
		doc, err = p.catalog.Manifest(r.Context())
	default:
		return &safehttp.Response{Status: 404, Header: http.Header{}}, nil
	}
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", doc.ETag)
	if r.Header.Get("If-None-Match") == doc.ETag {
		return &safehttp.Response{Status: 304, Header: w.Header()}, nil
	}
	return &safehttp.Response{Status: 200, Header: w.Header(), Body: doc.Body}, nil
}

func capability(product, id string) catalog.Capability {
	return catalog.Capability{Key: catalog.Key{ProductID: product, CapabilityID: id, SourceHub: catalog.Local}, Name: id, Version: "v1",
		Description: "Does " + id, InputSchema: []byte(`{}`), OutputSchema: []byte(`{}`), PriceMicros: 1000, TrustScore: 0.85, SuccessRate30d: 0.9, Builtin: true}
}

func rowsOf(c *catalog.Catalog, hub string) int {
	n := 0
	for _, id := range []string{"c1", "c2", "c3"} {
		if _, err := c.Lookup(context.Background(), "p1", id, hub); err == nil {
			n++
		}
	}
	return n
}

// The whole way with real catalogues at both ends: a seed with a pinned key and its
// neighbour, changes, a change of key, an operator's approval.
func TestCrawlBetweenCatalogues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const urlA, urlB = "https://a.example", "https://b.example"
		a, keyA := open(t, urlA)
		b, _ := open(t, urlB)
		for _, c := range []*catalog.Catalog{a, b} {
			if err := c.Put(t.Context(), []catalog.Capability{capability("p1", "c1")}); err != nil {
				t.Fatal(err)
			}
		}
		w := newWorld()
		siteA, siteB := &published{catalog: a}, &published{catalog: b}
		w.add(urlA).serve, w.add(urlB).serve = siteA.serve, siteB.serve

		// a knows b: it reads b's documents as anybody does, and its operator admits b.
		ka := newCrawler(t, w, a, func(c *Config) { c.HubURL = urlA; c.Seeds = []string{urlB} })
		if h := of(t, crawl(t, ka), urlB); h.Outcome != OutcomePending || h.Status != "pending" {
			t.Fatalf("%+v", h)
		}
		if rows, err := a.Preview(t.Context(), urlB, 10); err != nil || len(rows) != 1 {
			t.Errorf("preview %v %v", rows, err)
		}
		if rowsOf(a, urlB) != 0 {
			t.Error("a pending peer's row is listed")
		}
		if _, err := a.Approve(t.Context(), urlB, true); err != nil {
			t.Fatal(err)
		}
		if h, err := ka.CrawlHub(t.Context(), urlB); err != nil || h.Outcome != OutcomeIndexed || h.Status != "active" || rowsOf(a, urlB) != 1 {
			t.Errorf("approved: %+v %v", h, err)
		}

		c, _ := open(t, self, func(c *catalog.Config) { c.SeedKeys = map[string]string{urlA: keyA.PublicBase64()} })
		k := newCrawler(t, w, c, seeds(urlA))
		r := crawl(t, k)
		if h := of(t, r, urlA); h.Outcome != OutcomeIndexed || h.Status != "active" || h.Indexed != 1 || len(h.Dropped) != 1 {
			t.Errorf("pinned seed: %+v", h) // b's row is a re-export
		}
		if h := of(t, r, urlB); h.Outcome != OutcomePending || h.Depth != 1 || h.Discoverer != "gossip:"+urlA {
			t.Errorf("neighbour: %+v", h)
		}
		if rowsOf(c, urlA) != 1 || rowsOf(c, urlB) != 0 || r.PeersFound != 2 {
			t.Errorf("rows %d %d, %d peers found", rowsOf(c, urlA), rowsOf(c, urlB), r.PeersFound)
		}

		time.Sleep(10 * time.Second)
		if h := of(t, crawl(t, k), urlA); h.Outcome != OutcomeUnchanged || rowsOf(c, urlA) != 1 {
			t.Errorf("unchanged: %+v", h)
		}
		if err := a.Put(t.Context(), []catalog.Capability{capability("p1", "c2")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if h := of(t, crawl(t, k), urlA); h.Outcome != OutcomeIndexed || h.Indexed != 2 || rowsOf(c, urlA) != 2 {
			t.Errorf("changed: %+v", h)
		}

		siteA.down = true
		if h := of(t, crawl(t, k), urlA); h.Outcome != OutcomeFailed || rowsOf(c, urlA) != 2 {
			t.Errorf("down: %+v", h)
		}
		siteA.down = false
		if err := c.RemovePeer(t.Context(), urlA); err != nil {
			t.Fatal(err)
		}
		if h := of(t, crawl(t, k), urlA); h.Outcome != OutcomeIndexed || rowsOf(c, urlA) != 2 {
			t.Errorf("removed and found again: %+v; a validator kept it without rows", h)
		}

		thief, _ := open(t, urlA, func(c *catalog.Config) { c.Signer = testKey("thief") })
		siteA.catalog = thief
		time.Sleep(10 * time.Second)
		if h := of(t, crawl(t, k), urlA); h.Outcome != OutcomeRefused || h.Status != "key_mismatch" {
			t.Errorf("another key: %+v", h)
		}
		siteA.catalog = a
		if h := of(t, crawl(t, k), urlA); h.Status != "active" {
			t.Errorf("the old key is back: %+v", h)
		}
	})
}

// What a cycle indexed is what it put into effect: of a member whose heads are newer
// than its manifest nothing, however much that lists, and of others their own rows.
func TestCrawlCountsWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const urlA, urlB = "https://a.example", "https://b.example"
		w := newWorld()
		a, _ := open(t, urlA, func(c *catalog.Config) { c.Admission = catalog.AdmitAll })
		b, _ := open(t, urlB, func(c *catalog.Config) { c.Admission = catalog.AdmitAll })
		for url, x := range map[string]*catalog.Catalog{urlA: a, urlB: b} {
			x.SetAddresses("", nil, url)
			w.add(url).serve = (&published{catalog: x}).serve
			if err := x.Put(t.Context(), []catalog.Capability{capability("p1", "c1"), capability("p1", "c2")}); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := open(t, self, func(c *catalog.Config) { c.Admission = catalog.AdmitAll })
		hear := func(from *catalog.Catalog, by ...*catalog.Catalog) {
			u, err := from.NextUpdate(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range by {
				if in := at.TakeUpdate(t.Context(), u, catalog.Source{Via: catalog.ViaSync, Peer: "x"}); !in.Changed {
					t.Fatalf("%+v", in)
				}
			}
		}
		hear(a, b, c) // each other's rows are in their manifests
		hear(b, a)
		k := newCrawler(t, w, c, seeds(urlA, urlB))
		if h, err := k.CrawlHub(t.Context(), urlA); err != nil || h.Outcome != OutcomeUnchanged || h.Indexed != 0 || !strings.Contains(h.Detail, "heads are newer") {
			t.Errorf("%+v, %v", h, err)
		}
		r := crawl(t, k)
		if h := of(t, r, urlB); h.Outcome != OutcomeIndexed || h.Indexed != 2 || len(h.Dropped) != 2 {
			t.Errorf("%+v", h)
		}
		if h := of(t, r, urlA); h.Outcome != OutcomeUnchanged || h.Indexed != 0 || r.Indexed != 2 {
			t.Errorf("%d in the cycle, of the member %+v", r.Indexed, h)
		}
	})
}

// A hub that moved is one peer, at its new address, whichever was read first.
func TestCrawlMoveBetweenCatalogues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const before, after = "https://old.example", "https://new.example"
		first, key := open(t, before)
		w := newWorld()
		site := &published{catalog: first}
		w.add(before).serve = site.serve
		c, _ := open(t, self, func(c *catalog.Config) { c.SeedKeys = map[string]string{before: key.PublicBase64()} })
		k := newCrawler(t, w, c, seeds(before))
		crawl(t, k)
		moved, _ := open(t, after, func(c *catalog.Config) { c.Signer = key })
		w.add(after).serve = (&published{catalog: moved}).serve
		site.catalog = moved // the old address shows where the hub lives now
		time.Sleep(10 * time.Second)
		crawl(t, k)
		if _, there := c.Peer(before); there {
			t.Error("the old address is still a peer")
		}
		if p, there := c.Peer(after); !there || p.Status != catalog.PeerActive {
			t.Errorf("the new address: %+v", p)
		}
		time.Sleep(10 * time.Second)
		r := crawl(t, k)
		if p, _ := c.Peer(after); p.Status != catalog.PeerActive || r.Errors != 0 {
			t.Errorf("%+v, %d errors: %+v", p, r.Errors, r.Hubs)
		}
	})
}

// Many crawls, notices and single reads at once harm nobody.
func TestCrawlConcurrently(t *testing.T) {
	w := newWorld()
	var list []string
	for i := range 30 {
		w.add(name(i), name((i+1)%30))
		list = append(list, name(i))
	}
	c, _ := open(t, self)
	k := newCrawler(t, w, c, seeds(list...))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 10 {
				k.Noticed(name(100+j), "x")
				if i%2 == 0 {
					k.Crawl(t.Context())
				} else {
					k.CrawlHub(t.Context(), name(j))
				}
				k.Visitors()
			}
		})
	}
	all.Wait()
	for host, n := range w.most {
		if host != "" && n > 1 {
			t.Errorf("%s was asked %d things at once", host, n)
		}
	}
}
