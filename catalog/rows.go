package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/internal/store"
)

// Put lists or replaces rows in one batch. It does not apply the publishing gates.
// Routed price and fee are computed here; FirstSeen of a row that is replaced
// stays; rows that say nothing new are not written. Of rows with equal keys the
// last one counts.
func (c *Catalog) Put(ctx context.Context, rows []Capability) error {
	checked := make([]Capability, 0, len(rows))
	at := make(map[Key]int, len(rows))
	for i := range rows {
		r, err := checkRow(rows[i], c.cfg.RoutingFeeBps)
		if err != nil {
			return fmt.Errorf("catalog: list %q of product %q: %w", clip(rows[i].CapabilityID), clip(rows[i].ProductID), err)
		}
		if r.SourceHub == Local && r.SourceHubName == "" {
			r.SourceHubName = clipName(c.cfg.HubName)
		}
		if j, dup := at[r.Key]; dup {
			checked[j] = r
			continue
		}
		at[r.Key] = len(checked)
		checked = append(checked, r)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("catalog: list %d capabilities: %w", len(checked), err)
	}
	c.mu.Lock()
	commit, err := c.putLocked(checked)
	c.mu.Unlock()
	return durable(commit, err, "list", len(checked))
}

// durable waits for a change to reach the disk.
func durable(commit *store.Commit, err error, verb string, n int) error {
	if err == nil && commit != nil {
		err = commit.Wait()
	}
	if err != nil {
		return fmt.Errorf("catalog: %s %d capabilities: %w", verb, n, err)
	}
	return nil
}

// change is one row before and after; old is nil for a new row.
type change struct {
	old *Capability
	row Capability
}

// putLocked applies checked rows with distinct keys, store first, then memory.
func (c *Catalog) putLocked(rows []Capability) (*store.Commit, error) {
	now := c.cfg.Now().UTC().Truncate(time.Microsecond)
	changes := make([]change, 0, len(rows))
	fresh := 0
	for i := range rows {
		r := rows[i]
		if r.SourceHub != Local && !c.isActive(r.SourceHub) {
			return nil, &UnknownError{ProductID: r.ProductID, CapabilityID: r.CapabilityID, SourceHub: r.SourceHub, NoHub: true}
		}
		old, err := c.read(r.Key)
		if err != nil {
			return nil, err
		}
		r.FirstSeen, r.UpdatedAt, r.Observations30d = now, now, 0
		if old != nil {
			r.FirstSeen = old.FirstSeen
			if sameRow(old, &r) {
				continue
			}
		} else {
			fresh++
		}
		changes = append(changes, change{old, r})
	}
	if len(changes) == 0 {
		return nil, nil
	}
	if total := int(c.total.Load()); total+fresh > c.cfg.MaxRows {
		return nil, fmt.Errorf("%w: %d capabilities are listed, %d more would pass the bound of %d; raise it or remove some", ErrFull, total, fresh, c.cfg.MaxRows)
	}
	products, err := c.newProducts(changes)
	if err != nil {
		return nil, err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	for i := range changes {
		stage(b, changes[i].old, &changes[i].row)
	}
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return nil, err
	}
	c.products.Add(products)
	c.adopt(changes)
	return commit, nil
}

// stage writes a row and the ranges derived from it.
func stage(b *store.Batch, old, row *Capability) {
	b.Set(rowKey(row.Key), appendRow(nil, row))
	b.Set(byCapKey(row.Key), mark)
	if old != nil && old.InvokeURL != "" && old.InvokeURL != row.InvokeURL {
		b.Delete(byURLKey(old.InvokeURL, row.Key))
	}
	if row.InvokeURL != "" {
		b.Set(byURLKey(row.InvokeURL, row.Key), mark)
	}
}

// newProducts counts the own products that changes list for the first time.
func (c *Catalog) newProducts(changes []change) (int64, error) {
	seen := map[string]bool{}
	for i := range changes {
		r := &changes[i].row
		if changes[i].old != nil || r.SourceHub != Local || seen[r.ProductID] {
			continue
		}
		others, err := c.productHas(r.ProductID, "")
		if err != nil {
			return 0, err
		}
		if !others {
			seen[r.ProductID] = true
		}
	}
	return int64(len(seen)), nil
}

// productHas reports whether an own product lists a capability other than except.
func (c *Catalog) productHas(productID, except string) (found bool, err error) {
	err = c.cfg.Store.Scan(prefixKey(rangeRow, Local, productID), nil, func(key, _ []byte) (bool, error) {
		k, ok := parseRowKey(key)
		found = ok && k.CapabilityID != except
		return !found, nil
	})
	return found, err
}

// adopt brings memory in line with changes that the store has applied.
func (c *Catalog) adopt(changes []change) {
	rows := make([]index.Row, len(changes))
	keys := make([]Key, len(changes))
	best := make([]Key, len(changes))
	for i := range changes {
		old, r := changes[i].old, changes[i].row
		if old == nil {
			c.total.Add(1)
			if r.SourceHub == Local {
				c.local.Add(1)
			}
		} else if executable(old) {
			c.top.remove(topRow{old.Key, old.TrustScore})
		}
		c.table.overlay(&r) // before the rank, which goes by the trust that is shown
		if executable(&r) {
			c.top.add(topRow{r.Key, r.TrustScore})
		}
		c.noteBuiltin(&r)
		c.markOwn(r.Key)
		rows[i], keys[i], best[i] = indexRow(&r), r.Key, bestKey(r.CapabilityID, r.SourceHub)
	}
	c.rows.drop(keys...)
	c.best.drop(best...)
	if err := c.idx.Put(rows...); err != nil {
		// MaxRows is never above what the index holds, so this is a fault of ours.
		c.cfg.Logger.Error("catalog: rows are listed but not searchable until the next start", "rows", len(rows), "error", err)
	}
	c.touch()
}

// reindex tells the index the numbers of rows whose measurements changed.
func (c *Catalog) reindex(keys []Key) {
	for _, k := range keys {
		r, err := c.read(k)
		if err != nil || r == nil {
			continue // the row went, or the store is failing and says so elsewhere
		}
		c.table.overlay(r)
		c.markOwn(k)
		c.idx.Update(index.Key(k), numbers(r))
	}
}

// read returns a row as stored, without measurements; nil if it is not listed.
func (c *Catalog) read(k Key) (*Capability, error) {
	value, err := c.cfg.Store.Get(rowKey(k))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q of product %q: %w", clip(k.CapabilityID), clip(k.ProductID), err)
	}
	r, err := decodeRow(k, value)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// sameRow is true if b lists nothing that a does not.
func sameRow(a, b *Capability) bool {
	x, y := *a, *b
	same := bytes.Equal(x.InputSchema, y.InputSchema) && bytes.Equal(x.OutputSchema, y.OutputSchema)
	x.InputSchema, y.InputSchema, x.OutputSchema, y.OutputSchema = nil, nil, nil, nil
	x.UpdatedAt, x.FirstSeen, x.Observations30d = y.UpdatedAt, y.FirstSeen, y.Observations30d
	return same && equalScalars(&x, &y)
}

func equalScalars(x, y *Capability) bool {
	return x.Key == y.Key && x.SourceHubName == y.SourceHubName && x.Name == y.Name && x.Version == y.Version &&
		x.Description == y.Description && x.PriceMicros == y.PriceMicros && x.RoutedMicros == y.RoutedMicros &&
		x.RoutingFeeBps == y.RoutingFeeBps && x.TrustScore == y.TrustScore && x.P50LatencyMS == y.P50LatencyMS &&
		x.SuccessRate30d == y.SuccessRate30d && x.InvokeURL == y.InvokeURL && x.PublisherID == y.PublisherID &&
		x.ProviderKey == y.ProviderKey && x.StakeMicros == y.StakeMicros && x.Demo == y.Demo && x.Builtin == y.Builtin
}
