package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/canon"
)

// maxEcho bounds how much of a refused value a 422 repeats to its sender.
const maxEcho = 256

// maxViolations bounds how many faults one 422 lists.
const maxViolations = 20

// violation is one fault of a request, in the shape that clients of the reference
// hub know (HTTP API notes §0).
type violation struct {
	kind, msg string
	loc       []string
	input     string // JSON; "" prints null
}

// faults collects what is wrong with a request.
type faults []violation

func (f *faults) add(loc []string, kind, input, format string, args ...any) {
	if len(*f) >= maxViolations {
		return
	}
	if len(input) > maxEcho {
		input = ""
	}
	*f = append(*f, violation{kind: kind, msg: fmt.Sprintf(format, args...), loc: append([]string(nil), loc...), input: input})
}

// check holds a request's value against its schema.
func (f *faults) check(v canon.Value, s *schema, loc []string) {
	switch v.Kind() {
	case canon.Object:
		if !s.allows("object") {
			f.wrongType(v, s, loc)
			return
		}
		for _, p := range s.props {
			m := v.Get(p.name)
			at := append(loc, p.name)
			switch {
			case m.Kind() == canon.Invalid:
				if p.required {
					f.add(at, "missing", "", "Field required")
				}
			case m.Kind() == canon.Null && !p.required:
			default:
				f.check(m, p.schema, at)
			}
		}
	case canon.Array:
		if !s.allows("array") {
			f.wrongType(v, s, loc)
			return
		}
		n := v.Len()
		if n < s.minLen {
			f.add(loc, "too_short", string(v.Raw()), "List should have at least %d items", s.minLen)
		}
		if s.maxLen > 0 && n > s.maxLen {
			f.add(loc, "too_long", "", "List should have at most %d items, not %d", s.maxLen, n)
			return
		}
		if s.items == nil {
			return
		}
		i := 0
		for e := range v.Elements {
			f.check(e, s.items, append(loc, strconv.Itoa(i)))
			i++
		}
	case canon.String:
		if !s.allows("string") {
			f.wrongType(v, s, loc)
			return
		}
		f.text(v.Str(), string(v.Raw()), s, loc)
	case canon.Number:
		f.number(v, s, loc)
	case canon.Bool:
		if !s.allows("boolean") {
			f.wrongType(v, s, loc)
		}
	case canon.Null:
		if !s.allows("null") {
			f.wrongType(v, s, loc)
		}
	}
}

// text checks a string; raw is what to show of it.
func (f *faults) text(str, raw string, s *schema, loc []string) {
	n := utf8.RuneCountInString(str)
	switch {
	case n < s.minLen:
		f.add(loc, "string_too_short", raw, "String should have at least %d characters", s.minLen)
	case s.maxLen > 0 && n > s.maxLen:
		f.add(loc, "string_too_long", raw, "String should have at most %d characters", s.maxLen)
	case s.pattern != nil && !s.pattern.MatchString(str):
		f.add(loc, "string_pattern_mismatch", raw, "String should match pattern '%s'", s.pattern)
	case len(s.enum) > 0 && !contains(s.enum, str):
		f.add(loc, "literal_error", raw, "Input should be one of %s", quoteAll(s.enum))
	}
}

func (f *faults) number(v canon.Value, s *schema, loc []string) {
	whole := false
	if !s.allows("number") {
		if !s.allows("integer") {
			f.wrongType(v, s, loc)
			return
		}
		whole = true
	}
	f.bounds(v.Token(), whole, s, loc)
}

// bounds checks a number token of a body or a query.
func (f *faults) bounds(token string, whole bool, s *schema, loc []string) (x float64) {
	x, err := strconv.ParseFloat(token, 64)
	switch {
	case err != nil || math.IsInf(x, 0) || math.IsNaN(x):
		// JSON has no such literal, but 1e400 is a JSON number.
		f.add(loc, "finite_number", `"`+token+`"`, "Input should be a finite number")
	case whole && x != math.Trunc(x):
		f.add(loc, "int_from_float", token, "Input should be a valid integer, got a number with a fractional part")
	case s.above != nil && x <= *s.above:
		f.add(loc, "greater_than", token, "Input should be greater than %v", *s.above)
	case s.min != nil && x < *s.min:
		f.add(loc, "greater_than_equal", token, "Input should be greater than or equal to %v", *s.min)
	case s.max != nil && x > *s.max:
		f.add(loc, "less_than_equal", token, "Input should be less than or equal to %v", *s.max)
	}
	return x
}

// typeFaults words a wrong JSON type as the reference's validator does.
var typeFaults = map[string][2]string{
	"object":  {"dict_type", "Input should be a valid dictionary"},
	"array":   {"list_type", "Input should be a valid list"},
	"string":  {"string_type", "Input should be a valid string"},
	"number":  {"float_type", "Input should be a valid number"},
	"integer": {"int_type", "Input should be a valid integer"},
	"boolean": {"bool_type", "Input should be a valid boolean"},
}

func (f *faults) wrongType(v canon.Value, s *schema, loc []string) {
	t := typeFaults[s.types[0]]
	f.add(loc, t[0], string(v.Raw()), "%s", t[1])
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

func quoteAll(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += "'" + n + "'"
	}
	return out
}
