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
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/p2p/crawl"
)

type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

func open(t *testing.T, policy catalog.Admission) *catalog.Catalog {
	t.Helper()
	return openHub(t, testKey("self"), self, policy)
}

// openAs is the catalogue of another hub, which announces its address.
func openAs(t *testing.T, key *identity.Key, url string) *catalog.Catalog {
	t.Helper()
	c := openHub(t, key, url, catalog.AdmitNone)
	c.SetAddresses("", nil, url)
	return c
}

func openHub(t *testing.T, key *identity.Key, url string, policy catalog.Admission) *catalog.Catalog {
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
	c, err := catalog.Open(t.Context(), catalog.Config{Store: db, Signer: key, URLs: anyURL{}, Now: time.Now, HubURL: url, HubName: "Self",
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

// A hub whose address cannot be reached when it is tried is admitted under its key, and
// gets its address without anybody's help once that answers, although others only saw
// the address meanwhile.
func TestAddressIsConfirmedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const claimed = "https://late.example"
		h := newHub(claimed)
		byKey := catalog.KeyURL(h.key.Public())
		m := newMarket(h)
		m.hubs[byKey] = h
		delete(m.hubs, claimed)
		c, other := open(t, catalog.AdmitVerified), openAs(t, h.key, claimed)
		a, err := New(Config{Catalog: c, Fetch: m, HubURL: self, Now: time.Now, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		hear := func() {
			u, err := other.NextUpdate(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			c.TakeUpdate(t.Context(), u, catalog.Source{Via: catalog.ViaSync, Peer: "x"})
			synctest.Wait()
		}
		hear()
		if p, ok := c.Peer(byKey); !ok || p.Status != catalog.PeerActive || p.ClaimedURL != claimed {
			t.Fatalf("%+v", p)
		}
		if _, err := c.Sight(t.Context(), claimed, "crawler", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		hear()
		if p, _ := c.Peer(byKey); p.Look.Failures < 8 || p.Look.Failures > 12 {
			t.Fatalf("%d looks in three hours", p.Look.Failures)
		}
		x := newHub(claimed) // somebody else had the address first
		x.key = testKey("x")
		m.set(claimed, x)
		time.Sleep(6 * time.Hour)
		hear()
		if p, _ := c.Peer(byKey); p.URL != byKey {
			t.Fatalf("another hub's address became its own: %+v", p)
		}
		m.set(claimed, h)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		p, ok := c.Peer(claimed)
		if !ok || p.Status != catalog.PeerActive || p.PublicKey != h.key.PublicBase64() {
			t.Fatalf("%+v", p)
		}
		if n := c.Counts(); n.Peers != 1 || n.Pending != 0 {
			t.Fatalf("%+v", n)
		}
	})
}

// Hubs that start together behind one relay try each other before either can be reached.
// They see each other within seconds of being connected.
func TestHubsThatStartTogether(t *testing.T) {
	for what, told := range map[string]bool{"told of the connection": true, "not told": false} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub("http://private.example")
				byKey := catalog.KeyURL(h.key.Public())
				m := newMarket()
				c, other := open(t, catalog.AdmitVerified), openHub(t, h.key, h.base, catalog.AdmitNone)
				a, err := New(Config{Catalog: c, Fetch: m, HubURL: self, Now: time.Now, Rand: rand.Reader})
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				u, err := other.NextUpdate(t.Context(), true)
				if err != nil {
					t.Fatal(err)
				}
				c.TakeUpdate(t.Context(), u, catalog.Source{Via: catalog.ViaSync, Peer: "x"})
				wait, within := 4*time.Second, 6*time.Second
				if told { // it would be tried some ten seconds later
					wait, within = 20*time.Second, 3*time.Second
				}
				time.Sleep(wait)
				if p, _ := c.Peer(byKey); p.Status != catalog.PeerPending || !p.Trial.Unreached || !strings.Contains(p.Why, "trial failed") {
					t.Fatalf("%+v", p)
				}
				m.set(byKey, h)
				if told {
					c.NoteReachable(h.key.Public())
				}
				time.Sleep(within)
				if p, _ := c.Peer(byKey); p.Status != catalog.PeerActive {
					t.Fatalf("%s later: %+v", within, p)
				}
			})
		})
	}
}
