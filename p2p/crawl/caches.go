package crawl

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/aimarket/aimarket/catalog"
)

const (
	// maxDocBytes bounds the discovery documents that are kept to answer a 304 with,
	// counted by the length of their text; maxDocs their number.
	maxDocBytes = 16 << 20
	maxDocs     = 4096
	maxTags     = 8192 // manifests whose validator is kept
	maxFailing  = 8192 // addresses whose failures are counted
	maxRead     = 8192 // mesh members of which it is known when they were read
	// fullFetchEvery bounds how long a hub can say that nothing changed: then its
	// documents are read, and their age judged, once more.
	fullFetchEvery = 24 * time.Hour
)

// newLRU returns a cache of n entries; the size is a constant above 0, the one error
// there is.
func newLRU[K comparable, V any](n int, gone func(K, V)) *simplelru.LRU[K, V] {
	l, err := simplelru.NewLRU[K, V](n, gone)
	if err != nil {
		panic(err)
	}
	return l
}

// document is a discovery document as it was taken.
type document struct {
	etag  string
	taken time.Time
	doc   *catalog.CrawledDiscovery
	size  int
}

// documents keeps discovery documents by URL: a 304 says that one is current, but not
// what it says.
type documents struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[string, *document]
	bytes int
}

func newDocuments() *documents {
	d := &documents{}
	d.lru = newLRU(maxDocs, func(_ string, old *document) { d.bytes -= old.size })
	return d
}

func (d *documents) find(url string, now time.Time) *document {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.lru.Get(url)
	if !ok || since(now, e.taken) >= fullFetchEvery {
		return nil
	}
	return e
}

func (d *documents) keep(url string, e *document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lru.Remove(url)
	if e.etag == "" || e.size > maxDocBytes {
		return
	}
	d.lru.Add(url, e)
	for d.bytes += e.size; d.bytes > maxDocBytes; {
		d.lru.RemoveOldest()
	}
}

func (d *documents) drop(url string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lru.Remove(url)
}

// tag is the validator of a manifest as it was taken: for whom, under which key, and
// whether it counted or fed a preview. What was taken otherwise must be read again.
type tag struct {
	etag  string
	taken time.Time
	as    taker
}

type taker struct {
	hub, key string
	active   bool
}

type tags struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, tag]
}

func newTags() *tags { return &tags{lru: newLRU[string, tag](maxTags, nil)} }

func (t *tags) find(url string, as taker, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.lru.Get(url)
	if !ok || e.as != as || since(now, e.taken) >= fullFetchEvery {
		return ""
	}
	return e.etag
}

func (t *tags) keep(url string, e tag) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.etag == "" {
		t.lru.Remove(url)
		return
	}
	t.lru.Add(url, e)
}

func (t *tags) drop(url string) { t.keep(url, tag{}) }

// The waits after failures: doubling from firstWait to maxWait, a fifth up or down.
const (
	firstWait  = 2 * time.Minute
	maxWait    = 24 * time.Hour
	waitSpread = 0.2
)

// failing counts the failures of an address since it last worked.
type failing struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, failures]
}

type failures struct {
	n    int
	next time.Time
}

func newFailing() *failing { return &failing{lru: newLRU[string, failures](maxFailing, nil)} }

// wait is how long the address should still be left alone, and how often it failed.
func (f *failing) wait(url string, now time.Time) (time.Duration, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.lru.Get(url)
	if !ok {
		return 0, 0
	}
	return max(0, e.next.Sub(now)), e.n
}

// failed notes one more failure; draw is from [0, 1).
func (f *failing) failed(url string, now time.Time, draw float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, _ := f.lru.Get(url)
	e.n++
	e.next = now.Add(backoff(e.n, draw))
	f.lru.Add(url, e)
}

func (f *failing) worked(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lru.Remove(url)
}

func backoff(n int, draw float64) time.Duration {
	d := maxWait
	if n < 20 { // beyond, the shift would pass maxWait many times over
		d = min(maxWait, firstWait<<(n-1))
	}
	return time.Duration(float64(d) * (1 + waitSpread*(2*draw-1)))
}

// readTimes remembers when the discovery document of a mesh member was read.
type readTimes struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, time.Time]
}

func newReadTimes() *readTimes { return &readTimes{lru: newLRU[string, time.Time](maxRead, nil)} }

func (r *readTimes) last(url string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, _ := r.lru.Peek(url)
	return t
}

func (r *readTimes) note(url string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lru.Add(url, now)
}

// rests is true while an address that keeps failing is left alone.
func (c *Crawler) rests(url string) bool {
	wait, _ := c.failing.wait(url, c.cfg.Now())
	return wait > 0
}
