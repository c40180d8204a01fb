// Package canon turns JSON text into the exact bytes that the AIMarket
// protocol signs and hashes.
//
// It promises that what it prints depends on the source bytes alone: number
// tokens survive untouched or are reprinted as Python prints them, keys sort by
// code point, and nothing is ever re-encoded through a typed struct. It refuses
// what has no single meaning: duplicate keys, lone surrogates, invalid UTF-8,
// NaN and Infinity, numbers beyond a double, trailing text, nesting deeper than
// MaxDepth.
//
// It knows the protocol's canonical forms (federation notes §8) and which
// members each of them covers. It verifies no signature, fetches no key and
// judges no schema: a message it returns is what would have to be signed, not
// proof that anybody did.
//
// Everything here is a pure function; values may be read by any number of
// goroutines at once.
package canon

import (
	"crypto/sha256"
	"encoding/hex"
)

// MaxDepth bounds the nesting of arrays and objects in one text. Deeper texts
// carry no protocol document and would let a sender choose our stack size.
const MaxDepth = 128

// MaxBytes bounds the length of one text. Callers cap bodies far lower; this
// bound only keeps 32-bit offsets valid.
const MaxBytes = 1 << 30

// Kind is the type of one JSON value.
type Kind uint8

// The kinds of JSON values.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// String names the kind as the JSON standard does; Invalid is "absent".
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	default:
		return "absent"
	}
}

// Digest is the lower-case hex SHA-256 of b.
func Digest(b []byte) string {
	return string(appendDigest(nil, b))
}

func appendDigest(dst, b []byte) []byte {
	sum := sha256.Sum256(b)
	return hex.AppendEncode(dst, sum[:])
}
