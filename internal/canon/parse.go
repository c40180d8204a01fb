package canon

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// SyntaxError says why a text is not one unambiguous JSON value.
type SyntaxError struct {
	Offset int    // position of the offending byte, from 0
	Reason string // what is wrong there
	Advice string // what the sender can do about it
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s; %s", e.Offset, e.Reason, e.Advice)
}

// Parse reads exactly one JSON text (RFC 8259), stricter than most readers: see
// the package comment for what it refuses. The error is a *SyntaxError. The
// returned value refers to raw, which must not change afterwards.
func Parse(raw []byte) (Value, error) {
	if len(raw) > MaxBytes {
		return Value{}, &SyntaxError{MaxBytes, fmt.Sprintf("the text is longer than %d bytes", MaxBytes), "split it"}
	}
	p := parser{src: unsafe.String(unsafe.SliceData(raw), len(raw))}
	p.nodes = make([]node, 0, nodeHint(p.src))
	if strings.HasPrefix(p.src, "\ufeff") {
		return Value{}, p.fail(0, "a byte order mark", "send UTF-8 without one")
	}
	p.space()
	if err := p.value(0); err != nil {
		return Value{}, err
	}
	p.space()
	if p.pos != len(p.src) {
		return Value{}, p.fail(p.pos, "text after the end of the value", "send exactly one JSON value")
	}
	return Value{t: &tree{src: p.src, nodes: p.nodes, decoded: p.decoded}}, nil
}

// nodeHint guesses the number of nodes so that usual bodies need one slab. Each
// node but the first follows one of the counted bytes; the second bound keeps a
// string full of commas from buying memory.
func nodeHint(src string) int {
	n := 1 + strings.Count(src, ",") + strings.Count(src, ":") + strings.Count(src, "{") + strings.Count(src, "[")
	return min(n, len(src)/4+8)
}

type parser struct {
	src     string
	pos     int
	nodes   []node
	decoded []string
}

func (p *parser) fail(offset int, reason, advice string) error {
	return &SyntaxError{Offset: offset, Reason: reason, Advice: advice}
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\n', '\t', '\r':
			p.pos++
		default:
			return
		}
	}
}

// value reads one value that starts at pos; depth containers are open around it.
func (p *parser) value(depth int) error {
	if p.pos == len(p.src) {
		return p.fail(p.pos, "the text ends where a value should be", "send the complete text")
	}
	switch c := p.src[p.pos]; {
	case c == '"':
		return p.text()
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return p.fail(p.pos, fmt.Sprintf("nesting deeper than %d levels", MaxDepth), "flatten the document")
		}
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	default:
		return p.literal()
	}
}

func (p *parser) push(n node) {
	n.next = uint32(len(p.nodes)) + 1
	p.nodes = append(p.nodes, n)
}

// open starts a container and returns its index.
func (p *parser) open(kind Kind) int {
	p.push(node{start: uint32(p.pos), kind: kind})
	p.pos++
	p.space()
	return len(p.nodes) - 1
}

// close ends the container at index i, whose closing byte is at pos.
func (p *parser) close(i int, count uint32) *node {
	p.pos++
	n := &p.nodes[i]
	n.end, n.next, n.aux = uint32(p.pos), uint32(len(p.nodes)), count
	return n
}

// separator reads "," or the closing byte after an element; done says which.
func (p *parser) separator(closing byte) (done bool, err error) {
	p.space()
	if p.pos == len(p.src) {
		return false, p.fail(p.pos, fmt.Sprintf("the text ends before the closing %q", closing), "send the complete text")
	}
	switch p.src[p.pos] {
	case closing:
		return true, nil
	case ',':
		p.pos++
		p.space()
		if p.pos < len(p.src) && p.src[p.pos] == closing {
			return false, p.fail(p.pos, "a comma before the closing bracket", "remove the comma")
		}
		return false, nil
	}
	return false, p.fail(p.pos, fmt.Sprintf("%s where ',' or %q should be", p.found(), closing), "separate values with commas")
}

func (p *parser) array(depth int) error {
	self, count := p.open(Array), uint32(0)
	if p.pos < len(p.src) && p.src[p.pos] == ']' {
		p.close(self, 0)
		return nil
	}
	for {
		if err := p.value(depth); err != nil {
			return err
		}
		count++
		done, err := p.separator(']')
		if err != nil {
			return err
		}
		if done {
			p.close(self, count)
			return nil
		}
	}
}

func (p *parser) object(depth int) error {
	self, count := p.open(Object), uint32(0)
	if p.pos < len(p.src) && p.src[p.pos] == '}' {
		p.close(self, 0).flags |= flagSorted
		return nil
	}
	sorted, previous := true, ""
	for {
		if p.pos == len(p.src) || p.src[p.pos] != '"' {
			return p.fail(p.pos, p.found()+" where a member name should be", "put names in double quotes")
		}
		if err := p.text(); err != nil {
			return err
		}
		key := p.lastText()
		sorted = sorted && (count == 0 || previous < key)
		previous = key
		p.space()
		if p.pos == len(p.src) || p.src[p.pos] != ':' {
			return p.fail(p.pos, fmt.Sprintf("%s after member name %q", p.found(), clip(key)), "put ':' between name and value")
		}
		p.pos++
		p.space()
		if err := p.value(depth); err != nil {
			return err
		}
		count++
		done, err := p.separator('}')
		if err != nil {
			return err
		}
		if done {
			n := p.close(self, count)
			if sorted {
				n.flags |= flagSorted
				return nil
			}
			return p.refuseDuplicates(self, count)
		}
	}
}

func (p *parser) lastText() string {
	t := tree{src: p.src, decoded: p.decoded}
	return t.text(&p.nodes[len(p.nodes)-1])
}

// maxPairwise is the size of object up to which comparing every pair of names
// beats sorting them.
const maxPairwise = 16

// refuseDuplicates fails on the first name of the object at index self that
// repeats an earlier one. Names are compared as decoded.
func (p *parser) refuseDuplicates(self int, count uint32) error {
	t := tree{src: p.src, nodes: p.nodes, decoded: p.decoded}
	var small [maxPairwise]uint32
	keys := small[:0]
	for i := uint32(self) + 1; i < p.nodes[self].next; i = p.nodes[i+1].next {
		keys = append(keys, i)
	}
	repeat := uint32(0)
	if count <= maxPairwise {
		for a := 1; a < len(keys) && repeat == 0; a++ {
			for _, b := range keys[:a] {
				if t.text(&p.nodes[keys[a]]) == t.text(&p.nodes[b]) {
					repeat = keys[a]
					break
				}
			}
		}
	} else {
		slices.SortFunc(keys, func(a, b uint32) int {
			if c := strings.Compare(t.text(&p.nodes[a]), t.text(&p.nodes[b])); c != 0 {
				return c
			}
			return int(a) - int(b)
		})
		for i := 1; i < len(keys); i++ {
			if t.text(&p.nodes[keys[i]]) == t.text(&p.nodes[keys[i-1]]) && (repeat == 0 || keys[i] < repeat) {
				repeat = keys[i]
			}
		}
	}
	if repeat == 0 {
		return nil
	}
	n := &p.nodes[repeat]
	return p.fail(int(n.start), fmt.Sprintf("member name %q occurs twice in one object", clip(t.text(n))), "send each name once")
}

func (p *parser) literal() error {
	rest := p.src[p.pos:]
	for _, l := range [...]struct {
		word string
		n    node
	}{{"true", node{kind: Bool, flags: flagTrue}}, {"false", node{kind: Bool}}, {"null", node{kind: Null}}} {
		if strings.HasPrefix(rest, l.word) {
			l.n.start, l.n.end = uint32(p.pos), uint32(p.pos+len(l.word))
			p.push(l.n)
			p.pos += len(l.word)
			return nil
		}
	}
	if strings.HasPrefix(rest, "NaN") || strings.HasPrefix(rest, "Infinity") {
		return p.fail(p.pos, "a number that is not finite", "send a finite number or null")
	}
	return p.fail(p.pos, p.found()+" where a value should be", "send an object, array, string, number, true, false or null")
}

// maxPlainDigits is the length up to which a token without exponent surely fits
// a double.
const maxPlainDigits = 300

func (p *parser) number() error {
	start := p.pos
	float, exponent := false, false
	next := func() byte {
		if p.pos < len(p.src) {
			return p.src[p.pos]
		}
		return 0
	}
	digits := func() bool {
		from := p.pos
		for c := next(); '0' <= c && c <= '9'; c = next() {
			p.pos++
		}
		return p.pos > from
	}
	if next() == '-' {
		p.pos++
		if strings.HasPrefix(p.src[p.pos:], "Infinity") {
			return p.fail(start, "a number that is not finite", "send a finite number or null")
		}
	}
	if next() == '0' {
		p.pos++
		if c := next(); '0' <= c && c <= '9' {
			return p.fail(start, "a number with a leading zero", "remove the zero, or send a string")
		}
	} else if !digits() {
		return p.fail(p.pos, p.found()+" where a digit should be", "write a minus sign only before a digit")
	}
	if next() == '.' {
		p.pos++
		float = true
		if !digits() {
			return p.fail(p.pos, p.found()+" after a decimal point", "put at least one digit after the point")
		}
	}
	if c := next(); c == 'e' || c == 'E' {
		p.pos++
		float, exponent = true, true
		if c := next(); c == '+' || c == '-' {
			p.pos++
		}
		if !digits() {
			return p.fail(p.pos, p.found()+" in an exponent", "put at least one digit after the e")
		}
	}
	if exponent || float && p.pos-start > maxPlainDigits {
		if _, err := strconv.ParseFloat(p.src[start:p.pos], 64); errors.Is(err, strconv.ErrRange) {
			return p.fail(start, fmt.Sprintf("number %s is not finite as a double", clip(p.src[start:p.pos])),
				fmt.Sprintf("stay within ±%g", math.MaxFloat64))
		}
	}
	p.push(node{start: uint32(start), end: uint32(p.pos), kind: Number})
	return nil
}

// found describes the byte at pos for an error message.
func (p *parser) found() string {
	if p.pos >= len(p.src) {
		return "the end of the text"
	}
	if c := p.src[p.pos]; c > ' ' && c < 0x7f {
		return fmt.Sprintf("%q", c)
	}
	return fmt.Sprintf("byte 0x%02x", p.src[p.pos])
}

// maxQuoted bounds, in bytes, how much of a sender's text an error repeats.
const maxQuoted = 40

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
