package catalog

import (
	"context"
	"fmt"
	"strings"
)

// bestKey is the cache key of "the row of this hub with this capability id".
func bestKey(capabilityID, hub string) Key { return Key{CapabilityID: capabilityID, SourceHub: hub} }

// Lookup finds what a call names: the exact (product, capability, hub), else the
// row of that hub with this capability id and the best trust, since clients guess or
// omit the product (consumer notes §3, invoke). An empty hub, or an address of
// this hub, is Local. *UnknownError if there is none.
//
// The schemas of the result are shared: callers must not change them.
func (c *Catalog) Lookup(ctx context.Context, productID, capabilityID, sourceHub string) (Capability, error) {
	sourceHub = c.nowAt(sourceHub)
	noHub := sourceHub != Local && !c.isActive(sourceHub)
	if noHub || !ValidID(capabilityID) {
		return Capability{}, &UnknownError{ProductID: productID, CapabilityID: capabilityID, SourceHub: sourceHub, NoHub: noHub}
	}
	if ValidID(productID) {
		r, err := c.get(Key{ProductID: productID, CapabilityID: capabilityID, SourceHub: sourceHub})
		if err != nil {
			return Capability{}, fmt.Errorf("catalog: look up %q: %w", capabilityID, err)
		}
		if r != nil {
			return *r, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Capability{}, fmt.Errorf("catalog: look up %q: %w", capabilityID, err)
	}
	r, err := c.bestOf(capabilityID, sourceHub)
	if err != nil {
		return Capability{}, fmt.Errorf("catalog: look up %q: %w", capabilityID, err)
	}
	if r == nil {
		return Capability{}, &UnknownError{ProductID: productID, CapabilityID: capabilityID, SourceHub: sourceHub}
	}
	return *r, nil
}

// nowAt is the source hub under which rows of a hub are listed now: Local for every
// address of this hub, and for one that was known by its key alone, its present URL.
func (c *Catalog) nowAt(sourceHub string) string {
	if sourceHub == Local {
		return Local
	}
	sourceHub = strings.TrimSuffix(sourceHub, "/")
	if sourceHub == "" || sourceHub == c.cfg.HubURL || sourceHub == c.mesh.ownURL {
		return Local
	}
	if a := c.addresses.Load(); a != nil && a.PublicURL == sourceHub {
		return Local
	}
	if isKeyURL(sourceHub) && !c.isActive(sourceHub) {
		if key, ok := keyOfURL(sourceHub); ok {
			if p, known := c.PeerByKey(key); known {
				return p.URL
			}
		}
	}
	return sourceHub
}

// get returns a row with its measurements from the cache or the store; nil if it
// is not listed.
func (c *Catalog) get(k Key) (*Capability, error) {
	r, ok, epoch := c.rows.get(k)
	if ok {
		return r, nil
	}
	r, err := c.read(k)
	if err != nil {
		return nil, err
	}
	cost := int64(pathCost)
	if r != nil {
		c.table.overlay(r)
		cost += int64(2*len(r.Description) + len(r.InputSchema) + len(r.OutputSchema) + len(r.InvokeURL) + pathCost)
	}
	c.rows.put(k, r, cost, epoch)
	return r, nil
}

// peek is get for readers of many rows, which would only push out the rows that
// calls use.
func (c *Catalog) peek(k Key) (*Capability, error) {
	if r, ok, _ := c.rows.get(k); ok {
		return r, nil
	}
	r, err := c.read(k)
	if r != nil {
		c.table.overlay(r)
	}
	return r, err
}

// bestOf returns the row of a hub with a capability id and the best trust, the
// first by product among equals; nil if there is none.
func (c *Catalog) bestOf(capabilityID, hub string) (*Capability, error) {
	k, ok, epoch := c.best.get(bestKey(capabilityID, hub))
	if ok {
		if k == (Key{}) {
			return nil, nil
		}
		return c.get(k)
	}
	var best *Capability
	err := c.cfg.Store.Scan(prefixKey(rangeByCap, capabilityID, hub), nil, func(key, _ []byte) (bool, error) {
		_, _, product, ok := splitKey(rangeByCap, key)
		if !ok {
			return true, nil
		}
		r, err := c.read(Key{ProductID: product, CapabilityID: capabilityID, SourceHub: hub})
		if err != nil {
			return false, err
		}
		if r != nil && (best == nil || better(r, best)) {
			best = r
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	found := Key{}
	if best != nil {
		found = best.Key
		c.table.overlay(best)
	}
	c.best.put(bestKey(capabilityID, hub), found, pathCost, epoch)
	return best, nil
}

// better prefers rows that can be called at all, then the more trusted one.
func better(a, b *Capability) bool {
	if x, y := executable(a), executable(b); x != y {
		return x
	}
	return a.TrustScore > b.TrustScore
}
