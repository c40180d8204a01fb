// Package canon turns JSON text into the exact bytes that the AIMarket
// protocol signs and hashes.
//
// It promises that what it prints depends on the source bytes alone: number
// tokens survive untouched or are reprinted as Python prints them, keys sort by
// code point, and nothing is ever re-encoded through a float or a typed struct.
// It refuses what has no single meaning: duplicate keys, lone surrogates,
// invalid UTF-8, NaN and Infinity, trailing text, nesting deeper than MaxDepth.
// It knows no document schema beyond the field lists of the protocol's
// canonical forms (federation notes §8) and verifies no signature itself.
package canon

// MaxDepth bounds the nesting of arrays and objects in one text.
const MaxDepth = 128

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

// Value is one parsed JSON value. It is immutable and refers to the bytes that
// Parse was given, which must not change afterwards. The zero Value has kind
// Invalid and stands for "absent".
type Value struct{ n *node }

type node struct{}

// Parse reads exactly one JSON text.
func Parse(raw []byte) (Value, error) { panic("skeleton") }

// Kind, Raw (the exact source bytes of the value), Token (a number's source
// text), Str (a string's decoded text), Bool and Len (elements or members).
func (v Value) Kind() Kind    { panic("skeleton") }
func (v Value) Raw() []byte   { panic("skeleton") }
func (v Value) Token() string { panic("skeleton") }
func (v Value) Str() string   { panic("skeleton") }
func (v Value) Bool() bool    { panic("skeleton") }
func (v Value) Len() int      { panic("skeleton") }

// Get returns the member of an object; the zero Value if absent.
func (v Value) Get(key string) Value { panic("skeleton") }

// Members yields an object's members, Elements an array's, in source order.
func (v Value) Members(yield func(key string, v Value) bool) { panic("skeleton") }
func (v Value) Elements(yield func(v Value) bool)            { panic("skeleton") }

// AppendCompact prints v with sorted keys and "," ":"; the object's top-level
// members named in without are left out.
func (v Value) AppendCompact(dst []byte, without ...string) []byte { panic("skeleton") }

// AppendSpaced prints v with sorted keys and ", " ": " (Python's default style).
func (v Value) AppendSpaced(dst []byte) []byte { panic("skeleton") }

// AppendJCS prints v by RFC 8785. It fails on numbers that a double cannot hold.
func (v Value) AppendJCS(dst []byte) ([]byte, error) { panic("skeleton") }

// AppendString prints s as a JSON string with the protocol's minimal escapes.
func AppendString(dst []byte, s string) []byte { panic("skeleton") }

// AppendFloat prints f so that token and canonical reprint agree: whole values
// as integers, others in Python's repr (1e-05, 0.0001). f must be finite.
func AppendFloat(dst []byte, f float64) []byte { panic("skeleton") }

// AppendMicros prints an amount of micro-units (10⁻⁶) as the exact decimal
// number in the same form: 1000 is 0.001, 10 is 1e-05, 5000000 is 5.
func AppendMicros(dst []byte, micros int64) []byte { panic("skeleton") }

// ParseMicros reads a JSON number token as micro-units, rounding half to even
// beyond the sixth decimal. It fails on anything but a JSON number and on
// overflow.
func ParseMicros(token string) (int64, error) { panic("skeleton") }

// Digest is the lower-case hex SHA-256 of b.
func Digest(b []byte) string { panic("skeleton") }

// ManifestMessage, AnnounceMessage, ObjectMessage, ProviderMessage,
// ReputationMessage and VerdictMessage are the bytes that the protocol signs for
// each document.
func ManifestMessage(doc Value) ([]byte, error)   { panic("skeleton") }
func AnnounceMessage(doc Value) ([]byte, error)   { panic("skeleton") }
func ObjectMessage(doc Value) ([]byte, error)     { panic("skeleton") }
func ReputationMessage(doc Value) ([]byte, error) { panic("skeleton") }
func VerdictMessage(doc Value) ([]byte, error)    { panic("skeleton") }

// ReceiptMessage returns the signed bytes of a receipt, the version of its
// canonical form (1 or 2, by the signature block's "version", absent is 1), and
// the names of the top-level members the signature leaves uncovered.
func ReceiptMessage(doc Value) (msg []byte, version int, uncovered []string, err error) {
	panic("skeleton")
}

// ProviderMessage is what a provider signs over one answer.
func ProviderMessage(productID, capabilityID string, input, result Value) []byte { panic("skeleton") }
