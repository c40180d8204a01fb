package builtin

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/aimarket/aimarket/internal/canon"
)

// Input limits in bytes.
const (
	maxText       = 100_000
	maxEcho       = 512 << 10 // as JSON; what comes out is no longer
	maxPattern    = 512
	maxSlugText   = 4096
	maxMatches    = 1000
	readingPerMin = 230 // words; silent reading of English prose
)

// echo is the lean path: it is what the paid-call benchmark measures.
func echo(_ context.Context, in canon.Value) (json.RawMessage, error) {
	v := in.Get("text")
	if v.Kind() != canon.String {
		if v.Kind() == canon.Invalid {
			return nil, bad("text", "is missing; it must be a string")
		}
		return nil, bad("text", "must be a string")
	}
	raw := v.Raw()
	if len(raw) > maxEcho {
		return nil, bad("text", "is %d bytes long as JSON; at most %d are allowed", len(raw), maxEcho)
	}
	out := append(make([]byte, 0, len(raw)+len(`{"text":}`)), `{"text":`...)
	out = canon.AppendString(out, v.Str())
	return append(out, '}'), nil
}

func textStats(ctx context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	s := a.text("text", maxText)
	top := int(a.integer("top", 10, 0, 100))
	if a.err != nil {
		return nil, a.err
	}
	var chars, solid, letters, sentences, lines, paragraphs int
	counts := map[string]int{}
	words := 0
	start := -1
	word := func(end int) {
		if start < 0 {
			return
		}
		w := strings.Trim(s[start:end], "'’-")
		if w != "" {
			words++
			letters += utf8.RuneCountInString(w)
			counts[strings.ToLower(w)]++
		}
		start = -1
	}
	inSentence, blank := false, true
	for i, r := range s {
		chars++
		if !unicode.IsSpace(r) {
			solid++
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || start >= 0 && (r == '\'' || r == '’' || r == '-' || insideNumber(s, i)) {
			if start < 0 {
				start = i
			}
			inSentence = true
		} else {
			word(i)
		}
		switch r {
		case '.', '!', '?', '…', '。', '！', '？':
			if inSentence && endsSentence(s, i, r) {
				sentences++
				inSentence = false
			}
		case '\n':
			lines++
			blank = true
		}
		if blank && !unicode.IsSpace(r) {
			blank = false
			if paragraphBegins(s, i) {
				paragraphs++
			}
		}
	}
	word(len(s))
	if inSentence {
		sentences++
	}
	if s != "" && !strings.HasSuffix(s, "\n") {
		lines++
	}
	type count struct {
		word string
		n    int
	}
	list := make([]count, 0, len(counts))
	for w, n := range counts {
		list = append(list, count{w, n})
	}
	slices.SortFunc(list, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.word, b.word))
	})
	var o object
	o.int("characters", chars)
	o.int("characters_without_spaces", solid)
	o.int("bytes", len(s))
	o.int("words", words)
	o.int("unique_words", len(counts))
	o.int("sentences", sentences)
	o.int("lines", lines)
	o.int("paragraphs", paragraphs)
	average := 0.0
	if words > 0 {
		average = float64(letters*100/words) / 100
	}
	o.num("average_word_length", average)
	o.int("reading_seconds", (words*60+readingPerMin-1)/readingPerMin)
	o.open("top_words", '[')
	for i, c := range list[:min(top, len(list))] {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		var e object
		e.str("word", c.word)
		e.int("count", c.n)
		o.b = append(append(o.b, e.b...), '}')
	}
	o.b = append(o.b, ']')
	return o.done()
}

// insideNumber reports whether s[i] is the point or comma of a number.
func insideNumber(s string, i int) bool {
	digit := func(i int) bool { return i >= 0 && i < len(s) && '0' <= s[i] && s[i] <= '9' }
	return (s[i] == '.' || s[i] == ',') && digit(i-1) && digit(i+1)
}

// endsSentence keeps a full stop inside a number or name (3.14, example.com) from
// ending one.
func endsSentence(s string, i int, r rune) bool {
	if r != '.' || i+1 >= len(s) {
		return true
	}
	next, _ := utf8.DecodeRuneInString(s[i+1:])
	return !unicode.IsLetter(next) && !unicode.IsDigit(next)
}

// paragraphBegins reports whether only an empty line, or nothing, stands before i.
func paragraphBegins(s string, i int) bool {
	before := strings.TrimRight(s[:i], " \t\r")
	if before == "" {
		return true
	}
	n := 0
	for n < 2 && strings.HasSuffix(before, "\n") {
		before = strings.TrimRight(before[:len(before)-1], " \t\r")
		n++
	}
	return n == 2 || before == ""
}

func slug(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	s := a.text("text", maxSlugText)
	limit := int(a.integer("max_length", 80, 1, 200))
	if a.err != nil {
		return nil, a.err
	}
	var o object
	o.str("slug", slugify(s, limit))
	return o.done()
}

func slugify(s string, limit int) string {
	var b []byte
	for _, r := range norm.NFC.String(s) {
		r = unicode.ToLower(r)
		t, ok := transliterate[r]
		if !ok {
			t = strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) {
					return -1
				}
				return unicode.ToLower(r)
			}, norm.NFKD.String(string(r)))
		}
		for i := 0; i < len(t); i++ {
			c := t[i]
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
				b = append(b, c)
			} else if c < utf8.RuneSelf && c != '\'' && len(b) > 0 && b[len(b)-1] != '-' {
				b = append(b, '-')
			}
		}
		if t != "" && t[0] >= utf8.RuneSelf && !unicode.IsLetter(r) && len(b) > 0 && b[len(b)-1] != '-' && r != '’' {
			b = append(b, '-')
		}
	}
	out := strings.Trim(string(b), "-")
	if len(out) <= limit {
		return out
	}
	// Cut between words if that keeps more than half.
	cut := out[:limit]
	if i := strings.LastIndexByte(cut, '-'); out[limit] != '-' && i > limit/2 {
		cut = cut[:i]
	}
	return strings.Trim(cut, "-")
}

var transliterate = func() map[rune]string {
	m := map[rune]string{}
	for _, pair := range strings.Fields("ä:ae ö:oe ü:ue ß:ss æ:ae ø:oe å:aa œ:oe ð:d þ:th ł:l đ:d ı:i " +
		"а:a б:b в:v г:g д:d е:e ё:yo ж:zh з:z и:i й:y к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts ч:ch ш:sh щ:shch ъ: ы:y ь: э:e ю:yu я:ya і:i ї:yi є:ye ґ:g " +
		"α:a β:v γ:g δ:d ε:e ζ:z η:i θ:th ι:i κ:k λ:l μ:m ν:n ξ:x ο:o π:p ρ:r σ:s ς:s τ:t υ:y φ:f χ:ch ψ:ps ω:o ά:a έ:e ή:i ί:i ό:o ύ:y ώ:o") {
		from, to, _ := strings.Cut(pair, ":")
		r, _ := utf8.DecodeRuneInString(from)
		m[r] = to
	}
	return m
}()

func extract(ctx context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	s := a.text("text", maxText)
	pattern := a.text("pattern", maxPattern)
	limit := int(a.integer("limit", 100, 1, maxMatches))
	if a.err != nil {
		return nil, a.err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, bad("pattern", "is not an RE2 expression: %v", err)
	}
	if re.NumSubexp() > maxGroups {
		return nil, bad("pattern", "has %d groups; at most %d are allowed", re.NumSubexp(), maxGroups)
	}
	// Work is linear in text times pattern; instructions of a compiled expression
	// can be many more than its letters, so the product is bounded.
	if cost := len(s) * programSize(pattern); cost > maxRegexpWork {
		return nil, bad("pattern", "costs too much on a text of %d bytes (%d steps, at most %d); use fewer or smaller repetitions", len(s), cost, maxRegexpWork)
	}
	found := re.FindAllStringSubmatchIndex(s, limit+1)
	if err := stopped(ctx); err != nil {
		return nil, err
	}
	more := len(found) > limit
	found = found[:min(limit, len(found))]
	var o object
	o.open("matches", '[')
	for i, m := range found {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendMatch(o.b, s, re.SubexpNames(), m)
		if len(o.b) > MaxOutput {
			return o.done()
		}
	}
	o.b = append(o.b, ']')
	o.int("count", len(found))
	o.bool("truncated", more)
	return o.done()
}

const (
	maxGroups     = 32
	maxRegexpWork = 40_000_000 // instruction steps, about a second at worst
)

func appendMatch(b []byte, s string, names []string, m []int) []byte {
	e := object{b: append(b, '{')}
	e.b = append(canon.AppendString(append(e.b, `"text":`...), s[m[0]:m[1]]), `,"start":`...)
	e.b = strconv.AppendInt(e.b, int64(m[0]), 10)
	e.int("end", m[1])
	if len(names) > 1 {
		e.open("groups", '[')
		for g := 1; g < len(names); g++ {
			if g > 1 {
				e.b = append(e.b, ',')
			}
			e.b = appendGroup(e.b, s, m, g)
		}
		e.b = append(e.b, ']')
		e.open("named", '{')
		first := true
		for g := 1; g < len(names); g++ {
			if names[g] == "" || slices.Index(names, names[g]) != g {
				continue
			}
			if !first {
				e.b = append(e.b, ',')
			}
			first = false
			e.b = append(canon.AppendString(e.b, names[g]), ':')
			e.b = appendGroup(e.b, s, m, g)
		}
		e.b = append(e.b, '}')
	}
	return append(e.b, '}')
}

func appendGroup(b []byte, s string, m []int, g int) []byte {
	if m[2*g] < 0 {
		return append(b, "null"...)
	}
	return canon.AppendString(b, s[m[2*g]:m[2*g+1]])
}
