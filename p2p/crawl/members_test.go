package crawl

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

func TestCrawlMeshMembers(t *testing.T) {
	now := time.Now()
	member := func(url string, last time.Duration) catalog.Peer {
		return catalog.Peer{URL: url, Status: catalog.PeerActive, Sequence: 7, Expires: now.Add(time.Hour), LastCrawl: now.Add(-last), PublicKey: testKey(url).PublicBase64()}
	}
	w, s := newWorld(), newShelf()
	fresh, silent := w.add("http://fresh.example"), w.add("http://silent.example")
	fresh.key, silent.key = testKey(fresh.base), testKey(silent.base)
	byKey := catalog.KeyURL(testKey("k").Public())
	headless := catalog.KeyURL(testKey("l").Public())
	for _, p := range []catalog.Peer{member(fresh.base, 4*time.Hour), member(silent.base, 7*time.Hour), member(byKey, 7*time.Hour)} {
		s.trusted[p.URL] = true
		s.put(p)
	}
	s.put(catalog.Peer{URL: headless, Status: catalog.PeerPending})
	w.add(headless)
	w.add(byKey)
	c := newCrawler(t, w, s)
	r := crawl(t, c)
	// Its next head is due after half of StaleAfter; one that is late is no reason to crawl.
	if h := of(t, r, fresh.base); h.Outcome != OutcomeUnchanged || s.manifests[fresh.base] != 0 {
		t.Errorf("a member whose head is fresh: %+v", h)
	}
	if h := of(t, r, silent.base); h.Outcome != OutcomeIndexed {
		t.Errorf("a member that has been silent: %+v", h)
	}
	if has(r, byKey) {
		t.Error("a member without an address was crawled")
	}
	if !has(r, headless) || !slices.Contains(w.asked, headless+discoveryPath) {
		t.Error("a hub known by its key alone, without a head, was not read over streams")
	}
	w.asked = nil
	if r = crawl(t, c); has(r, fresh.base) {
		t.Error("a fresh member was read again at once")
	}
}

// TestCrawlMembersBeforeTheyGoStale: a hub that hides rows after an hour of silence does
// not wait six for a reason to read them again.
func TestCrawlMembersBeforeTheyGoStale(t *testing.T) {
	now := time.Now()
	w, s := newWorld(), newShelf()
	m := w.add("http://member.example")
	m.key = testKey(m.base)
	s.trusted[m.base] = true
	s.put(catalog.Peer{URL: m.base, Status: catalog.PeerActive, Sequence: 7, Expires: now.Add(time.Hour), LastCrawl: now.Add(-2 * time.Hour), PublicKey: m.key.PublicBase64()})
	r := crawl(t, newCrawler(t, w, s, func(c *Config) { c.StaleAfter = time.Hour }))
	if h := of(t, r, m.base); h.Outcome != OutcomeIndexed {
		t.Errorf("a member whose rows are stale: %+v", h)
	}
}

func TestCrawlRefreshesWhatNobodyLinksStalestFirst(t *testing.T) {
	w, s := newWorld(), newShelf()
	for i := range 40 {
		w.add(name(i))
		s.trusted[name(i)] = true
		s.put(catalog.Peer{URL: name(i), Status: catalog.PeerActive, LastCrawl: time.Now().Add(-time.Duration(i) * time.Minute), PublicKey: w.sites[name(i)].key.PublicBase64()})
	}
	r := crawl(t, newCrawler(t, w, s))
	if len(r.Hubs) != RefreshHubs {
		t.Fatalf("%d hubs refreshed", len(r.Hubs))
	}
	for i, h := range r.Hubs {
		if h.URL != name(39-i) || h.Depth != 1 || h.Outcome != OutcomeIndexed {
			t.Errorf("%d: %+v", i, h)
		}
	}
}

func TestCrawlGoesWhereAHubSaysItLives(t *testing.T) {
	w, s := newWorld(), newShelf()
	old, moved := w.add("http://old.example"), w.add("http://new.example")
	moved.key = old.key
	old.manifest = moved.base + manifestPath
	r := crawl(t, newCrawler(t, w, s, seeds(old.base)))
	if h := of(t, r, moved.base); h.Depth != 0 || h.Discoverer != "gossip:"+old.base {
		t.Errorf("%+v", h)
	}
}

func TestCrawlJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		w.add(name(0)).delay = 10 * time.Second
		c := newCrawler(t, w, s, seeds(name(0)))
		reports := make(chan Report, 3)
		for range 3 {
			go func() {
				r, err := c.Crawl(t.Context())
				if err != nil {
					t.Error(err)
				}
				reports <- r
			}()
		}
		for range 3 {
			if r := <-reports; r.Discovered != 1 || len(r.Hubs) != 1 {
				t.Errorf("%+v", r)
			}
		}
		if len(w.asked) != 2 {
			t.Errorf("asked %v", w.asked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Crawl(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that gives up: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Crawl(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := c.CrawlHub(t.Context(), name(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if len(s.unreachable) != 0 {
			t.Error("a hub is blamed for a cycle that was broken off")
		}
	})
}

func TestCrawlHub(t *testing.T) {
	w, s := newWorld(), newShelf(name(0))
	w.add(name(0), name(1), name(2))
	w.add(name(1))
	c := newCrawler(t, w, s, seeds(name(0)))
	crawl(t, c)
	s.sights, w.asked = nil, nil
	w.sites[name(0)].neighbours = []string{name(1), name(3)}
	h, err := c.CrawlHub(t.Context(), name(0)+"/")
	if err != nil || h.Outcome != OutcomeIndexed || h.Indexed != 1 || h.NewPeers != 1 || h.Discoverer != "seed" {
		t.Errorf("%+v %v", h, err)
	}
	if s.manifests[name(0)] != 2 {
		t.Error("the manifest was not read as a whole")
	}
	if len(w.asked) != 2 {
		t.Errorf("asked %v", w.asked)
	}
	if _, err := c.CrawlHub(t.Context(), "nonsense"); err == nil {
		t.Error("nonsense is a hub")
	}
}
