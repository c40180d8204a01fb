package safety

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalize turns non-ASCII text into the form that the rules are written for:
// compatibility decomposition (the same folding as the NFKC of the contract)
// without combining marks, invisible characters removed, look-alike letters
// folded to ASCII in words that mix scripts, lower case. ASCII text comes back
// unchanged, since the scanner ignores case. It is idempotent.
func normalize(s string) string {
	if isASCII(s) {
		return s
	}
	// Removing an invisible character can make two words one, and a folded word
	// can only then be seen to mix scripts, so strip first and fold after.
	return foldWords(strip(norm.NFKD.String(s)))
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// strip removes what a reader does not see and lower-cases the rest. Tag
// characters, which hide a second ASCII text inside the first, become that text.
func strip(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		case r >= 0xE0020 && r <= 0xE007E:
			return unicode.ToLower(r - 0xE0000)
		case r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0, r >= 0xE0000 && r <= 0xE0FFF:
			return -1 // Hangul fillers, unused default-ignorables
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			return -1
		}
		if _, ok := lookalike[r]; ok {
			return r // folded, if at all, by the shape of its own case
		}
		return unicode.ToLower(r)
	}, s)
}

// foldWords folds the look-alikes of every word that mixes them with Latin
// letters, or that consists of nothing else and spells a word the rules know.
// A word of honest Russian or Greek stays as it is.
func foldWords(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsLetter(r) {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		start := i
		latin, alike, other := false, false, false
		for i < len(s) {
			r, n = utf8.DecodeRuneInString(s[i:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			_, ok := lookalike[r]
			if !ok {
				_, ok = lookalike[unicode.ToLower(r)]
			}
			switch {
			case r < utf8.RuneSelf:
				latin = latin || r >= 'A'
			case ok:
				alike = true
			case !unicode.Is(unicode.Latin, r):
				other = true
			}
			i += n
		}
		word := s[start:i]
		switch {
		case !alike:
			b.WriteString(word)
		case latin:
			fold(&b, word)
		case other || !spellsTrigger(word):
			lower(&b, word)
		default:
			fold(&b, word)
		}
	}
	return b.String()
}

func fold(b *strings.Builder, word string) {
	for _, r := range word {
		if l, ok := lookalike[r]; ok {
			b.WriteByte(l)
		} else if l, ok := lookalike[unicode.ToLower(r)]; ok {
			b.WriteByte(l)
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
	}
}

func lower(b *strings.Builder, word string) {
	for _, r := range word {
		b.WriteRune(unicode.ToLower(r))
	}
}

// spellsTrigger reports whether a word made of look-alikes only starts an English
// trigger once folded.
func spellsTrigger(word string) bool {
	var b strings.Builder
	fold(&b, word)
	h, n := keySeed, 0
	for _, r := range b.String() {
		if n == keyRunes {
			break
		}
		h, n = keyStep(h, r), n+1
	}
	return n >= keyRunes && triggers.find(h) != nil
}

// lookalike maps letters to the ASCII letter they are drawn like. It is the part
// of Unicode TS #39's idea that matters for Latin words: Cyrillic, Greek,
// Armenian, and stray Latin letters. Capitals are folded by their own shape
// (Η is an h, η an n).
var lookalike = func() map[rune]byte {
	m := make(map[rune]byte, 160)
	for _, row := range [...]struct {
		ascii byte
		alike string
	}{
		{'a', "аАαΑɑ"}, {'b', "ВвЬьΒβƄ"}, {'c', "сСϲⅽᴄ"}, {'d', "ԁɗᴅ"}, {'e', "еЕεΕєЄҽᴇ"},
		{'f', "ƒϝſ"}, {'g', "ɡԍցɢ"}, {'h', "һНнΗհʜ"}, {'i', "іІιΙıɩɪӏӀ"}, {'j', "јЈϳյᴊ"},
		{'k', "кКκΚᴋ"}, {'l', "ⅼʟ"}, {'m', "мМΜᴍ"}, {'n', "ηΝпПոռɴ"}, {'o', "оОοΟσօᴏ"},
		{'p', "рРρΡᴘ"}, {'q', "ԛզ"}, {'r', "гГгᴦʀ"}, {'s', "ѕЅꜱ"}, {'t', "тТτΤᴛ"},
		{'u', "υսᴜμ"}, {'v', "νѵѴᴠ"}, {'w', "ԝԜωшᴡ"}, {'x', "хХχΧ"}, {'y', "уУүΥγУʏ"},
		{'z', "ΖζᴢʐȤ"},
	} {
		for _, r := range row.alike {
			m[r] = row.ascii
		}
	}
	return m
}()
