package index

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// browse returns the rows that pass, one hub's after the other's in turn, so that a
// large hub does not fill the page; within a hub by trust, price and key
// (federation.md §6). Hubs take turns in the order of their names, "local" first.
func (s *scratch) browse(f *filter, offset, limit int) ([]Hit, int) {
	v := &s.view
	offset = max(0, offset)
	end := v.rows
	if limit >= 0 && offset < math.MaxInt-limit {
		end = min(end, offset+limit)
	}
	total := s.visible(f)
	depth := roundsFor(s.perHub, min(end, total)) // of a hub's rows, only so many can be on the page
	pages := make([]page, len(v.hubs))
	bar := make([]float64, len(v.hubs)) // trust below which a row is not among its hub's first
	for h := range pages {
		pages[h] = newPage(v, nil, 0, depth)
	}
	for n, b := range v.blocks {
		for k, w := range s.masks[n] {
			for ; w != 0; w &= w - 1 {
				i := uint32(k<<6|bits.TrailingZeros64(w)) & blockMask
				h := b.hub[i]
				if b.trust[i] < bar[h] {
					continue
				}
				p := &pages[h]
				p.push(candidate{doc: uint32(n<<blockShift) | i, trust: b.trust[i], price: b.price[i]})
				if p.heap && p.end > 0 && len(p.list) == p.end {
					bar[h] = p.list[0].trust
				}
			}
		}
	}
	end = min(end, total)
	if offset >= end {
		return nil, total
	}
	turn := make([]int, 0, len(v.hubs))
	for h := range pages {
		if len(pages[h].list) > 0 {
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

// visible notes in masks which rows the query may see, in perHub how many of each
// hub, and returns how many.
func (s *scratch) visible(f *filter) int {
	s.perHub = append(s.perHub[:0], make([]int, len(s.view.hubs))...)
	s.masks = s.masks[:0]
	total := 0
	for n, b := range s.view.blocks {
		first := n << blockShift
		var m rowBits
		for k := range m {
			switch room := s.view.rows - first - k<<6; {
			case room >= 64:
				m[k] = math.MaxUint64
			case room > 0:
				m[k] = 1<<room - 1
			}
		}
		f.narrow(&m, b, n)
		s.masks = append(s.masks, m)
		total += m.count()
		for k, w := range m {
			for ; w != 0; w &= w - 1 {
				s.perHub[b.hub[uint32(k<<6|bits.TrailingZeros64(w))&blockMask]]++
			}
		}
	}
	return total
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
