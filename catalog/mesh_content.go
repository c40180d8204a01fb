package catalog

import (
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// content brings the peer's rows in line with the head as far as that is possible now.
func (t *taking) content(before, p Peer, out Intake) Intake {
	h, u := t.h, t.u
	held := p.Held
	switch {
	case held == h.Digest: // still current
		t.confirm(&p)
		return t.refresh(before, p, out)
	case h.Digest == emptyListing:
		return t.apply(before, p, &digests{}, nil, out)
	case u == nil:
		if err := t.c.roomForListing(&before, int64(h.Size), h.Capabilities); err != nil {
			return t.noRoom(before, err) // no use to fetch it
		}
		out.Want = t.want(&p)
		if out.Reason == ReasonApplied {
			out.Reason = ReasonWanted
		}
		return t.refresh(before, p, out)
	case u.Base == "":
		return t.apply(before, p, u.changes, u.Removed, out)
	case u.Base != held && (held != "" || u.Base != emptyListing):
		out.Want = t.want(&p)
		out.Reason, out.Detail = ReasonBase, "the listing that these changes apply to is not held"
		return t.refresh(before, p, out)
	}
	base := &digests{}
	if held != "" {
		var err error
		if base, err = t.c.listingFor(h.PublicKey); err != nil {
			return t.failed(err)
		}
	}
	next := base.apply(u.changes)
	if !h.announces(next) {
		return t.blame(ReasonMismatch, "these changes do not lead to the listing that the head announces")
	}
	return t.apply(before, p, next, u.Removed, out)
}

func (t *taking) want(p *Peer) *Want {
	return &Want{Key: t.h.PublicKey, Digest: t.h.Digest, Have: p.Held}
}

// refresh stores a head that changes no rows.
func (t *taking) refresh(before, p Peer, out Intake) Intake {
	if before.Name != p.Name || before.URL != p.URL {
		if err := t.c.movePeer(before.URL, &p, t.stageHead); err != nil {
			return t.failed(err)
		}
		out.Peer = p.URL
		return out
	}
	return t.note(p, out)
}

// note stores the peer's record alone, with the head if that is the newest.
func (t *taking) note(p Peer, out Intake) Intake {
	var also []func(*store.Batch)
	if p.Sequence == t.h.Sequence && p.Digest == t.h.Digest && p.Status == PeerActive {
		also = append(also, t.stageHead)
	}
	if err := t.c.keepPeer(&p, also...); err != nil {
		return t.failed(err)
	}
	out.Peer, out.State = p.URL, p.Status
	return out
}

func (t *taking) stageHead(b *store.Batch) {
	b.Set(headKey(t.h.PublicKey), store.PutValue(listingVersion, t.h.raw))
}

// apply makes next, which u leads to, the peer's listing.
func (t *taking) apply(before, p Peer, next *digests, removed []RowID, out Intake) Intake {
	c, key := t.c, t.h.PublicKey
	if err := c.roomForListing(&before, next.size, 0); err != nil {
		return t.noRoom(before, err)
	}
	if before.Name != p.Name || before.URL != p.URL {
		// The rows that stay get the new name first.
		was := before
		was.URL, was.Name = p.URL, p.Name
		if err := c.movePeer(before.URL, &was, nil); err != nil {
			return t.failed(err)
		}
	}
	held, err := c.listingFor(key)
	if err != nil {
		return t.failed(err)
	}
	whole := t.u == nil || t.u.Base == "" || p.Held == ""
	var tools []Tool
	if t.u != nil {
		t.readTools()
		tools = t.u.Tools
	}
	if whole { // what is stored verbatim already is not written again
		changed, gone := held.diff(next)
		removed = gone
		if len(changed) < len(tools) {
			tools = slices.DeleteFunc(slices.Clone(tools), func(tool Tool) bool {
				_, there := slices.BinarySearchFunc(changed, tool.RowID, RowID.compare)
				return !there
			})
		}
	}
	from := p.Held
	p.hold(t.h.Digest, next.size)
	t.confirm(&p)
	changed, err := c.applyRows(&p, rowsChange{
		Whole: whole, Rows: t.rows, Gone: append(slices.Clone(removed), t.unlisted...),
		Also: func(b *store.Batch) {
			stageTools(b, key, tools, removed)
			t.stageHead(b)
		},
		After: func() {
			c.mesh.listings.put(key, next)
			c.mesh.history.add(key, from, tools, removed)
		},
	})
	switch {
	case isFull(err):
		return t.noRoom(p, err)
	case err != nil:
		return t.failed(err)
	}
	out.Peer, out.State, out.Changed, out.Dropped = p.URL, p.Status, changed, t.dropped
	return out
}

// failed words an error of this hub: nobody else is to blame.
func (t *taking) failed(err error) Intake {
	reason := ReasonStorage
	if isFull(err) {
		reason = ReasonFull
	}
	t.c.cfg.Logger.Warn("catalog: a head was not taken", "key", t.key, "sequence", t.h.Sequence, "reason", reason, "error", err)
	return t.ignore(reason, err.Error())
}

// confirm notes that the peer's catalogue is current.
func (t *taking) confirm(p *Peer) {
	p.confirmed(t.now.UTC().Truncate(time.Second))
}

// describe copies what a head says of its hub.
func (t *taking) describe(p *Peer) {
	h := t.h
	p.LastSeen = t.now.UTC().Truncate(time.Second)
	p.PublicKey = t.key
	if h.Name != "" {
		p.Name = h.Name
	} else if p.Name == "" {
		p.Name = hostname(p.URL)
	}
	p.HubVersion, p.Categories, p.Multiaddrs = h.HubVersion, h.Categories, h.Multiaddrs
	p.Capabilities = h.Capabilities
	p.HeadTime, p.Expires = h.GeneratedAt, h.ExpiresAt
	before := p.ClaimedURL
	p.ClaimedURL = ""
	switch {
	case t.claim == "" || t.claim == p.URL:
	case p.Status == PeerActive && t.mayTakeURL():
		p.URL = t.claim
		p.WellKnownURL, p.ManifestURL, p.MCPEndpoint = p.URL+wellKnownPath, "", ""
	default:
		p.ClaimedURL = t.claim
	}
	if p.ClaimedURL != before {
		t.claims = p.ClaimedURL != ""
		p.Look = Look{At: p.Look.At}
		if !p.Look.At.IsZero() { // whoever claims another address every second is not looked at every second
			p.Look.Next = p.Look.At.Add(lookFirst)
		}
	}
}
