package catalog

import (
	"context"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// Sighting is what a fetched discovery document led to.
type Sighting struct {
	Intake
	Moved           string // the URL at which the same key was known before, now this one
	Elsewhere       string // another base URL under which the hub says it lives: worth fetching next
	FetchManifest   bool   // the peer is active: its manifest counts
	FetchPreview    bool   // pending: its manifest only feeds the preview
	FollowNeighbour bool   // its neighbours may be followed (federation notes §2 step 7)
}

// TakeDiscovery is the intake's door for a discovery document (federation notes §2,
// steps 1 to 6): self and alias checks, key pin, moves, and the peer's row. discoverer
// says how the address was learned, depth how far from a seed.
//
// Its caller fetched the document through a door that refuses unsafe addresses.
//
// Of a key that is known at another URL the document makes no second peer. It is a
// move if the known address itself named this one, if the hub's own head claims it, or
// if the key signed a document that says so since the known address last answered.
// Anything less is an alias: keys are public, and whoever shows one has not yet used it.
func (c *Catalog) TakeDiscovery(ctx context.Context, d *CrawledDiscovery, discoverer string, depth int) Sighting {
	if d == nil {
		return Sighting{Intake: Intake{Verdict: Reject, Reason: ReasonMalformed, Detail: "no document"}}
	}
	v := &visit{c: c, d: d, discoverer: cleanText(discoverer, MaxHubURLLen), depth: max(0, depth), now: c.cfg.Now().UTC().Truncate(time.Second)}
	if c.isSelf(d.BaseURL) {
		return v.ignore(ReasonSelf, d.BaseURL+" is this hub's own address")
	}
	if err := ctx.Err(); err != nil {
		return v.ignore(ReasonStorage, err.Error())
	}
	c.mu.Lock()
	out := v.judge()
	c.mu.Unlock()
	if err := waitAll(v.commits, nil); err != nil {
		return v.failed(err)
	}
	return out
}

// unreachable marks the Why of a peer that did not answer.
const unreachable = "did not answer"

// TakeUnreachable notes that a peer did not answer; the rows stay until they are stale.
func (c *Catalog) TakeUnreachable(ctx context.Context, hubURL string, why string) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.Peer(hubURL)
	if !ok || p.Status != PeerActive && p.Status != PeerPending {
		return
	}
	if p.Away { // says already why, and since when
		return
	}
	p.Why = string(p.Status) + ", but " + unreachable + " at " + stamp(c.cfg.Now()) + ": " + cleanText(why, maxWhy)
	if p.Status == PeerPending && p.Trial.Failures > 0 {
		p.Why = c.waitingWhy(&p) + "; it " + strings.TrimPrefix(p.Why, "pending, but ")
	}
	if err := c.keepPeer(&p); err != nil {
		c.cfg.Logger.Warn("catalog: that a peer did not answer was not noted", "hub", p.URL, "error", err)
	}
}

// maxWhy bounds a foreign reason within Peer.Why, in bytes.
const maxWhy = 300

// failure is the reason of an error of this hub.
func failure(err error) string {
	if isFull(err) {
		return ReasonFull
	}
	return ReasonStorage
}

// lastListing is what a peer's heads left behind, dropped in one batch with what takes
// its place.
func (c *Catalog) lastListing(p *Peer) (also func(*store.Batch), after func(), err error) {
	key, ok := decodeKey(p.PublicKey)
	if !ok || p.Held == "" {
		return nil, nil, nil
	}
	l, err := c.listingFor(key)
	if err != nil {
		return nil, nil, err
	}
	return func(b *store.Batch) { dropListing(b, key, l) }, func() { c.forgetListing(key) }, nil
}
