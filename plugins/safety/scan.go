package safety

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The scanner reads a text once, byte by byte. Every rule names the words
// without which it cannot match; the scanner hashes the first keyRunes letters
// of each word (each pair of letters in scripts without spaces) and looks it up.
// Most rules name two such lists, and need a word of each. Only if a rule's words
// are all there is the text read again, and around them, and for that rule alone,
// a regular expression run. A clean text costs one pass and nothing else.

const (
	keyRunes = 5
	keySeed  = uint32(2166136261)

	// windowBack and windowAhead are how far from a trigger word its rule's
	// expression may reach, in bytes.
	windowBack  = 128
	windowAhead = 288

	strongNeeded    = 2   // plugin notes §3
	medicalNeeded   = 2   // groups of three
	roleLinesNeeded = 4   // role-labelled lines
	roleLinesText   = 400 // bytes, in a text longer than this
	minPIIDigits    = 9   // the fewest digits of any number looked for

	spacedLetters = 6  // single letters in a row that count as spaced out
	longWord      = 14 // letters of a word that may be several
	minEncoded    = 20 // letters of a token worth decoding
)

// signals is what the scanner saw in one text.
type signals struct {
	length        int
	critical      int     // index of the first critical injection rule that matched, or -1
	strong        ruleSet // strong injection rules that matched
	medicalGroups ruleSet
	hits          [nCategories]int // first content rule of a category, or -1
	roleLines     int
	at            bool // an @
	digits        int
	spaced        bool // letters with single separators between them
	leet          bool // a word that is a trigger once its digits are read as letters
	encoded       bool // a token long enough to be an encoding
}

// inspect reads text for the rules in set, then its disguises: digits for
// letters, spaced letters, and one layer of encoding.
func inspect(text string, set *ruleSet) signals {
	var s signals
	s.critical = -1
	for i := range s.hits {
		s.hits[i] = -1
	}
	source := text // still in its own case, which base64 needs
	text = normalize(text)
	s.length = len(text)
	scan(text, set, &s)
	if s.critical >= 0 {
		return s
	}
	if s.leet {
		s.leet = false
		scan(unleet(text), set, &s)
	}
	if s.spaced {
		compactLetters(text, set, &s)
	}
	if s.encoded {
		for _, inner := range decodeTokens(source) {
			scan(normalize(inner), set, &s)
		}
	}
	return s
}

// window is a stretch of text that a rule still has to look at.
type window struct{ from, to int32 }

// scanner is one reading. The first only collects which words are there.
type scanner struct {
	text       string
	out        *signals
	seen, also ruleSet
	second     *rereading // nil in the first reading
}

// rereading is the state of a second reading.
type rereading struct {
	set     ruleSet // the rules that have all their words
	pending [maxRules]window
	waiting ruleSet
}

// scan reads text for the rules in set.
func scan(text string, set *ruleSet, out *signals) {
	z := scanner{text: text, out: out, also: needsOneList}
	z.read()
	if due := set.and(z.seen).and(z.also); !due.empty() {
		z.reread(due)
	}
}

func (z *scanner) reread(due ruleSet) {
	z.second = &rereading{set: due}
	z.read()
	z.finish()
}

// read goes through the text once.
func (z *scanner) read() {
	text, out := z.text, z.out
	var (
		w                word
		single           int // one-letter words in a row
		token            int // length of the current run that could be an encoding
		digits           int
		lineStart        = true // no word on this line yet
		prevWide         rune
		at               bool
		marks, tag, long bool // what the pseudo-words of the rules ask for
	)
	w.reset()
	endWord := func(end int) {
		if t := triggers.find(w.key); t != nil {
			z.hit(t, w.start)
			if t.role && lineStart && z.second == nil && roleColon(text[end:]) {
				out.roleLines++
			}
		}
		long = long || w.runes >= longWord
		if w.runes == 1 && class[text[w.start]] != cDigit {
			single++
			out.spaced = out.spaced || single >= spacedLetters
		} else {
			single = 0
		}
		lineStart = false
		w.reset()
	}
	// A disguised word may contain signs that end a plain one; it is looked up as
	// a whole when it ends.
	disguise, signs := -1, uint(0)
	endDisguise := func(end int) {
		const letters, imitations = 1<<cLower | 1<<cUpper, 1<<cDigit | 1<<cLeet | 1<<cAt
		if signs&letters != 0 && signs&imitations != 0 && !out.leet && disguised(text[disguise:end]) {
			out.leet = true
		}
		disguise, signs = -1, 0
	}
	for i := 0; i < len(text); {
		cl := class[text[i]]
		if cl-cLower <= cDigit-cLower {
			if w.runes == 0 {
				w.start = i
			}
			if disguise < 0 {
				disguise = i
			}
			start := i
			for ; i < len(text) && w.runes+i-start < keyRunes; i++ {
				c := text[i]
				k := class[c]
				if k-cLower > cDigit-cLower {
					break
				}
				w.key = keyStep(w.key, rune(c|0x20)) // lower case; digits have the bit
				signs |= 1 << k
				digits += int(k / cDigit)
			}
			for ; i < len(text); i++ {
				k := class[text[i]]
				if k-cLower > cDigit-cLower {
					break
				}
				signs |= 1 << k
				digits += int(k / cDigit)
			}
			w.runes += i - start
			token += i - start
			continue
		}
		if cl == cWide {
			r, n := utf8.DecodeRuneInString(text[i:])
			switch {
			case r >= firstUnspaced && unicode.IsLetter(r):
				if w.runes > 0 {
					endWord(i)
				}
				if prevWide != 0 {
					if t := triggers.find(keyStep(keyStep(keySeed, prevWide), r)); t != nil {
						z.hit(t, i)
					}
				}
				prevWide, single = r, 0
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				if w.runes == 0 {
					w.start = i
				}
				if w.runes < keyRunes {
					w.key = keyStep(w.key, r)
				}
				w.runes++
				prevWide = 0
			default:
				if w.runes > 0 {
					endWord(i)
				}
				prevWide = 0
			}
			endDisguise(i)
			token = 0
			i += n
			continue
		}
		if w.runes > 0 {
			endWord(i)
		}
		switch cl {
		case cJoiner:
			token++
			endDisguise(i)
			i++
			continue
		case cLeet, cAt:
			if disguise < 0 {
				disguise = i
			}
			signs |= 1 << cl
			at = at || cl == cAt
			tag = tag || text[i] == '|' && i > 0 && text[i-1] == '<'
		case cBreak:
			lineStart = true
			endDisguise(i)
		case cMark:
			marks = true
			endDisguise(i)
		default:
			endDisguise(i)
		}
		prevWide = 0
		out.encoded = out.encoded || token >= minEncoded
		token = 0
		i++
	}
	if w.runes > 0 {
		endWord(len(text))
	}
	endDisguise(len(text))
	if z.second != nil {
		return
	}
	out.encoded = out.encoded || token >= minEncoded
	out.at = out.at || at
	out.digits += digits
	if marks {
		z.also.unite(&pseudoMark)
	}
	if tag {
		z.also.unite(&pseudoTag)
	}
	if long {
		z.also.unite(&pseudoLong)
	}
}

// firstUnspaced is where the scripts begin that are written without spaces:
// there every pair of letters is looked up.
const firstUnspaced = 0x2E80

// word is the word being read.
type word struct {
	start, runes int
	key          uint32
}

func (w *word) reset() { w.runes, w.key = 0, keySeed }

// disguised reports whether s spells a trigger once its digits and signs are
// read as letters.
func disguised(s string) bool {
	h := keySeed
	for i := 0; i < len(s) && i < keyRunes; i++ {
		h = keyStep(h, rune(leetLetter[s[i]|0x20*b2u(class[s[i]] == cUpper)]))
	}
	return triggers.find(h) != nil
}

func b2u(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// roleColon reports whether a label's colon comes next.
func roleColon(rest string) bool {
	for i := 0; i < len(rest) && i < 4; i++ {
		switch rest[i] {
		case ':':
			return true
		case ' ', '*', ']', '>':
		default:
			return false
		}
	}
	return false
}

// hit notes a word; in the second reading it extends or opens the windows of the
// rules that look around it.
func (z *scanner) hit(t *trigger, pos int) {
	y := z.second
	if y == nil {
		z.seen.unite(&t.rules)
		z.also.unite(&t.also)
		return
	}
	for w := range t.rules {
		for m := t.rules[w] & y.set[w]; m != 0; m &= m - 1 {
			i := w<<6 | bits.TrailingZeros64(m)
			from, to := int32(max(0, pos-windowBack)), int32(min(len(z.text), pos+windowAhead))
			p := &y.pending[i]
			switch {
			case !y.waiting.has(i):
				y.waiting.add(i)
				*p = window{from, to}
			case from <= p.to:
				p.to = to
			default:
				z.run(i)
				*p = window{from, to}
			}
		}
	}
}

func (z *scanner) finish() {
	for w := range z.second.waiting {
		for m := z.second.waiting[w]; m != 0; m &= m - 1 {
			z.run(w<<6 | bits.TrailingZeros64(m))
		}
	}
}

// run looks for rule i in its pending window and records what it finds.
func (z *scanner) run(i int) {
	r, out := &allRules[i], z.out
	switch {
	case r.cat == injection && r.critical && out.critical >= 0,
		r.cat == injection && !r.critical && out.strong.has(i),
		r.cat == medical && out.medicalGroups.has(i),
		r.cat != injection && r.cat != medical && out.hits[r.cat] >= 0:
		return // nothing new to learn
	}
	from, to := wordEdges(z.text, int(z.second.pending[i].from), int(z.second.pending[i].to))
	if !r.matches(strings.ToLower(z.text[from:to])) {
		return
	}
	switch {
	case r.cat == injection && r.critical:
		out.critical = i
	case r.cat == injection:
		out.strong.add(i)
	case r.cat == medical:
		out.medicalGroups.add(i)
		out.hits[medical] = i
	default:
		out.hits[r.cat] = i
	}
}

// wordEdges widens a window so that it cuts no word and no character in two,
// by at most 64 bytes at either end.
func wordEdges(s string, from, to int) (int, int) {
	for n := 0; from > 0 && n < 64 && class[s[from-1]] != cGap && class[s[from-1]] != cBreak; n++ {
		from--
	}
	for from > 0 && !utf8.RuneStart(s[from]) {
		from--
	}
	for n := 0; to < len(s) && n < 64 && class[s[to]] != cGap && class[s[to]] != cBreak; n++ {
		to++
	}
	for to < len(s) && !utf8.RuneStart(s[to]) {
		to++
	}
	return from, to
}
