package catalog

import (
	"fmt"
	"strings"
	"time"
)

// roomForListing reports whether a hub's listing of so many bytes and tools may take the
// place of what is held of it. Less than that is always welcome. c.mu is held.
func (c *Catalog) roomForListing(p *Peer, size int64, tools int) error {
	c.peersMu.RLock()
	held := c.mesh.heldBytes
	c.peersMu.RUnlock()
	if sum := held - p.HeldBytes + size; size > p.HeldBytes && sum > c.cfg.MaxHeldBytes {
		return fmt.Errorf("%w: with the listing of %s those of all hubs would take %d bytes, the bound is %d; remove some hubs", ErrFull, p.URL, sum, c.cfg.MaxHeldBytes)
	}
	free := c.cfg.MaxRows - int(c.total.Load())
	if tools <= free {
		return nil
	}
	now := 0
	if key, ok := decodeKey(p.PublicKey); ok && p.Held != "" {
		l, err := c.listingFor(key)
		if err != nil {
			return err
		}
		now = len(l.entries)
	}
	if tools > now && tools-now > free {
		return fmt.Errorf("%w: %s lists %d capabilities, there is room for %d; remove some hubs", ErrFull, p.URL, tools, now+max(0, free))
	}
	return nil
}

// noRoomMark marks the Why of a peer whose newest catalogue was not taken.
const noRoomMark = "its newest catalogue was not taken"

// noRoom refuses a listing as a whole: what was held before stays in effect until it is
// stale, and the peer says why. Nothing of the head is noted, so that it is not taken
// for one whose listing is held.
func (t *taking) noRoom(p Peer, err error) Intake {
	t.c.noteNoRoom(p.URL, err)
	return t.failed(err)
}

func (c *Catalog) noteNoRoom(hub string, why error) {
	c.mesh.noRoom.Add(1)
	p, ok := c.Peer(hub)
	if !ok || p.Status != PeerActive || p.Away {
		return
	}
	p.Why = "active, but " + noRoomMark + " at " + stamp(c.cfg.Now()) + ": " + clipTo(why.Error(), maxWhy)
	if err := c.keepPeer(&p); err != nil {
		c.cfg.Logger.Warn("catalog: that a catalogue was not taken was not noted", "hub", hub, "error", err)
	}
}

// hold notes which listing of a peer is in effect, and its bytes.
func (p *Peer) hold(digest string, size int64) { p.Held, p.HeldBytes = digest, size }

// confirmed notes that a peer's catalogue is known to be current.
func (p *Peer) confirmed(at time.Time) {
	p.LastCrawl = at
	switch {
	case p.Status != PeerActive:
	case p.Away || strings.HasPrefix(p.Why, "away"):
		p.Away, p.Why = false, "active: heard of again at "+stamp(at)
	case strings.Contains(p.Why, noRoomMark):
		p.Why = "active: its catalogue has room here again since " + stamp(at)
	}
}
