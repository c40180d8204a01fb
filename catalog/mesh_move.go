package catalog

import (
	"errors"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// movePeer stores a peer under another URL or name and takes its rows and their
// measurements along, in one batch. c.mu is held; p is the peer as it will be. Another
// record at the new URL is forgotten first: the caller has made sure that it has no
// right to it. No sync is awaited.
func (c *Catalog) movePeer(from string, p *Peer, also func(*store.Batch)) error {
	if p.URL != from {
		p.Previewed = 0
		if _, there := c.Peer(p.URL); there {
			if _, err := c.removePeerLocked(p.URL); err != nil {
				return err
			}
		}
	}
	now := c.cfg.Now().UTC().Truncate(time.Microsecond)
	var olds []*Capability
	var changes []change
	err := c.scanRows(rangeRow, from, func(r *Capability) (bool, error) {
		next := *r
		next.SourceHub, next.SourceHubName, next.UpdatedAt = p.URL, clipName(p.Name), now
		olds = append(olds, r)
		changes = append(changes, change{nil, next})
		return true, nil
	})
	if err != nil {
		return err
	}
	value, err := encodePeer(p)
	if err != nil {
		return err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	if p.URL != from {
		b.Delete(joinKey(rangePeer, from))
		if err := c.dropPreview(b, from); err != nil {
			return err
		}
	}
	b.Set(joinKey(rangePeer, p.URL), value)
	for i, old := range olds {
		if p.URL == from {
			changes[i].old = old
			stage(b, old, &changes[i].row)
			continue
		}
		unstage(b, old)
		stage(b, nil, &changes[i].row)
		seen, err := c.cfg.Store.Get(measuredKey(old.Key))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			b.Set(measuredKey(changes[i].row.Key), seen)
		}
	}
	if also != nil {
		also(b)
	}
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		return err
	}
	if p.URL != from {
		if trust, ok := c.table.trust.Load(from); ok { // a new address is no new start
			c.table.trust.Store(p.URL, trust)
		}
		for i, old := range olds {
			c.table.move(old.Key, changes[i].row.Key)
			c.disown(old)
		}
	}
	c.setPeer(p.URL, p) // before the rows, which a call may look up at once
	if len(changes) > 0 {
		c.adopt(changes)
	}
	if p.URL != from {
		c.setPeer(from, nil)
		c.syncHubFlag(from, now)
	}
	c.syncHubFlag(p.URL, now)
	c.touch()
	return nil
}

// move takes measurements along to a row's new key.
func (t *measureTable) move(from, to Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.rows[from]; m != nil {
		t.rows[to] = m
		delete(t.rows, from)
		t.moved.Store(true)
	}
}

// forgetListing forgets what memory holds of a hub's listing. c.mu is held.
func (c *Catalog) forgetListing(key identity.PublicKey) {
	c.mesh.listings.put(key, nil)
	c.mesh.history.drop(key)
}
