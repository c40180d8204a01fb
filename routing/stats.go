package routing

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

const (
	// maxEvents bounds the calls that stats/live can list, in memory and on disk.
	maxEvents = 1024

	minutesPerDay = 24 * 60
	slotMinutes   = 15 // one histogram covers this many minutes
	daySlots      = minutesPerDay/slotMinutes + 1
	flushInterval = 2 * time.Second
)

// minute is what happened within one minute. start is in minutes since 1970 and
// tells whether the ring's place holds this day or an older one.
type minute struct {
	start         int64
	calls, failed int64
	revenue       ledger.Money
}

// totals count since the first start of the hub.
type totals struct {
	calls, successful int64
	revenue           ledger.Money
	latencyMS         int64
}

// stats is the rolling record of executed calls: the newest ones in a ring, sums
// per minute for a day, latencies per quarter of an hour. Adding a call touches a
// handful of numbers under one short lock; the disk is written behind it.
type stats struct {
	now func() time.Time
	log *slog.Logger
	db  *store.DB // nil: kept in memory only

	mu      sync.Mutex
	lastID  uint64
	ring    [maxEvents]Event // the event with id n stands at n % maxEvents
	all     totals
	minutes [minutesPerDay]minute
	slots   [daySlots]histogram // the last one is being filled
	slotAt  [daySlots]int64     // which quarter of an hour a slot holds
	day     histogram           // sum of the slots within the last day
	dayN    int64
	current minuteRow // the minute being filled, as it is stored

	flushMu sync.Mutex
	flushed uint64 // newest event on disk
	sealed  []minuteRow
	stop    chan struct{}
	stopped chan struct{}
}

func openStats(db *store.DB, now func() time.Time, log *slog.Logger) (*stats, error) {
	s := &stats{now: now, log: log, db: db, stop: make(chan struct{}), stopped: make(chan struct{})}
	for i := range s.slotAt {
		s.slotAt[i] = -1
	}
	if db == nil {
		close(s.stopped)
		return s, nil
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	go s.flushLoop()
	return s, nil
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// add counts one executed call. It gives the event its id.
func (s *stats) add(e Event) {
	ms := e.Latency.Milliseconds()
	m := minuteOf(e.Time)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	e.ID = s.lastID
	s.ring[e.ID%maxEvents] = e
	s.all.calls++
	s.all.latencyMS += ms
	if e.Success {
		s.all.successful++
		s.all.revenue += e.Price
	}
	one := minuteRow{minute: minute{start: m, calls: 1, revenue: e.Price}}
	if !e.Success {
		one.failed = 1
	}
	s.into(&one.minute)
	s.histAt(m)[histBin(ms)]++
	s.day[histBin(ms)]++
	s.dayN++
	if s.db == nil {
		return
	}
	if s.current.start != m {
		s.seal()
		s.current = minuteRow{minute: minute{start: m}, hist: s.current.hist}
		clear(s.current.hist)
	}
	s.current.calls++
	s.current.failed += one.failed
	s.current.revenue += e.Price
	if s.current.hist == nil {
		s.current.hist = map[uint16]uint32{}
	}
	s.current.hist[uint16(histBin(ms))]++
}

// into adds one minute's sums to the ring.
func (s *stats) into(one *minute) {
	place := &s.minutes[one.start%minutesPerDay]
	if place.start != one.start {
		*place = minute{start: one.start}
	}
	place.calls += one.calls
	place.failed += one.failed
	place.revenue += one.revenue
}

// histAt is the histogram of the quarter of an hour that holds minute m. What
// stood in its place a day ago leaves the day's sum.
func (s *stats) histAt(m int64) *histogram {
	quarter := m / slotMinutes
	i := quarter % daySlots
	if s.slotAt[i] != quarter {
		s.forget(int(i))
		s.slotAt[i] = quarter
	}
	s.expire(quarter)
	return &s.slots[i]
}

// expire drops the slots that have left the day.
func (s *stats) expire(quarter int64) {
	for i, at := range s.slotAt {
		if at >= 0 && at <= quarter-daySlots {
			s.forget(i)
		}
	}
}

func (s *stats) forget(i int) {
	if s.slotAt[i] < 0 {
		return
	}
	for bin, n := range s.slots[i] {
		s.day[bin] -= n
		s.dayN -= int64(n)
	}
	s.slots[i] = histogram{}
	s.slotAt[i] = -1
}

// Events returns the newest executed calls first; at most limit, and at most as
// many as are remembered.
func (r *Router) Events(limit int) []Event {
	s := r.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(uint64(max(limit, 0)), maxEvents, s.lastID)
	out := make([]Event, 0, n)
	for id := s.lastID; uint64(len(out)) < n; id-- {
		if e := s.ring[id%maxEvents]; e.ID == id {
			out = append(out, e)
		} else {
			break
		}
	}
	return out
}

// Summary is the totals of every executed call since the hub's first start and of
// its last hour and day.
func (r *Router) Summary() Summary {
	s := r.stats
	now := minuteOf(s.now())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now / slotMinutes)
	out := Summary{Total: s.all.calls, Successful: s.all.successful}
	if s.all.calls > 0 {
		calls := float64(s.all.calls)
		out.SuccessRate = round(float64(s.all.successful)/calls, 4)
		out.AvgPriceUSD = round(float64(s.all.revenue)/1e6/calls, 4)
		out.AvgLatencyMS = round(float64(s.all.latencyMS)/calls, 1)
	}
	for i := range s.minutes {
		m := &s.minutes[i]
		age := now - m.start
		if m.calls == 0 || age < 0 || age >= minutesPerDay {
			continue
		}
		out.Last24h += m.calls
		out.Failed24h += m.failed
		if age < 60 {
			out.Last1h += m.calls
			out.RevenuePerHour += m.revenue
		}
	}
	out.RPS1h = round(float64(out.Last1h)/3600, 4)
	out.P50LatencyMS24h = s.day.percentile(s.dayN, 50)
	out.P95LatencyMS24h = s.day.percentile(s.dayN, 95)
	return out
}

func round(f float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.RoundToEven(f*scale) / scale
}

// close stops the flusher and writes the rest.
func (s *stats) close() error {
	if s.db == nil {
		return nil
	}
	close(s.stop)
	<-s.stopped
	if err := s.flush(); err != nil {
		return fmt.Errorf("routing: writing the statistics: %w", err)
	}
	return nil
}

func (s *stats) flushLoop() {
	defer close(s.stopped)
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if err := s.flush(); err != nil {
				s.log.Warn("the statistics could not be written; they are kept in memory and tried again", "error", err)
			}
		}
	}
}
