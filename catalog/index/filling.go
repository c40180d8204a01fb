package index

import "strings"

// filling decides which rows of a moment belong to a category.
//
// A needle within one word is decided by the dictionary: a row contains it exactly
// if the row has a word that does. Postings are by stem, so a stem whose known words
// all contain the needle decides for its rows; if only some do, its rows are looked
// at. A needle across words only narrows down which rows to look at.
type filling struct {
	needles []string
	fetch   func(Key) (Text, bool)
	view    view
	words   []wordInfo
	terms   []termInfo
	opaque  []uint32
}

func (f *filling) decide() []uint64 {
	in, ask := newBits(f.view.rows), newBits(f.view.rows)
	for _, doc := range f.opaque {
		if int(doc) < f.view.rows {
			setBit(ask, doc)
		}
	}
	for _, n := range f.needles {
		f.narrow(n, in, ask)
	}
	f.lookAt(in, ask)
	return in
}

// narrow marks rows that contain the needle, and rows that may.
func (f *filling) narrow(needle string, in, ask []uint64) {
	parts := needleParts(needle)
	if len(parts) == 1 && parts[0] == needle && !isGlued(needle) {
		all, some := f.termsWith(needle)
		f.mark(all, in)
		f.mark(some, ask)
		return
	}
	var narrowed []uint64
	for _, p := range parts {
		may := newBits(f.view.rows)
		if isGlued(p) {
			if !f.pairs(p, may) {
				continue
			}
		} else {
			all, some := f.termsWith(p)
			f.mark(all, may)
			f.mark(some, may)
		}
		if narrowed == nil {
			narrowed = may
			continue
		}
		for i := range narrowed {
			narrowed[i] &= may[i]
		}
	}
	for i := range ask {
		if narrowed == nil {
			ask[i] = ^uint64(0)
		} else {
			ask[i] |= narrowed[i]
		}
	}
}

// termsWith returns the terms all of whose words contain s, and those with only some.
func (f *filling) termsWith(s string) (all, some []uint32) {
	const yes, no = 1, 2
	state := make([]uint8, len(f.terms))
	for _, w := range f.words {
		if strings.Contains(w.text, s) {
			state[w.term] |= yes
		} else {
			state[w.term] |= no
		}
	}
	for t, st := range state {
		switch {
		case st&yes == 0:
		case st&no == 0 && !f.terms[t].synthetic:
			all = append(all, uint32(t))
		default:
			some = append(some, uint32(t))
		}
	}
	return all, some
}

func (f *filling) mark(terms []uint32, bits []uint64) {
	for _, t := range terms {
		for _, p := range f.terms[t].posts {
			setBit(bits, p>>docShift)
		}
	}
}

// pairs marks rows that have all pairs of a run without spaces; false if the run is
// too short to have any.
func (f *filling) pairs(run string, bits []uint64) bool {
	var t tokenizer
	first := true
	for _, tok := range t.cut(run) {
		if len([]rune(tok.text)) < 2 {
			return false
		}
		all, some := f.termsWith(tok.text)
		one := bits
		if !first {
			one = newBits(f.view.rows)
		}
		f.mark(all, one)
		f.mark(some, one)
		if !first {
			for i := range bits {
				bits[i] &= one[i]
			}
		}
		first = false
	}
	return !first
}

// lookAt reads the rows that may contain a needle, their ids first, which are at hand.
func (f *filling) lookAt(in, ask []uint64) {
	for doc := range uint32(f.view.rows) {
		bit := uint64(1) << (doc & 63)
		if ask[doc>>6]&bit == 0 || in[doc>>6]&bit != 0 || f.view.blocks[doc>>blockShift].isDead(doc&blockMask) {
			continue
		}
		k := f.view.key(doc)
		found := containsAny(strings.ToLower(k.CapabilityID+" "+k.ProductID+" "), f.needles)
		if !found && f.fetch != nil {
			if t, ok := f.fetch(k); ok {
				found = containsAny(categoryText(k, t), f.needles)
			}
		}
		if found {
			in[doc>>6] |= bit
		}
	}
}

// needleParts cuts a needle where the tokenizer would cut text that contains it.
func needleParts(s string) []string {
	var parts []string
	start, glued := -1, false
	for i, r := range s {
		c := classOf(r)
		switch {
		case start >= 0 && c == mark:
		case c == separator, c == mark:
			if start >= 0 {
				parts = append(parts, s[start:i])
			}
			start = -1
		case start >= 0 && (c == han) != glued:
			parts = append(parts, s[start:i])
			start, glued = i, c == han
		case start < 0:
			start, glued = i, c == han
		}
	}
	if start >= 0 {
		parts = append(parts, s[start:])
	}
	return parts
}

func isGlued(s string) bool {
	for _, r := range s {
		return classOf(r) == han
	}
	return false
}

func newBits(rows int) []uint64 { return make([]uint64, (rows+63)/64) }

func setBit(bits []uint64, doc uint32) { bits[doc>>6] |= 1 << (doc & 63) }
