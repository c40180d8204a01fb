package catalog

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The same capability at several hubs is several offers, each at its routed price.
func TestSameCapabilityAtSeveralHubs(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	own := row("prod", "translate@v1")
	own.PriceMicros = 20_000
	h.put(own)
	for host, price := range map[string]float64{"a": 0.02, "b": 0.0001, "c": 0.00005} {
		h.sell(newStranger(h, "https://"+host+".example.org"), tool("prod", "translate@v1", members{"price_per_call_usd": price}))
	}
	res, err := h.Search(ctx, Query{Intent: "translate"})
	must(t, err)
	got := map[string]int64{}
	for _, m := range res.Matches {
		got[m.SourceHub] = m.RoutedMicros
		if m.RoutingFeeBps == 0 != (m.SourceHub == Local) {
			t.Errorf("fee of %s: %d", m.SourceHub, m.RoutingFeeBps)
		}
	}
	want := map[string]int64{Local: 20_000, "https://a.example.org": 20_200, "https://b.example.org": 101, "https://c.example.org": 50} // half a micro-USD goes to the even
	if diff := cmp.Diff(want, got); diff != "" || res.Total != 4 || res.HubsSearched != 4 {
		t.Fatalf("%d of %d hubs (-want +got):\n%s", res.Total, res.HubsSearched, diff)
	}
	// A budget is held against the routed price.
	res, err = h.Search(ctx, Query{Intent: "translate", BudgetMicros: 20_100, HasBudget: true})
	must(t, err)
	if res.Total != 3 {
		t.Fatalf("%d offers within the budget", res.Total)
	}
}

// How long a hub may be silent is the operator's to say.
func TestStaleAfterIsConfigured(t *testing.T) {
	h := newHub(t, func(c *Config) { c.StaleAfter, c.AwayAfter = 10*time.Minute, time.Hour })
	ctx := context.Background()
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "do@v1", nil))
	for _, tt := range []struct {
		age                 time.Duration
		route               string
		found, asked, known bool
	}{
		{9 * time.Minute, RouteLive, true, true, true},
		{11 * time.Minute, RouteStale, false, true, true},
		{61 * time.Minute, RouteUnavailable, false, false, false},
	} {
		h.clock.add(tt.age - h.clock.Now().Sub(mustPeer(t, h, s.url).LastCrawl))
		plain, err := h.Search(ctx, Query{})
		must(t, err)
		stale, err := h.Search(ctx, Query{IncludeStale: true})
		must(t, err)
		rows, err := h.hubHasRows(s.url)
		must(t, err)
		if got := h.route(s.url, h.clock.Now()).Status; got != tt.route || (plain.Total == 1) != tt.found || (stale.Total == 1) != tt.asked || rows != tt.known {
			t.Errorf("after %s: route %s, found %d, asked for stale %d, rows %v", tt.age, got, plain.Total, stale.Total, rows)
		}
	}
	h.sell(s, tool("prod", "do@v1", nil))
	if len(h.findable(s.url)) != 1 {
		t.Error("the next sign of life does not bring it back")
	}
}

// Documents name admitted hubs, and of the others only those that this hub itself read
// at a public address of theirs, as observed. Nothing else of a hub without effect is
// anywhere in them.
func TestDocumentsNameNobodyPending(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	active := newStranger(h, "https://active.example.org")
	h.sell(active, tool("prod", "active@v1", nil))
	seen := newStranger(h, "https://seen.example.org")
	h.meet(seen)
	h.TakeManifest(ctx, seen.url, seen.manifest(tool("prod", "secret@v1", nil)))
	_, err := h.Announce(ctx, Announcement{HubURL: "https://announced.example.org"})
	must(t, err)
	_, err = h.Sight(ctx, "https://sighted.example.org", "gossip:x", 1)
	must(t, err)
	lone := newStranger(h, "https://lone.example.org")
	h.take(parsedAt(t, KeyURL(lone.key.Public()), lone.discovery(nil)))
	rejected := newStranger(h, "https://rejected.example.org")
	h.meet(rejected)
	_, err = h.Reject(ctx, rejected.url)
	must(t, err)
	changed := newStranger(h, "https://changed.example.org")
	h.sell(changed, tool("prod", "secret.too@v1", nil))
	h.take(newStrangerNamed(h, "thief", changed.url).found(nil))

	docs := h.documents()
	for word, want := range map[string]bool{
		"active.example.org": true, "active@v1": true, `"url":"https://seen.example.org"`: true,
		"announced.example.org": false, "sighted.example.org": false, "libp2p://": false, "lone.example.org": false,
		"rejected.example.org": false, "changed.example.org": false, "secret": false,
	} {
		if strings.Contains(docs, word) != want {
			t.Errorf("documents mention %s: %v", word, !want)
		}
	}
	before, observed, ok := strings.Cut(docs, `"observed_hubs":[`)
	observed, after, _ := strings.Cut(observed, "]")
	if !ok || strings.Contains(before+after, "seen.example.org") || strings.Count(observed, `"url"`) != 1 {
		t.Errorf("observed: %s", observed)
	}
	doc, err := h.Discovery(ctx, Status{})
	must(t, err)
	checkSchema(t, "well-known.json", doc.Body)
	// Others read of us what we say.
	d := parsedAt(t, h.cfg.HubURL, doc.Body)
	if !d.Signed || len(d.Neighbours) != 2 || !d.Neighbours[1].Observed || d.PeerID != "" {
		t.Fatalf("%+v", d)
	}
	h.SetAddresses("12D3KooWSelf", []string{"/ip4/192.0.2.7/udp/4001/quic-v1"}, "https://hub.example.com")
	doc, err = h.Discovery(ctx, Status{})
	must(t, err)
	checkSchema(t, "well-known.json", doc.Body)
	if d := parsedAt(t, h.cfg.HubURL, doc.Body); d.PeerID != "12D3KooWSelf" || len(d.Multiaddrs) != 1 {
		t.Fatalf("%+v", d)
	}
	// And our manifest is one that we would take.
	m, err := h.Manifest(ctx)
	must(t, err)
	if _, refused := readManifest(m.Body, h.mesh.ownKey, h.clock.Now()); refused != nil {
		t.Fatalf("%+v", refused)
	}
}
