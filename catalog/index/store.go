package index

// Rows are numbered in the order they came ("doc"). A replaced or removed row only
// gets the dead flag; its number is never used again until a compaction renumbers.
// That makes postings and columns append-only, so that a search can read what it
// saw at its start while writers go on.

const (
	blockShift = 8
	blockRows  = 1 << blockShift
	blockMask  = blockRows - 1
	docShift   = 8 // of a posting: doc above, weight below
	weightMask = 1<<docShift - 1
	noDoc      = ^uint32(0)
)

// block holds the columns of blockRows neighbouring rows that a search filters and
// orders by. Rows already visible are changed only in a copy.
type block struct {
	trust   [blockRows]float64
	price   [blockRows]int64
	quality [blockRows]float32
	latency [blockRows]uint32
	hub     [blockRows]uint32
	flags   [blockRows]Flags
}

// dead is the flag of a replaced or removed row. It is a flag like the others so that
// one look decides.
const dead Flags = 1 << 7

func (b *block) isDead(i uint32) bool { return b.flags[i]&dead != 0 }

func (b *block) setNumbers(i uint32, n Numbers) {
	b.trust[i], b.price[i], b.latency[i], b.flags[i] = n.Trust, n.PriceMicros, uint32(n.LatencyMS), n.Flags
	b.quality[i] = quality(n)
}

// ident holds what never changes of blockRows neighbouring rows.
type ident struct {
	product, capability         [blockRows]uint32
	nextProduct, nextCapability [blockRows]uint32 // older row with the same, noDoc ends
	text                        [blockRows]uint64 // hash of the indexed text
}

// names gives each string a small number. Strings are added, never taken out.
type names struct {
	ids  map[string]uint32
	list []string
}

func newNames() names { return names{ids: map[string]uint32{}} }

func (n *names) id(s string) uint32 {
	if id, ok := n.ids[s]; ok {
		return id
	}
	id := uint32(len(n.list))
	s = cloned(s)
	n.ids[s] = id
	n.list = append(n.list, s)
	return id
}

// cloned copies a string so that the index does not keep alive what it was cut from.
func cloned(s string) string { return string(append([]byte(nil), s...)) }

// termInfo is one stem and where it occurs.
type termInfo struct {
	text      string
	posts     []uint32 // ascending docs
	synthetic bool     // of some posting
}

// wordInfo is one word as written and the term it counts as.
type wordInfo struct {
	text string
	term uint32
}

// fuzzyInfo is what decides fast whether a word can be a misspelling's origin.
type fuzzyInfo struct {
	letters uint32 // bit r&31 for each letter
	length  uint32 // in runes
}

// core is the whole content of an index, without any lock. What it appends to, it
// never changes again below the length that a reader has seen.
type core struct {
	lex      *lexicon
	dict     map[string]uint32 // word or stem → term<<1, |1 if it is in words
	terms    []termInfo
	words    []wordInfo
	fuzzy    []fuzzyInfo
	fuzzyOf  []uint32 // index into words
	blocks   []*block
	idents   []*ident
	rows     int // including dead ones
	dead     int
	postings int
	opaque   []uint32 // rows of which not everything is indexed

	products, capabilities, hubs names
	lastProduct, lastCapability  []uint32 // by number: newest row, older ones by ident
	hubFlags                     []Flags
	keys                         map[keyNumbers]uint32 // live rows

	categories map[string]*category
}

type keyNumbers struct{ product, capability, hub uint32 }

func newCore() *core {
	c := &core{
		lex: theLexicon(), dict: map[string]uint32{}, keys: map[keyNumbers]uint32{},
		products: newNames(), capabilities: newNames(), hubs: newNames(),
		categories: map[string]*category{},
	}
	for _, w := range c.lex.words {
		c.term(w)
	}
	return c
}

// term returns the number of a stem, new or known.
func (c *core) term(stem string) uint32 {
	if v, ok := c.dict[stem]; ok {
		return v >> 1
	}
	t := uint32(len(c.terms))
	stem = cloned(stem)
	c.terms = append(c.terms, termInfo{text: stem})
	c.dict[stem] = t << 1
	return t
}

// termOf is the term that a word counts as, whether or not it is known.
func termOf(word string) string { return stem(fold(word)) }

// word returns the term of a word that occurs in a row, and remembers the word.
func (c *core) word(w string) uint32 {
	if v := c.dict[w]; v&1 != 0 {
		return v >> 1
	}
	w = cloned(w)
	t := c.term(termOf(w))
	c.dict[w] = t<<1 | 1
	c.addWord(wordInfo{w, t})
	return t
}

func (c *core) addWord(w wordInfo) {
	c.words = append(c.words, w)
	if f, ok := fuzzyOf(fold(w.text)); ok {
		c.fuzzy = append(c.fuzzy, f)
		c.fuzzyOf = append(c.fuzzyOf, uint32(len(c.words)-1))
	}
}

// lookup returns the term of a query's word, if any row has ever had it.
func (c *core) lookup(w string) (uint32, bool) {
	if v, ok := c.dict[w]; ok && v&1 != 0 {
		return v >> 1, true
	}
	v, ok := c.dict[termOf(w)]
	return v >> 1, ok
}

// find returns the live row of a key.
func (c *core) find(k Key) (uint32, keyNumbers, bool) {
	p, ok1 := c.products.ids[k.ProductID]
	q, ok2 := c.capabilities.ids[k.CapabilityID]
	h, ok3 := c.hubs.ids[k.SourceHub]
	if !ok1 || !ok2 || !ok3 {
		return 0, keyNumbers{}, false
	}
	kn := keyNumbers{p, q, h}
	doc, ok := c.keys[kn]
	return doc, kn, ok
}

func (c *core) hubNumber(hub string) uint32 {
	h := c.hubs.id(hub)
	if int(h) == len(c.hubFlags) {
		c.hubFlags = append(c.hubFlags, 0)
	}
	return h
}

// add appends a row. Its key must not be live.
func (c *core) add(k Key, n Numbers, d *document) uint32 {
	doc := uint32(c.rows)
	i := doc & blockMask
	if i == 0 {
		c.blocks = append(c.blocks, new(block))
		c.idents = append(c.idents, new(ident))
	}
	b, id := c.blocks[doc>>blockShift], c.idents[doc>>blockShift]
	kn := keyNumbers{c.products.id(k.ProductID), c.capabilities.id(k.CapabilityID), c.hubNumber(k.SourceHub)}
	b.setNumbers(i, n)
	b.hub[i] = kn.hub
	id.product[i], id.capability[i], id.text[i] = kn.product, kn.capability, d.hash
	id.nextProduct[i] = chain(&c.lastProduct, kn.product, doc)
	id.nextCapability[i] = chain(&c.lastCapability, kn.capability, doc)
	for _, p := range d.posts {
		t := &c.terms[p.term]
		t.posts = append(t.posts, doc<<docShift|p.weight)
		t.synthetic = t.synthetic || p.synthetic
	}
	c.postings += len(d.posts)
	if d.opaque {
		c.opaque = append(c.opaque, doc)
	}
	c.keys[kn] = doc
	c.rows++
	return doc
}

// chain makes doc the newest row of number n and returns the one before.
func chain(newest *[]uint32, n, doc uint32) uint32 {
	for int(n) >= len(*newest) {
		*newest = append(*newest, noDoc)
	}
	before := (*newest)[n]
	(*newest)[n] = doc
	return before
}

// edit replaces the block of doc by a copy and returns it.
func (c *core) edit(doc uint32) *block {
	b := *c.blocks[doc>>blockShift]
	c.blocks[doc>>blockShift] = &b
	return &b
}

// kill marks a live row dead.
func (c *core) kill(doc uint32, k keyNumbers) {
	c.bury(c.edit(doc), doc, k)
}

// bury marks a live row dead in b, which must be a fresh copy of its block.
func (c *core) bury(b *block, doc uint32, k keyNumbers) {
	b.flags[doc&blockMask] |= dead
	delete(c.keys, k)
	c.dead++
}
