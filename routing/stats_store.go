package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// Key ranges of the statistics. They are derived data: written without a sync,
// and a crash loses at most flushInterval of them.
const (
	eventRange   = "routing/event/"  // + place in the ring: one event
	minuteRange  = "routing/minute/" // + minute since 1970: sums and latencies
	totalsKey    = "routing/totals"
	statsVersion = 1

	// maxSealed bounds the finished minutes that wait for the disk while it fails.
	maxSealed = 60
)

// minuteRow is one minute as it is stored.
type minuteRow struct {
	minute
	hist map[uint16]uint32 // bin to count
}

// seal puts the finished minute aside for the next flush; s.mu is held.
func (s *stats) seal() {
	if s.current.calls == 0 {
		return
	}
	done := s.current
	done.hist = maps.Clone(done.hist)
	s.sealed = append(s.sealed, done)
	if len(s.sealed) > maxSealed {
		s.sealed = s.sealed[1:]
	}
}

// flush writes what is new. The lock is held only to copy.
func (s *stats) flush() error {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	s.mu.Lock()
	if s.flushed == s.lastID {
		s.mu.Unlock()
		return nil
	}
	last := s.lastID
	from := max(s.flushed+1, last-min(last, maxEvents)+1)
	events := make([]Event, 0, last-from+1)
	for id := from; id <= last; id++ {
		events = append(events, s.ring[id%maxEvents])
	}
	rows := s.sealed
	s.sealed = nil
	current := s.current
	current.hist = maps.Clone(current.hist)
	all := s.all
	s.mu.Unlock()

	b := s.db.NewBatch()
	for _, e := range events {
		b.Set(eventKey(e.ID), encodeEvent(e))
	}
	for _, row := range append(slices.Clip(rows), current) {
		b.Set(minuteKey(row.start), row.encode())
		b.Delete(minuteKey(row.start - minutesPerDay))
	}
	b.Set([]byte(totalsKey), all.encode(last))
	if err := s.db.WriteNoSync(b); err != nil {
		b.Close()
		s.mu.Lock()
		s.sealed = append(rows, s.sealed...)
		s.mu.Unlock()
		return err
	}
	s.flushed = last
	return nil
}

func encodeEvent(e Event) []byte {
	b := binary.AppendUvarint([]byte{statsVersion}, e.ID)
	b = binary.AppendUvarint(b, uint64(e.Price))
	b = binary.AppendUvarint(b, uint64(e.Latency))
	b = binary.AppendUvarint(b, uint64(e.Time.UnixMilli()))
	success := byte(0)
	if e.Success {
		success = 1
	}
	b = append(b, success)
	for _, s := range []string{e.CapabilityID, e.ProductID, e.SourceHub, e.ConsumerHub, e.TrafficClass} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

var errEvent = errors.New("the stored event is damaged or of a form this version cannot read")

func decodeEvent(row []byte) (Event, error) {
	if len(row) == 0 || row[0] != statsVersion {
		return Event{}, errEvent
	}
	row = row[1:]
	number := func() uint64 {
		v, n := binary.Uvarint(row)
		if n <= 0 || v > math.MaxInt64 {
			row = nil // every later read fails too
			return 0
		}
		row = row[n:]
		return v
	}
	e := Event{ID: number(), Price: ledger.Money(number()), Latency: time.Duration(number())}
	e.Time = time.UnixMilli(int64(number())).UTC()
	if len(row) == 0 || row[0] > 1 {
		return Event{}, errEvent
	}
	e.Success = row[0] == 1
	row = row[1:]
	for _, s := range []*string{&e.CapabilityID, &e.ProductID, &e.SourceHub, &e.ConsumerHub, &e.TrafficClass} {
		if len(row) == 0 {
			return Event{}, errEvent
		}
		n := number()
		if n > uint64(len(row)) {
			return Event{}, errEvent
		}
		*s, row = string(row[:n]), row[n:]
	}
	if len(row) > 0 {
		return Event{}, errEvent
	}
	return e, nil
}

func eventKey(id uint64) []byte {
	return binary.BigEndian.AppendUint16([]byte(eventRange), uint16(id%maxEvents))
}

func minuteKey(m int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(minuteRange), uint64(m))
}

func (t *totals) encode(lastID uint64) []byte {
	b := []byte{statsVersion}
	for _, n := range []uint64{lastID, uint64(t.calls), uint64(t.successful), uint64(t.revenue), uint64(t.latencyMS)} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func (m *minuteRow) encode() []byte {
	b := []byte{statsVersion}
	for _, n := range []uint64{uint64(m.calls), uint64(m.failed), uint64(m.revenue)} {
		b = binary.AppendUvarint(b, n)
	}
	for _, bin := range slices.Sorted(maps.Keys(m.hist)) {
		b = binary.AppendUvarint(b, uint64(bin))
		b = binary.AppendUvarint(b, uint64(m.hist[bin]))
	}
	return b
}

// uvarints reads a stored row of numbers.
func uvarints(row []byte) ([]uint64, error) {
	if len(row) == 0 || row[0] != statsVersion {
		return nil, errors.New("stored in a form this version cannot read")
	}
	var out []uint64
	for row = row[1:]; len(row) > 0; {
		v, n := binary.Uvarint(row)
		if n <= 0 || v > 1<<62 {
			return nil, errors.New("the stored numbers are damaged")
		}
		out = append(out, v)
		row = row[n:]
	}
	return out, nil
}

// load brings back what earlier runs wrote. A damaged row is left out and logged:
// statistics are no reason not to start.
func (s *stats) load() error {
	row, err := s.db.Get([]byte(totalsKey))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		n, err := uvarints(row)
		if err != nil || len(n) != 5 {
			s.log.Warn("the stored totals cannot be read and start at zero", "error", err)
		} else {
			s.lastID = n[0]
			s.all = totals{int64(n[1]), int64(n[2]), ledger.Money(n[3]), int64(n[4])}
		}
	}
	if err := s.db.Scan([]byte(eventRange), nil, s.loadEvent); err != nil {
		return err
	}
	s.flushed = s.lastID
	oldest := minuteOf(s.now()) - minutesPerDay + 1
	if err := s.db.Scan([]byte(minuteRange), minuteKey(max(oldest, 0)), s.loadMinute); err != nil {
		return err
	}
	return s.dropOld(oldest)
}

func (s *stats) loadEvent(_, value []byte) (bool, error) {
	e, err := decodeEvent(value)
	if err != nil {
		s.log.Warn("a stored event cannot be read and is left out", "error", err)
		return true, nil
	}
	// An event beyond the totals is one whose totals a crash lost.
	if e.ID <= s.lastID {
		s.ring[e.ID%maxEvents] = e
	}
	return true, nil
}

func (s *stats) loadMinute(key, value []byte) (bool, error) {
	n, err := uvarints(value)
	if err != nil || len(n) < 3 || len(n)%2 == 0 || len(key) != len(minuteRange)+8 {
		s.log.Warn("a stored minute of the statistics cannot be read and is left out", "error", err)
		return true, nil
	}
	row := minuteRow{minute: minute{
		start: int64(binary.BigEndian.Uint64(key[len(minuteRange):])),
		calls: int64(n[0]), failed: int64(n[1]), revenue: ledger.Money(n[2]),
	}, hist: map[uint16]uint32{}}
	if row.start > minuteOf(s.now()) { // written by a faster clock
		return true, nil
	}
	s.into(&row.minute)
	h := s.histAt(row.start)
	for i := 3; i < len(n); i += 2 {
		if n[i] >= histBins {
			continue
		}
		count := uint32(n[i+1])
		h[n[i]] += count
		s.day[n[i]] += count
		s.dayN += int64(count)
		row.hist[uint16(n[i])] = count
	}
	s.current = row // goes on if the hub restarts within the minute
	return true, nil
}

// dropOld deletes the minutes that left the day while the hub was down.
func (s *stats) dropOld(oldest int64) error {
	b := s.db.NewBatch()
	err := s.db.Scan([]byte(minuteRange), nil, func(key, _ []byte) (bool, error) {
		if len(key) != len(minuteRange)+8 || int64(binary.BigEndian.Uint64(key[len(minuteRange):])) >= oldest {
			return false, nil
		}
		b.Delete(append([]byte(nil), key...))
		return true, nil
	})
	if err != nil || b.Len() == 0 {
		b.Close()
		return err
	}
	if err := s.db.WriteNoSync(b); err != nil {
		b.Close()
		return fmt.Errorf("dropping minutes before %s: %w", time.Unix(oldest*60, 0).UTC().Format(time.RFC3339), err)
	}
	return nil
}
