package crawl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/safehttp"
)

func TestCrawlFollowsNeighboursToTheDepth(t *testing.T) {
	w, s := newWorld(), newShelf()
	for i := range 6 {
		w.add(name(i), name(i+1))
		s.trusted[name(i)] = true
	}
	r := crawl(t, newCrawler(t, w, s, seeds(name(0)+"/.well-known/ai-market.json")))
	if r.Discovered != 4 || r.Indexed != 4 || r.Errors != 0 || r.PeersFound != 5 || r.Truncated {
		t.Errorf("report %+v", r)
	}
	for i := range 4 {
		if h := of(t, r, name(i)); h.Depth != i || h.Outcome != OutcomeIndexed || h.Status != "active" || h.Indexed != 1 {
			t.Errorf("hub %d: %+v", i, h)
		}
	}
	if has(r, name(4)) {
		t.Error("a hub beyond the depth was read")
	}
	if want := name(4) + "|gossip:" + name(3) + "|4"; !slices.Contains(s.sights, want) {
		t.Errorf("the neighbour beyond the depth is not recorded: %q", s.sights)
	}
	if of(t, r, name(2)).NewPeers != 1 {
		t.Error("who named a new peer is not credited")
	}
	h := w.sites[name(1)].headers
	if h.Get(crawlerHeader) != "" || h["X-AIMarket-Crawler"][0] != self || h.Get("User-Agent") == "" {
		t.Errorf("headers %v", h)
	}
}

func TestCrawlEndsInCycles(t *testing.T) {
	w, s := newWorld(), newShelf()
	for i := range 4 {
		w.add(name(i), name(0), name(1), name(2), name(3), self, "http://SELF.example/")
	}
	r := crawl(t, newCrawler(t, w, s, seeds(name(0))))
	if r.Discovered != 4 || len(w.asked) != 8 {
		t.Errorf("%d discovered by %d requests: %v", r.Discovered, len(w.asked), w.asked)
	}
}

// The frontier is read seeds first, then pending peers, the newest first.
func TestCrawlOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		now := time.Now()
		var want []string
		for i := range 3 {
			w.add(name(i)).delay = time.Second
			want = append(want, name(i))
		}
		for i := 3; i < 6; i++ {
			w.add(name(i)).delay = time.Second
			want = append(want, name(i))
			s.put(catalog.Peer{URL: name(i), Status: catalog.PeerPending, Discoverer: "announce", FirstSeen: now.Add(-time.Duration(i) * time.Hour)})
		}
		w.add(name(9))
		s.put(catalog.Peer{URL: name(9), Status: catalog.PeerRejected})
		r := crawl(t, newCrawler(t, w, s, seeds(name(0), "not a url", name(1), name(2), name(0))))
		var got []string
		for _, h := range r.Hubs {
			if h.Outcome == OutcomePending {
				got = append(got, h.URL)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
		if of(t, r, name(3)).Depth != 1 || of(t, r, name(3)).Discoverer != "announce" {
			t.Errorf("pending peer: %+v", of(t, r, name(3)))
		}
		if h := of(t, r, "not a url"); h.Outcome != OutcomeRefused || h.Detail == "" {
			t.Errorf("bad seed: %+v", h)
		}
		if has(r, name(9)) {
			t.Error("a rejected peer that nobody named is in the report")
		}
	})
}

// A slow way to a hub does not hide a shorter one that is found later.
func TestCrawlDepthIsOfTheShortestWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		// 0 → 1 → 2 → 3 → 4 quickly; 5 (slow seed) → 3.
		for i := range 4 {
			w.add(name(i), name(i+1))
		}
		w.add(name(4), name(6))
		w.add(name(5), name(3)).delay = 20 * time.Second
		w.add(name(6))
		r := crawl(t, newCrawler(t, w, s, seeds(name(0), name(5))))
		for i, depth := range map[int]int{3: 1, 4: 2, 6: 3} {
			if h := of(t, r, name(i)); h.Depth != depth || h.Outcome != OutcomePending {
				t.Errorf("hub %d: %+v, want depth %d", i, h, depth)
			}
		}
	})
}

func TestCrawlIsParallelButAsksAHostOneThingAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		var list []string
		for i := range 40 { // 20 hosts with two hubs each, on other ports
			url := fmt.Sprintf("http://h%d.example:%d", i/2, 8000+i)
			w.add(url).delay = time.Second
			s.trusted[url] = true
			list = append(list, url)
		}
		// Two hubs keep their manifests at a third.
		w.sites[list[0]].manifest = list[39] + "/static/manifest.json"
		began := time.Now()
		r := crawl(t, newCrawler(t, w, s, seeds(list...)))
		if r.Discovered != 40 {
			t.Errorf("%d discovered", r.Discovered)
		}
		for host, n := range w.most {
			if host != "" && n != 1 {
				t.Errorf("%s was asked %d things at once", host, n)
			}
		}
		if w.most[""] != Parallel {
			t.Errorf("%d exchanges at once, want %d", w.most[""], Parallel)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("took %v; one after the other would be 80 s", took)
		}
	})
}

// Strangers that answer slowly do not take the room of active peers, nor all time.
func TestCrawlStrangersLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		for i := range 1500 {
			w.add(name(i)).delay = time.Hour
			s.put(catalog.Peer{URL: name(i), Status: catalog.PeerPending})
		}
		w.add(name(5000), name(5001)).delay = time.Second
		w.add(name(5001)).delay = time.Second
		w.add(name(5002)).delay = time.Second
		for _, u := range []string{name(5001), name(5002)} {
			s.trusted[u] = true
			s.put(catalog.Peer{URL: u, Status: catalog.PeerActive, PublicKey: w.sites[u].key.PublicBase64()})
		}
		c := newCrawler(t, w, s, seeds(name(5000)))
		began := time.Now()
		r := crawl(t, c)
		if took := time.Since(began); took > CycleTimeout || !r.Truncated {
			t.Errorf("took %v, truncated %v", took, r.Truncated)
		}
		for _, u := range []string{name(5001), name(5002)} {
			if h := of(t, r, u); h.Outcome != OutcomeIndexed {
				t.Errorf("an active peer was not read: %+v", h)
			}
		}
		if r.Errors == 0 || r.Errors >= 1500 {
			t.Errorf("%d errors: who had no turn did nothing wrong", r.Errors)
		}
		if len(s.unreachable) != r.Errors {
			t.Errorf("%d peers are said to be unreachable, %d failed", len(s.unreachable), r.Errors)
		}
	})
}

func TestCrawlIsBounded(t *testing.T) {
	w, s := newWorld(), newShelf()
	var many []string
	for i := range 1000 {
		many = append(many, name(i))
	}
	w.add("http://teller.example", many...)
	r := crawl(t, newCrawler(t, w, s, seeds("http://teller.example")))
	if r.PeersFound != MaxNewOfTeller+1 || !r.Truncated || of(t, r, "http://teller.example").NewPeers != MaxNewOfTeller {
		t.Errorf("found %d, truncated %v", r.PeersFound, r.Truncated)
	}
	for i := range MaxHubs + 500 {
		w.add(name(i))
		s.put(catalog.Peer{URL: name(i), Status: catalog.PeerPending})
	}
	w.asked = nil
	r = crawl(t, newCrawler(t, w, s))
	if r.Discovered != MaxHubs || !r.Truncated {
		t.Errorf("%d discovered, truncated %v", r.Discovered, r.Truncated)
	}
	if h := r.Hubs[len(r.Hubs)-1]; h.Outcome != OutcomeSkipped || !strings.Contains(h.Detail, "as many hubs") {
		t.Errorf("the rest: %+v", h)
	}
}

func TestCrawlTellsWhyAHubWasNotRead(t *testing.T) {
	w, s := newWorld(), newShelf()
	s.check = func(_ context.Context, url string) error {
		if strings.Contains(url, "private") {
			return errRefused
		}
		return nil
	}
	w.add("http://a.example", "http://private.example", self)
	w.add("http://private.example")
	r := crawl(t, newCrawler(t, w, s, seeds("http://a.example")))
	if h := of(t, r, "http://private.example"); h.Outcome != OutcomeRefused || !strings.Contains(h.Detail, "not public") {
		t.Errorf("%+v", h)
	}
	if slices.ContainsFunc(w.asked, func(u string) bool { return strings.Contains(u, "private") }) {
		t.Error("a refused address was asked")
	}
	s.full = true
	w.add("http://new.example")
	w.sites["http://a.example"].neighbours = []string{"http://new.example"}
	w.add("http://seed.example")
	r = crawl(t, newCrawler(t, w, s, seeds("http://a.example", "http://seed.example")))
	if h := of(t, r, "http://new.example"); h.Outcome != OutcomeSkipped || !strings.Contains(h.Detail, "wait") {
		t.Errorf("with a full list: %+v", h)
	}
	if h := of(t, r, "http://seed.example"); h.Outcome != OutcomePending {
		t.Errorf("a seed with a full list: %+v", h)
	}
}

// Who is believed about its neighbours: federation notes §2, "Manifest outcome".
func TestCrawlNeighboursByOutcome(t *testing.T) {
	flip := func(b []byte) []byte { return []byte(strings.Replace(string(b), "p1", "p2", 1)) }
	for what, c := range map[string]struct {
		change  func(*site)
		trusted bool
		outcome string
		follow  bool
		errors  int
	}{
		"good":                 {func(*site) {}, true, OutcomeIndexed, true, 0},
		"bad signature":        {func(s *site) { s.spoil = flip }, true, OutcomeRefused, false, 1},
		"bad shape":            {func(s *site) { s.spoil = func([]byte) []byte { return []byte(`{"tools":3}`) } }, true, OutcomeRefused, false, 1},
		"not JSON":             {func(s *site) { s.spoil = func([]byte) []byte { return []byte(`{"tools":`) } }, true, OutcomeFailed, true, 1},
		"old":                  {func(s *site) { s.generated = time.Now().Add(-8 * 24 * time.Hour) }, true, OutcomeFailed, true, 1},
		"missing":              {func(s *site) { s.manifest = s.base + "/nowhere" }, true, OutcomeFailed, true, 1},
		"unreachable":          {func(s *site) { s.manifest = "http://nobody.example/m" }, true, OutcomeFailed, true, 1},
		"elsewhere":            {func(s *site) { s.manifest = "http://files.example/static/manifest.json" }, true, OutcomeRefused, false, 1},
		"stranger":             {func(*site) {}, false, OutcomePending, true, 0},
		"stranger, unsigned":   {func(s *site) { s.unsigned = true }, false, OutcomePending, false, 0},
		"stranger, bad":        {func(s *site) { s.spoil = flip }, false, OutcomeRefused, true, 1},
		"trusted, unsigned":    {func(s *site) { s.unsigned = true }, true, OutcomeIndexed, true, 0},
		"no document":          {func(s *site) { s.serve = status(500) }, true, OutcomeFailed, false, 1},
		"304 without a reason": {func(s *site) { s.serve = status(304) }, true, OutcomeFailed, false, 1},
	} {
		t.Run(what, func(t *testing.T) {
			w, s := newWorld(), newShelf()
			w.add("http://files.example") // another hub: its manifest is signed by another key
			a := w.add("http://a.example", "http://b.example")
			a.observed, a.seeds = []string{"http://c.example"}, []string{"http://d.example/.well-known/ai-market.json"}
			s.trusted[a.base] = c.trusted
			c.change(a)
			r := crawl(t, newCrawler(t, w, s, seeds(a.base)))
			h := of(t, r, a.base)
			if h.Outcome != c.outcome {
				t.Errorf("outcome %q (%s), want %q", h.Outcome, h.Detail, c.outcome)
			}
			for _, n := range []string{"b", "d"} {
				if got := has(r, "http://"+n+".example"); got != c.follow {
					t.Errorf("neighbour %s followed: %v, want %v", n, got, c.follow)
				}
			}
			if got := has(r, "http://c.example"); got != (c.follow && !a.unsigned) {
				t.Errorf("observed hub followed: %v", got)
			}
			if got := r.Errors; got != c.errors+btoi(c.follow)*(2+btoi(!a.unsigned)) { // the neighbours answer nothing
				t.Errorf("%d errors", got)
			}
			if c.outcome == OutcomeFailed && s.unreachable[a.base] == "" && what != "not JSON" && what != "old" {
				t.Error("the catalogue was not told that it did not answer")
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func status(code int) func(*http.Request) (*safehttp.Response, error) {
	return func(*http.Request) (*safehttp.Response, error) {
		return &safehttp.Response{Status: code, Header: http.Header{"Location": {"http://b.example/"}}}, nil
	}
}

func TestCrawlKeyThief(t *testing.T) {
	w, s := newWorld(), newShelf("http://a.example")
	a := w.add("http://a.example", "http://b.example")
	c := newCrawler(t, w, s, seeds(a.base))
	crawl(t, c)
	a.key = testKey("thief")
	r := crawl(t, c)
	if h := of(t, r, a.base); h.Outcome != OutcomeRefused || h.Status != string(catalog.PeerKeyMismatch) || r.Errors != 2 {
		t.Errorf("%+v, %d errors", h, r.Errors)
	}
	if s.manifests[a.base] != 1 {
		t.Error("the manifest under the new key was taken")
	}
}

func TestReportOnTheWire(t *testing.T) {
	got, err := json.Marshal(Report{Discovered: 1, Hubs: []HubReport{{URL: "http://a.example", Outcome: OutcomeIndexed, Indexed: 2,
		Dropped: []catalog.Dropped{{RowID: catalog.RowID{ProductID: "p", CapabilityID: "c"}, Reason: "r"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"discovered":1,"indexed":0,"errors":0,"peers_found":0,"truncated":false,"hubs":[{"url":"http://a.example","depth":0,"discoverer":"","status":"",` +
		`"outcome":"indexed","indexed":2,"new_peers":0,"duration_ns":0,"dropped":[{"product_id":"p","capability_id":"c","reason":"r"}]}],` +
		`"started_at":"0001-01-01T00:00:00Z","duration_ns":0}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
}

// Whatever the graph, a crawl reads what lies within the depth, once, and nothing else.
func TestCrawlReadsExactlyWhatIsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 14).Draw(t, "hubs")
		depth := rapid.IntRange(0, 3).Draw(t, "depth")
		w, s := newWorld(), newShelf()
		links := map[int][]int{}
		for i := range n {
			links[i] = rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 3).Draw(t, "links")
			var urls []string
			for _, j := range links[i] {
				urls = append(urls, name(j))
			}
			w.add(name(i), urls...)
		}
		far := map[int]int{0: 0}
		for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
			for _, j := range links[queue[0]] {
				if _, seen := far[j]; !seen {
					far[j] = far[queue[0]] + 1
					queue = append(queue, j)
				}
			}
		}
		c, err := New(Config{Catalog: s, Fetch: w, HubURL: self, Seeds: []string{name(0)}, MaxDepth: depth, Now: time.Now, Rand: strings.NewReader("")})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r, err := c.Crawl(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for i := range n {
			d, reachable := far[i]
			read := 0
			for _, u := range w.asked {
				if u == name(i)+discoveryPath {
					read++
				}
			}
			near := reachable && d <= depth
			if near {
				want++
			}
			if read != btoi(near) {
				t.Fatalf("hub %d at distance %d was read %d times", i, d, read)
			}
			if near && !slices.ContainsFunc(r.Hubs, func(h HubReport) bool { return h.URL == name(i) && h.Depth == d }) {
				t.Fatalf("hub %d is not reported at depth %d: %+v", i, d, r.Hubs)
			}
			if reachable && d <= depth+1 && s.peers[name(i)] == nil {
				t.Fatalf("hub %d was named and is not recorded", i)
			}
		}
		if r.Discovered != want {
			t.Fatalf("%d discovered, want %d", r.Discovered, want)
		}
	})
}
