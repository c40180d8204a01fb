package catalog

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// shape holds a foreign document against the protocol's schema and keeps the first
// fault. Members that the schema does not name are never looked at (federation
// notes §8, "Tolerance").
type shape struct{ err error }

// wrong notes that the member at path is not what it must be.
func (s *shape) wrong(path string, v canon.Value, want string) {
	if s.err == nil {
		s.err = invalid(path, "is %s, must be %s", v.Kind(), want)
	}
}

// text reads a string member; "" if it is absent and not needed.
func (s *shape) text(o canon.Value, path, name string, need bool) string {
	v := o.Get(name)
	if v.Kind() != canon.String && (need || v.Exists()) {
		s.wrong(path+name, v, "a string")
	}
	return v.Str()
}

// whole reads an optional integer of at least low. JSON Schema counts 5.0 as one; what
// passes an int64 is cut off there.
func (s *shape) whole(o canon.Value, path, name string, low int64) int64 {
	v := o.Get(name)
	if !v.Exists() {
		return 0
	}
	n, ok := wholeNumber(v)
	if !ok || n < low {
		s.wrong(path+name, v, "an integer of at least "+strconv.FormatInt(low, 10))
		return 0
	}
	return n
}

// wholeNumber is v as an integer, cut off at the ends of int64; false for anything
// that is not a number without a fraction.
func wholeNumber(v canon.Value) (int64, bool) {
	if n, ok := v.Int64(); ok {
		return n, true
	}
	if v.Kind() != canon.Number {
		return 0, false
	}
	f, ok := v.Float64()
	switch {
	case !ok && strings.HasPrefix(v.Token(), "-"):
		return math.MinInt64, true // an integer token beyond doubles
	case !ok:
		return math.MaxInt64, true
	case f != math.Trunc(f):
		return 0, false
	case f >= math.MaxInt64:
		return math.MaxInt64, true
	case f <= math.MinInt64:
		return math.MinInt64, true
	}
	return int64(f), true
}

// between checks an optional number for its range.
func (s *shape) between(o canon.Value, path, name string, low, high float64) {
	v := o.Get(name)
	if !v.Exists() {
		return
	}
	if f, ok := v.Float64(); !ok || f < low || f > high {
		s.wrong(path+name, v, "a number from "+strconv.FormatFloat(low, 'g', -1, 64)+" to "+strconv.FormatFloat(high, 'g', -1, 64))
	}
}

// each visits the elements of an optional array.
func (s *shape) each(o canon.Value, path, name string, visit func(path string, e canon.Value)) {
	v := o.Get(name)
	if !v.Exists() {
		return
	}
	if v.Kind() != canon.Array {
		s.wrong(path+name, v, "an array")
		return
	}
	i := 0
	for e := range v.Elements {
		if s.err != nil {
			return
		}
		visit(path+name+"["+strconv.Itoa(i)+"]", e)
		i++
	}
}

// texts visits the elements of an optional array of strings.
func (s *shape) texts(o canon.Value, path, name string, visit func(string)) {
	s.each(o, path, name, func(at string, e canon.Value) {
		if e.Kind() != canon.String {
			s.wrong(at, e, "a string")
			return
		}
		visit(e.Str())
	})
}

// nested visits the members of an optional object.
func (s *shape) nested(o canon.Value, path, name string, visit func(path string, o canon.Value)) {
	v := o.Get(name)
	if !v.Exists() {
		return
	}
	if v.Kind() != canon.Object {
		s.wrong(path+name, v, "an object")
		return
	}
	visit(path+name+".", v)
}

// release checks the optional version of the protocol's text, 0.<n>.<n>.
func (s *shape) release(o canon.Value, name string) {
	if !o.Get(name).Exists() {
		return
	}
	parts := strings.Split(s.text(o, "", name, false), ".")
	ok := len(parts) == 3 && parts[0] == "0"
	for _, p := range parts {
		ok = ok && p != "" && strings.Trim(p, "0123456789") == ""
	}
	if !ok && s.err == nil {
		s.err = invalid(name, "must look like 0.1.0")
	}
}

// verifyBlock checks a document's signature block under key. What the block says of
// a key is not asked, and post-quantum members beside the value are left alone
// (federation notes §4).
func verifyBlock(doc canon.Value, key identity.PublicKey, message func(canon.Value) ([]byte, error)) error {
	block := doc.Get("signature")
	if block.Kind() != canon.Object {
		return errf("it has no signature block")
	}
	if algorithm := block.Get("algorithm").Str(); algorithm != "ed25519" {
		return errf("its signature is of algorithm %q, only ed25519 is known", clip(algorithm))
	}
	msg, err := message(doc)
	if err != nil {
		return err
	}
	return identity.VerifyBase64(key, msg, block.Get("value").Str())
}

// foreignTimes are the spellings of a time that documents of other hubs use. Those
// without a zone mean UTC.
var foreignTimes = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"}

// parseStamp reads a timestamp of another hub.
func parseStamp(s string) (time.Time, bool) {
	const longest = 40
	if len(s) > longest {
		return time.Time{}, false
	}
	for _, layout := range foreignTimes {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// cleanText is foreign text fit for a row: no control characters, at most limit bytes.
func cleanText(s string, limit int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	return cutText(s, limit)
}

// cutText shortens s to limit bytes without splitting a character.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// observedStatus is the one status of an observed hub.
const observedStatus = "observed"
