package index

import (
	"slices"
	"strings"
	"sync/atomic"
)

// category is the remembered set of rows whose text contains one of the needles.
// From its registration on, writers keep it up to date; the rows that were there
// before are decided once, by the search that asked first.
type category struct {
	needles []string
	bits    []uint64 // guarded by Index.mu
	ready   bool     // guarded by Index.mu
	used    atomic.Int64
}

func (c *category) set(doc uint32) {
	for int(doc>>6) >= len(c.bits) {
		c.bits = append(c.bits, 0)
	}
	c.bits[doc>>6] |= 1 << (doc & 63)
}

// copyInto appends the bits of rows to buf.
func (c *category) copyInto(buf []uint64, rows int) []uint64 {
	words := (rows + 63) / 64
	buf = append(buf, c.bits[:min(words, len(c.bits))]...)
	for len(buf) < words {
		buf = append(buf, 0)
	}
	return buf
}

// memberOf returns the remembered categories that a row belongs to.
func (c *core) memberOf(r *Row) []*category {
	if len(c.categories) == 0 {
		return nil
	}
	text := categoryText(r.Key, Text{r.Name, r.Description})
	var in []*category
	for _, cat := range c.categories {
		if containsAny(text, cat.needles) {
			in = append(in, cat)
		}
	}
	return in
}

func categoryText(k Key, t Text) string {
	return strings.ToLower(k.CapabilityID + " " + k.ProductID + " " + t.Name + " " + t.Description)
}

func containsAny(s string, needles []string) bool {
	return slices.ContainsFunc(needles, func(n string) bool { return strings.Contains(s, n) })
}

// fill sees to it that a category, in lower case, is ready; "" is no category.
func (x *Index) fill(name string) {
	if name == "" || x.use(name) {
		return
	}
	x.filling.Lock()
	defer x.filling.Unlock()
	if x.use(name) {
		return
	}
	cat := &category{needles: []string{name}}
	if name == "security" {
		cat.needles = securityWords
	}
	f := x.register(name, cat)
	x.finish(cat, f.decide())
}

// use says whether a category is ready, and keeps it from being forgotten soon.
func (x *Index) use(name string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	cat := x.core.ready(name)
	if cat != nil {
		cat.used.Store(x.clock.Add(1))
	}
	return cat != nil
}

// ready returns a category if it is complete.
func (c *core) ready(name string) *category {
	if cat := c.categories[name]; cat != nil && cat.ready {
		return cat
	}
	return nil
}

// register makes writers keep cat up to date and returns what is there already.
func (x *Index) register(name string, cat *category) *filling {
	x.write.Lock()
	defer x.write.Unlock()
	x.compactIfDue()
	x.fillers++
	c := x.core
	f := &filling{
		needles: cat.needles, fetch: x.options.Text,
		view: view{rows: c.rows, blocks: slices.Clone(c.blocks), idents: c.idents,
			products: c.products.list, capabilities: c.capabilities.list, hubs: c.hubs.list},
		words: c.words, terms: slices.Clone(c.terms), opaque: c.opaque,
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(c.categories) >= MaxCategories {
		oldest := ""
		for n, other := range c.categories {
			if oldest == "" || other.used.Load() < c.categories[oldest].used.Load() {
				oldest = n
			}
		}
		delete(c.categories, oldest)
	}
	cat.used.Store(x.clock.Add(1))
	c.categories[name] = cat
	return f
}

// finish adds the rows that were there before to those that writers have added.
func (x *Index) finish(cat *category, bits []uint64) {
	x.write.Lock()
	defer x.write.Unlock()
	x.fillers--
	x.mu.Lock()
	for len(cat.bits) < len(bits) {
		cat.bits = append(cat.bits, 0)
	}
	for i, w := range bits {
		cat.bits[i] |= w
	}
	cat.ready = true
	x.mu.Unlock()
	x.compactIfDue()
}

// takeCategories carries the categories of a single core over to its compacted copy.
func (c *core) takeCategories(parts []*core, maps [][]uint32) {
	if len(parts) != 1 {
		return
	}
	for name, old := range parts[0].categories {
		cat := &category{needles: old.needles, ready: old.ready}
		cat.used.Store(old.used.Load())
		for doc, to := range maps[0] {
			if to != noDoc && doc>>6 < len(old.bits) && old.bits[doc>>6]>>(doc&63)&1 != 0 {
				cat.set(to)
			}
		}
		c.categories[name] = cat
	}
}
