package catalog

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// fields reads the members of one object; the first fault stays.
type fields struct {
	v    canon.Value
	what string
	err  error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// text is a string of 1 to limit bytes without control characters.
func (f *fields) text(name string, limit int) string {
	s := f.optional(name, limit)
	if s == "" {
		f.fail(malformed("%s: %s is missing", f.what, name))
	}
	return s
}

// optional is text that may be empty or absent.
func (f *fields) optional(name string, limit int) string {
	m := f.v.Get(name)
	if !m.Exists() {
		return ""
	}
	if m.Kind() != canon.String || len(m.Str()) > limit || !plainText(m.Str(), "") {
		f.fail(malformed("%s: %s must be text of at most %d bytes without control characters", f.what, name, limit))
		return ""
	}
	return strings.Clone(m.Str())
}

func (f *fields) number(name string, least, most int64) int64 {
	n, ok := f.v.Get(name).Int64()
	if !ok || n < least || n > most {
		f.fail(malformed("%s: %s must be a whole number from %d to %d", f.what, name, least, most))
		return least
	}
	return n
}

func (f *fields) time(name string) time.Time {
	s := f.v.Get(name).Str()
	t, err := time.Parse(timeLayout, s)
	if err != nil {
		f.fail(malformed("%s: %s must be a time like 2026-05-21T12:00:00Z", f.what, name))
	}
	return t
}

// digest is a SHA-256 in lower-case hex.
func (f *fields) digest(name string, mayBeEmpty bool) string {
	s := f.v.Get(name).Str()
	if s == "" && mayBeEmpty {
		return ""
	}
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 || s != strings.ToLower(s) {
		f.fail(malformed("%s: %s must be a SHA-256 in lower-case hex", f.what, name))
		return ""
	}
	return strings.Clone(s)
}

func (f *fields) list(name string, most, limit int) []string {
	m := f.v.Get(name)
	if m.Exists() && m.Kind() != canon.Array || m.Len() > most {
		f.fail(malformed("%s: %s must be a list of at most %d", f.what, name, most))
		return nil
	}
	var out []string
	for e := range m.Elements {
		if e.Kind() != canon.String || e.Str() == "" || len(e.Str()) > limit || !plainText(e.Str(), "") {
			f.fail(malformed("%s: %s must hold texts of 1 to %d bytes", f.what, name, limit))
			return nil
		}
		out = append(out, strings.Clone(e.Str()))
	}
	return out
}
