package catalog

import (
	"context"

	"github.com/aimarket/aimarket/internal/canon"
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
// steps 1 to 6): self and alias checks, key pin, moves, and the peer's row. known says
// how the address was learned, depth how far from a seed.
func (c *Catalog) TakeDiscovery(ctx context.Context, d *CrawledDiscovery, discoverer string, depth int) Sighting {
	panic("skeleton")
}

// TakeManifest is the intake's door for a fetched manifest: verified under the pinned
// key, refused if stale, then each tool by the rules of federation notes §2, "Per tool".
// Rows of an active peer are replaced by what it lists; of a pending one at most 25 go
// to the preview. Foreign rows and rows that break a rule are dropped alone and reported.
func (c *Catalog) TakeManifest(ctx context.Context, hubURL string, raw []byte) Intake {
	panic("skeleton")
}

// TakeUnchanged notes that a peer's manifest is still the one that was taken (304).
func (c *Catalog) TakeUnchanged(ctx context.Context, hubURL string) Intake { panic("skeleton") }

// TakeUnreachable notes that a peer did not answer; the rows stay until they are stale.
func (c *Catalog) TakeUnreachable(ctx context.Context, hubURL string, why string) { panic("skeleton") }

// EventCounts is what became of a batch of reputation events.
type EventCounts struct{ Received, Rejected, Replayed int }

// TakeEvents is the intake's door for signed reputation events (HTTP API notes §5,
// federation notes §5): the consumer must be an active peer and have signed, the time
// within 24 hours, no event counts twice.
func (c *Catalog) TakeEvents(ctx context.Context, events []canon.Value, s Source) (EventCounts, Verdict) {
	panic("skeleton")
}

// Experience is one finished exchange of this hub with another.
type Experience struct {
	ProviderHub string
	Success     bool
	PriceMicros int64
	LatencyMS   int64
}

// Report signs an experience as a reputation event of this hub, counts it, and puts it
// where NextEvent finds it.
func (c *Catalog) Report(ctx context.Context, e Experience) error { panic("skeleton") }

// NextEvents takes the events of this hub that were not gossiped yet.
func (c *Catalog) NextEvents() [][]byte { panic("skeleton") }

// EventsDue has an element whenever NextEvents has something.
func (c *Catalog) EventsDue() <-chan struct{} { panic("skeleton") }

// EventsOf lists the newest events about a hub, as received, newest first.
func (c *Catalog) EventsOf(hubURL string, n int) [][]byte { panic("skeleton") }
