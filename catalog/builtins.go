package catalog

import (
	"context"
	"errors"
	"slices"
)

// noteBuiltin keeps the set of built-in rows in line with a row that is listed.
func (c *Catalog) noteBuiltin(r *Capability) {
	if r.Builtin {
		c.builtins.Store(r.Key, nil)
	} else {
		c.builtins.Delete(r.Key)
	}
}

// SetBuiltins makes rows the only ones that run in this process: it lists or
// replaces them and takes off every other row with Builtin set, such as those of
// an older release. A row that a publisher listed under the same key is replaced;
// with no rows, publishers' rows stay. After an error some of it may be done.
func (c *Catalog) SetBuiltins(ctx context.Context, rows []Capability) error {
	var stale []Key
	c.builtins.Range(func(key, _ any) bool {
		k := key.(Key)
		if !slices.ContainsFunc(rows, func(r Capability) bool { return r.Key == k }) {
			stale = append(stale, k)
		}
		return true
	})
	for _, k := range stale {
		if err := c.Remove(ctx, k); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return c.Put(ctx, rows)
}
