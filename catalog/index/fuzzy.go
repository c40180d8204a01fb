package index

import (
	"math/bits"
	"strings"
	"unicode"
)

// Spelling. A word of a query that no row has may be a misspelling of words that
// rows do have. All known words are passed in review: a set of letters and a length
// rule out nearly all of them in a nanosecond each, the distance decides the rest.
// That is as fast as a structure made for it at the sizes of a market, costs eight
// bytes a word, and needs no upkeep.
const (
	minFuzzyLetters = 4  // shorter words have too many neighbours
	twoEditsLetters = 8  // from here on two edits are forgiven
	maxFuzzyLetters = 24 // longer words are seldom words
	maxMisspelled   = 8  // words of one query that are corrected, the first ones
	maxNearWords    = 16 // nearest words that are taken
	minPrefix       = 3  // bytes of a word that complete to longer ones
	maxPrefixWords  = 64 // longer words that are considered
)

// fuzzyOf is the summary of a folded word; false if it is never corrected to.
func fuzzyOf(w string) (fuzzyInfo, bool) {
	var f fuzzyInfo
	for _, r := range w {
		if !unicode.IsLetter(r) || classOf(r) == han {
			return fuzzyInfo{}, false
		}
		f.letters |= 1 << (uint32(r) & 31)
		f.length++
	}
	return f, f.length >= minFuzzyLetters && f.length <= maxFuzzyLetters
}

// near is a word close to what was typed.
type near struct {
	term   uint32
	factor uint16
	prefix bool
}

// vocabulary is what corrections are looked for in, as seen at one moment.
type vocabulary struct {
	words   []wordInfo
	fuzzy   []fuzzyInfo
	fuzzyOf []uint32
}

// near returns the terms of words that typed may have been meant as, each once, at
// its nearest. The last word of a query may not be typed to its end.
func (v vocabulary) near(typed string, last bool) []near {
	typed = fold(typed)
	f, ok := fuzzyOf(typed)
	wantPrefix := last && len(typed) >= minPrefix
	if !ok && !wantPrefix {
		return nil
	}
	if !ok { // too short to be misspelled, or has digits: only completions
		for _, r := range typed {
			f.letters |= 1 << (uint32(r) & 31)
		}
		f.length = 0
	}
	edits := 0
	if ok {
		edits = 1
		if f.length >= twoEditsLetters {
			edits = 2
		}
	}
	var best []near
	prefixes := 0
	var d distancer
	for i, c := range v.fuzzy {
		missing := bits.OnesCount32(f.letters &^ c.letters)
		if missing > edits {
			continue
		}
		if missing == 0 && wantPrefix && c.length > f.length && prefixes < maxPrefixWords {
			w := v.words[v.fuzzyOf[i]]
			if folded := fold(w.text); len(folded) > len(typed) && strings.HasPrefix(folded, typed) {
				best = keepNearest(best, near{term: w.term, factor: prefixFactor, prefix: true})
				prefixes++
				continue
			}
		}
		if edits == 0 || c.length+uint32(edits) < f.length || c.length > f.length+uint32(edits) ||
			bits.OnesCount32(c.letters&^f.letters) > edits {
			continue
		}
		w := v.words[v.fuzzyOf[i]]
		switch n := d.distance(typed, fold(w.text), edits); {
		case n == 1:
			best = keepNearest(best, near{term: w.term, factor: fuzzyFactor1})
		case n == 2 && edits == 2:
			best = keepNearest(best, near{term: w.term, factor: fuzzyFactor2})
		}
	}
	return best
}

func keepNearest(list []near, n near) []near {
	for i := range list {
		if list[i].term == n.term {
			if n.factor > list[i].factor {
				list[i] = n
			}
			return list
		}
	}
	return append(list, n)
}

// distancer computes edit distances and keeps its rows between calls.
type distancer struct {
	a, b        [maxFuzzyLetters]rune
	two, one, d [maxFuzzyLetters + 1]int
}

// distance is the number of letters to insert, drop, replace or swap with their
// neighbour to make t of s (optimal string alignment), or above limit if it is more.
// Both are at most maxFuzzyLetters long.
func (x *distancer) distance(s, t string, limit int) int {
	a, b := runesInto(x.a[:0], s), runesInto(x.b[:0], t)
	for j := range len(b) + 1 {
		x.one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		x.d[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			v := min(x.one[j]+1, x.d[j-1]+1, x.one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				v = min(v, x.two[j-2]+1)
			}
			x.d[j] = v
			least = min(least, v)
		}
		if least > limit {
			return limit + 1
		}
		x.two, x.one, x.d = x.one, x.d, x.two
	}
	return x.one[len(b)]
}

func runesInto(buf []rune, s string) []rune {
	for _, r := range s {
		buf = append(buf, r)
	}
	return buf
}
