package index

import (
	"cmp"
	"math"
	"slices"
)

// browse returns the rows that pass, one hub's after the other's in turn, so that a
// large hub does not fill the page; within a hub by trust, price and key
// (federation.md §6). Hubs take turns in the order of their names, "local" first.
func (s *scratch) browse(f *filter, offset, limit int) ([]Hit, int) {
	v := &s.view
	s.perHub = append(s.perHub[:0], make([]int, len(v.hubs))...)
	s.passed = s.passed[:0]
	for n, b := range v.blocks {
		first := n << blockShift
		for doc := uint32(first); doc < uint32(min(first+blockRows, v.rows)); doc++ {
			if f.pass(b, doc) {
				s.perHub[b.hub[doc&blockMask]]++
				s.passed = append(s.passed, doc)
			}
		}
	}
	total := len(s.passed)
	offset = max(0, offset)
	end := total
	if limit >= 0 && offset < math.MaxInt-limit {
		end = min(total, offset+limit)
	}
	if offset >= end {
		return nil, total
	}

	// Only the first depth rows of each hub can be on the page.
	depth := roundsFor(s.perHub, end)
	pages := make([]page, len(v.hubs))
	for h, n := range s.perHub {
		if n > 0 {
			pages[h] = newPage(v, nil, 0, min(n, depth))
		}
	}
	for _, doc := range s.passed {
		b := v.blocks[doc>>blockShift]
		p := &pages[b.hub[doc&blockMask]]
		p.offer(b, doc, 0)
	}
	turn := make([]int, 0, len(v.hubs))
	for h, n := range s.perHub {
		if n > 0 {
			turn = append(turn, h)
		}
	}
	slices.SortFunc(turn, func(a, b int) int {
		return cmp.Or(boolCompare(v.hubs[a] == Local, v.hubs[b] == Local), cmp.Compare(v.hubs[a], v.hubs[b]))
	})
	lists := make([][]candidate, len(turn))
	for i, h := range turn {
		lists[i] = pages[h].page()
	}
	hits := make([]Hit, 0, end-offset)
	for round, at := 0, 0; at < end; round++ {
		for _, l := range lists {
			if round >= len(l) || at >= end {
				continue
			}
			if at >= offset {
				hits = append(hits, Hit{Key: v.key(l[round].doc), MatchType: MatchBrowse})
			}
			at++
		}
	}
	return hits, total
}

// roundsFor is the least number of rounds in which hubs with so many rows each fill
// end places.
func roundsFor(perHub []int, end int) int {
	lo, hi := 0, end
	for lo < hi {
		mid := (lo + hi) / 2
		sum := 0
		for _, n := range perHub {
			sum += min(n, mid)
		}
		if sum < end {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// boolCompare puts true first.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
