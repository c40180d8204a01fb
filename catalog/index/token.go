package index

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// How a token came out of the text. The difference matters to queries, which must
// not count one word twice, and to categories, which are about the text as written.
type tokenKind uint8

const (
	wordToken  tokenKind = iota // a run of letters and digits that has no parts
	wholeToken                  // such a run with parts: "getWeather", "sha256"
	partToken                   // a part of the whole before it: "get", "weather"
	joinToken                   // two neighbours as one word: "sha-256" gives "sha256"
	pairToken                   // two neighbouring characters of a script without spaces
	cutToken                    // the beginning of a run longer than MaxTokenBytes
)

// token is a word in lower case as written, accents and all; fold comes later,
// because it is paid only once for each distinct word.
type token struct {
	text string
	kind tokenKind
}

// tokenizer cuts text into tokens. The zero value works; it reuses its buffers, so
// tokens are valid until the next cut, though their text may be kept.
type tokenizer struct {
	out []token
}

// class of a rune, for cutting.
type class uint8

const (
	separator class = iota
	lower           // a letter that is not upper case
	upper
	digit
	mark // belongs to the letter before it
	han  // a letter of a script written without spaces
	wide // no class of a rune, but said of a run: not all of it is ASCII
)

// asciiClass is the class of the first characters, which nearly all text consists of.
var asciiClass = func() (t [utf8.RuneSelf]class) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z':
			t[c] = lower
		case 'A' <= c && c <= 'Z':
			t[c] = upper
		case '0' <= c && c <= '9':
			t[c] = digit
		}
	}
	return t
}()

func classOf(r rune) class {
	if uint32(r) < utf8.RuneSelf {
		return asciiClass[r]
	}
	return wideClass(r)
}

func wideClass(r rune) class {
	switch {
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer):
		if unicode.IsMark(r) {
			return mark
		}
		return han
	case unicode.IsUpper(r):
		return upper
	case unicode.IsLetter(r):
		return lower
	case unicode.IsDigit(r):
		return digit
	case unicode.IsMark(r):
		return mark
	}
	return separator
}

// cut returns the tokens of text. A run ends at anything that is neither letter nor
// digit and where a script without spaces begins or ends; "_" and "@" separate too.
func (t *tokenizer) cut(text string) []token {
	t.out = t.out[:0]
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		c := classOf(r)
		if c == separator || c == mark {
			i += size
			continue
		}
		start, glued := i, c == han
		seen := uint(1) << c
		if size > 1 {
			seen |= 1 << wide
		}
		for i += size; i < len(text); i += size {
			r, size = rune(text[i]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(text[i:])
			}
			if c = classOf(r); c == separator || c != mark && (c == han) != glued {
				break
			}
			if seen |= 1 << c; size > 1 {
				seen |= 1 << wide
			}
		}
		if glued {
			t.pairs(text[start:i])
			continue
		}
		if plain := seen == 1<<lower || seen == 1<<digit; plain && i-start <= MaxTokenBytes {
			t.out = append(t.out, token{text[start:i], wordToken}) // most words by far
		} else {
			t.run(text[start:i])
		}
		if i < len(text) && (text[i] == '-' || text[i] == '_' || text[i] == '/') {
			t.join(text[start:i], text[i+1:])
		}
	}
	return t.out
}

func (t *tokenizer) emit(s string, k tokenKind) {
	t.out = append(t.out, token{lowered(s), k})
}

// run emits one run of letters and digits and, if it is made of several words, these.
func (t *tokenizer) run(s string) {
	if len(s) > MaxTokenBytes {
		end := MaxTokenBytes
		for !utf8.RuneStart(s[end]) {
			end--
		}
		t.emit(s[:end], cutToken)
		return
	}
	whole := len(t.out)
	t.emit(s, wordToken)
	start, prev := 0, class(separator)
	var before class // of the letter before prev
	for i, r := range s {
		c := classOf(r)
		if c == mark {
			continue
		}
		switch {
		case prev == separator:
		case prev == lower && c == upper:
			start = t.part(s, start, i)
		case before == upper && prev == upper && c == lower: // "PDFReader": the R starts a word
			_, n := utf8.DecodeLastRuneInString(s[:i])
			start = t.part(s, start, i-n)
		case (prev == digit) != (c == digit):
			start = t.part(s, start, i)
		}
		before, prev = prev, c
	}
	if start > 0 {
		t.part(s, start, len(s))
	}
	if len(t.out) > whole+1 {
		t.out[whole].kind = wholeToken
	}
}

// part emits s[from:to] unless it is too short to mean something and returns to.
func (t *tokenizer) part(s string, from, to int) int {
	p := s[from:to]
	short := 3
	if r, _ := utf8.DecodeRuneInString(p); classOf(r) == digit {
		short = 2
		if len(s)-len(p) < 3 {
			return to // "v10"
		}
	}
	if utf8.RuneCountInString(p) >= short && len(p) < len(s) {
		t.emit(p, partToken)
	}
	return to
}

// maxJoinDigits keeps serial numbers of products from becoming words.
const maxJoinDigits = 4

// join emits left and the digits that rest starts with as one word, so that
// "sha-256" is found by "sha256".
func (t *tokenizer) join(left, rest string) {
	n := 0
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	if n == 0 || n > maxJoinDigits || len(left) < 2 || len(left) > 8 {
		return
	}
	if n < len(rest) && classOf(rune(rest[n])) != separator {
		return
	}
	for i := range len(left) {
		if c := left[i] | 0x20; c < 'a' || c > 'z' {
			return
		}
	}
	t.emit(left+rest[:n], joinToken)
}

// pairs emits each two neighbouring characters, or the only one.
func (t *tokenizer) pairs(s string) {
	_, n := utf8.DecodeRuneInString(s)
	if n == len(s) {
		t.emit(s, pairToken)
		return
	}
	start, second := 0, 0
	for i, r := range s {
		if i == 0 || classOf(r) == mark {
			continue
		}
		if second > 0 {
			t.emit(s[start:i], pairToken)
			start = second
		}
		second = i
	}
	t.emit(s[start:], pairToken)
}

// lowered is s in lower case; it allocates only if that changes s.
func lowered(s string) string { return strings.ToLower(s) }

var foldCase = cases.Fold()

// fold strips accents, width and case from a word: "Wörter" and "WORTER" meet.
// An empty result means that nothing was left; the word then stands for itself.
func fold(w string) string {
	ascii := true
	for i := range len(w) {
		if w[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return w // cut made it lower case
	}
	d := norm.NFKD.String(w)
	var b strings.Builder
	for _, r := range d {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	f := norm.NFC.String(foldCase.String(b.String()))
	if f == "" {
		return w
	}
	return f
}
