package index

import (
	"math"
	"slices"
)

// maxHeap is the largest page end that is kept as a heap; beyond, everything that
// matches is collected and sorted, which is faster then.
const maxHeap = 1 << 12

// page gathers the best candidates up to the end of the page asked for.
type page struct {
	view   *view
	list   []candidate // a heap with the worst on top, once it is full
	offset int
	end    int
	heap   bool
	worst  int32  // score below which a candidate cannot enter
	least  uint32 // sum below which it cannot have that score
}

func newPage(v *view, buf []candidate, offset, limit int) page {
	p := page{view: v, list: buf[:0], offset: max(0, offset), end: math.MaxInt, worst: -1}
	if limit >= 0 && p.offset < math.MaxInt-limit {
		p.end = p.offset + limit
	}
	if limit == 0 {
		p.end = 0
	}
	p.heap = p.end <= maxHeap
	return p
}

// offer takes a candidate if it can be on the page.
func (p *page) offer(b *block, doc, acc uint32) {
	i := doc & blockMask
	sc := score(acc, b.quality[i])
	if sc < p.worst {
		return
	}
	p.push(candidate{score: sc, doc: doc, trust: b.trust[i], price: b.price[i], exact: acc == accExact})
}

func (p *page) push(c candidate) {
	switch {
	case p.end == 0: // only counting
	case !p.heap || len(p.list) < p.end:
		p.list = append(p.list, c)
		if p.heap && len(p.list) == p.end {
			for i := len(p.list)/2 - 1; i >= 0; i-- {
				p.sink(i)
			}
			p.raise()
		}
	case p.view.order(&c, &p.list[0]) < 0:
		p.list[0] = c
		p.sink(0)
		p.raise()
	}
}

// raise notes what a candidate must reach from now on.
func (p *page) raise() {
	if p.worst == p.list[0].score {
		return
	}
	p.worst = p.list[0].score
	p.least = leastSum(p.worst)
}

// sink restores the heap below i.
func (p *page) sink(i int) {
	for {
		c := 2*i + 1
		if c >= len(p.list) {
			return
		}
		if c+1 < len(p.list) && p.view.order(&p.list[c+1], &p.list[c]) > 0 {
			c++
		}
		if p.view.order(&p.list[i], &p.list[c]) >= 0 {
			return
		}
		p.list[i], p.list[c] = p.list[c], p.list[i]
		i = c
	}
}

// page returns the candidates of the page in order.
func (p *page) page() []candidate {
	slices.SortFunc(p.list, func(a, b candidate) int { return p.view.order(&a, &b) })
	return p.list[min(p.offset, len(p.list)):min(p.end, len(p.list))]
}
