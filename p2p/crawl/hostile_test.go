package crawl

import (
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/safehttp"
)

// names resolves without DNS; a name with several answers changes them by turns.
type names struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answers := n.of[host]
	if len(answers) == 0 {
		return nil, fmt.Errorf("no such host %s", host)
	}
	if len(answers) > 1 {
		n.of[host] = answers[1:]
	}
	return []netip.Addr{netip.MustParseAddr(answers[0])}, nil
}

// real serves a site on a socket and returns it with its base URL.
func real(t *testing.T, handler func(s *site, w http.ResponseWriter, r *http.Request)) *site {
	t.Helper()
	s := newWorld().add("http://unset")
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler != nil {
			handler(s, w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		r.URL.Scheme, r.URL.Host = "http", r.Host
		s.base = "http://" + r.Host
		a, err := s.answer(r)
		if err != nil {
			t.Error(err)
		}
		for k, v := range a.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(a.Status)
		if _, err := w.Write(a.Body); err != nil && a.Status != 304 {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	s.base = server.URL
	return s
}

func client(t *testing.T, o safehttp.Options) *safehttp.Client {
	t.Helper()
	c := safehttp.New(o)
	t.Cleanup(c.Close)
	return c
}

// A hub over a real socket: read, and unchanged the second time.
func TestCrawlOverHTTP(t *testing.T) {
	a := real(t, nil)
	s := newShelf(a.base)
	k := newCrawler(t, client(t, safehttp.Options{AllowLocal: true}), s, seeds(a.base))
	if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeIndexed {
		t.Errorf("%+v", h)
	}
	if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeUnchanged {
		t.Errorf("%+v", h)
	}
}

// An old hub: signed files on any web server, under a path.
func TestCrawlStaticFiles(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	a := newWorld().add(server.URL + "/hub")
	a.manifest = a.base + "/static/manifest.json"
	for file, doc := range map[string][]byte{"hub/.well-known/ai-market.json": a.discovery(), "hub/static/manifest.json": a.listing()} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := newShelf(a.base)
	k := newCrawler(t, client(t, safehttp.Options{AllowLocal: true}), s, seeds(a.base))
	for range 2 {
		if h := of(t, crawl(t, k), a.base); h.Outcome != OutcomeIndexed || h.Indexed != 1 {
			t.Errorf("%+v", h)
		}
	}
}

func TestCrawlHostileServers(t *testing.T) {
	var reached atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Add(1) }))
	t.Cleanup(target.Close)
	json := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	for what, c := range map[string]struct {
		handler func(s *site, w http.ResponseWriter, r *http.Request)
		detail  string
	}{
		"redirector": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusFound)
		}, "redirects are not followed"},
		"wrong content type": {func(s *site, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write(s.discovery())
		}, "instead of JSON"},
		"slow drip": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			json(w)
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}, "no answer in time"},
		"says nothing": {func(_ *site, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time"},
		"endless": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			json(w)
			chunk := []byte(strings.Repeat(" ", 64<<10))
			for {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "larger than"},
		"bomb": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			json(w)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			chunk := make([]byte, 1<<20)
			for range 20 {
				if _, err := z.Write(chunk); err != nil {
					return
				}
			}
			z.Close()
		}, "larger than"},
		"just too long": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			json(w)
			w.Write([]byte(strings.Repeat(" ", MaxBody+1)))
		}, "at most 2000000"},
		"deep": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			json(w)
			w.Write([]byte(strings.Repeat("[", 100_000)))
		}, "invalid JSON"},
		"not a hub": {func(_ *site, w http.ResponseWriter, r *http.Request) { json(w); w.Write([]byte(`{"hello":"world"}`)) }, ""},
		"broken off": {func(_ *site, w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}, "broke the connection off"},
	} {
		t.Run(what, func(t *testing.T) {
			a := real(t, c.handler)
			s := newShelf(a.base)
			patience := 20 * time.Second
			if strings.Contains(c.detail, "in time") {
				patience = 300 * time.Millisecond
			}
			k := newCrawler(t, client(t, safehttp.Options{AllowLocal: true, Timeout: patience}), s, seeds(a.base))
			r := crawl(t, k)
			if h := of(t, r, a.base); h.Outcome != OutcomeFailed || !strings.Contains(h.Detail, c.detail) || r.Errors != 1 {
				t.Errorf("%+v", h)
			}
			if s.unreachable[a.base] == "" {
				t.Error("the catalogue was not told")
			}
		})
	}
	if reached.Load() != 0 {
		t.Error("the target of a redirect was reached")
	}
}

// Addresses by which a hub would have us knock at our own network.
func TestCrawlSSRF(t *testing.T) {
	var knocked sync.Map
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { knocked.Store(r.Host+r.URL.Path, true) }))
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(inside.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	a := real(t, nil)
	u, err := url.Parse(a.base)
	if err != nil {
		t.Fatal(err)
	}
	seed := "http://seed.test:" + u.Port()
	a.neighbours = []string{
		"http://127.0.0.1:" + port, "http://localhost:" + port, "http://[::1]:" + port, "http://[::ffff:127.0.0.1]:" + port,
		"http://[::127.0.0.1]:" + port, "http://[64:ff9b::7f00:1]:" + port, "http://[2002:7f00:1::]:" + port, "http://0.0.0.0:" + port, "http://[::]:" + port,
		"http://2130706433:" + port, "http://0x7f.1:" + port, "http://127.1:" + port, "http://017700000001:" + port,
		"http://169.254.169.254", "http://[fe80::1]:" + port, "http://10.0.0.1", "http://192.168.0.1", "http://172.16.0.1", "http://100.64.0.1",
		"http://[fd00:ec2::254]", "http://user@127.0.0.1:" + port, "http://private.test:" + port, "http://rebind.test:" + port, "http://nowhere.test:" + port,
		"file:///etc/passwd", "gopher://127.0.0.1:" + port, "libp2p://00",
	}
	a.manifest = "http://manifest.test:" + port + "/ai-market/v2/manifest"
	resolver := &names{of: map[string][]string{
		"seed.test": {"127.0.0.1"}, "private.test": {"127.0.0.1"}, "localhost": {"127.0.0.1"}, "manifest.test": {"127.0.0.1"},
		"rebind.test": {"93.184.216.34", "127.0.0.1"},
	}}
	c := client(t, safehttp.Options{AllowHosts: []string{"seed.test:" + u.Port()}, Resolver: resolver})
	s := newShelf(seed)
	s.check = c.CheckURL
	r := crawl(t, newCrawler(t, c, s, seeds(seed)))
	knocked.Range(func(at, _ any) bool { t.Errorf("%v was asked", at); return true })
	if h := of(t, r, seed); h.Outcome != OutcomeFailed || !strings.Contains(h.Detail, "manifest") || r.Discovered != 1 {
		t.Errorf("the hub with the manifest inside: %+v", h)
	}
	for _, h := range r.Hubs {
		rebinds := strings.Contains(h.URL, "rebind")
		if h.URL != seed && (rebinds && h.Outcome != OutcomeFailed || !rebinds && h.Outcome != OutcomeRefused) {
			t.Errorf("%+v", h)
		}
	}
	if !has(r, "http://rebind.test:"+port) {
		t.Error("the rebinding name was not tried")
	}
}
