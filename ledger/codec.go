package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// Rows are a version byte followed by fields: unsigned varints, byte strings with
// a varint length, fixed arrays. Readers refuse what writers do not write: other
// versions, longer varints, trailing bytes.
const rowVersion = 1

var (
	errShort   = errors.New("row ends early")
	errVersion = errors.New("row has an unknown version")
	errRest    = errors.New("row has bytes after its end")
	errRange   = errors.New("field out of range")
	errVarint  = errors.New("varint is not in its shortest form")
)

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendMoney writes an amount that is not negative.
func appendMoney(b []byte, m Money) []byte { return binary.AppendUvarint(b, uint64(m)) }

// appendTime writes a time in whole seconds; the zero time is 0.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(t.Unix()))
}

// rowReader reads fields until the first error, which it keeps.
type rowReader struct {
	b   []byte
	err error
}

func readRow(b []byte) *rowReader {
	r := &rowReader{b: b}
	if v := r.byte(); r.err == nil && v != rowVersion {
		r.fail(errVersion)
	}
	return r
}

func (r *rowReader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

func (r *rowReader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *rowReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	switch {
	case n == 0:
		r.fail(errShort)
		return 0
	case n < 0:
		r.fail(errRange)
		return 0
	case n > 1 && r.b[n-1] == 0:
		r.fail(errVarint)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) int() int64 {
	v := r.uint()
	if v > math.MaxInt64 {
		r.fail(errRange)
		return 0
	}
	return int64(v)
}

func (r *rowReader) money() Money { return Money(r.int()) }

// maxUnix is the last second of the year 9999, the last that RFC 3339 can print.
const maxUnix = 253402300799

func (r *rowReader) time() time.Time {
	v := r.int()
	if v > maxUnix {
		r.fail(errRange)
	}
	if v == 0 || r.err != nil {
		return time.Time{}
	}
	return time.Unix(v, 0).UTC()
}

// bytes returns a field that aliases the row.
func (r *rowReader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *rowReader) string() string { return string(r.bytes()) }

func (r *rowReader) array(dst []byte) {
	if len(r.b) < len(dst) {
		r.fail(errShort)
		return
	}
	copy(dst, r.b)
	r.b = r.b[len(dst):]
}

// rest returns what is left, aliasing the row.
func (r *rowReader) rest() []byte {
	v := r.b
	r.b = nil
	return v
}

func (r *rowReader) done() error {
	if r.err == nil && len(r.b) != 0 {
		r.fail(errRest)
	}
	return r.err
}
