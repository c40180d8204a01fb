package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// Bounds on what is remembered of how a peer became known.
const maxDiscoverer = 320

// discoverer says how a head's author became known.
func (s Source) discoverer() string {
	if s.Peer == "" {
		return string(s.Via)
	}
	d := string(s.Via) + ":" + s.Peer
	if len(d) > maxDiscoverer || !plainText(d, "") {
		return string(s.Via)
	}
	return d
}

// newcomer takes the first head of an unknown key.
func (t *taking) newcomer() Intake {
	c, h := t.c, t.h
	p := Peer{
		URL: KeyURL(h.PublicKey), PublicKey: t.key, Status: PeerPending, Discoverer: t.s.discoverer(), Depth: 1,
		FirstSeen: t.now.UTC().Truncate(time.Second),
	}
	p.WellKnownURL = p.URL + wellKnownPath
	why, admitted := t.admits(&p)
	if !admitted {
		if err := c.roomForPending(p.URL); err != nil && !c.evictPending(t.now) {
			return t.ignore(ReasonFull, err.Error())
		}
		return t.wait(p)
	}
	if ok, _ := c.mesh.newcomers.Allow("newcomers"); !ok {
		return t.ignore(ReasonFull, fmt.Sprintf("more than %d unknown hubs came within a minute", MaxNewcomersPerMin))
	}
	return t.admit(p, why)
}

// admits reports whether the author is admitted at once, and why.
func (t *taking) admits(p *Peer) (why string, ok bool) {
	if base, pinned := t.c.mesh.seedKeys[t.h.PublicKey]; pinned {
		return "active: the operator pinned its key for the seed " + base, true
	}
	if t.c.cfg.Admission == AdmitAll {
		return "active: this hub's policy is open, it admits every hub that signs its head", true
	}
	return "", false
}

// admit makes the author of a head active and goes on with the head.
func (t *taking) admit(p Peer, why string) Intake {
	c := t.c
	if err := c.mayActivate(&p); err != nil {
		return t.failed(err)
	}
	before := p
	p.Status, p.Why, p.Trial.Next = PeerActive, why, time.Time{}
	p.Sequence, p.Digest, p.Away, p.Previewed = 0, "", false, 0
	p.hold("", 0)
	if o, there := c.Peer(t.claim); there && t.claim != p.URL && t.mayTakeURL() {
		p.absorb(&o)
	}
	t.describe(&p)
	if c.knows(before.URL) || before.URL != p.URL && c.knows(p.URL) {
		// What was pending before, here or at the claimed URL, ends with this.
		if err := c.movePeer(before.URL, &p, c.previewDropper(p.URL)); err != nil {
			return t.failed(err)
		}
	}
	return t.active(p)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) && !b.IsZero() {
		return b
	}
	return a
}

func (c *Catalog) knows(hub string) bool {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	return c.peers[hub] != nil
}

// previewDropper deletes a hub's preview with a batch. A preview that cannot be read
// stays in its range, where nothing but Preview looks.
func (c *Catalog) previewDropper(hub string) func(*store.Batch) {
	return func(b *store.Batch) {
		if err := c.dropPreview(b, hub); err != nil {
			c.cfg.Logger.Warn("catalog: preview stays", "hub", hub, "error", err)
		}
	}
}

// pending takes a head of a peer that nobody admitted: it is noted and has no effect.
func (t *taking) pending(p Peer) Intake {
	h := t.h
	if why, ok := t.admits(&p); ok {
		return t.admit(p, why)
	}
	switch {
	case h.Sequence < p.Sequence:
		return t.ignore(ReasonStale, "a newer head of this hub is known")
	case h.Sequence == p.Sequence && (t.u == nil || t.u.Base != ""):
		return t.ignore(ReasonDuplicate, "this head is known; the hub is not admitted")
	}
	return t.wait(p)
}

// wait stores a pending peer as its head describes it, with a preview if there is one.
func (t *taking) wait(p Peer) Intake {
	c, h := t.c, t.h
	known := p.Sequence > 0
	moved := p.ClaimedURL != t.claim && p.URL != t.claim || !slices.Equal(p.Multiaddrs, h.Multiaddrs)
	t.describe(&p)
	p.Sequence, p.Digest = h.Sequence, h.Digest
	if !known || moved {
		p.Trial.Next = p.Trial.again()
		p.Why = c.waitingWhy(&p)
	}
	in := t.ignore(ReasonPending, "noted; this hub is not admitted here")
	in.Peer, in.State = p.URL, p.Status
	if t.u != nil && t.u.Base == "" {
		t.readTools()
		in.Dropped = t.dropped
		if err := c.putPreview(&p, t.rows); err != nil {
			return t.failed(err)
		}
	} else if in = t.note(p, in); in.Reason != ReasonPending {
		return in
	}
	if !known || moved {
		poke(c.mesh.admission)
	}
	return in
}

// evictPending makes room for a stranger when the list of those who wait is full: of
// the peers that came by a head and failed a trial, or whose head expired, the one with
// the most failures goes, of equals the longest unheard. So a flood of keys without
// hubs behind them keeps nobody out for long.
func (c *Catalog) evictPending(now time.Time) bool {
	var worst *Peer
	c.peersMu.RLock()
	for _, p := range c.peers {
		if p.Status != PeerPending || !isKeyURL(p.URL) || p.Trial.Failures == 0 && now.Before(p.Expires) {
			continue
		}
		if worst == nil || cmp.Or(worst.Trial.Failures-p.Trial.Failures, p.LastSeen.Compare(worst.LastSeen)) < 0 {
			worst = p
		}
	}
	c.peersMu.RUnlock()
	if worst == nil {
		return false
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	b.Delete(joinKey(rangePeer, worst.URL))
	c.previewDropper(worst.URL)(b)
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		c.cfg.Logger.Warn("catalog: a pending hub stays although others wait", "hub", worst.URL, "error", err)
		return false
	}
	c.setPeer(worst.URL, nil)
	return true
}

// pendingWhy says what a new pending peer waits for.
func (c *Catalog) pendingWhy() string {
	if c.cfg.Admission == AdmitVerified {
		return "pending: waits for its trial: documents that verify, and one call whose receipt verifies"
	}
	return "pending: waits for the operator; aimarket peers approve admits it"
}

// waitingWhy says what a pending peer waits for: after a failed trial, what failed and
// when the next one is.
func (c *Catalog) waitingWhy(p *Peer) string {
	switch {
	case p.PublicKey == "":
		return c.keylessWhy()
	case p.Trial.Failures == 0:
		return c.pendingWhy()
	case c.cfg.Admission == AdmitVerified:
		return "pending: its trial failed: " + p.Trial.Detail + "; the next one is at " + stamp(p.Trial.Next)
	}
	return "pending: its trial failed: " + p.Trial.Detail + "; it waits for the operator"
}

// succeed follows the word of a known key that another one takes its place: the pin
// moves, the rows stay, and the former key counts for nothing from then on.
func (t *taking) succeed() (Intake, bool) {
	c, h := t.c, t.h
	former, ok := decodeKey(h.Succeeds.PublicKey)
	if !ok {
		return Intake{}, false
	}
	o, known := c.PeerByKey(former)
	if !known { // followed already, or never heard of
		return Intake{}, false
	}
	if len(o.Retired) >= maxRetired {
		return t.ignore(ReasonFull, fmt.Sprintf("this hub changed its key %d times; the operator must pin the new one", len(o.Retired))), true
	}
	p := o
	p.Retired = append(slices.Clone(o.Retired), o.PublicKey)
	if n, both := c.PeerByKey(h.PublicKey); both { // it came here under the new key first
		p.Retired = append(p.Retired, n.Retired...)
		if _, err := c.removePeerLocked(n.URL); err != nil {
			return t.failed(err), true
		}
	}
	c.repinned(&p, t.key)
	if p.Status == PeerKeyMismatch && p.AdvertisedKey == t.key {
		p.Status, p.AdvertisedKey = PeerActive, ""
	}
	if p.Status == PeerActive {
		p.Why = "active: followed its key's signed succession at " + stamp(t.now)
	}
	l, err := c.listingFor(former)
	if err != nil {
		return t.failed(err), true
	}
	if err := c.movePeer(o.URL, &p, func(b *store.Batch) {
		dropListing(b, former, l)
		c.previewDropper(o.URL)(b)
	}); err != nil {
		return t.failed(err), true
	}
	c.forgetListing(former)
	c.cfg.Logger.Info("catalog: a hub changed its key", "hub", p.URL, "former", o.PublicKey, "key", t.key)
	return Intake{}, false
}

// repinned gives a peer another key. What was signed by the former one is void; its
// rows stay until a catalogue comes under the new one.
func (c *Catalog) repinned(p *Peer, key string) {
	if former, ok := decodeKey(p.PublicKey); ok && p.URL == KeyURL(former) {
		if k, ok := decodeKey(key); ok {
			p.URL = KeyURL(k)
			p.WellKnownURL = p.URL + wellKnownPath
		}
	}
	p.PublicKey = key
	p.Sequence, p.Digest, p.Previewed = 0, "", 0
	p.hold("", 0)
	p.HeadTime, p.Expires = time.Time{}, time.Time{}
}

// trimWellKnown takes the discovery document's path off a URL.
func trimWellKnown(raw string) string {
	base, _, _ := strings.Cut(raw, wellKnownPath)
	return base
}
