package safety

import (
	"math/bits"
	"strings"
)

// keyStep is one step of FNV-1a over the letters of a word.
func keyStep(h uint32, r rune) uint32 { return (h ^ uint32(r)) * 16777619 }

// ruleSet is a set of indexes into allRules.
type ruleSet [maxRules / 64]uint64

const maxRules = 128

func (s *ruleSet) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *ruleSet) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }
func (s ruleSet) count() int      { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

func (s ruleSet) empty() bool { return s[0]|s[1] == 0 }

func (s *ruleSet) unite(t *ruleSet) { s[0] |= t[0]; s[1] |= t[1] }

func (s ruleSet) and(t ruleSet) ruleSet { return ruleSet{s[0] & t[0], s[1] & t[1]} }

func (s ruleSet) names() string {
	var names []string
	for i := range allRules {
		if s.has(i) {
			names = append(names, allRules[i].name)
		}
	}
	return strings.Join(names, ", ")
}

// trigger is what one word (its key) sets off.
type trigger struct {
	key   uint32
	used  bool
	role  bool    // a role label: system, user, assistant
	rules ruleSet // rules that look around this word
	also  ruleSet // rules that need this word somewhere in the text
}

// maybe holds a bit for every trigger, so that most words, which are none, are
// told apart within two kilobytes of memory.
const maybeBits = 1 << 14

var maybe [maybeBits / 64]uint64

// triggerTable is an open-addressed hash table. It keeps hashes only: a
// collision costs one run of an expression, never a wrong answer.
type triggerTable [2048]trigger

func (t *triggerTable) slot(key uint32) *trigger {
	for i := key ^ key>>15; ; i++ {
		s := &t[i%uint32(len(t))]
		if !s.used || s.key == key {
			return s
		}
	}
}

func (t *triggerTable) find(key uint32) *trigger {
	if h := key % maybeBits; maybe[h>>6]&(1<<(h&63)) == 0 {
		return nil
	}
	if s := t.slot(key); s.used {
		return s
	}
	return nil
}

func (t *triggerTable) add(word string) *trigger {
	h, n := keySeed, 0
	for _, r := range word {
		if n == keyRunes {
			break
		}
		h, n = keyStep(h, r), n+1
	}
	s := t.slot(h)
	s.key, s.used = h, true
	h %= maybeBits
	maybe[h>>6] |= 1 << (h & 63)
	return s
}

// Classes of bytes, in the order that the scanner relies on.
const (
	cGap    = iota
	cLower  // a-z
	cUpper  // A-Z
	cDigit  // 0-9
	cLeet   // other signs that stand for a letter
	cAt     // @
	cBreak  // a line break
	cWide   // not ASCII
	cJoiner // + / = _ - : parts of encodings, but no letters
	cMark   // brackets, # and : set labels and tags apart
)

var class = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = cLower, cUpper
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = cDigit
	}
	t['$'], t['!'], t['|'] = cLeet, cLeet, cLeet
	t['@'] = cAt
	t['\n'], t['\r'] = cBreak, cBreak
	for _, c := range "+/=_-" {
		t[c] = cJoiner
	}
	for _, c := range "#[]<>{}():" {
		t[c] = cMark
	}
	for c := 0x80; c < 0x100; c++ {
		t[c] = cWide
	}
	return t
}()

// leetLetter reads a digit or sign as the letter it imitates.
var leetLetter = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
	}
	for _, p := range []string{"0o", "1i", "3e", "4a", "5s", "7t", "@a", "$s", "!i", "|i"} {
		t[p[0]] = p[1]
	}
	return t
}()
