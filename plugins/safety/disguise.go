package safety

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unleet reads digits and signs inside words as the letters they imitate. A run
// without any letter, such as a number, stays as it is.
func unleet(s string) string {
	b := []byte(s)
	for i := 0; i < len(b); {
		start, letters := i, false
		for i < len(b) && leetRun(b[i]) {
			letters = letters || class[b[i]] == cLower || class[b[i]] == cUpper
			i++
		}
		if letters {
			for j := start; j < i; j++ {
				// At the end of a word ! is punctuation.
				if b[j] != '!' && b[j] != '|' || j+1 < i {
					b[j] = leetLetter[b[j]]
				}
			}
		}
		if i == start {
			i++
		}
	}
	return string(b)
}

func leetRun(c byte) bool {
	switch class[c] {
	case cLower, cUpper, cDigit, cLeet, cAt:
		return true
	}
	return false
}

// compactLetters joins letters that were spaced out. Where more than one
// separator stands between letters it keeps a space, and the rules read the
// result; where it cannot tell words apart it looks for the phrases themselves.
func compactLetters(text string, set *ruleSet, out *signals) {
	var joined strings.Builder
	var run []byte // letters of the current run, without spaces
	flush := func() {
		if len(run) >= spacedLetters && set.has(spacedRule) && out.critical < 0 {
			for _, p := range compactPhrases {
				if strings.Contains(string(run), p) {
					out.critical = spacedRule
					break
				}
			}
		}
		run = run[:0]
	}
	lower := strings.ToLower(text)
	for i := 0; i < len(lower); {
		r, n := utf8.DecodeRuneInString(lower[i:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			joined.WriteByte(' ')
			i += n
			continue
		}
		end := i + n
		for end < len(lower) {
			r, m := utf8.DecodeRuneInString(lower[end:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			end += m
		}
		word := lower[i:end]
		joined.WriteString(word)
		if len(word) != n { // an ordinary word ends the run
			flush()
			i = end
			continue
		}
		run = append(run, word...)
		// One separator and another single letter: the same word goes on.
		_, m := utf8.DecodeRuneInString(lower[end:])
		next := end + m
		i = end
		if next < len(lower) && singleLetter(lower[next:]) {
			i = next
		}
	}
	flush()
	scan(joined.String(), set, out)
}

func singleLetter(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
		return false
	}
	r, _ = utf8.DecodeRuneInString(s[n:])
	return n == len(s) || !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// compactPhrases are what spaced-out text is searched for when its word
// boundaries are lost.
var compactPhrases = []string{
	"ignoreall", "ignoreprevious", "ignoreyour", "ignoretheabove", "disregardall", "disregardprevious", "disregardyour",
	"forgetall", "forgetyour", "forgetprevious", "forgeteverything", "systemprompt", "developermode", "doanythingnow",
	"overrideyour", "overridesafety", "bypassyour", "bypasssafety", "jailbreakmode",
}

// maxDecoded bounds the text that comes out of encodings, in bytes: no more than
// one input of the default length.
const maxDecoded = DefaultMaxInputLength

// decodeTokens decodes the long base64 and hex tokens of s and returns those that
// are text. It decodes once: what comes out is not decoded again.
func decodeTokens(s string) []string {
	var out []string
	total := 0
	for i := 0; i < len(s) && total < maxDecoded; {
		start := i
		for i < len(s) && tokenByte(s[i]) {
			i++
		}
		if i-start >= minEncoded {
			// An = can only end an encoding; before one stands a name. A slash can be
			// part of it or of a path.
			for _, piece := range strings.Split(s[start:i], "=") {
				text, ok := decodeToken(piece)
				if !ok {
					if slash := strings.LastIndexByte(piece, '/'); slash >= 0 {
						text, ok = decodeToken(piece[slash+1:])
					}
				}
				if ok {
					out = append(out, text)
					total += len(text)
				}
			}
		}
		if i == start {
			i++
		}
	}
	return out
}

func tokenByte(c byte) bool {
	switch class[c] {
	case cLower, cUpper, cDigit, cJoiner:
		return true
	}
	return false
}

func decodeToken(tok string) (string, bool) {
	if len(tok) < minEncoded {
		return "", false
	}
	if len(tok)%2 == 0 {
		if b, err := hex.DecodeString(tok); err == nil {
			return asText(b)
		}
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(tok, "-_") {
		enc = base64.RawURLEncoding
	}
	// A token of this length was cut: it still shows its beginning.
	if len(tok)%4 == 1 {
		tok = tok[:len(tok)-1]
	}
	b, err := enc.DecodeString(tok)
	if err != nil {
		return "", false
	}
	return asText(b)
}

// asText reports whether b is readable text: valid UTF-8, mostly letters and
// spaces, hardly any control characters.
func asText(b []byte) (string, bool) {
	if !utf8.Valid(b) {
		return "", false
	}
	good, all := 0, 0
	for _, r := range string(b) {
		all++
		if unicode.IsLetter(r) || r == ' ' || r == '\n' {
			good++
		} else if unicode.IsControl(r) && r != '\t' && r != '\r' {
			return "", false
		}
	}
	return string(b), all >= 12 && good*10 >= all*7
}
