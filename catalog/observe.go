package catalog

import (
	"sync"
	"sync/atomic"
	"time"
)

// FoldInterval is how often measurements are saved and take effect in what the
// catalogue publishes. A crash loses at most what was observed since.
const FoldInterval = time.Minute

// foldChunk is how many rows are folded under one hold of the write lock.
const foldChunk = 256

// evictSample is how many rows are looked at to find one that was not called for long.
const evictSample = 64

// measureTable holds the measurements of every observed row.
type measureTable struct {
	mu   sync.RWMutex
	rows map[Key]*measured
	max  int   // bound on rows: MaxMeasured
	gone []Key // forgotten since the last fold; their records must go too

	trust sync.Map    // source hub → float64: the trust that its rows have now
	moved atomic.Bool // rows took their measurements to another hub URL: sum by hub anew

	nextFold  atomic.Int64 // unix seconds from which a fold is due
	foldedDay atomic.Int64 // day of the last fold over all rows
	forgotten atomic.Int64 // rows dropped for MaxMeasured
	hubs      atomic.Pointer[map[string]hubRecord]
}

func (t *measureTable) find(k Key) *measured {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows[k]
}

// admit adds k, forgetting a row that was not called for long when the table is full.
func (t *measureTable) admit(k Key, day int64) *measured {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.rows[k]; m != nil {
		return m
	}
	if len(t.rows) >= t.max {
		var oldest Key
		oldestDay, seen := int64(0), 0
		for have, m := range t.rows {
			m.mu.Lock()
			d := m.day
			m.mu.Unlock()
			if seen == 0 || d < oldestDay {
				oldest, oldestDay = have, d
			}
			if seen++; seen == evictSample {
				break
			}
		}
		delete(t.rows, oldest)
		t.gone = append(t.gone, oldest)
		t.forgotten.Add(1)
	}
	m := &measured{day: day}
	t.rows[k] = m
	return m
}

func (t *measureTable) forget(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, k)
}

// overlay replaces a row's declared success and latency by what was measured, and the
// trust of a peer's row by what the peer's score earns now.
func (t *measureTable) overlay(r *Capability) {
	if r.SourceHub != Local {
		r.TrustScore = t.trustOf(r.SourceHub)
	}
	r.Observations30d = 0
	m := t.find(r.Key)
	if m == nil {
		return
	}
	if s := m.now.Load(); s != nil && s.calls > 0 {
		r.Observations30d, r.SuccessRate30d = s.calls, s.success
		if s.p50 > 0 {
			r.P50LatencyMS = s.p50
		}
	}
}

// trustOf is the trust of a peer's rows.
func (t *measureTable) trustOf(hub string) float64 {
	if v, ok := t.trust.Load(hub); ok {
		return v.(float64)
	}
	return rowTrust(strangerScore)
}

func dayOf(t time.Time) int64 { return max(0, t.Unix()/secondsPerDay) }

// Observe feeds one finished call into the row's measured 30-day success and
// latency. It costs well under a microsecond; what it changes is published within
// FoldInterval. Calls of rows that are not listed are dropped at that time.
func (c *Catalog) Observe(k Key, success bool, latency time.Duration) {
	now := c.cfg.Now()
	day := dayOf(now)
	m := c.table.find(k)
	if m == nil {
		m = c.table.admit(k, day)
	}
	m.add(day, success, latency)
	if c.foldDue(now) {
		c.goFold(now)
	}
}

// foldDue claims the fold if one is due; at most one caller per interval gets true.
func (c *Catalog) foldDue(now time.Time) bool {
	due := c.table.nextFold.Load()
	return now.Unix() >= due && c.table.nextFold.CompareAndSwap(due, now.Add(FoldInterval).Unix())
}

// goFold folds off the caller's path. Close waits for it.
func (c *Catalog) goFold(now time.Time) {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return
	}
	c.folds.Add(1)
	go func() {
		defer c.folds.Done()
		c.fold(now)
	}()
}

// fold saves what was measured since the last fold and publishes it. Once a day it
// visits every row, so that calls older than the window stop counting.
func (c *Catalog) fold(now time.Time) {
	c.folding.Lock() // of two at once the one that began earlier could have the last word
	defer c.folding.Unlock()
	day := dayOf(now)
	all := c.table.foldedDay.Swap(day) != day
	var due []Key
	c.table.mu.RLock()
	for k, m := range c.table.rows {
		m.mu.Lock()
		if m.dirty || all {
			due = append(due, k)
		}
		m.mu.Unlock()
	}
	c.table.mu.RUnlock()
	changed := c.dropMeasured(c.table.takeGone())
	for len(due) > 0 {
		n := min(foldChunk, len(due))
		if c.foldRows(due[:n], day) {
			changed = true
		}
		due = due[n:]
	}
	if all {
		c.sweepEvents(now)
	}
	said := c.events.takeChanged()
	if moved := c.table.moved.Swap(false); changed || said || all || moved {
		c.sumHubs(now)
	}
	if c.retrust(now) || changed {
		c.touch()
	}
}

// takeGone returns the rows forgotten since the last call that did not come back.
func (t *measureTable) takeGone() (gone []Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.gone {
		if t.rows[k] == nil {
			gone = append(gone, k)
		}
	}
	t.gone = nil
	return gone
}

// dropMeasured deletes the records of forgotten rows; their declared values count again.
func (c *Catalog) dropMeasured(gone []Key) bool {
	if len(gone) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	for _, k := range gone {
		b.Delete(measuredKey(k))
	}
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		c.cfg.Logger.Warn("catalog: forgotten measurements not deleted", "rows", len(gone), "error", err)
	}
	c.rows.drop(gone...)
	c.reindex(gone)
	return true
}

// foldRows folds some rows in one unsynced batch and reports whether the catalogue
// now says something else.
func (c *Catalog) foldRows(keys []Key, day int64) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	var moved []Key
	for _, k := range keys {
		m := c.table.find(k)
		if m == nil {
			continue
		}
		row, err := c.read(k)
		if err != nil {
			c.cfg.Logger.Warn("catalog: measurements not saved, kept in memory until the next fold", "capability", k.CapabilityID, "error", err)
			continue
		}
		m.mu.Lock()
		if row != nil {
			m.price = row.PriceMicros
		}
		s := m.read(day)
		m.dirty = false
		value := m.encode(nil)
		m.mu.Unlock()
		listed := row != nil
		if !listed || s.calls == 0 {
			c.table.forget(k)
			b.Delete(measuredKey(k))
		} else {
			b.Set(measuredKey(k), value)
		}
		if old := m.now.Load(); old == nil || *old != s {
			m.now.Store(&s)
			if listed {
				moved = append(moved, k)
			}
		}
	}
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		c.cfg.Logger.Warn("catalog: measurements not saved; they stay in memory", "rows", len(keys), "error", err)
	}
	c.rows.drop(moved...)
	c.reindex(moved)
	return len(moved) > 0
}

// loadMeasured reads the saved measurements. They are derived data: a record that
// cannot be read is dropped, not an error.
func (c *Catalog) loadMeasured() error {
	c.table.rows, c.table.max = map[Key]*measured{}, MaxMeasured
	now := c.cfg.Now()
	day := dayOf(now)
	c.table.foldedDay.Store(day)
	c.table.nextFold.Store(now.Add(FoldInterval).Unix())
	err := c.cfg.Store.Scan([]byte(rangeMeasured), nil, func(key, value []byte) (bool, error) {
		hub, product, capability, ok := splitKey(rangeMeasured, key)
		if !ok {
			return true, nil
		}
		m, err := decodeMeasured(value)
		if err != nil {
			c.cfg.Logger.Warn("catalog: dropped unreadable measurements", "capability", capability, "error", err)
			return true, nil
		}
		s := m.read(day)
		m.now.Store(&s)
		m.dirty = s.calls == 0 // nothing counts any more: the next fold drops it
		c.table.rows[Key{ProductID: product, CapabilityID: capability, SourceHub: hub}] = m
		return len(c.table.rows) < c.table.max, nil
	})
	c.sumHubs(now)
	records := c.table.byHub()
	for _, p := range c.sellers() {
		c.table.trust.Store(p.URL, rowTrust(reputationOf(&p, records[p.URL], now).TrustScore))
	}
	return err
}
