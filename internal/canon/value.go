package canon

import (
	"strconv"
	"unsafe"
)

// Value is one parsed JSON value. It is immutable and refers to the bytes that
// Parse was given, which must not change afterwards. The zero Value has kind
// Invalid and stands for "absent": every method works on it, and it prints as
// null.
type Value struct {
	t *tree
	i uint32
}

// tree is one parsed text: every value of it is a node in one slab, in source
// order. An object's node is followed by key, value, key, value…
type tree struct {
	src     string
	nodes   []node
	decoded []string // strings whose source text holds escapes
}

// node describes one value or key. Offsets index tree.src.
type node struct {
	start, end uint32 // the source text of the value, quotes and brackets included
	next       uint32 // index of the first node after this value
	aux        uint32 // containers: elements or members; strings: 1 + index in decoded, or 0
	kind       Kind
	flags      uint8
}

const (
	flagTrue   = 1 << iota // the boolean true
	flagSorted             // the object's keys stand in code point order
)

func (v Value) node() *node {
	if v.t == nil {
		return nil
	}
	return &v.t.nodes[v.i]
}

// Kind is the value's type.
func (v Value) Kind() Kind {
	if n := v.node(); n != nil {
		return n.kind
	}
	return Invalid
}

// Exists tells whether the value is there at all; a JSON null exists.
func (v Value) Exists() bool { return v.t != nil }

// Raw is the exact source text of the value. It must not be written to. Absent
// values have none.
func (v Value) Raw() []byte {
	n := v.node()
	if n == nil {
		return nil
	}
	text := v.t.src[n.start:n.end]
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

// Offset is the position of the value's first byte in the parsed text.
func (v Value) Offset() int {
	if n := v.node(); n != nil {
		return int(n.start)
	}
	return 0
}

// Token is a number's source text, "" for any other kind.
func (v Value) Token() string {
	if n := v.node(); n != nil && n.kind == Number {
		return v.t.src[n.start:n.end]
	}
	return ""
}

// Str is a string's decoded text, "" for any other kind.
func (v Value) Str() string {
	if n := v.node(); n != nil && n.kind == String {
		return v.t.text(n)
	}
	return ""
}

func (t *tree) text(n *node) string {
	if n.aux != 0 {
		return t.decoded[n.aux-1]
	}
	return t.src[n.start+1 : n.end-1]
}

// Bool is true for the JSON value true only.
func (v Value) Bool() bool {
	n := v.node()
	return n != nil && n.kind == Bool && n.flags&flagTrue != 0
}

// Len is the number of elements of an array or members of an object, else 0.
func (v Value) Len() int {
	if n := v.node(); n != nil && (n.kind == Array || n.kind == Object) {
		return int(n.aux)
	}
	return 0
}

// Int64 is the number as an integer. It fails on other kinds, on tokens with a
// fraction or exponent, and on overflow.
func (v Value) Int64() (int64, bool) {
	n, err := strconv.ParseInt(v.Token(), 10, 64)
	return n, err == nil
}

// Float64 is the nearest double. It fails on other kinds and on integers too
// large for a double. Money must not go through it: see ParseMicros.
func (v Value) Float64() (float64, bool) {
	tok := v.Token()
	if tok == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(tok, 64)
	return f, err == nil
}

// Get returns the member of an object; the zero Value if absent.
func (v Value) Get(key string) Value {
	n := v.node()
	if n == nil || n.kind != Object {
		return Value{}
	}
	for i := v.i + 1; i < n.next; {
		k := &v.t.nodes[i]
		if v.t.text(k) == key {
			return Value{v.t, i + 1}
		}
		i = v.t.nodes[i+1].next
	}
	return Value{}
}

// Members yields an object's members in source order:
//
//	for key, member := range v.Members { … }
func (v Value) Members(yield func(key string, v Value) bool) {
	n := v.node()
	if n == nil || n.kind != Object {
		return
	}
	for i := v.i + 1; i < n.next; {
		if !yield(v.t.text(&v.t.nodes[i]), Value{v.t, i + 1}) {
			return
		}
		i = v.t.nodes[i+1].next
	}
}

// Elements yields an array's elements in source order.
func (v Value) Elements(yield func(v Value) bool) {
	n := v.node()
	if n == nil || n.kind != Array {
		return
	}
	for i := v.i + 1; i < n.next; {
		if !yield(Value{v.t, i}) {
			return
		}
		i = v.t.nodes[i].next
	}
}
