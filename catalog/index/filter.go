package index

import (
	"math"
	"math/bits"
)

// filter decides which rows a query may see. It is bound to one view.
type filter struct {
	hidden     Flags
	hub        uint32
	oneHub     bool
	nothing    bool // no row can pass
	minTrust   float64
	maxLatency uint32 // 0: none
	budget     int64
	hasBudget  bool
	category   []uint64 // bit per row; nil: none
	hubFlags   []Flags
	hubsHidden bool // some hub's flags hide its rows
}

// pass says whether row i of block b, which is doc, is one that the query may see.
func (f *filter) pass(b *block, doc uint32) bool {
	i := doc & blockMask
	switch {
	case b.flags[i]&f.hidden != 0,
		!(b.trust[i] >= f.minTrust),
		f.oneHub && b.hub[i] != f.hub,
		f.hubsHidden && f.hubFlags[b.hub[i]]&f.hidden != 0,
		f.maxLatency > 0 && b.latency[i] > f.maxLatency,
		f.hasBudget && b.price[i] > f.budget,
		f.category != nil && f.category[doc>>6]>>(doc&63)&1 == 0:
		return false
	}
	return true
}

// rowBits has one bit for each row of a block.
type rowBits [blockRows / 64]uint64

func (m *rowBits) count() int {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// fewRows: up to so many of 64 rows are decided one by one rather than by column.
const fewRows = 3

// narrow takes out of m, rows of the n-th block b, those that the query may not see.
func (f *filter) narrow(m *rowBits, b *block, n int) {
	for k, w := range m {
		switch {
		case w == 0:
		case bits.OnesCount64(w) <= fewRows:
			for ; w != 0; w &= w - 1 {
				i := k<<6 | bits.TrailingZeros64(w)
				if !f.pass(b, uint32(n<<blockShift|i)) {
					m[k] &^= 1 << (i & 63)
				}
			}
		default:
			lo := k << 6
			w &= f.columns(b, lo)
			if f.category != nil {
				if at := n*len(m) + k; at < len(f.category) {
					w &= f.category[at]
				} else {
					w = 0
				}
			}
			if f.oneHub || f.hubsHidden {
				w &= f.hubColumn(b.hub[lo : lo+64])
			}
			m[k] = w
		}
	}
}

// columns decides the 64 rows from lo on by their numbers and flags.
func (f *filter) columns(b *block, lo int) uint64 {
	var out uint64 // rows that are out
	flags, trust := b.flags[lo:lo+64], b.trust[lo:lo+64]
	least := math.Float64bits(f.minTrust)
	for i := range 64 {
		// Without branches, which would be mispredicted: nonzero flags carry into bit 8;
		// the bits of positive floats are ordered as they are, so less borrows.
		out |= ((uint64(flags[i]&f.hidden)+255)>>8 | (math.Float64bits(trust[i])-least)>>63) << (i & 63)
	}
	if f.maxLatency > 0 {
		for i, l := range b.latency[lo : lo+64] {
			if l > f.maxLatency {
				out |= 1 << i
			}
		}
	}
	if f.hasBudget {
		for i, p := range b.price[lo : lo+64] {
			if p > f.budget {
				out |= 1 << i
			}
		}
	}
	return ^out
}

func (f *filter) hubColumn(hubs []uint32) uint64 {
	var in uint64
	for i, h := range hubs {
		if (!f.oneHub || h == f.hub) && f.hubFlags[h]&f.hidden == 0 {
			in |= 1 << i
		}
	}
	return in
}

// bind completes a filter with what only a core knows. The caller holds the core still.
func (f *filter) bind(s *scratch, c *core, q *Query, category string) {
	s.hubFlags = append(s.hubFlags[:0], c.hubFlags...)
	f.hubFlags = s.hubFlags
	for _, h := range f.hubFlags {
		f.hubsHidden = f.hubsHidden || h&f.hidden != 0
	}
	if q.Hub != "" && q.Hub != "any" {
		h, ok := c.hubs.ids[q.Hub]
		f.hub, f.oneHub, f.nothing = h, true, !ok
	}
	if category != "" {
		s.category = c.categories[category].copyInto(s.category[:0], c.rows)
		f.category = s.category
	}
}

func newFilter(q *Query) filter {
	f := filter{
		hidden: dead | Demo | Stale | Unexecutable, minTrust: q.MinTrust,
		hasBudget: q.HasBudget, budget: q.BudgetMicros,
	}
	if q.IncludeDemo {
		f.hidden &^= Demo
	}
	if q.IncludeStale {
		f.hidden &^= Stale
	}
	if q.MaxLatencyMS > 0 {
		f.maxLatency = uint32(min(q.MaxLatencyMS, 1<<31-1))
	}
	if !(f.minTrust > 0) { // NaN too: it filters nothing
		f.minTrust = 0
	}
	if f.minTrust > 1 { // infinity would not compare as bits
		f.minTrust = 2
	}
	return f
}
