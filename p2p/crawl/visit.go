package crawl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
)

// visit is one hub to read.
type visit struct {
	url        string
	depth      int
	discoverer string
	seed       bool
	known      bool // the catalogue has it
	far        bool // beyond the depth that is read: its address is noted, no more
	fresh      bool // the mesh keeps its catalogue current
	whole      bool // its manifest must be read even if it did not change
	status     catalog.PeerState
}

// result is what a visit led to.
type result struct {
	report     HubReport
	added      bool // its address was new and is kept
	kept       bool // the catalogue has it
	read       bool // its discovery document was read
	wrong      bool // counts as an error
	cut        bool // time ran out for the cycle, not for the hub
	neighbours []string
	elsewhere  string // where the hub says it lives, if not where it was read

	// Set by the cycle.
	node *node
	host string
	lane int
	far  bool
}

func (r *result) end(outcome, format string, args ...any) {
	r.report.Outcome = outcome
	if format != "" {
		r.report.Detail = fmt.Sprintf(format, args...)
	}
}

// visit reads one hub within HubTimeout. outer ends with the cycle.
func (c *Crawler) visit(outer context.Context, v visit) result {
	clock := time.Now()
	ctx, cancel := context.WithTimeoutCause(outer, HubTimeout, errHubTime)
	defer cancel()
	r := result{report: HubReport{URL: v.url, Depth: v.depth, Discoverer: v.discoverer, Status: string(v.status)}}
	c.visitHub(ctx, v, &r)
	r.report.Duration = time.Since(clock)
	return r
}

func (c *Crawler) visitHub(ctx context.Context, v visit, r *result) {
	if !c.sight(ctx, v, r) || v.far {
		return
	}
	d := c.discovery(ctx, v, r)
	if d == nil {
		return
	}
	r.read = true
	s := c.cfg.Catalog.TakeDiscovery(ctx, d, v.discoverer, v.depth)
	r.report.Status = string(s.State)
	r.elsewhere = s.Elsewhere
	c.read.note(v.url, c.cfg.Now())
	hub := cmp.Or(s.Peer, d.BaseURL) // a hub reached by its key may be known by an address
	follow := s.FollowNeighbour
	switch {
	case s.FetchManifest && v.fresh && !v.whole:
		r.end(OutcomeUnchanged, "the mesh keeps its catalogue current")
	case s.FetchManifest:
		follow = c.manifest(ctx, v, hub, d, true, r) && follow
	case s.FetchPreview:
		c.manifest(ctx, v, hub, d, false, r)
	default:
		r.without(s.Intake)
	}
	if follow {
		r.neighbours = neighbours(d)
	}
	if s.Moved != "" && r.report.Outcome != OutcomeRefused {
		r.report.Detail = strings.TrimSuffix("it was known at "+s.Moved+" before; "+r.report.Detail, "; ")
	}
}

// without books a hub whose document was read and whose manifest does not matter.
func (r *result) without(in catalog.Intake) {
	switch in.Reason {
	case catalog.ReasonPending:
		r.end(OutcomePending, "%s", in.Detail)
	case catalog.ReasonFull:
		r.end(OutcomeSkipped, "%s", in.Detail)
	case catalog.ReasonSelf, catalog.ReasonOwnKey, catalog.ReasonAlias, catalog.ReasonRejected:
		r.end(OutcomeRefused, "%s", in.Detail) // nothing is wrong with the hub
	case catalog.ReasonStorage:
		r.wrong = true
		r.end(OutcomeFailed, "%s", in.Detail)
	default:
		r.wrong = true
		r.end(OutcomeRefused, "%s", in.Detail)
	}
}

// sight has the catalogue record an address that it does not know. False: it is not to
// be asked.
func (c *Crawler) sight(ctx context.Context, v visit, r *result) bool {
	r.kept = v.known
	if v.known {
		return true
	}
	added, err := c.cfg.Catalog.Sight(ctx, v.url, v.discoverer, v.depth)
	r.added, r.kept = added, err == nil
	switch {
	case err == nil:
		return true
	case v.seed && errors.Is(err, catalog.ErrFull):
		return true // the operator's own list is not full because strangers are many
	case errors.Is(err, catalog.ErrFull):
		r.end(OutcomeSkipped, "%v", err)
	case ended(ctx):
		r.breakOff()
	case ctx.Err() != nil:
		r.end(OutcomeFailed, "its address was not judged in time")
	default:
		c.fail(v.url)
		r.wrong = v.seed
		r.end(OutcomeRefused, "%v", err)
	}
	return false
}

// discovery reads a hub's discovery document; nil if there is none to go on with.
func (c *Crawler) discovery(ctx context.Context, v visit, r *result) *catalog.CrawledDiscovery {
	d, err := c.readDiscovery(ctx, v.url)
	if err == nil {
		c.failing.worked(v.url)
		return d
	}
	if ended(ctx) {
		r.breakOff()
		return nil
	}
	c.fail(v.url)
	c.unreachable(ctx, v.url, r, fmt.Sprintf("its discovery document: %v", err))
	return nil
}

// errHubTime tells the end of a hub's own time from that of whoever asked for it.
var errHubTime = errors.New("crawl: the time for one hub is up")

// ended is true when the cycle, the crawler or the caller ended, so that nothing was
// learned about the hub.
func ended(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errHubTime)
}

func (r *result) breakOff() {
	r.cut = true
	r.end(OutcomeSkipped, "the crawl ended while it was read")
}

// unreachable books a hub that did not answer, in the report and in the catalogue, which
// must hear of it even if the hub used up all its time.
func (c *Crawler) unreachable(ctx context.Context, base string, r *result, why string) {
	r.wrong = true
	r.end(OutcomeFailed, "%s", why)
	c.cfg.Catalog.TakeUnreachable(context.WithoutCancel(ctx), base, why)
}

func (c *Crawler) readDiscovery(ctx context.Context, base string) (*catalog.CrawledDiscovery, error) {
	address := DiscoveryURL(base)
	have := c.docs.find(address, c.cfg.Now())
	etag := ""
	if have != nil {
		etag = have.etag
	}
	got, err := c.get(ctx, address, etag)
	if err != nil {
		return nil, err
	}
	if got.Unchanged {
		return have.doc, nil
	}
	d, err := catalog.ParseDiscovery(base, got.Body)
	if err != nil {
		c.docs.drop(address)
		return nil, err
	}
	c.docs.keep(address, &document{etag: got.ETag, taken: c.cfg.Now(), doc: d, size: len(got.Body)})
	return d, nil
}

func byHTTP(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
}

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
	r.report.Indexed = taken(got.Body, len(in.Dropped))
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

// taken counts the tools of an accepted manifest that were not dropped. What lies beyond
// the first MaxForeignTools is one entry of the dropped.
func taken(body []byte, dropped int) int {
	v, err := canon.Parse(body)
	if err != nil {
		return 0
	}
	n := v.Get("tools").Len()
	if n > catalog.MaxForeignTools {
		n, dropped = catalog.MaxForeignTools, dropped-1
	}
	return max(0, n-max(0, dropped))
}

// neighbours lists the addresses that a document names. What it says it observed counts
// only if it is signed (federation notes §2).
func neighbours(d *catalog.CrawledDiscovery) (urls []string) {
	for _, n := range d.Neighbours {
		if byHTTP(n.URL) && (d.Signed || !n.Observed) {
			urls = append(urls, n.URL)
		}
	}
	return urls
}

func (c *Crawler) fail(url string) { c.failing.failed(url, c.cfg.Now(), c.uniform()) }

func restDetail(times int, wait time.Duration) string {
	return fmt.Sprintf("it failed %d times in a row and is left alone for another %s", times, wait.Round(time.Second))
}

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
		if moved.report.Outcome == OutcomeIndexed || moved.report.Outcome == OutcomePending {
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
