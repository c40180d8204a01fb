package index

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Compaction starts when the dead are this many and more than a quarter of the living.
const minDead = 1 << 10

// Index is safe for concurrent use. Searches take the lock only to note what there
// is; writers hold it only to make one row visible.
type Index struct {
	options Options
	scratch chan *scratch // as many searches compute at a time as there are cores

	write   sync.Mutex   // one writer at a time; taken before mu
	mu      sync.RWMutex // guards core and what it points to
	core    *core
	reader  reader       // guarded by write
	filling sync.Mutex   // one category is computed at a time; taken before write
	fillers int          // guarded by write: categories being computed, which forbid compaction
	clock   atomic.Int64 // ticks with each use of a category
}

// New returns an empty index.
func New(o Options) *Index { return newIndex(o, newCore()) }

func newIndex(o Options, c *core) *Index {
	if o.MaxRows <= 0 || o.MaxRows > MaxRows/2 {
		o.MaxRows = MaxRows / 2
	}
	x := &Index{options: o, core: c, scratch: make(chan *scratch, runtime.GOMAXPROCS(0))}
	for range cap(x.scratch) {
		x.scratch <- new(scratch)
	}
	return x
}

// word and term make the index a resolver that holds its lock only for new words.
func (x *Index) word(w string) uint32 {
	if v := x.core.dict[w]; v&1 != 0 {
		return v >> 1
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.core.word(w)
}

func (x *Index) term(stem string) uint32 {
	if v, ok := x.core.dict[stem]; ok {
		return v >> 1
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.core.term(stem)
}

// Put adds rows, or replaces those whose key is known. A row whose text did not
// change only gets its numbers updated. ErrFull if the rows do not fit; those
// before the one that did not fit are in.
func (x *Index) Put(rows ...Row) error {
	x.write.Lock()
	defer x.write.Unlock()
	for i := range rows {
		if err := x.put(&rows[i]); err != nil {
			return err
		}
		x.compactIfDue()
	}
	return nil
}

func (x *Index) put(r *Row) error {
	c, n := x.core, r.Numbers.clean()
	doc, kn, known := c.find(r.Key)
	if known && c.idents[doc>>blockShift].text[doc&blockMask] == x.reader.textHash(r) {
		x.mu.Lock()
		c.edit(doc).setNumbers(doc&blockMask, n)
		x.mu.Unlock()
		return nil
	}
	if !known && len(c.keys) >= x.options.MaxRows || c.rows >= MaxRows {
		return ErrFull
	}
	d := x.reader.read(r, x, c.lex)
	members := c.memberOf(r)
	x.mu.Lock()
	defer x.mu.Unlock()
	if known {
		c.kill(doc, kn)
	}
	doc = c.add(r.Key, n, d)
	for _, cat := range members {
		cat.set(doc)
	}
	return nil
}

// Update sets the numbers of a row; false if the row is unknown.
func (x *Index) Update(k Key, n Numbers) bool {
	x.write.Lock()
	defer x.write.Unlock()
	doc, _, ok := x.core.find(k)
	if ok {
		x.mu.Lock()
		x.core.edit(doc).setNumbers(doc&blockMask, n.clean())
		x.mu.Unlock()
	}
	return ok
}

// Remove takes rows out and returns how many there were.
func (x *Index) Remove(keys ...Key) int {
	x.write.Lock()
	defer x.write.Unlock()
	removed := 0
	for _, k := range keys {
		if doc, kn, ok := x.core.find(k); ok {
			x.mu.Lock()
			x.core.kill(doc, kn)
			x.mu.Unlock()
			removed++
		}
	}
	x.compactIfDue()
	return removed
}

// RemoveHub takes out every row of a hub and returns how many there were.
func (x *Index) RemoveHub(hub string) int {
	x.write.Lock()
	defer x.write.Unlock()
	c := x.core
	h, ok := c.hubs.ids[hub]
	if !ok {
		return 0
	}
	removed := 0
	for n := range c.blocks {
		first := uint32(n << blockShift)
		var fresh *block
		x.mu.Lock()
		for doc := first; doc < min(first+blockRows, uint32(c.rows)); doc++ {
			b, id, i := c.blocks[n], c.idents[n], doc&blockMask
			if b.hub[i] != h || b.isDead(i) {
				continue
			}
			if fresh == nil {
				fresh = c.edit(doc)
			}
			c.bury(fresh, doc, keyNumbers{id.product[i], id.capability[i], h})
			removed++
		}
		x.mu.Unlock()
	}
	x.compactIfDue()
	return removed
}

// SetHub gives every row of a hub, present and future, these flags on top of its own.
// It costs the same however many rows the hub has.
func (x *Index) SetHub(hub string, f Flags) {
	x.write.Lock()
	defer x.write.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.core.hubFlags[x.core.hubNumber(hub)] = f
}

// Len is the number of live rows.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.core.rows - x.core.dead
}

// Stats says how large the index is.
func (x *Index) Stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c := x.core
	return Stats{Rows: c.rows - c.dead, Dead: c.dead, Terms: len(c.terms), Postings: c.postings, Hubs: len(c.hubs.list)}
}

// compactIfDue reclaims the dead. Searches go on meanwhile; the writer waits, which
// comes to less than a microsecond for each row that died. The caller holds write.
func (x *Index) compactIfDue() {
	if c := x.core; c.dead < minDead || c.dead <= (c.rows-c.dead)/4 || x.fillers > 0 {
		return
	}
	x.compact()
}

func (x *Index) compact() {
	c := merge(false, x.core)
	x.mu.Lock()
	x.core = c
	x.mu.Unlock()
}
