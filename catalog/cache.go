package catalog

import "sync"

// cache keeps recently used values within a budget of bytes. It holds two
// generations: a full one becomes the old one and is dropped when the next fills
// up, so a hit costs one read lock and no list surgery.
//
// Readers fill it from the store while writers change the store; the epoch keeps
// a value that was read before a change from being inserted after it.
type cache[K comparable, V any] struct {
	mu       sync.RWMutex
	epoch    uint64
	cur, old map[K]V
	used     int64 // bytes in cur
	half     int64 // bound on used
}

func newCache[K comparable, V any](maxBytes int64) *cache[K, V] {
	return &cache[K, V]{cur: map[K]V{}, half: maxBytes / 2}
}

// get returns the value of k, and the epoch that a fill after a miss must pass to put.
func (c *cache[K, V]) get(k K) (v V, ok bool, epoch uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if v, ok = c.cur[k]; !ok {
		v, ok = c.old[k]
	}
	return v, ok, c.epoch
}

// put inserts what was read under epoch, unless something was dropped since.
func (c *cache[K, V]) put(k K, v V, bytes int64, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch || bytes > c.half {
		return
	}
	if _, there := c.cur[k]; there {
		return
	}
	if c.used+bytes > c.half {
		c.old, c.cur, c.used = c.cur, make(map[K]V, len(c.cur)), 0
	}
	c.cur[k] = v
	c.used += bytes
}

// drop forgets k and fences off fills that began earlier.
func (c *cache[K, V]) drop(keys ...K) {
	if len(keys) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for _, k := range keys {
		delete(c.cur, k)
		delete(c.old, k)
	}
}
