package crawl

import (
	"context"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
)

// manifest reads and hands over a hub's manifest, for the catalogue or for the preview.
// It tells whether the hub's neighbours may be followed for all that its manifest says
// (federation notes §2, "Manifest outcome").
func (c *Crawler) manifest(ctx context.Context, v visit, hub string, d *catalog.CrawledDiscovery, active bool, r *result) (follow bool) {
	address := ManifestURL(d)
	if !byHTTP(address) && !strings.HasPrefix(address, d.BaseURL+"/") {
		r.wrong = true
		r.end(OutcomeFailed, "its manifest is at %q, which is no address that this hub may call", clip(address, 100))
		return true
	}
	as := taker{hub: hub, key: d.PublicKey, active: active}
	etag := ""
	if !v.whole {
		etag = c.tags.find(address, as, c.cfg.Now())
	}
	got, err := c.get(ctx, address, etag)
	if err == nil && got.Unchanged {
		if c.unchanged(ctx, hub, active, r) {
			return true
		}
		c.tags.drop(address) // the catalogue has lost what that validator stands for
		got, err = c.get(ctx, address, "")
	}
	if err != nil && ended(ctx) {
		r.breakOff()
		return false
	}
	if err != nil {
		c.unreachable(ctx, hub, r, fmt.Sprintf("its manifest: %v", err))
		return true
	}
	in := c.cfg.Catalog.TakeManifest(ctx, hub, got.Body)
	if in.State != "" {
		r.report.Status = string(in.State)
	}
	r.report.Dropped = in.Dropped
	if in.Verdict != catalog.Accept && in.Reason != catalog.ReasonPending && in.Reason != catalog.ReasonDuplicate {
		c.tags.drop(address)
		return c.refused(in, got.Body, r)
	}
	c.tags.keep(address, tag{etag: got.ETag, taken: c.cfg.Now(), as: as})
	if !active {
		r.end(OutcomePending, "%s", in.Detail)
		return true
	}
	if in.Reason == catalog.ReasonDuplicate {
		r.end(OutcomeUnchanged, "%s", in.Detail)
		return true
	}
	r.report.Indexed = in.Taken
	r.end(OutcomeIndexed, "%s", in.Detail)
	return true
}

// unchanged books a 304. False: the catalogue needs the whole manifest after all.
func (c *Crawler) unchanged(ctx context.Context, base string, active bool, r *result) bool {
	if !active {
		r.end(OutcomePending, "its manifest has not changed since it was last looked at")
		return true
	}
	in := c.cfg.Catalog.TakeUnchanged(ctx, base)
	if in.Verdict != catalog.Accept {
		return false
	}
	r.end(OutcomeUnchanged, "%s", in.Detail)
	return true
}

// refused books a manifest that the catalogue did not take. A bad signature or shape
// says that the hub is not what it should be, and nobody is believed on its word; one
// that is old, or no JSON at all, says nothing of that kind.
func (c *Crawler) refused(in catalog.Intake, body []byte, r *result) (follow bool) {
	r.wrong = true
	switch in.Reason {
	case catalog.ReasonStale, catalog.ReasonExpired, catalog.ReasonFuture, catalog.ReasonStorage:
		r.end(OutcomeFailed, "its manifest: %s", in.Detail)
		return true
	case catalog.ReasonMalformed:
		if _, err := canon.Parse(body); err != nil {
			r.end(OutcomeFailed, "its manifest is not JSON: %v", err)
			return true
		}
	}
	r.end(OutcomeRefused, "its manifest: %s", in.Detail)
	return false
}
