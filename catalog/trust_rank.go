package catalog

import (
	"maps"
	"math"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// trustStep is how far a hub's row trust must move before its rows are told: each
// step costs a pass over them.
const trustStep = 0.01

// retrust brings the trust of peers' rows in line with the peers' scores, and reports
// whether any moved.
func (c *Catalog) retrust(now time.Time) (moved bool) {
	records := c.table.byHub()
	known := map[string]bool{}
	for _, p := range c.sellers() {
		known[p.URL] = true
		is, was := rowTrust(reputationOf(&p, records[p.URL], now).TrustScore), c.table.trustOf(p.URL)
		if math.Abs(is-was) <= trustStep {
			continue
		}
		c.table.trust.Store(p.URL, is)
		if err := c.rerank(p.URL, is); err != nil {
			c.cfg.Logger.Warn("catalog: rows keep their former rank until the next start", "hub", p.URL, "error", err)
		}
		moved = true
	}
	c.table.trust.Range(func(hub, _ any) bool {
		if !known[hub.(string)] {
			c.table.trust.Delete(hub)
		}
		return true
	})
	return moved
}

// sellers lists the peers that may have rows, as values that do not change.
func (c *Catalog) sellers() []Peer {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	out := make([]Peer, 0, len(c.peers))
	for _, p := range c.peers {
		if p.Status == PeerActive || p.Status == PeerKeyMismatch {
			out = append(out, *p)
		}
	}
	return out
}

// rerank gives the rows of a hub another trust.
func (c *Catalog) rerank(hub string, trust float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []Key
	err := c.cfg.Store.Scan(prefixKey(rangeRow, hub), nil, func(key, _ []byte) (bool, error) {
		if k, ok := parseRowKey(key); ok {
			keys = append(keys, k)
			c.top.move(topRow{k, trust})
		}
		return true, nil
	})
	c.rows.drop(keys...)
	c.reindex(keys)
	return err
}

// sumHubs sums what was measured and what others signed. The word of a reporter weighs
// as much as its own score without hearsay: praise cannot go in circles.
func (c *Catalog) sumHubs(now time.Time) {
	own := c.table.sumOwn()
	score := func(reporter identity.PublicKey) float64 {
		p, ok := c.PeerByKey(reporter)
		if !ok || p.Status != PeerActive {
			return 0
		}
		return reputationOf(&p, own[p.URL], now).TrustScore
	}
	sums := maps.Clone(own)
	for about, h := range c.events.hearsay(now, score) {
		if p, ok := c.PeerByKey(about); ok {
			r := sums[p.URL]
			r.hearsay = h
			sums[p.URL] = r
		}
	}
	c.table.hubs.Store(&sums)
}
