package catalog

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// normalSchema returns a schema without blanks, members in the order the publisher
// wrote them, and every number in the form in which canonical text prints it, so
// that a reader's reprint agrees with the signed bytes.
func normalSchema(field string, raw []byte) ([]byte, error) {
	if len(raw) == 0 || string(raw) == emptySchema {
		return []byte(emptySchema), nil
	}
	if len(raw) > MaxSchemaBytes {
		return nil, invalid(field, "is %d bytes, at most %d are listed", len(raw), MaxSchemaBytes)
	}
	v, err := canon.Parse(raw)
	if err != nil {
		return nil, invalid(field, "%v", err)
	}
	if v.Kind() == canon.Null {
		return []byte(emptySchema), nil
	}
	if v.Kind() != canon.Object {
		return nil, invalid(field, "must be a JSON object")
	}
	out, ok := appendOrdered(make([]byte, 0, len(raw)), v, MaxSchemaDepth)
	if !ok {
		return nil, invalid(field, "is nested deeper than %d levels", MaxSchemaDepth)
	}
	if len(out) > MaxSchemaBytes {
		return nil, invalid(field, "is %d bytes, at most %d are listed", len(out), MaxSchemaBytes)
	}
	return out, nil
}

// appendOrdered prints v compactly in source order; false if it nests deeper than depth.
func appendOrdered(dst []byte, v canon.Value, depth int) ([]byte, bool) {
	kind := v.Kind()
	if kind == canon.Number && strings.ContainsAny(v.Token(), ".eE") {
		f, err := strconv.ParseFloat(v.Token(), 64)
		if err != nil {
			return dst, false // canon refuses what a double cannot hold
		}
		return canon.AppendFloat(dst, f), true // 1.0 as 1: readers disagree on it
	}
	if kind != canon.Object && kind != canon.Array {
		return v.AppendCompact(dst), true
	}
	if depth == 0 {
		return dst, false
	}
	ok, first := true, true
	sep := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
	}
	if kind == canon.Array {
		dst = append(dst, '[')
		v.Elements(func(e canon.Value) bool {
			sep()
			dst, ok = appendOrdered(dst, e, depth-1)
			return ok
		})
		return append(dst, ']'), ok
	}
	dst = append(dst, '{')
	v.Members(func(key string, m canon.Value) bool {
		sep()
		dst = append(canon.AppendString(dst, key), ':')
		dst, ok = appendOrdered(dst, m, depth-1)
		return ok
	})
	return append(dst, '}'), ok
}

// normalJSON returns JSON text of any kind in the form that documents hold.
func normalJSON(raw []byte) ([]byte, error) {
	v, err := canon.Parse(bytes.Clone(raw))
	if err != nil {
		return nil, err
	}
	out, ok := appendOrdered(nil, v, MaxSchemaDepth)
	if !ok {
		return nil, errf("nested deeper than %d levels", MaxSchemaDepth)
	}
	return out, nil
}
