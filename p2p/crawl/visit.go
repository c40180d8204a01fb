package crawl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
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
