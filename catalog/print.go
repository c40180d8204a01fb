package catalog

import (
	"strconv"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// timeLayout is the protocol's timestamp: UTC, whole seconds (HTTP API notes §0).
const timeLayout = "2006-01-02T15:04:05Z"

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// usdText prints an amount for people.
func usdText(micros int64) string { return string(canon.AppendMicros(nil, micros)) }

// object writes one JSON object member by member, in the order of the calls. All
// numbers go through canon, so that a reader's reprint agrees with these bytes.
type object struct {
	dst   []byte
	start int
}

func openObject(dst []byte) object {
	dst = append(dst, '{')
	return object{dst, len(dst)}
}

func (o *object) name(key string) {
	if len(o.dst) > o.start {
		o.dst = append(o.dst, ',')
	}
	o.dst = append(canon.AppendString(o.dst, key), ':')
}

func (o *object) text(key, v string) {
	o.name(key)
	o.dst = canon.AppendString(o.dst, v)
}

// textIf leaves an empty text out: null would break typed readers.
func (o *object) textIf(key, v string) {
	if v != "" {
		o.text(key, v)
	}
}

func (o *object) int(key string, v int64) {
	o.name(key)
	o.dst = strconv.AppendInt(o.dst, v, 10)
}

func (o *object) float(key string, v float64) {
	o.name(key)
	o.dst = canon.AppendFloat(o.dst, v)
}

func (o *object) micros(key string, v int64) {
	o.name(key)
	o.dst = canon.AppendMicros(o.dst, v)
}

func (o *object) bool(key string, v bool) {
	o.name(key)
	o.dst = strconv.AppendBool(o.dst, v)
}

// raw writes a value that is JSON already.
func (o *object) raw(key string, v []byte) {
	o.name(key)
	o.dst = append(o.dst, v...)
}

func (o *object) texts(key string, list []string) {
	o.name(key)
	o.dst = append(o.dst, '[')
	for i, s := range list {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst = canon.AppendString(o.dst, s)
	}
	o.dst = append(o.dst, ']')
}

// list writes an array whose elements the callback appends.
func (o *object) list(key string, n int, element func(dst []byte, i int) []byte) {
	o.name(key)
	o.dst = append(o.dst, '[')
	for i := range n {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst = element(o.dst, i)
	}
	o.dst = append(o.dst, ']')
}

// nest writes an object whose members the callback writes.
func (o *object) nest(key string, members func(*object)) {
	o.name(key)
	in := openObject(o.dst)
	members(&in)
	o.dst = in.close()
}

func (o *object) close() []byte { return append(o.dst, '}') }
