package catalog

import (
	"context"
	"errors"
	"time"
)

// headSilence is how much newer than a mesh member's newest head a crawled manifest must
// be to count: a member that is heard refreshes its head twice within StaleAfter, so its
// heads have fallen silent then.
const headSilence = StaleAfter

// TakeManifest is the intake's door for a fetched manifest: verified under the pinned
// key, refused if stale, then each tool by the rules of federation notes §2, "Per tool".
// Rows of an active peer are replaced by what it lists; of a pending one at most 25 go
// to the preview. Foreign rows and rows that break a rule are dropped alone and reported.
// What a member of the mesh announces by heads is newer than any manifest: of such a peer
// it only confirms that the hub is there (ReasonDuplicate).
func (c *Catalog) TakeManifest(ctx context.Context, hubURL string, raw []byte) Intake {
	p, in, ok := c.crawledPeer(hubURL)
	if !ok {
		return in
	}
	key, ok := decodeKey(p.PublicKey)
	if !ok {
		in.Reason, in.Detail = ReasonNoKey, "no key of this hub is known to verify its manifest with"
		return in
	}
	now := c.cfg.Now()
	m, refused := readManifest(raw, key, now)
	if refused != nil {
		in.Reason, in.Detail = refused.reason, refused.detail
		if in.Reason == ReasonMalformed || in.Reason == ReasonSignature {
			in.Verdict = Reject
		}
		return in
	}
	tools := judgeTools(m.tools, p.isItself)
	if err := ctx.Err(); err != nil {
		in.Reason, in.Detail = ReasonStorage, err.Error()
		return in
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manifestLocked(p, m, tools, now)
}

// crawledPeer finds the peer of something fetched and says why it may not count.
func (c *Catalog) crawledPeer(hubURL string) (Peer, Intake, bool) {
	p, known := c.Peer(hubURL)
	if key, ok := keyOfURL(hubURL); ok && !known { // reached by its key, known by its URL
		p, known = c.PeerByKey(key)
	}
	in := Intake{Verdict: Ignore, Reason: ReasonUnknown, Detail: "no peer of this hub", Peer: p.URL, State: p.Status}
	switch {
	case !known:
	case p.Status == PeerRejected:
		in.Reason, in.Detail = ReasonRejected, "the operator rejected this hub"
	case p.Status == PeerKeyMismatch:
		in.Reason, in.Detail = ReasonKeyChanged, p.Why
	default:
		return p, in, true
	}
	return p, in, false
}

// isItself reports whether a tool's source_hub names the peer.
func (p *Peer) isItself(sourceHub string) bool {
	base, err := NormalizeHubURL(sourceHub)
	if err != nil {
		return false
	}
	key, ok := decodeKey(p.PublicKey)
	return sameHub(base, p.URL) || p.ClaimedURL != "" && sameHub(base, p.ClaimedURL) || ok && base == KeyURL(key)
}

// manifestLocked takes a manifest that verified for the peer as it was then. c.mu is held.
func (c *Catalog) manifestLocked(was Peer, m foreignManifest, tools judged, now time.Time) Intake {
	p, in, ok := c.crawledPeer(was.URL)
	if !ok {
		return in
	}
	if p.PublicKey != was.PublicKey {
		in.Reason, in.Detail = ReasonKeyChanged, "the hub's pinned key changed meanwhile; fetch the manifest again"
		return in
	}
	if m.generatedAt.Before(p.ManifestTime) {
		in.Reason, in.Detail = ReasonStale, "this manifest is from "+stamp(m.generatedAt)+", a newer one from "+stamp(p.ManifestTime)+" is known"
		return in
	}
	in.Verdict, in.Reason, in.Detail, in.Dropped = Accept, ReasonApplied, "", tools.dropped
	at := now.UTC().Truncate(time.Second)
	p.LastSeen = at
	var err error
	switch {
	case p.Status == PeerPending:
		in.Reason, in.Detail = ReasonPending, "the manifest feeds the preview only"
		err = c.putPreview(&p, tools.rows)
	case p.ledByHeads(now) && !m.generatedAt.After(p.HeadTime.Add(headSilence)):
		in.Reason, in.Detail, in.Dropped = ReasonDuplicate, "the hub's own heads are newer than its manifest", nil
		p.LastCrawl = at
		err = c.keepPeer(&p)
	default:
		in.Taken = len(tools.rows)
		if in.Changed, err = c.replaceRows(p, m, tools.rows, at); isFull(err) {
			c.noteNoRoom(p.URL, err)
		}
	}
	if err != nil {
		c.cfg.Logger.Warn("catalog: a manifest was not taken", "hub", p.URL, "error", err)
		return Intake{Verdict: Ignore, Reason: failure(err), Detail: err.Error(), Peer: p.URL, State: p.Status}
	}
	return in
}

// ledByHeads is true while what a peer announced by a head is in effect.
func (p *Peer) ledByHeads(now time.Time) bool {
	return p.Held != "" && p.Sequence > 0 && now.Before(p.Expires)
}

// replaceRows makes a manifest's rows those of an active peer.
func (c *Catalog) replaceRows(p Peer, m foreignManifest, rows []Capability, at time.Time) (changed bool, err error) {
	also, after, err := c.lastListing(&p)
	if err != nil {
		return false, err
	}
	p.hold("", 0)
	p.confirmed(at)
	p.ManifestTime = m.generatedAt
	return c.applyRows(&p, rowsChange{Whole: true, Rows: rows, Also: also, After: after})
}

// TakeUnchanged notes that a peer's manifest is still the one that was taken (304).
// ReasonAbsent asks for the whole manifest, ReasonExpired says that it grew too old to
// be believed.
func (c *Catalog) TakeUnchanged(ctx context.Context, hubURL string) Intake {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, in, ok := c.crawledPeer(hubURL)
	if !ok {
		return in
	}
	now := c.cfg.Now()
	in.Verdict, in.Reason, in.Detail = Accept, ReasonApplied, ""
	at := now.UTC().Truncate(time.Second)
	if p.Status == PeerPending {
		in.Reason = ReasonPending
	} else if !p.ledByHeads(now) {
		listed, err := c.hubHasRows(p.URL)
		switch {
		case err != nil:
			return Intake{Verdict: Ignore, Reason: ReasonStorage, Detail: err.Error(), Peer: p.URL, State: p.Status}
		case p.Away || !listed || p.ManifestTime.IsZero():
			in.Verdict, in.Reason, in.Detail = Ignore, ReasonAbsent, "nothing that this hub listed is held"
			return in
		}
		if r := tooOld(p.ManifestTime, now); r != nil {
			in.Verdict, in.Reason, in.Detail = Ignore, r.reason, r.detail
			return in
		}
	}
	p.LastSeen = at
	if p.Status == PeerActive {
		p.LastCrawl = at
	}
	if err := c.keepPeer(&p); err != nil {
		return Intake{Verdict: Ignore, Reason: failure(err), Detail: err.Error(), Peer: p.URL, State: p.Status}
	}
	return in
}

// hubHasRows reports whether any row of a hub is listed.
func (c *Catalog) hubHasRows(hub string) (found bool, err error) {
	err = c.cfg.Store.Scan(prefixKey(rangeRow, hub), nil, func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// isFull tells a bound that is reached from a fault.
func isFull(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrDuplicateIdentity) }
