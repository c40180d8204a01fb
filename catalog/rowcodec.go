package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// rowVersion is the first byte of a stored row. A reader refuses versions it does
// not know; a new version gets a number and the old one stays readable.
const rowVersion = 1

// Flag bits of a stored row.
const (
	flagBuiltin = 1 << iota
	flagDemo
	flagsKnown = flagBuiltin | flagDemo
)

// appendRow encodes a row without its key: numbers first, then texts, then the two
// schemas, which readers that only index a row need not touch.
func appendRow(dst []byte, r *Capability) []byte {
	var flags byte
	if r.Builtin {
		flags |= flagBuiltin
	}
	if r.Demo {
		flags |= flagDemo
	}
	dst = append(dst, rowVersion, flags)
	for _, n := range [...]int64{r.PriceMicros, r.RoutedMicros, int64(r.RoutingFeeBps), int64(r.P50LatencyMS), r.StakeMicros} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = binary.AppendVarint(dst, r.FirstSeen.UnixMicro())
	dst = binary.AppendVarint(dst, r.UpdatedAt.UnixMicro())
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(r.TrustScore))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(r.SuccessRate30d))
	for _, s := range [...]string{r.SourceHubName, r.Name, r.Version, r.Description, r.InvokeURL, r.PublisherID, r.ProviderKey} {
		dst = appendText(dst, s)
	}
	dst = appendBlob(dst, r.InputSchema)
	return appendBlob(dst, r.OutputSchema)
}

// decodeRow reads what appendRow wrote for the row k. The schemas alias value,
// which must not change afterwards; all texts share one copy.
func decodeRow(k Key, value []byte) (Capability, error) {
	r := Capability{Key: k}
	rd := reader{b: value}
	if v := rd.byte(); v != rowVersion && rd.err == nil {
		return r, fmt.Errorf("%w: row %s of product %s at %s has format version %d, this program reads %d",
			ErrCorrupt, k.CapabilityID, k.ProductID, k.SourceHub, v, rowVersion)
	}
	flags := rd.byte()
	r.Builtin, r.Demo = flags&flagBuiltin != 0, flags&flagDemo != 0
	r.PriceMicros = rd.uvarint(MaxPriceMicros)
	r.RoutedMicros = rd.uvarint(2 * MaxPriceMicros)
	r.RoutingFeeBps = int(rd.uvarint(maxRoutingFeeBps))
	r.P50LatencyMS = int(rd.uvarint(MaxLatencyMS))
	r.StakeMicros = rd.uvarint(maxStakeMicros)
	r.FirstSeen = time.UnixMicro(rd.varint()).UTC()
	r.UpdatedAt = time.UnixMicro(rd.varint()).UTC()
	r.TrustScore = rd.fraction()
	r.SuccessRate30d = rd.fraction()
	texts := rd.texts(7)
	if rd.err == nil {
		r.SourceHubName, r.Name, r.Version, r.Description = texts[0], texts[1], texts[2], texts[3]
		r.InvokeURL, r.PublisherID, r.ProviderKey = texts[4], texts[5], texts[6]
	}
	r.InputSchema = json.RawMessage(rd.blob())
	r.OutputSchema = json.RawMessage(rd.blob())
	if rd.err == nil && (len(rd.b) > 0 || flags&^flagsKnown != 0) {
		rd.fail()
	}
	if rd.err != nil {
		return r, fmt.Errorf("%w: row %s of product %s at %s is damaged", ErrCorrupt, k.CapabilityID, k.ProductID, k.SourceHub)
	}
	return r, nil
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBlob(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// reader takes fields off the front of b. After the first fault every field is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.err, r.b = ErrCorrupt, nil }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// uvarint reads a number of at most limit.
func (r *reader) uvarint(limit int64) int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(limit) {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fraction() float64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	if !fraction(f) {
		r.fail()
		return 0
	}
	return f
}

// blob returns the next length-prefixed bytes without copying them.
func (r *reader) blob() []byte {
	n := r.uvarint(int64(len(r.b)))
	if r.err != nil || n > int64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// texts reads n strings that share one allocation.
func (r *reader) texts(n int) []string {
	var ends [16]int
	start := r.b
	total := 0
	for i := range n {
		r.blob()
		if r.err != nil {
			return nil
		}
		ends[i] = len(start) - len(r.b)
		total = ends[i]
	}
	all := string(start[:total])
	out := make([]string, n)
	from := 0
	for i := range n {
		field := all[from:ends[i]]
		_, w := binary.Uvarint(start[from:ends[i]])
		out[i] = field[w:]
		from = ends[i]
	}
	return out
}
