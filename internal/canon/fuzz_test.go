package canon_test

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/canon"
	"pgregory.net/rapid"
)

func FuzzParse(f *testing.F) {
	for _, row := range golden(f, "documents.tsv")[:40] {
		f.Add([]byte(unquote(f, row[0])))
	}
	for _, s := range []string{`{"a":1,"a":2}`, `"\ud83d"`, "[1e400]", "01", "\"\xff\"", invokeBody} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkParse(t, raw) })
}

// failer is what *testing.T and *rapid.T share.
type failer interface{ Fatalf(string, ...any) }

// checkParse holds Parse and the printers to their promises on any bytes.
func checkParse(t failer, raw []byte) {
	v, err := canon.Parse(raw)
	if err != nil {
		if syntax := err.(*canon.SyntaxError); syntax.Offset < 0 || syntax.Offset > len(raw) || syntax.Reason == "" || syntax.Advice == "" {
			t.Fatalf("useless error %+v", syntax)
		}
		return
	}
	if !json.Valid(raw) || !utf8.Valid(raw) {
		t.Fatalf("accepted %q, which is not JSON", raw)
	}
	for name, print := range map[string]func(canon.Value) []byte{
		"compact": func(v canon.Value) []byte { return v.AppendCompact(nil) },
		"spaced":  func(v canon.Value) []byte { return v.AppendSpaced(nil) },
		"tokens":  func(v canon.Value) []byte { return v.AppendTokens(nil) },
		"RFC 8785": func(v canon.Value) []byte {
			out, err := v.AppendJCS([]byte{})
			if err != nil {
				return []byte("null")
			}
			return out
		},
	} {
		once := print(v)
		again, err := canon.Parse(once)
		if err != nil {
			t.Fatalf("%s form of %q is not accepted: %v", name, raw, err)
		}
		if twice := print(again); !bytes.Equal(once, twice) {
			t.Fatalf("%s form of %q is %q, then %q", name, raw, once, twice)
		}
		if name == "compact" {
			if direct := print(v); !sameValue(v, again) || !bytes.Equal(direct, once) {
				t.Fatalf("compact form of %q means something else: %q", raw, once)
			}
		}
	}
}

// sameValue compares what two values mean, objects without regard to order.
func sameValue(a, b canon.Value) bool {
	if a.Kind() != b.Kind() || a.Str() != b.Str() || a.Bool() != b.Bool() || a.Len() != b.Len() {
		return false
	}
	if a.Kind() == canon.Number {
		x, errX := canon.PyNumber(a.Token())
		y, errY := canon.PyNumber(b.Token())
		return errX == nil && errY == nil && x == y
	}
	same := true
	for name, member := range a.Members {
		same = same && sameValue(member, b.Get(name))
	}
	var others []canon.Value
	for e := range b.Elements {
		others = append(others, e)
	}
	i := 0
	for e := range a.Elements {
		same = same && sameValue(e, others[i])
		i++
	}
	return same
}

// TestParseAnyTree draws whole documents, which fuzzing bytes seldom does.
func TestParseAnyTree(t *testing.T) {
	var tree func(depth int) *rapid.Generator[any]
	tree = func(depth int) *rapid.Generator[any] {
		leaf := rapid.OneOf(rapid.String().AsAny(), rapid.Float64Range(-1e30, 1e30).AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil))
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf, rapid.SliceOfN(tree(depth-1), 0, 5).AsAny(), rapid.MapOfN(rapid.String(), tree(depth-1), 0, 20).AsAny())
	}
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(tree(3).Draw(t, "document"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := canon.Parse(raw); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		checkParse(t, raw)
	})
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func FuzzPyNumber(f *testing.F) {
	for _, row := range golden(f, "numbers.tsv")[:100] {
		f.Add(row[0])
	}
	f.Fuzz(func(t *testing.T, token string) {
		text, err := canon.PyNumber(token)
		value, rangeErr := strconv.ParseFloat(token, 64)
		integer := regexp.MustCompile(`^-?[0-9]+$`).MatchString(token)
		if want := jsonNumber.MatchString(token) && (integer || rangeErr == nil); (err == nil) != want {
			t.Fatalf("PyNumber(%q) = %q, %v", token, text, err)
		}
		if err != nil {
			return
		}
		if again, err := canon.PyNumber(text); err != nil || again != text {
			t.Fatalf("%q prints as %q, then as %q", token, text, again)
		}
		if back, _ := strconv.ParseFloat(text, 64); back != value && !math.IsInf(value, 0) {
			t.Fatalf("%q prints as %q, another number", token, text)
		}
	})
}

var smallExponent = regexp.MustCompile(`[eE][+-]?0*[0-9]{1,3}$`)

func FuzzParseMicros(f *testing.F) {
	for _, s := range []string{"0", "1e-05", "0.0000005", "-0.0000015", "9223372036854.7758075", "1e400", "0e99", "1.", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if !jsonNumber.MatchString(token) {
			if got, err := canon.ParseMicros(token); err == nil {
				t.Fatalf("ParseMicros(%q) = %d", token, got)
			}
			return
		}
		if !bytes.ContainsAny([]byte(token), "eE") || smallExponent.MatchString(token) {
			checkMicros(t, token)
		}
	})
}
