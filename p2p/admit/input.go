package admit

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// Bounds on inputs that are made up.
const (
	maxInputBytes = 16 << 10
	maxInputDepth = 4
	maxInputItems = 8    // of an array, and required members of an object
	maxInputText  = 2048 // bytes of one string
)

var emptyInput = []byte("{}")

// sampleText is what is sent where any text will do.
const sampleText = "Hello, world. "

// opaque are keywords whose effect is not worked out here: an input for a schema with
// one of them is a guess.
var opaque = []string{"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "dependentRequired", "dependentSchemas", "dependencies",
	"pattern", "contains", "minProperties", "maxProperties", "propertyNames", "patternProperties", "prefixItems", "unevaluatedProperties"}

// formats are texts of the formats that inputs commonly have.
var formats = map[string]string{
	"date": "2026-01-01", "date-time": "2026-01-01T12:00:00Z", "time": "12:00:00Z", "email": "someone@example.com",
	"uri": "https://example.com/", "url": "https://example.com/", "hostname": "example.com", "ipv4": "192.0.2.1",
	"uuid": "123e4567-e89b-42d3-a456-426614174000",
}

// buildInput makes the smallest input that a capability's input_schema allows: what it
// gives as an example or default, else its required members. False and {} if the schema
// asks for more than is worked out here.
func buildInput(schema canon.Value) ([]byte, bool) {
	if given, ok := given(schema); ok && given.Kind() == canon.Object && len(given.Raw()) <= maxInputBytes {
		return slices.Clone(given.Raw()), true
	}
	if kind, ok := schemaType(schema); !ok || kind != "" && kind != "object" {
		return emptyInput, false // a call's input is an object
	}
	out, ok := appendObject(nil, schema, maxInputDepth)
	if !ok || len(out) > maxInputBytes {
		return emptyInput, false
	}
	return out, true
}

// given is a value that the schema itself names.
func given(s canon.Value) (canon.Value, bool) {
	if v := s.Get("const"); v.Exists() {
		return v, true
	}
	for _, list := range []string{"examples", "enum"} {
		if l := s.Get(list); l.Kind() == canon.Array {
			for v := range l.Elements {
				return v, true
			}
		}
	}
	for _, name := range []string{"default", "example"} {
		if v := s.Get(name); v.Exists() && v.Kind() != canon.Null {
			return v, true
		}
	}
	return canon.Value{}, false
}

// schemaType is the first type that a schema allows, "" if it allows any; false if type
// is not what it should be.
func schemaType(s canon.Value) (string, bool) {
	t := s.Get("type")
	switch t.Kind() {
	case canon.Invalid:
		return "", true
	case canon.String:
		return t.Str(), true
	case canon.Array:
		for e := range t.Elements {
			return e.Str(), e.Kind() == canon.String
		}
	}
	return "", false
}

func appendValue(dst []byte, s canon.Value, depth int) ([]byte, bool) {
	if s.Kind() == canon.Bool || !s.Exists() {
		return canon.AppendString(dst, strings.TrimSpace(sampleText)), s.Bool() || !s.Exists() // true allows anything, false nothing
	}
	if s.Kind() != canon.Object || depth == 0 || len(dst) > maxInputBytes {
		return dst, false
	}
	if v, ok := given(s); ok {
		return append(dst, v.Raw()...), true
	}
	for _, k := range opaque {
		if s.Get(k).Exists() {
			return dst, false
		}
	}
	kind, ok := schemaType(s)
	if !ok {
		return dst, false
	}
	if kind == "" {
		kind = guessType(s)
	}
	switch kind {
	case "string":
		return appendText(dst, s)
	case "integer":
		return appendNumber(dst, s, true)
	case "number":
		return appendNumber(dst, s, false)
	case "boolean":
		return append(dst, "true"...), true
	case "null":
		return append(dst, "null"...), true
	case "array":
		return appendArray(dst, s, depth)
	case "object":
		return appendObject(dst, s, depth)
	}
	return dst, false
}

// guessType is the type that a schema without one constrains.
func guessType(s canon.Value) string {
	for _, g := range []struct{ keyword, kind string }{
		{"properties", "object"}, {"required", "object"}, {"items", "array"}, {"minItems", "array"},
		{"minimum", "number"}, {"maximum", "number"}, {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}, {"multipleOf", "number"},
	} {
		if s.Get(g.keyword).Exists() {
			return g.kind
		}
	}
	return "string"
}

func appendText(dst []byte, s canon.Value) ([]byte, bool) {
	least, most, ok := bounds(s, "minLength", "maxLength")
	if !ok || least > maxInputText {
		return dst, false
	}
	if f := s.Get("format"); f.Exists() {
		text, known := formats[f.Str()]
		return canon.AppendString(dst, text), known && len(text) >= least && len(text) <= most
	}
	text := strings.TrimSpace(sampleText)
	if len(text) < least {
		text = strings.Repeat(sampleText, least/len(sampleText)+1)[:least]
	}
	return canon.AppendString(dst, text[:min(len(text), most)]), true
}

// bounds reads two sizes; false if they are none or exclude each other.
func bounds(s canon.Value, low, high string) (least, most int, ok bool) {
	most = math.MaxInt32
	for _, b := range []struct {
		name string
		to   *int
	}{{low, &least}, {high, &most}} {
		v := s.Get(b.name)
		if !v.Exists() {
			continue
		}
		f, isNumber := v.Float64()
		if !isNumber || f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
			return 0, 0, false
		}
		*b.to = int(f)
	}
	return least, most, least <= most
}

func appendNumber(dst []byte, s canon.Value, whole bool) ([]byte, bool) {
	limit := func(name string, absent float64) float64 {
		if f, ok := s.Get(name).Float64(); ok {
			return f
		}
		return absent
	}
	low, high := limit("minimum", math.Inf(-1)), limit("maximum", math.Inf(1))
	above, below := limit("exclusiveMinimum", math.Inf(-1)), limit("exclusiveMaximum", math.Inf(1))
	step := limit("multipleOf", 0)
	if whole && step == 0 {
		step = 1
	}
	from, to := max(low, above), min(high, below)
	tries := []float64{1, 0, low, high, (from + to) / 2, math.Floor(from) + 1, math.Ceil(to) - 1}
	if step > 0 {
		up := math.Ceil(from/step) * step
		tries = append(tries, step, up, up+step, math.Floor(to/step)*step)
	}
	for _, f := range tries {
		switch {
		case math.IsInf(f, 0), math.IsNaN(f), f < low, f > high, f <= above, f >= below, math.Abs(f) >= 1<<53:
		case whole && f != math.Trunc(f):
		case step > 0 && math.Mod(f, step) != 0:
		default:
			if whole {
				return strconv.AppendInt(dst, int64(f), 10), true
			}
			return canon.AppendFloat(dst, f), true
		}
	}
	return dst, false
}

func appendArray(dst []byte, s canon.Value, depth int) ([]byte, bool) {
	least, _, ok := bounds(s, "minItems", "maxItems")
	if !ok || least > maxInputItems || least > 1 && s.Get("uniqueItems").Bool() {
		return dst, false
	}
	dst = append(dst, '[')
	for i := range least {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = appendValue(dst, s.Get("items"), depth-1); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func appendObject(dst []byte, s canon.Value, depth int) ([]byte, bool) {
	for _, k := range opaque {
		if s.Get(k).Exists() {
			return dst, false
		}
	}
	required := s.Get("required")
	if required.Exists() && required.Kind() != canon.Array || required.Len() > maxInputItems {
		return dst, false
	}
	closed := s.Get("additionalProperties")
	seen := map[string]bool{}
	dst = append(dst, '{')
	for name := range required.Elements {
		if name.Kind() != canon.String {
			return dst, false
		}
		if seen[name.Str()] {
			continue
		}
		seen[name.Str()] = true
		if len(seen) > 1 {
			dst = append(dst, ',')
		}
		member := s.Get("properties").Get(name.Str())
		if !member.Exists() {
			member = closed // what is not described is as additional ones are
		}
		var ok bool
		dst = append(canon.AppendString(dst, name.Str()), ':')
		if dst, ok = appendValue(dst, member, depth-1); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}
