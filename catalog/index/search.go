package index

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// sparseShare: when the postings of a query are fewer than rows/sparseShare, the rows
// touched are remembered, so that the others need not be looked at.
const sparseShare = 32

// view is what one search sees of a core: nothing in it changes any more.
type view struct {
	rows         int
	blocks       []*block
	idents       []*ident
	products     []string
	capabilities []string
	hubs         []string
}

func (v *view) key(doc uint32) Key {
	id, b, i := v.idents[doc>>blockShift], v.blocks[doc>>blockShift], doc&blockMask
	return Key{v.products[id.product[i]], v.capabilities[id.capability[i]], v.hubs[b.hub[i]]}
}

// candidate is a row that passed, with what orders it.
type candidate struct {
	score int32
	doc   uint32
	trust float64
	price int64
	exact bool
}

// scratch is the working memory of one search, used again by the next.
type scratch struct {
	view     view
	last     block    // copy of the last block, if it is not full
	acc      []uint32 // per row: the sum of what it answers; all zero between searches
	word     []uint16 // per row: what it answers of the present word; all zero between words
	touched  []uint32
	hubFlags []Flags
	category []uint64
	top      []candidate
	masks    []rowBits // per block: rows that a browse may see
	perHub   []int
}

// grow makes room for rows, in whole blocks.
func (s *scratch) grow(rows int) {
	if need := (rows + blockRows - 1) &^ blockMask; len(s.acc) < need {
		room := need + need/8
		s.acc, s.word = make([]uint32, room), make([]uint16, room)
	}
}

// order sorts candidates: score, trust, price, key; of one capability at several hubs this
// hub's own goes first, for it needs no routing.
func (v *view) order(a, b *candidate) int {
	switch {
	case a.score != b.score:
		return cmp.Compare(b.score, a.score)
	case a.trust != b.trust:
		return cmp.Compare(b.trust, a.trust)
	case a.price != b.price:
		return cmp.Compare(a.price, b.price)
	}
	k, l := v.key(a.doc), v.key(b.doc)
	return cmp.Or(cmp.Compare(k.ProductID, l.ProductID), cmp.Compare(k.CapabilityID, l.CapabilityID),
		boolCompare(k.SourceHub == Local, l.SourceHub == Local), cmp.Compare(k.SourceHub, l.SourceHub))
}

// Search finds, filters, orders and pages.
func (x *Index) Search(q Query) Result {
	if len(q.Category) > MaxCategoryBytes {
		return Result{}
	}
	in := parseIntent(q.Intent)
	f := newFilter(&q)
	category := strings.ToLower(q.Category)
	x.fill(category)

	s := <-x.scratch
	defer func() { x.scratch <- s }()
	c := x.hold(category)
	s.see(c)
	f.bind(s, c, &q, category)
	p := c.planTerms(in.tokens)
	p.resolve(c)
	exact := c.exact(in)
	misspelled := p.unanswered(c)
	vocab := vocabulary{c.words, c.fuzzy, c.fuzzyOf}
	x.mu.RUnlock()

	if f.nothing {
		return Result{}
	}
	for _, i := range misspelled {
		nearby := vocab.near(p.terms[i].typed, i == len(p.terms)-1)
		x.mu.RLock()
		p.terms[i].correct(c, nearby, s.view.rows)
		x.mu.RUnlock()
	}
	s.grow(s.view.rows)
	if in.text == "" {
		hits, total := s.browse(&f, q.Offset, q.Limit)
		return Result{hits, total}
	}
	p.weigh(s.view.rows)
	return s.ranked(&p, exact, &f, q.Offset, q.Limit)
}

// hold returns the core, with mu held for reading, once the category is ready in it.
func (x *Index) hold(category string) *core {
	for {
		x.mu.RLock()
		if category == "" || x.core.ready(category) != nil {
			return x.core
		}
		x.mu.RUnlock() // forgotten since: other categories were asked for
		x.fill(category)
	}
}

// see notes what there is now. The caller holds the core still.
func (s *scratch) see(c *core) {
	v := &s.view
	v.rows = c.rows
	v.blocks = append(v.blocks[:0], c.blocks...)
	if v.rows&blockMask != 0 { // writers go on filling the last block, which is read as a whole
		s.last = *c.blocks[len(c.blocks)-1]
		v.blocks[len(v.blocks)-1] = &s.last
	}
	v.idents, v.products, v.capabilities, v.hubs = c.idents, c.products.list, c.capabilities.list, c.hubs.list
}

// ranked scores every row that answers the plan and returns the page.
func (s *scratch) ranked(p *plan, e exactRows, f *filter, offset, limit int) Result {
	sum := 0
	for i := range p.terms {
		for _, a := range p.terms[i].alts {
			sum += len(a.posts)
		}
	}
	sparse := sum < s.view.rows/sparseShare
	s.touched = s.touched[:0]
	for i := range p.terms {
		s.accumulate(&p.terms[i], sparse)
	}
	s.markExact(e, sparse)

	heap := newPage(&s.view, s.top, offset, limit)
	total := 0
	if sparse {
		for _, doc := range s.touched {
			acc := s.acc[doc]
			s.acc[doc] = 0
			if b := s.view.blocks[doc>>blockShift]; acc >= accFloor && f.pass(b, doc) {
				total++
				if acc >= heap.least {
					heap.offer(b, doc, acc)
				}
			}
		}
	} else {
		for n, b := range s.view.blocks {
			acc := (*[blockRows]uint32)(s.acc[n<<blockShift:])
			var m rowBits
			for k := range m {
				for i, a := range acc[k<<6 : k<<6+64] {
					m[k] |= ((uint64(a)-uint64(accFloor))>>63 ^ 1) << (i & 63) // a >= accFloor, without a branch
				}
			}
			f.narrow(&m, b, n)
			total += m.count()
			for k, w := range m {
				for ; w != 0; w &= w - 1 {
					i := k<<6 | bits.TrailingZeros64(w)
					if acc[i] >= heap.least {
						heap.offer(b, uint32(n<<blockShift|i), acc[i])
					}
				}
			}
		}
		clear(s.acc[:s.view.rows])
	}
	page := heap.page()
	r := Result{Total: total}
	if len(page) > 0 {
		r.Hits = make([]Hit, len(page))
		for i := range page {
			r.Hits[i] = s.explain(p, e, &page[i])
		}
	}
	s.top = heap.list[:0]
	return r
}

// accumulate adds to each row what it answers of one word: its best alternative.
func (s *scratch) accumulate(t *queryTerm, sparse bool) {
	acc, share := s.acc, t.share
	if share == 0 {
		return
	}
	if len(t.alts) == 1 {
		factor := uint32(t.alts[0].factor) * share
		for _, p := range t.alts[0].posts {
			doc := p >> docShift
			if sparse && acc[doc] == 0 {
				s.touched = append(s.touched, doc)
			}
			acc[doc] += p & weightMask * factor
		}
		return
	}
	word := s.word
	for _, a := range t.alts {
		factor := uint32(a.factor)
		for _, p := range a.posts {
			doc := p >> docShift
			if v := p & weightMask * factor; v > uint32(word[doc]) {
				if sparse && acc[doc] == 0 {
					s.touched = append(s.touched, doc)
				}
				acc[doc] += (v - uint32(word[doc])) * share
				word[doc] = uint16(v)
			}
		}
	}
	if sparse {
		for _, a := range t.alts {
			for _, p := range a.posts {
				word[p>>docShift] = 0
			}
		}
	} else {
		clear(word[:s.view.rows])
	}
}

// markExact gives the rows that the intent names by id the highest sum.
func (s *scratch) markExact(e exactRows, sparse bool) {
	mark := func(doc uint32) {
		if sparse && s.acc[doc] == 0 {
			s.touched = append(s.touched, doc)
		}
		s.acc[doc] = accExact
	}
	v := &s.view
	for doc := e.product; doc != noDoc; doc = v.idents[doc>>blockShift].nextProduct[doc&blockMask] {
		mark(doc)
	}
	for doc := e.capability; doc != noDoc; doc = v.idents[doc>>blockShift].nextCapability[doc&blockMask] {
		mark(doc)
	}
	for i, doc := range e.pairs {
		for ; doc != noDoc; doc = v.idents[doc>>blockShift].nextCapability[doc&blockMask] {
			if v.idents[doc>>blockShift].product[doc&blockMask] == e.pairProduct[i] {
				mark(doc)
			}
		}
	}
}

// explain tells how a candidate was found.
func (s *scratch) explain(p *plan, e exactRows, c *candidate) Hit {
	h := Hit{Key: s.view.key(c.doc), Score: float64(c.score) / scoreSteps, MatchType: MatchFuzzy}
	best := 0
	for i := range p.terms {
		hit := false
		for _, a := range p.terms[i].alts {
			if !has(a.posts, c.doc) {
				continue
			}
			hit = true
			if rank := kindRank[a.kind]; rank > best {
				best, h.MatchType = rank, a.kind
			}
		}
		if hit {
			h.MatchedTerms = append(h.MatchedTerms, p.terms[i].typed)
		}
	}
	if c.exact {
		h.MatchType = MatchExact
		if len(h.MatchedTerms) == 0 {
			h.MatchedTerms = []string{e.named}
		}
	}
	return h
}

var kindRank = map[string]int{MatchFuzzy: 1, MatchSynonym: 2, MatchLexical: 3}

// has says whether a posting list has the row.
func has(posts []uint32, doc uint32) bool {
	i, _ := slices.BinarySearch(posts, doc<<docShift)
	return i < len(posts) && posts[i]>>docShift == doc
}
