package crawl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/safehttp"
)

const (
	// MaxBody is the longest document that is taken, as decoded (federation notes §2).
	MaxBody = catalog.MaxDocumentBytes
	// maxETag is the longest validator that is kept and sent back.
	maxETag = 256

	userAgent      = "aimarket-crawler/2"
	crawlerHeader  = "X-AIMarket-Crawler"
	wellKnown      = "/.well-known/"
	discoveryPath  = "/.well-known/ai-market.json"
	manifestPath   = "/ai-market/v2/manifest"
	defaultPath    = "/ai-market/manifest" // of a discovery document that names none (federation notes §2, step 8)
	streamScheme   = "libp2p://"
	acceptedFormat = "application/json"
)

// Document is a fetched document, or word that the one with the given validator is
// still current.
type Document struct {
	Body      []byte
	ETag      string // "" if there is none, or none worth keeping
	Unchanged bool   // 304: Body is empty
}

// StatusError reports an answer other than 2xx, and 304 where nothing was asked
// conditionally. Redirects are such answers: none is followed.
type StatusError struct {
	URL    string
	Status int
}

// Error names the address and the status.
func (e *StatusError) Error() string {
	if e.Status/100 == 3 {
		return fmt.Sprintf("%s answers %d; redirects are not followed, the hub must name its final address", e.URL, e.Status)
	}
	return fmt.Sprintf("%s answers %d %s", e.URL, e.Status, http.StatusText(e.Status))
}

// FormatError reports an answer that is no JSON document within the bounds.
type FormatError struct{ URL, Reason string }

// Error names the address and what is wrong with its answer.
func (e *FormatError) Error() string { return e.URL + " " + e.Reason }

// Get fetches one document by the crawler's rules (federation notes §2, "Fetch"): who
// asks is said in X-AIMarket-Crawler; a Content-Type, if there is one, must be JSON; at
// most MaxBody bytes; ExchangeTimeout. etag "" asks unconditionally.
func Get(ctx context.Context, f Fetcher, hubURL, address, etag string) (Document, error) {
	ctx, cancel := context.WithTimeout(ctx, ExchangeTimeout)
	defer cancel()
	h := http.Header{"User-Agent": {userAgent}, "Accept": {acceptedFormat}, crawlerHeader: {hubURL}}
	if etag != "" {
		h["If-None-Match"] = []string{etag}
	}
	r, err := f.Do(ctx, http.MethodGet, address, h, nil)
	if err != nil {
		return Document{}, err
	}
	if r.Status == http.StatusNotModified && etag != "" {
		return Document{Unchanged: true}, nil
	}
	if r.Status < 200 || r.Status > 299 {
		return Document{}, &StatusError{address, r.Status}
	}
	for _, t := range r.Header.Values("Content-Type") {
		if !strings.Contains(strings.ToLower(t), "json") {
			return Document{}, &FormatError{address, fmt.Sprintf("sends %q instead of JSON", clip(t, 60))}
		}
	}
	if len(r.Body) > MaxBody {
		return Document{}, &FormatError{address, fmt.Sprintf("sends %d bytes, of which at most %d are read", len(r.Body), MaxBody)}
	}
	return Document{Body: r.Body, ETag: validator(r.Header)}, nil
}

// validator is the answer's ETag if it can be sent back as it is.
func validator(h http.Header) string {
	tag := strings.TrimSpace(h.Get("ETag"))
	if len(tag) > maxETag || len(tag) < 2 || !strings.HasSuffix(tag, `"`) {
		return ""
	}
	for i := range len(tag) {
		if tag[i] < ' ' || tag[i] == 0x7f || tag[i] == ',' {
			return "" // a comma would make a list of it
		}
	}
	return tag
}

// BaseURL is the base URL, in normal form, of a hub given by its base or discovery URL:
// what stands before the last "/.well-known/".
func BaseURL(given string) (string, error) {
	given = strings.TrimSpace(given)
	if i := strings.LastIndex(given, wellKnown); i >= 0 {
		given = given[:i]
	}
	return catalog.NormalizeHubURL(given)
}

// DiscoveryURL is where the hub at a base URL shows its discovery document.
func DiscoveryURL(base string) string { return base + discoveryPath }

// ManifestURL is where a hub's manifest is read. Over streams it is the hub's own,
// whatever address the document names: that one belongs to HTTP.
func ManifestURL(d *catalog.CrawledDiscovery) string {
	switch {
	case strings.HasPrefix(d.BaseURL, streamScheme):
		return d.BaseURL + manifestPath
	case d.ManifestURL == "":
		return d.BaseURL + defaultPath
	}
	return d.ManifestURL
}

// get is Get while nothing else is asked of that host.
func (c *Crawler) get(ctx context.Context, address, etag string) (Document, error) {
	release, err := c.hosts.acquire(ctx, hostOf(address))
	if err != nil {
		return Document{}, fmt.Errorf("%s: no turn within the time of this hub: %w", address, err)
	}
	defer release()
	return Get(ctx, c.cfg.Fetch, c.cfg.HubURL, address, etag)
}

// hostOf is the host that is asked for a URL: its name without port, so that many ports
// of one machine are no way to have it asked by many at once.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// hostLocks lets one exchange at a time through to each host. A lock forgets itself
// when nobody holds or awaits it.
type hostLocks struct {
	mu    sync.Mutex
	hosts map[string]*hostLock
}

type hostLock struct {
	turn  chan struct{}
	users int
}

func newHostLocks() *hostLocks { return &hostLocks{hosts: map[string]*hostLock{}} }

func (l *hostLocks) acquire(ctx context.Context, host string) (release func(), err error) {
	l.mu.Lock()
	h := l.hosts[host]
	if h == nil {
		h = &hostLock{turn: make(chan struct{}, 1)}
		l.hosts[host] = h
	}
	h.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.hosts, host)
		}
	}
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// Unanswered tells an exchange that may well succeed later from an answer that breaks
// a rule: no connection, no answer in time, a server's or a gateway's error.
func Unanswered(err error) bool {
	var status *StatusError
	var format *FormatError
	switch {
	case errors.As(err, &status):
		return status.Status >= 500 || status.Status == http.StatusTooManyRequests || status.Status == http.StatusRequestTimeout
	case errors.As(err, &format), errors.Is(err, safehttp.ErrUnsafeURL), errors.Is(err, safehttp.ErrTooLarge), errors.Is(err, safehttp.ErrResponse):
		return false
	}
	return err != nil
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// since is the time that passed on a clock that may be set back.
func since(now, then time.Time) time.Duration { return max(0, now.Sub(then)) }
