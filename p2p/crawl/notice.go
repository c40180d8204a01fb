package crawl

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aimarket/aimarket/catalog"
)

// Bounds on reciprocal discovery (federation notes §4).
const (
	MaxCrawlerURL = 300 // bytes of an X-AIMarket-Crawler header
	MaxUserAgent  = 200 // bytes of a User-Agent that are kept
	MaxVisitors   = 500
	NoticeBacklog = 32 // notices that wait; further ones are dropped and counted
	// visitorRest is how long a visitor must have been silent before another takes its
	// row. Without it the first 500 names that somebody made up would stay for ever.
	visitorRest = 24 * time.Hour
	// sightTimeout bounds the look at one visitor's address.
	sightTimeout = 10 * time.Second
)

// Visitor is a hub that read this hub's discovery document, by its own word. It is a
// claim and never an identity. Visitors are forgotten when the process ends.
type Visitor struct {
	HubURL    string    `json:"hub_url"`
	UserAgent string    `json:"user_agent"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Hits      int64     `json:"hits"`
}

type notice struct {
	url, agent string
	at         time.Time
}

type notices struct {
	queue chan notice

	mu   sync.Mutex
	rows map[string]*Visitor
}

func newNotices() *notices {
	return &notices{queue: make(chan notice, NoticeBacklog), rows: map[string]*Visitor{}}
}

// Noticed is told the X-AIMarket-Crawler and User-Agent of whoever asked for the
// discovery document. It returns at once: a crawler's address becomes a pending peer on
// another goroutine, or is dropped and counted when too many wait.
func (c *Crawler) Noticed(crawlerURL, userAgent string) {
	if len(crawlerURL) > MaxCrawlerURL || !plain(crawlerURL) ||
		!strings.HasPrefix(crawlerURL, "http://") && !strings.HasPrefix(crawlerURL, "https://") {
		return
	}
	base, err := catalog.NormalizeHubURL(crawlerURL)
	if err != nil || c.isSelf(base) {
		return
	}
	// What waits must not hold on to a longer text.
	n := notice{url: base, agent: strings.Clone(shownAgent(userAgent)), at: c.cfg.Now()}
	select {
	case c.notices.queue <- n:
	default:
		c.metrics.dropped.Inc()
	}
}

func shownAgent(s string) string {
	if len(s) > MaxUserAgent {
		s = s[:MaxUserAgent]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (c *Crawler) watchNotices() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case n := <-c.notices.queue:
			c.notices.note(n)
			ctx, cancel := context.WithTimeout(c.ctx, sightTimeout)
			if added, err := c.cfg.Catalog.Sight(ctx, n.url, "crawler", 1); err != nil {
				c.cfg.Logger.Debug("crawl: a visitor's address is not kept", "url", n.url, "error", err)
			} else if added {
				c.cfg.Logger.Info("crawl: a hub made itself known by reading this one", "url", n.url)
			}
			cancel()
		}
	}
}

// note records a visit. Known visitors keep counting when the list is full.
func (ns *notices) note(n notice) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	v := ns.rows[n.url]
	if v == nil {
		if len(ns.rows) >= MaxVisitors && !ns.makeRoom(n.at) {
			return
		}
		v = &Visitor{HubURL: n.url, FirstSeen: n.at}
		ns.rows[n.url] = v
	}
	v.UserAgent, v.LastSeen = n.agent, n.at
	v.Hits++
}

func (ns *notices) makeRoom(now time.Time) bool {
	var oldest *Visitor
	for _, v := range ns.rows {
		if oldest == nil || v.LastSeen.Before(oldest.LastSeen) {
			oldest = v
		}
	}
	if oldest == nil || now.Sub(oldest.LastSeen) < visitorRest {
		return false
	}
	delete(ns.rows, oldest.HubURL)
	return true
}

// Visitors lists the crawlers that were noticed, at most MaxVisitors, the latest first.
func (c *Crawler) Visitors() []Visitor {
	c.notices.mu.Lock()
	defer c.notices.mu.Unlock()
	out := make([]Visitor, 0, len(c.notices.rows))
	for _, v := range c.notices.rows {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b Visitor) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), strings.Compare(a.HubURL, b.HubURL))
	})
	return out
}
