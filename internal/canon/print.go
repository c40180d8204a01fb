package canon

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// AppendCompact prints v with sorted keys, "," and ":" (the protocol's form of
// whole objects, of receipt v2 fields and of provider answers); the object's
// top-level members named in without are left out. Numbers print as Python
// prints them, see AppendNumber. An absent value prints as null.
func (v Value) AppendCompact(dst []byte, without ...string) []byte {
	p := printer{colon: ":", comma: ","}
	return p.value(dst, v, without)
}

// AppendSpaced prints v with sorted keys, ", " and ": " (Python's default style,
// which the manifest's two digests use), else as AppendCompact does.
func (v Value) AppendSpaced(dst []byte) []byte {
	p := printer{colon: ": ", comma: ", "}
	return p.value(dst, v, nil)
}

// AppendTokens prints v as AppendCompact does, but keeps every number token as
// it stands in the source.
func (v Value) AppendTokens(dst []byte) []byte {
	p := printer{colon: ":", comma: ",", number: asIs}
	return p.value(dst, v, nil)
}

// AppendJCS prints v by RFC 8785: keys in UTF-16 order, numbers as ECMAScript
// prints doubles. It fails on integers beyond the range of a double, and leaves
// dst untouched then. Integers beyond 2⁵³ lose digits, as the RFC has it.
func (v Value) AppendJCS(dst []byte) ([]byte, error) { return v.appendJCS(dst) }

func (v Value) appendJCS(dst []byte, without ...string) ([]byte, error) {
	p := printer{colon: ":", comma: ",", number: asES6, compare: compareUTF16}
	out := p.value(dst, v, without)
	if p.overflow.Exists() {
		return dst, fmt.Errorf("RFC 8785 form: number %s at byte %d is beyond a double; send it as a string",
			clip(p.overflow.Token()), p.overflow.Offset())
	}
	return out, nil
}

type numberForm uint8

const (
	asPython numberForm = iota
	asIs
	asES6
)

// printer is one style of output.
type printer struct {
	colon, comma string
	number       numberForm
	compare      func(a, b string) int // order of keys; nil is code point order
	overflow     Value                 // a number that asES6 could not print
}

func (p *printer) value(dst []byte, v Value, without []string) []byte {
	n := v.node()
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.kind {
	case Number:
		tok := v.t.src[n.start:n.end]
		switch p.number {
		case asIs:
			return append(dst, tok...)
		case asES6:
			out, ok := appendES6Token(dst, tok)
			if !ok {
				p.overflow = v
			}
			return out
		}
		return appendPython(dst, tok)
	case String:
		return appendNodeText(dst, v.t, n)
	case Array:
		dst = append(dst, '[')
		for i := v.i + 1; i < n.next; i = v.t.nodes[i].next {
			if i > v.i+1 {
				dst = append(dst, p.comma...)
			}
			dst = p.value(dst, Value{v.t, i}, nil)
		}
		return append(dst, ']')
	case Object:
		return p.object(dst, v, n, without)
	default:
		return append(dst, v.t.src[n.start:n.end]...)
	}
}

// appendNodeText prints a string node. Source text without escapes needs none:
// the parser refuses raw control bytes.
func appendNodeText(dst []byte, t *tree, n *node) []byte {
	if n.aux == 0 {
		return append(dst, t.src[n.start:n.end]...)
	}
	return AppendString(dst, t.decoded[n.aux-1])
}

func (p *printer) object(dst []byte, v Value, n *node, without []string) []byte {
	t := v.t
	dst = append(dst, '{')
	first := true
	member := func(k uint32) {
		if len(without) > 0 && slices.Contains(without, t.text(&t.nodes[k])) {
			return
		}
		if !first {
			dst = append(dst, p.comma...)
		}
		first = false
		dst = appendNodeText(dst, t, &t.nodes[k])
		dst = append(dst, p.colon...)
		dst = p.value(dst, Value{t, k + 1}, nil)
	}
	if n.flags&flagSorted != 0 && p.compare == nil || n.aux < 2 {
		for k := v.i + 1; k < n.next; k = t.nodes[k+1].next {
			member(k)
		}
		return append(dst, '}')
	}
	var scratch [32]uint32
	keys := scratch[:0]
	for k := v.i + 1; k < n.next; k = t.nodes[k+1].next {
		keys = append(keys, k)
	}
	compare := p.compare
	if compare == nil {
		compare = strings.Compare
	}
	slices.SortFunc(keys, func(a, b uint32) int { return compare(t.text(&t.nodes[a]), t.text(&t.nodes[b])) })
	for _, k := range keys {
		member(k)
	}
	return append(dst, '}')
}

// compareUTF16 orders strings by UTF-16 code units (RFC 8785 §3.2.3). It differs
// from code point order only in that code points from U+10000 up, whose first
// unit is a surrogate, come before U+E000 to U+FFFF.
func compareUTF16(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) || i == len(b) {
		return len(a) - len(b)
	}
	for i > 0 && !utf8.RuneStart(a[i]) {
		i--
	}
	ra, _ := utf8.DecodeRuneInString(a[i:])
	rb, _ := utf8.DecodeRuneInString(b[i:])
	if ra < 0xe000 || rb < 0xe000 || ra >= 0x10000 == (rb >= 0x10000) {
		return int(ra) - int(rb)
	}
	return int(rb) - int(ra)
}

const hexDigits = "0123456789abcdef"

// AppendString prints s as a JSON string with the protocol's minimal escapes:
// only the quote, the backslash and bytes below 0x20 are escaped, the latter by
// letter where there is one, else as \u00xx in lower hex. Everything else stays
// raw, also < > & U+2028 U+2029 and 0x7f. Bytes that are not UTF-8 become U+FFFD,
// so that the output is JSON whatever s holds.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
