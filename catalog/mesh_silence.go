package catalog

import (
	"time"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/internal/store"
)

// AwayAfter is the silence from which a peer's rows are taken off. The peer stays
// listed, and its next sign of life brings its catalogue back.
const AwayAfter = 24 * time.Hour

// tendEvery is how often silence is judged: once a minute is enough for a limit of
// hours, and shorter limits are met within a quarter of them.
func (c *Catalog) tendEvery() time.Duration {
	return max(time.Millisecond, min(FoldInterval, c.cfg.StaleAfter/4, c.cfg.AwayAfter/4))
}

// judgeStale hides, shows and takes off peers' rows by how long the peer was silent.
func (c *Catalog) judgeStale(now time.Time) {
	c.peersMu.RLock()
	due := len(c.peers) > 0 && !now.Before(c.staleNext)
	c.peersMu.RUnlock()
	if !due {
		return
	}
	c.syncHubFlags(now)
	c.peersMu.RLock()
	var silent []string
	for hub, p := range c.peers {
		if c.isSilent(p, now) {
			silent = append(silent, hub)
		}
	}
	c.peersMu.RUnlock()
	for _, hub := range silent {
		c.setAway(hub, now)
	}
}

// isSilent is true for a peer whose rows are to be taken off: nothing confirmed its
// catalogue for AwayAfter, or its own word on how long its newest head counts is over.
func (c *Catalog) isSilent(p *Peer, now time.Time) bool {
	if p.Status != PeerActive || p.Away || p.LastCrawl.IsZero() {
		return false
	}
	expired := p.Held != "" && !now.Before(p.Expires) && p.LastCrawl.Before(p.Expires)
	return expired || now.Sub(p.LastCrawl) > c.cfg.AwayAfter
}

// setAway takes the rows of a silent peer off.
func (c *Catalog) setAway(hub string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.Peer(hub)
	if !ok || !c.isSilent(&p, now) {
		return
	}
	p.Away = true
	p.hold("", 0)
	p.Why = "away: its catalogue was last confirmed at " + stamp(p.LastCrawl) + "; its capabilities come back with its next sign of life"
	ch := rowsChange{Whole: true}
	if key, ok := decodeKey(p.PublicKey); ok {
		l, err := c.listingFor(key)
		if err != nil {
			c.cfg.Logger.Warn("catalog: rows of a silent hub stay", "hub", hub, "error", err)
			return
		}
		ch.Also = func(b *store.Batch) { dropListing(b, key, l) }
		ch.After = func() { c.forgetListing(key) }
	}
	if _, err := c.applyRows(&p, ch); err != nil {
		c.cfg.Logger.Warn("catalog: rows of a silent hub stay", "hub", hub, "error", err)
		return
	}
	c.cfg.Logger.Info("catalog: hub is away, its capabilities are off", "hub", hub, "last_confirmed", p.LastCrawl)
}

// syncHubFlags tells the index whose rows to hide: those of stale peers and of peers
// whose address showed another key. Pending peers have no rows.
func (c *Catalog) syncHubFlags(now time.Time) {
	c.peersMu.Lock()
	defer c.peersMu.Unlock()
	c.staleNext = now.Add(c.tendEvery())
	for hub, p := range c.peers {
		c.flagHub(hub, p, now)
	}
	for hub := range c.hidden {
		if c.peers[hub] == nil {
			c.flagHub(hub, nil, now)
		}
	}
}

// syncHubFlag is syncHubFlags for one peer, known or not.
func (c *Catalog) syncHubFlag(hub string, now time.Time) {
	c.peersMu.Lock()
	defer c.peersMu.Unlock()
	c.flagHub(hub, c.peers[hub], now)
}

func (c *Catalog) flagHub(hub string, p *Peer, now time.Time) {
	var hide index.Flags
	switch {
	case p == nil:
	case p.Status == PeerKeyMismatch:
		hide = index.Unexecutable // not even for who asks for stale rows
	case p.Status == PeerActive && now.Sub(p.LastCrawl) > c.cfg.StaleAfter:
		hide = index.Stale
	}
	if hide == c.hidden[hub] {
		return
	}
	if hide == 0 {
		delete(c.hidden, hub)
	} else {
		c.hidden[hub] = hide
	}
	c.idx.SetHub(hub, hide)
}
