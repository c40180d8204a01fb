package crawl

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/safehttp"
)

func every(d time.Duration) func(*Config) { return func(c *Config) { c.Interval = d } }

// drawn is a source of randomness of which every draw is the same.
func drawn(b byte) func(*Config) {
	return func(c *Config) { c.Rand = same(b) }
}

type same byte

func (s same) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{byte(s)}, len(p))), nil }

func TestStartCrawlsAtItsInterval(t *testing.T) {
	for _, c := range []struct {
		interval time.Duration
		draw     byte
		second   time.Duration // from the end of the first cycle
	}{
		{time.Hour, 0, time.Hour},
		{time.Hour, 0x80, time.Hour + 30*time.Second},
		{2 * time.Minute, 0x80, 2*time.Minute + 6*time.Second},
		{time.Second, 0, MinInterval},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, s := newWorld(), newShelf()
			w.add(name(0))
			k := newCrawler(t, w, s, seeds(name(0)), every(c.interval), drawn(c.draw))
			k.Start()
			k.Start()
			count := func() int { synctest.Wait(); return len(w.requests()) }
			time.Sleep(FirstCycle - time.Second)
			if n := count(); n != 0 {
				t.Fatalf("%d requests before the first cycle", n)
			}
			time.Sleep(time.Second)
			if n := count(); n != 2 {
				t.Fatalf("%d requests in the first cycle", n)
			}
			time.Sleep(c.second - time.Second)
			if n := count(); n != 2 {
				t.Fatalf("interval %v, draw %x: the second cycle is early", c.interval, c.draw)
			}
			time.Sleep(2 * time.Second) // a draw of 80… is a little above one half
			if n := count(); n != 4 {
				t.Fatalf("interval %v, draw %x: the second cycle is late", c.interval, c.draw)
			}
		})
	}
}

func TestStartWithoutIntervalDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.add(name(0))
		newCrawler(t, w, newShelf(), seeds(name(0))).Start()
		time.Sleep(24 * time.Hour)
		if len(w.requests()) != 0 {
			t.Error("it crawled")
		}
	})
}

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	for _, c := range []struct {
		n    int
		draw float64
		want time.Duration
	}{
		{1, .5, 2 * time.Minute}, {2, .5, 4 * time.Minute}, {3, .5, 8 * time.Minute}, {10, .5, 1024 * time.Minute},
		{11, .5, 24 * time.Hour}, {19, .5, 24 * time.Hour}, {20, .5, 24 * time.Hour}, {1 << 40, .5, 24 * time.Hour},
		{1, 0, 96 * time.Second},
	} {
		if got := backoff(c.n, c.draw); got != c.want {
			t.Errorf("after %d failures: %v, want %v", c.n, got, c.want)
		}
	}
}

func TestFailingHubsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		w.add(name(0)).serve = status(503)
		k := newCrawler(t, w, s, seeds(name(0)), every(time.Minute), drawn(0x80))
		k.Start()
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		// 2, 4, 8 … 1024 minutes, then one a day.
		if n := len(w.requests()); n < 13 || n > 16 {
			t.Errorf("asked %d times in 100 hours", n)
		}
		before := len(w.requests())
		r := crawl(t, k)
		if h := of(t, r, name(0)); h.Outcome != OutcomeFailed || len(w.requests()) != before+1 {
			t.Errorf("asked by hand: %+v, %d requests", h, len(w.requests())-before)
		}
		w.change(func() { w.sites[name(0)].serve = nil })
		crawl(t, k)
		before = len(w.requests())
		time.Sleep(5 * time.Minute)
		if len(w.requests()) < before+2 {
			t.Error("a hub that came back is still left alone")
		}
	})
}

// Who joins a cycle that began by itself wants failing hubs tried too.
func TestJoiningACycleTriesWhatItSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf()
		w.add(name(0)).serve = status(503)
		w.add(name(1)).delay = 10 * time.Second
		k := newCrawler(t, w, s, seeds(name(0), name(1)), every(time.Minute), drawn(0))
		k.Start()
		time.Sleep(FirstCycle + 25*time.Second) // the first cycle is over
		time.Sleep(55 * time.Second)            // the second is under way
		synctest.Wait()
		if w.opened() != 1 {
			t.Fatalf("%d exchanges under way; the test has its times wrong", w.opened())
		}
		before := strings.Count(strings.Join(w.requests(), " "), name(0))
		r := crawl(t, k)
		if h := of(t, r, name(0)); h.Outcome != OutcomeFailed {
			t.Errorf("%+v", h)
		}
		if n := strings.Count(strings.Join(w.requests(), " "), name(0)); n != before+1 {
			t.Errorf("asked %d times more", n-before)
		}
	})
}

func TestConditionalRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), newShelf(name(0))
		a := w.add(name(0), name(1))
		w.add(name(1)).etag = false
		k := newCrawler(t, w, s, seeds(a.base))
		crawl(t, k)
		r := crawl(t, k)
		if h := of(t, r, a.base); h.Outcome != OutcomeUnchanged || len(s.unchanged) != 1 || s.manifests[a.base] != 1 {
			t.Errorf("nothing changed: %+v, %v", h, s.unchanged)
		}
		if h := of(t, r, name(1)); h.Outcome != OutcomePending || r.Discovered != 2 {
			t.Errorf("the neighbours of an unchanged document: %+v", h)
		}
		if a.conditions[0] != "" || a.conditions[1] != "" || a.conditions[2] == "" || a.conditions[3] == "" {
			t.Errorf("If-None-Match: %q", a.conditions)
		}

		a.tools = append(a.tools, tool("p2", "c2"))
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeIndexed || h.Indexed != 2 {
			t.Errorf("after a change: %+v", h)
		}

		s.forgot[a.base] = true // the rows went away meanwhile
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeIndexed || s.manifests[a.base] != 3 {
			t.Errorf("the catalogue lost it: %+v", h)
		}

		s.trusted[a.base] = false // back to pending: a preview is another thing
		s.peers[a.base].Status = catalog.PeerPending
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomePending || s.manifests[a.base] != 4 {
			t.Errorf("pending: %+v", h)
		}
		crawl(t, k)
		if s.manifests[a.base] != 4 {
			t.Error("an unchanged preview was read again")
		}
		s.trusted[a.base] = true
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeIndexed {
			t.Errorf("admitted: %+v; a 304 left it without rows", h)
		}

		time.Sleep(fullFetchEvery)
		a.conditions = nil
		crawl(t, k)
		if a.conditions[0] != "" || a.conditions[1] != "" {
			t.Errorf("after a day the documents were not read in full: %q", a.conditions)
		}
	})
}

func TestAManifestThatWasRefusedIsReadAgain(t *testing.T) {
	w, s := newWorld(), newShelf(name(0))
	a := w.add(name(0))
	a.spoil = func(b []byte) []byte { return bytes.Replace(b, []byte("p1"), []byte("p2"), 1) }
	k := newCrawler(t, w, s, seeds(a.base))
	for range 2 {
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeRefused {
			t.Errorf("%+v", h)
		}
	}
}

func TestDocumentCacheIsBounded(t *testing.T) {
	d := newDocuments()
	now := time.Now()
	for i := range 3 * maxDocs {
		d.keep(fmt.Sprint(i), &document{etag: `"x"`, taken: now, size: 10 << 10})
	}
	if d.bytes > maxDocBytes || d.bytes < maxDocBytes/2 || d.bytes != d.lru.Len()*(10<<10) {
		t.Errorf("%d bytes in %d documents", d.bytes, d.lru.Len())
	}
	d.keep("big", &document{etag: `"x"`, taken: now, size: maxDocBytes + 1})
	if d.find("big", now) != nil {
		t.Error("a document larger than the cache is kept")
	}
	for i := range 3 * maxDocs {
		d.drop(fmt.Sprint(i))
	}
	if d.bytes != 0 {
		t.Errorf("%d bytes left of nothing", d.bytes)
	}
}

func TestNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		reg := prometheus.NewRegistry()
		k := newCrawler(t, newWorld(), s, func(c *Config) { c.Registry = reg })
		for _, bad := range []string{"", "ftp://a.example", "http://a.example\nx", "http://a.example/" + strings.Repeat("x", MaxCrawlerURL), "http://", self, "http://SELF.example/", "libp2p://00"} {
			k.Noticed(bad, "x")
		}
		synctest.Wait()
		if len(k.Visitors()) != 0 || len(s.sighted()) != 0 {
			t.Fatalf("%v %v", k.Visitors(), s.sighted())
		}
		k.Noticed("http://A.example/", "Hub/1\n"+strings.Repeat("y", 300))
		time.Sleep(time.Hour)
		k.Noticed("http://a.example", "Hub/2")
		synctest.Wait()
		v := k.Visitors()
		if len(v) != 1 || v[0].HubURL != "http://a.example" || v[0].Hits != 2 || v[0].UserAgent != "Hub/2" || v[0].LastSeen.Sub(v[0].FirstSeen) != time.Hour {
			t.Errorf("%+v", v)
		}
		if pending := s.Peers(catalog.PeerPending); s.sighted()[0] != "http://a.example|crawler|1" || len(pending) != 1 || pending[0].URL != "http://a.example" {
			t.Errorf("%v", s.sighted())
		}
		if n := len(shownAgent("Hub/1\n" + strings.Repeat("y", 300))); n != MaxUserAgent-1 {
			t.Errorf("a user agent of %d bytes is kept", n)
		}

		for i := range 2 * MaxVisitors {
			k.Noticed(name(i), "")
			synctest.Wait()
		}
		if n := len(k.Visitors()); n != MaxVisitors {
			t.Errorf("%d visitors", n)
		}
		if len(s.sighted()) != 2+2*MaxVisitors {
			t.Error("who is not listed is not looked at either")
		}
		time.Sleep(visitorRest)
		k.Noticed("http://late.example", "")
		synctest.Wait()
		if v := k.Visitors(); len(v) != MaxVisitors || v[0].HubURL != "http://late.example" {
			t.Errorf("%d visitors, the last %s", len(v), v[0].HubURL)
		}
	})
}

// A flood of visitors neither blocks who answers them nor grows.
func TestNoticedDropsWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.check = func(ctx context.Context, _ string) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			return nil
		}
		reg := prometheus.NewRegistry()
		k := newCrawler(t, newWorld(), s, func(c *Config) { c.Registry = reg })
		for i := range 1000 {
			k.Noticed(name(i), "")
		}
		time.Sleep(time.Hour)
		if n := len(s.sighted()); n < NoticeBacklog || n > NoticeBacklog+1 {
			t.Errorf("%d looked at", n)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "aimarket_crawl_notices_dropped_total" && f.GetMetric()[0].GetCounter().GetValue() < 900 {
				t.Errorf("counted %v", f.GetMetric())
			}
		}
	})
}

func TestGet(t *testing.T) {
	type answer = safehttp.Response
	header := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Add(kv[i], kv[i+1])
		}
		return h
	}
	for what, c := range map[string]struct {
		answer answer
		etag   string
		ok     bool
		tag    string
	}{
		"plain":              {answer{Status: 200, Header: header(), Body: []byte("{}")}, "", true, ""},
		"json":               {answer{Status: 200, Header: header("Content-Type", "Application/JSON; charset=utf-8")}, "", true, ""},
		"problem json":       {answer{Status: 200, Header: header("Content-Type", "application/ld+json")}, "", true, ""},
		"html":               {answer{Status: 200, Header: header("Content-Type", "text/html")}, "", false, ""},
		"two types":          {answer{Status: 200, Header: header("Content-Type", "application/json", "Content-Type", "text/html")}, "", false, ""},
		"201":                {answer{Status: 201, Header: header()}, "", true, ""},
		"redirect":           {answer{Status: 302, Header: header("Location", "http://b.example")}, "", false, ""},
		"permanent":          {answer{Status: 308, Header: header("Location", "http://b.example")}, "", false, ""},
		"304 unasked":        {answer{Status: 304, Header: header()}, "", false, ""},
		"304":                {answer{Status: 304, Header: header()}, `"x"`, true, ""},
		"404":                {answer{Status: 404, Header: header()}, "", false, ""},
		"at the bound":       {answer{Status: 200, Header: header(), Body: make([]byte, MaxBody)}, "", true, ""},
		"beyond":             {answer{Status: 200, Header: header(), Body: make([]byte, MaxBody+1)}, "", false, ""},
		"etag":               {answer{Status: 200, Header: header("Etag", `"abc"`)}, "", true, `"abc"`},
		"weak etag":          {answer{Status: 200, Header: header("Etag", `W/"abc"`)}, "", true, `W/"abc"`},
		"long etag":          {answer{Status: 200, Header: header("Etag", `"`+strings.Repeat("a", 300)+`"`)}, "", true, ""},
		"list for an etag":   {answer{Status: 200, Header: header("Etag", `"a", "b"`)}, "", true, ""},
		"unquoted etag":      {answer{Status: 200, Header: header("Etag", `abc`)}, "", true, ""},
		"etag with controls": {answer{Status: 200, Header: header("Etag", "\"a\x01\"")}, "", true, ""},
	} {
		got, err := Get(t.Context(), fetch(func(h http.Header) (*safehttp.Response, error) {
			if h.Get("If-None-Match") != c.etag {
				t.Errorf("%s: If-None-Match %q", what, h.Get("If-None-Match"))
			}
			return &c.answer, nil
		}), self, "http://a.example/x", c.etag)
		if (err == nil) != c.ok || got.ETag != c.tag || got.Unchanged != (c.ok && c.answer.Status == 304) {
			t.Errorf("%s: %+v, %v", what, got.ETag, err)
		}
	}
}

type fetch func(http.Header) (*safehttp.Response, error)

func (f fetch) Do(_ context.Context, _, _ string, h http.Header, _ []byte) (*safehttp.Response, error) {
	return f(h)
}

func TestBaseURL(t *testing.T) {
	for given, want := range map[string]string{
		"https://A.example/": "https://a.example", "http://a.example/hub/.well-known/ai-market.json": "http://a.example/hub",
		" https://a.example/.well-known/x/.well-known/ai-market.json": "https://a.example/.well-known/x", "ftp://a": "", "": "", "a.example": "",
	} {
		if got, err := BaseURL(given); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Config{Catalog: newShelf(), Fetch: newWorld(), HubURL: self, Now: time.Now, Rand: same(0), Logger: slog.New(slog.DiscardHandler)}
	for what, change := range map[string]func(*Config){
		"no catalogue":   func(c *Config) { c.Catalog = nil },
		"no fetcher":     func(c *Config) { c.Fetch = nil },
		"no clock":       func(c *Config) { c.Now = nil },
		"no randomness":  func(c *Config) { c.Rand = nil },
		"negative depth": func(c *Config) { c.MaxDepth = -1 },
		"no URL":         func(c *Config) { c.HubURL = "" },
	} {
		c := good
		change(&c)
		if k, err := New(c); err == nil {
			k.Close()
			t.Errorf("%s: accepted", what)
		}
	}
}
