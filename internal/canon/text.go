package canon

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// plain marks the bytes that a string may hold as they are: printable ASCII
// without quote and backslash, and 0x7f.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads one string that starts at pos. Strings without escapes are left in
// the source; others are decoded once, here.
func (p *parser) text() error {
	start := p.pos
	i := start + 1
	src := p.src
	ascii := true
	for {
		for i < len(src) && plain[src[i]] {
			i++
		}
		if i == len(src) {
			return p.fail(start, "a string without its closing quote", "send the complete text")
		}
		switch c := src[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
			i++
		case c == '"':
			if !ascii {
				if err := p.checkUTF8(start+1, i); err != nil {
					return err
				}
			}
			p.pos = i + 1
			p.push(node{start: uint32(start), end: uint32(p.pos), kind: String})
			return nil
		case c == '\\':
			return p.escapedText(start, i)
		default:
			return p.control(i)
		}
	}
}

func (p *parser) control(at int) error {
	return p.fail(at, fmt.Sprintf("control byte 0x%02x inside a string", p.src[at]), `write it as an escape such as \n or \u00xx`)
}

// checkUTF8 fails at the first byte of src[from:to] that starts no well-formed
// code point.
func (p *parser) checkUTF8(from, to int) error {
	if utf8.ValidString(p.src[from:to]) {
		return nil
	}
	for i := from; i < to; {
		r, size := utf8.DecodeRuneInString(p.src[i:to])
		if r == utf8.RuneError && size == 1 {
			return p.fail(i, fmt.Sprintf("byte 0x%02x is not valid UTF-8", p.src[i]), "encode the text as UTF-8")
		}
		i += size
	}
	return nil
}

// escapedText decodes the string that starts at start and has its first
// backslash at first.
func (p *parser) escapedText(start, first int) error {
	src := p.src
	buf := make([]byte, 0, len(src[start:first])+64)
	from := start + 1 // start of the run not yet copied
	i := first
	for {
		for i < len(src) && (plain[src[i]] || src[i] >= utf8.RuneSelf) {
			i++
		}
		if i == len(src) {
			return p.fail(start, "a string without its closing quote", "send the complete text")
		}
		if err := p.checkUTF8(from, i); err != nil {
			return err
		}
		buf = append(buf, src[from:i]...)
		switch src[i] {
		case '"':
			p.pos = i + 1
			p.decoded = append(p.decoded, string(buf))
			p.push(node{start: uint32(start), end: uint32(p.pos), aux: uint32(len(p.decoded)), kind: String})
			return nil
		case '\\':
			r, size, err := p.escape(i)
			if err != nil {
				return err
			}
			buf = utf8.AppendRune(buf, r)
			i += size
			from = i
		default:
			return p.control(i)
		}
	}
}

// escape decodes the escape whose backslash is at position at, a surrogate pair
// counting as one, and returns its length in bytes.
func (p *parser) escape(at int) (r rune, size int, err error) {
	const lone = "a surrogate \\u escape without its partner"
	if at+1 == len(p.src) {
		return 0, 0, p.fail(at, "a backslash at the end of the text", "send the complete text")
	}
	switch c := p.src[at+1]; c {
	case '"', '\\', '/':
		return rune(c), 2, nil
	case 'b':
		return '\b', 2, nil
	case 'f':
		return '\f', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'u':
	default:
		p.pos = at + 1
		return 0, 0, p.fail(at, "an unknown escape: "+p.found()+" after a backslash", `use \" \\ \/ \b \f \n \r \t or \u and four hex digits`)
	}
	high, ok := p.hex4(at + 2)
	if !ok {
		return 0, 0, p.fail(at, `\u without four hex digits`, `write \u and exactly four hex digits`)
	}
	if !utf16.IsSurrogate(high) {
		return high, 6, nil
	}
	if at+7 < len(p.src) && p.src[at+6] == '\\' && p.src[at+7] == 'u' {
		if low, ok := p.hex4(at + 8); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return r, 12, nil
			}
		}
	}
	return 0, 0, p.fail(at, lone, "send both halves of the pair, or the character itself as UTF-8")
}

func (p *parser) hex4(at int) (rune, bool) {
	if at+4 > len(p.src) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.src[at : at+4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
