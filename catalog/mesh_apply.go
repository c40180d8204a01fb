package catalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// maxPreview is how many rows of a pending peer are kept for the operator to look at
// (federation notes §4).
const maxPreview = 25

// rowsChange is what one intake does to the rows of an active peer.
type rowsChange struct {
	Whole bool               // rows of the peer that are not in Rows go
	Rows  []Capability       // new or changed, passed by checkRow, with distinct ids; hub, name, fee and trust are filled in
	Gone  []RowID            // rows to take off; those that are not listed are no error
	Also  func(*store.Batch) // further writes of the same batch; may be nil
	After func()             // brings further memory in line once the batch is applied; may be nil
}

// applyRows stores a peer's record and its rows in one batch and then brings memory and
// index in line. c.mu is held. p is the peer as it will be; it must be active and it is
// not changed afterwards. No sync is awaited: what a crash loses, the peer's next
// sign of life brings back.
func (c *Catalog) applyRows(p *Peer, ch rowsChange) (changed bool, err error) {
	now := c.cfg.Now().UTC().Truncate(time.Microsecond)
	old, err := c.rowsBefore(p.URL, ch)
	if err != nil {
		return false, err
	}
	name, trust := clipName(p.Name), rowTrust(strangerScore) // what it earns is laid over when it is read
	changes := make([]change, 0, len(ch.Rows))
	fresh := 0
	// What is left in old after this loop leaves.
	for i := range ch.Rows {
		r := ch.Rows[i]
		r.SourceHub, r.SourceHubName, r.TrustScore, r.InvokeURL = p.URL, name, trust, ""
		r.RoutingFeeBps = c.cfg.RoutingFeeBps
		r.RoutedMicros = r.PriceMicros + feeMicros(r.PriceMicros, r.RoutingFeeBps)
		r.FirstSeen, r.UpdatedAt, r.Observations30d = now, now, 0
		was := old[r.rowID()]
		delete(old, r.rowID())
		if was == nil {
			fresh++
		} else {
			r.FirstSeen = was.FirstSeen
			if sameRow(was, &r) {
				continue
			}
		}
		changes = append(changes, change{was, r})
	}
	if total := int(c.total.Load()) + fresh - len(old); fresh > 0 && total > c.cfg.MaxRows {
		return false, fmt.Errorf("%w: with those of %s there would be %d capabilities, the bound is %d; raise it or remove some", ErrFull, p.URL, total, c.cfg.MaxRows)
	}
	value, err := encodePeer(p)
	if err != nil {
		return false, err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	b.Set(joinKey(rangePeer, p.URL), value)
	for i := range changes {
		stage(b, changes[i].old, &changes[i].row)
	}
	for _, r := range old {
		unstage(b, r)
	}
	if ch.Also != nil {
		ch.Also(b)
	}
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		return false, err
	}
	for _, r := range old {
		c.disown(r)
	}
	if len(changes) > 0 {
		c.adopt(changes)
	}
	before, _ := c.Peer(p.URL)
	c.setPeer(p.URL, p)
	if ch.After != nil {
		ch.After()
	}
	c.syncHubFlag(p.URL, now)
	if len(changes)+len(old) > 0 || !shownAlike(&before, p) {
		c.touch()
	}
	return len(changes)+len(old) > 0, nil
}

// rowsBefore reads the stored rows that a change touches: all of the hub for a whole
// one, else those that it names.
func (c *Catalog) rowsBefore(hub string, ch rowsChange) (map[RowID]*Capability, error) {
	old := make(map[RowID]*Capability, len(ch.Rows))
	if !ch.Whole {
		for i := range len(ch.Rows) + len(ch.Gone) {
			id := RowID{}
			if i < len(ch.Rows) {
				id = ch.Rows[i].rowID()
			} else {
				id = ch.Gone[i-len(ch.Rows)]
			}
			r, err := c.read(id.at(hub))
			if err != nil {
				return nil, err
			}
			if r != nil {
				old[id] = r
			}
		}
		return old, nil
	}
	err := c.scanRows(rangeRow, hub, func(r *Capability) (bool, error) {
		old[r.rowID()] = r
		return true, nil
	})
	return old, err
}

// scanRows decodes the rows of one hub in a range of rows. The rows may be kept.
func (c *Catalog) scanRows(rng, hub string, fn func(*Capability) (bool, error)) error {
	return c.cfg.Store.Scan(prefixKey(rng, hub), nil, func(key, value []byte) (bool, error) {
		h, product, capability, ok := splitKey(rng, key)
		if !ok {
			return false, fmt.Errorf("%w: key %q is none of this program's", ErrCorrupt, key)
		}
		r, err := decodeRow(Key{ProductID: product, CapabilityID: capability, SourceHub: h}, slices.Clone(value))
		if err != nil {
			return false, err
		}
		return fn(&r)
	})
}

// unstage deletes a row and the ranges derived from it.
func unstage(b *store.Batch, r *Capability) {
	b.Delete(rowKey(r.Key))
	b.Delete(byCapKey(r.Key))
	b.Delete(measuredKey(r.Key))
	if r.InvokeURL != "" {
		b.Delete(byURLKey(r.InvokeURL, r.Key))
	}
}

// rowID names the row within its hub.
func (k Key) rowID() RowID { return RowID{k.ProductID, k.CapabilityID} }

// at names the row of a hub.
func (id RowID) at(hub string) Key {
	return Key{ProductID: id.ProductID, CapabilityID: id.CapabilityID, SourceHub: hub}
}

// putPreview stores a pending peer's record and the first maxPreview of rows, which
// replace what its preview held. c.mu is held. The rows are what checkRow passed; they
// lie in a range that neither search nor lookup nor any document reads.
func (c *Catalog) putPreview(p *Peer, rows []Capability) error {
	rows = rows[:min(len(rows), maxPreview)]
	p.Previewed = len(rows)
	now := c.cfg.Now().UTC().Truncate(time.Microsecond)
	return c.keepPeer(p, c.previewDropper(p.URL), func(b *store.Batch) {
		for i := range rows {
			r := rows[i]
			r.SourceHub, r.SourceHubName, r.TrustScore, r.InvokeURL = p.URL, clipName(p.Name), 0, ""
			r.FirstSeen, r.UpdatedAt, r.Observations30d = now, now, 0
			b.Set(joinKey(rangePreview, r.SourceHub, r.ProductID, r.CapabilityID), appendRow(nil, &r))
		}
	})
}

// dropPreview deletes a peer's preview with the batch.
func (c *Catalog) dropPreview(b *store.Batch, hub string) error {
	return c.cfg.Store.Scan(prefixKey(rangePreview, hub), nil, func(key, _ []byte) (bool, error) {
		b.Delete(slices.Clone(key))
		return true, nil
	})
}
