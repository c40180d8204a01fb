package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/aimarket/aimarket/internal/store"
)

// Product returns this hub's own rows of a product as they are stored, without
// measurements, ordered by capability id; none if there are none. It is for those
// who keep a set of own rows in line with some outside source.
func (c *Catalog) Product(ctx context.Context, productID string) ([]Capability, error) {
	if !ValidID(productID) {
		return nil, nil
	}
	var rows []Capability
	err := c.cfg.Store.Scan(prefixKey(rangeRow, Local, productID), nil, func(key, value []byte) (bool, error) {
		k, ok := parseRowKey(key)
		if !ok {
			return true, nil
		}
		r, err := decodeRow(k, append([]byte(nil), value...)) // rows keep parts of the value
		rows = append(rows, r)
		return err == nil, errors.Join(err, ctx.Err())
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: list product %q: %w", clip(productID), err)
	}
	return rows, nil
}

// RemoveAll takes rows off; those that are not listed are no error. The wait for
// the disk is shared, so that many rows cost about as much as one. After an error
// some of the rows may be off.
func (c *Catalog) RemoveAll(ctx context.Context, keys []Key) error {
	var err error
	commits := make([]*store.Commit, 0, len(keys))
	for _, k := range keys {
		if err = ctx.Err(); err != nil {
			break
		}
		// One row a batch: the count of products is judged row by row.
		c.mu.Lock()
		commit, failed := c.removeLocked(k)
		c.mu.Unlock()
		if errors.Is(failed, ErrUnknown) {
			continue
		}
		if err = failed; err != nil {
			break
		}
		commits = append(commits, commit)
	}
	for _, commit := range commits {
		err = errors.Join(err, commit.Wait())
	}
	return durable(nil, err, "remove", len(keys))
}
