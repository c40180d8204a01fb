package catalog

import (
	"context"
	"fmt"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/internal/store"
)

// Remove takes a row off; ErrUnknown if it is not listed.
func (c *Catalog) Remove(ctx context.Context, k Key) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("catalog: remove %q: %w", clip(k.CapabilityID), err)
	}
	c.mu.Lock()
	commit, err := c.removeLocked(k)
	c.mu.Unlock()
	return durable(commit, err, "remove", 1)
}

func (c *Catalog) removeLocked(keys ...Key) (*store.Commit, error) {
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	olds := make([]*Capability, 0, len(keys))
	var products int64
	for _, k := range keys {
		old, err := c.read(k)
		if err != nil {
			return nil, err
		}
		if old == nil {
			return nil, &UnknownError{ProductID: k.ProductID, CapabilityID: k.CapabilityID, SourceHub: k.SourceHub}
		}
		if k.SourceHub == Local {
			others, err := c.productHas(k.ProductID, k.CapabilityID)
			if err != nil {
				return nil, err
			}
			if !others {
				products++
			}
		}
		b.Delete(rowKey(k))
		b.Delete(byCapKey(k))
		b.Delete(measuredKey(k))
		if old.InvokeURL != "" {
			b.Delete(byURLKey(old.InvokeURL, k))
		}
		olds = append(olds, old)
	}
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return nil, err
	}
	c.products.Add(-products)
	for _, old := range olds {
		c.disown(old)
	}
	c.touch()
	return commit, nil
}

// disown brings memory in line with a row that the store has dropped.
func (c *Catalog) disown(old *Capability) {
	c.total.Add(-1)
	if old.SourceHub == Local {
		c.local.Add(-1)
	}
	if executable(old) {
		c.top.remove(topRow{old.Key, old.TrustScore})
	}
	c.table.forget(old.Key)
	c.markOwn(old.Key)
	c.builtins.Delete(old.Key)
	c.rows.drop(old.Key)
	c.best.drop(bestKey(old.CapabilityID, old.SourceHub))
	c.idx.Remove(index.Key(old.Key))
}
