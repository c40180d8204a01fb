package crawl

import (
	"context"
	"fmt"
	"slices"

	"github.com/aimarket/aimarket/catalog"
)

// CrawlHub reads one hub now, its manifest as a whole: after the operator approved it.
// The neighbours that it names are recorded and left to the next cycle. The error is
// ErrClosed, ctx's, or says that hubURL is none; what the hub does wrong is in the report.
func (c *Crawler) CrawlHub(ctx context.Context, hubURL string) (HubReport, error) {
	base, err := BaseURL(hubURL)
	if err != nil {
		return HubReport{}, fmt.Errorf("crawl: %q is no hub's URL: %w", clip(hubURL, 100), err)
	}
	select {
	case c.single <- struct{}{}:
		defer func() { <-c.single }()
	case <-ctx.Done():
		return HubReport{}, fmt.Errorf("crawl: %s: no turn in time, %d hubs are being read: %w", base, maxSingle, ctx.Err())
	case <-c.ctx.Done():
		return HubReport{}, ErrClosed
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return HubReport{}, ErrClosed
	}
	c.work.Add(1)
	c.mu.Unlock()
	defer c.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()

	v := visit{url: base, depth: 1, discoverer: "operator", whole: true}
	for _, state := range []catalog.PeerState{catalog.PeerActive, catalog.PeerPending, catalog.PeerKeyMismatch, catalog.PeerRejected} {
		for _, p := range c.cfg.Catalog.Peers(state) {
			if p.URL == base {
				v.known, v.depth, v.discoverer, v.status = true, p.Depth, p.Discoverer, p.Status
			}
		}
	}
	r := c.visit(ctx, v)
	if next, err := BaseURL(r.elsewhere); err == nil && byHTTP(next) && next != base && !c.isSelf(next) {
		v = visit{url: next, depth: v.depth, discoverer: "gossip:" + base, whole: true}
		moved := c.visit(ctx, v)
		if slices.Contains([]string{OutcomeIndexed, OutcomeUnchanged, OutcomePending}, moved.report.Outcome) {
			r = moved
		}
	}
	c.record(ctx, v, &r)
	if err := ctx.Err(); err != nil && r.cut {
		return r.report, fmt.Errorf("crawl: %s: %w", base, err)
	}
	return r.report, nil
}

// record notes the neighbours that a single hub named.
func (c *Crawler) record(ctx context.Context, v visit, r *result) {
	ctx, cancel := context.WithTimeout(ctx, HubTimeout)
	defer cancel()
	for _, url := range r.neighbours[:min(len(r.neighbours), MaxNewOfTeller)] {
		if c.isSelf(url) || url == v.url || ctx.Err() != nil {
			continue
		}
		if added, err := c.cfg.Catalog.Sight(ctx, url, "gossip:"+v.url, v.depth+1); err == nil && added {
			r.report.NewPeers++
		}
	}
}
