package catalog

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the measurements.
const (
	windowDays  = 30     // the protocol's window of success_rate_30d
	MaxMeasured = 32_768 // rows with measurements; the longest uncalled is forgotten

	latencyBuckets  = 64
	bucketsPerOctal = 4 // buckets per factor of two: a median is right within 9 %
	halfWindow      = windowDays / 2
	measuredVersion = 1
	secondsPerDay   = 86_400
)

// measured is what was seen of one row's calls: outcomes by day, and latencies by
// half window. The median therefore covers the last 15 to 30 days, at a twelfth of
// the memory that daily histograms would take.
type measured struct {
	mu     sync.Mutex
	day    int64 // newest day counted, in days since 1970
	price  int64 // list price at the last fold, micro-USD
	calls  [windowDays]uint32
	good   [windowDays]uint32
	recent [latencyBuckets]uint32 // of the half window that day is in
	before [latencyBuckets]uint32 // of the half window before it
	dirty  bool                   // changed since the last fold

	now atomic.Pointer[standing] // what the catalogue says until the next fold
}

// standing is the published outcome of a row's measurements.
type standing struct {
	calls   int64
	good    int64
	success float64 // good of calls, rounded to 4 digits
	p50     int     // milliseconds; 0 if nothing succeeded
	volume  float64 // list price of the good calls, USD
}

// advance moves the window to day, forgetting what falls out of it. A clock that
// goes back counts into the newest day.
func (m *measured) advance(day int64) {
	if day <= m.day {
		return
	}
	if gap := day - m.day; gap >= windowDays {
		m.calls, m.good = [windowDays]uint32{}, [windowDays]uint32{}
	} else {
		for d := m.day + 1; d <= day; d++ {
			m.calls[d%windowDays], m.good[d%windowDays] = 0, 0
		}
	}
	switch halves := day/halfWindow - m.day/halfWindow; {
	case halves == 1:
		m.before, m.recent = m.recent, [latencyBuckets]uint32{}
	case halves > 1:
		m.before, m.recent = [latencyBuckets]uint32{}, [latencyBuckets]uint32{}
	}
	m.day = day
}

func (m *measured) add(day int64, success bool, latency time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(day)
	i := m.day % windowDays
	if m.calls[i] == math.MaxUint32 {
		return // four thousand million calls a day: the rate is known well enough
	}
	m.calls[i]++
	if success {
		m.good[i]++
		inc(&m.recent[bucket(latency)])
	}
	m.dirty = true
}

// inc counts up and stays at the top.
func inc(n *uint32) {
	if *n < math.MaxUint32 {
		*n++
	}
}

// read returns the standing on day.
func (m *measured) read(day int64) standing {
	m.advance(day)
	var s standing
	for i := range m.calls {
		s.calls += int64(m.calls[i])
		s.good += int64(m.good[i])
	}
	if s.calls == 0 {
		return standing{}
	}
	s.success = round4(float64(s.good) / float64(s.calls))
	s.p50 = m.median()
	s.volume = float64(s.good) * float64(m.price) / usd
	return s
}

// median is the middle latency of successful calls in milliseconds; 0 if there is none.
func (m *measured) median() int {
	var total, seen uint64
	for i := range m.recent {
		total += uint64(m.recent[i]) + uint64(m.before[i])
	}
	if total == 0 {
		return 0
	}
	for i := range m.recent {
		seen += uint64(m.recent[i]) + uint64(m.before[i])
		if 2*seen >= total {
			return bucketMS(i)
		}
	}
	return 0
}

// bucket 0 holds everything below a millisecond, the last one everything from 46 s.
func bucket(d time.Duration) int {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 1 {
		return 0
	}
	return min(1+int(math.Log2(ms)*bucketsPerOctal), latencyBuckets-1)
}

// bucketMS is the geometric middle of a bucket in whole milliseconds, at least 1:
// to the protocol's readers a latency of 0 means none was measured.
func bucketMS(i int) int {
	if i == 0 {
		return 1
	}
	return int(math.Round(math.Exp2((float64(i) - 0.5) / bucketsPerOctal)))
}

func round4(f float64) float64 { return math.Round(f*1e4) / 1e4 }

// encode writes the measurements; zero days and buckets are left out.
func (m *measured) encode(dst []byte) []byte {
	dst = append(dst, measuredVersion)
	dst = binary.AppendUvarint(dst, uint64(m.day))
	dst = binary.AppendUvarint(dst, uint64(m.price))
	for i := range m.calls {
		if m.calls[i] > 0 {
			dst = append(dst, byte(i)+1)
			dst = binary.AppendUvarint(dst, uint64(m.calls[i]))
			dst = binary.AppendUvarint(dst, uint64(m.good[i]))
		}
	}
	dst = append(dst, 0)
	for _, h := range [...]*[latencyBuckets]uint32{&m.recent, &m.before} {
		for i, n := range h {
			if n > 0 {
				dst = append(dst, byte(i)+1)
				dst = binary.AppendUvarint(dst, uint64(n))
			}
		}
		dst = append(dst, 0)
	}
	return dst
}

// decodeMeasured reads what encode wrote.
func decodeMeasured(value []byte) (*measured, error) {
	rd := reader{b: value}
	m := &measured{}
	if rd.byte() != measuredVersion {
		return nil, fmt.Errorf("%w: measurements of an unknown format version", ErrCorrupt)
	}
	m.day = rd.uvarint(math.MaxInt32)
	m.price = rd.uvarint(MaxPriceMicros)
	for i := rd.slot(windowDays); i >= 0; i = rd.slot(windowDays) {
		m.calls[i] = uint32(rd.uvarint(math.MaxUint32))
		m.good[i] = uint32(rd.uvarint(int64(m.calls[i])))
	}
	for _, h := range [...]*[latencyBuckets]uint32{&m.recent, &m.before} {
		for i := rd.slot(latencyBuckets); i >= 0; i = rd.slot(latencyBuckets) {
			h[i] = uint32(rd.uvarint(math.MaxUint32))
		}
	}
	if rd.err != nil || len(rd.b) > 0 {
		return nil, fmt.Errorf("%w: damaged measurements", ErrCorrupt)
	}
	return m, nil
}

// slot reads the index of the next entry of a sparse array, -1 at its end.
func (r *reader) slot(n int) int {
	i := int(r.byte()) - 1
	if i >= n {
		r.fail()
		return -1
	}
	return i
}
