package admit

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/p2p/crawl"
)

type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

func open(t *testing.T, policy catalog.Admission) *catalog.Catalog {
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
	c, err := catalog.Open(t.Context(), catalog.Config{Store: db, Signer: testKey("self"), URLs: anyURL{}, Now: time.Now, HubURL: self, HubName: "Self",
		HubVersion: "1", RoutingFeeBps: 100, MinTrust: 0.3, CrawlInterval: time.Hour, MaxRows: 10_000, Admission: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Crawler, trials and catalogue together: a stranger is found, tried, admitted and
// read; a forger stays outside and is tried less and less often.
func TestStrangersAreFoundTriedAndAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, forger := newHub(base), newHub("https://forger.example")
		forger.key, forger.signsWith = testKey("forger"), testKey("nobody")
		m := newMarket(good, forger)
		c := open(t, catalog.AdmitVerified)
		k, err := crawl.New(crawl.Config{Catalog: c, Fetch: m, HubURL: self, Seeds: []string{good.base, forger.base}, MaxDepth: 3, Now: time.Now, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		a, err := New(Config{Catalog: c, Fetch: m, HubURL: self, Now: time.Now, Rand: rand.Reader, Admitted: func(ctx context.Context, p catalog.Peer) {
			if h, err := k.CrawlHub(ctx, p.URL); err != nil || h.Outcome != crawl.OutcomeIndexed {
				t.Errorf("%+v %v", h, err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := k.Crawl(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p, _ := c.Peer(good.base)
		if p.Status != catalog.PeerActive || !p.Trial.Passed || p.Trial.Capability.CapabilityID != "c1" {
			t.Errorf("%+v", p)
		}
		if _, err := c.Lookup(t.Context(), "p1", "c1", good.base); err != nil {
			t.Errorf("its row: %v", err)
		}
		if len(c.EventsOf(good.base, 5)) != 1 {
			t.Error("the trial call is not in its reputation")
		}
		p, _ = c.Peer(forger.base)
		if p.Status != catalog.PeerPending || p.Trial.Failures != 1 || !strings.Contains(p.Why, "does not verify") {
			t.Errorf("%+v", p)
		}
		if _, err := c.Lookup(t.Context(), "p1", "c1", forger.base); err == nil {
			t.Error("the forger's row is listed")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if p, _ = c.Peer(forger.base); p.Trial.Failures < 9 || p.Trial.Failures > 14 {
			t.Errorf("%d trials in a day", p.Trial.Failures)
		}
		forger.signsWith = nil // it was repaired
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if p, _ = c.Peer(forger.base); p.Status != catalog.PeerActive {
			t.Errorf("%+v", p)
		}
	})
}

func TestNothingIsTriedUnderOtherPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(base)
		m := newMarket(h)
		c := open(t, catalog.AdmitNone)
		d, err := catalog.ParseDiscovery(base, h.discovery())
		if err != nil {
			t.Fatal(err)
		}
		c.TakeDiscovery(t.Context(), d, "seed", 0)
		a, err := New(Config{Catalog: c, Fetch: m, HubURL: self, Now: time.Now, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(m.calls) != 0 {
			t.Errorf("calls %v", m.calls)
		}
		p, _ := c.Peer(base)
		if tried := a.Try(t.Context(), p); !tried.Passed {
			t.Errorf("asked for: %+v", tried)
		}
	})
}
