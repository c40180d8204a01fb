package catalog

import (
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// Bounds on the events that are kept.
const (
	MaxEventsOfHub   = 100     // newest about one hub
	maxOfReporter    = 10      // newest of one reporter about one hub: nobody drowns out the others
	MaxEvents        = 100_000 // in all
	MaxSeenEvents    = 200_000 // digests that are remembered against replay
	seenFor          = 2 * EventWindow
	MaxQueuedEvents  = 256         // own events that wait for gossip; the oldest give way
	eventPace        = time.Minute // between two own events about one hub with one outcome
	rangeEvent       = "catalog/event/"
	eventVersion     = 1
	eventHeaderBytes = 32 + 8 // reporter and time, before the text
)

// event is what memory keeps of one event; its text is in the store.
type event struct {
	seq      uint64
	digest   eventDigest
	reporter identity.PublicKey
	at       int64 // unix seconds
	good     bool
	counts   bool // good says something
}

// eventLog holds the newest events about every hub, by the hub's key.
type eventLog struct {
	mu      sync.Mutex                     // never held across a sync
	about   map[identity.PublicKey][]event // oldest first
	seen    map[eventDigest]int64          // unix seconds until which it may come again
	total   int
	seq     uint64
	changed bool // since the last takeChanged

	queue [][]byte
	paced map[pace]time.Time // when the last own event was made
	due   chan struct{}
}

type pace struct {
	about identity.PublicKey
	good  bool
}

func eventKey(about identity.PublicKey, seq uint64) []byte {
	return joinKey(rangeEvent, hex.EncodeToString(about[:]), eventAge(seq))
}

// fate is what became of one event.
type fate uint8

const (
	eventKept fate = iota
	eventReplayed
	eventRefused // a bound is reached
)

// keep stores an event that verified. What must give way for it goes in the same batch.
func (l *eventLog) keep(b *store.Batch, about identity.PublicKey, e event, raw []byte, now time.Time) fate {
	if l.holds(e.digest, now) {
		return eventReplayed
	}
	if len(l.seen) >= MaxSeenEvents {
		l.forget(now)
	}
	list := l.about[about]
	out := l.givesWay(list, e.reporter)
	if len(l.seen) >= MaxSeenEvents || out < 0 && l.total >= MaxEvents {
		return eventRefused
	}
	if out >= 0 {
		b.Delete(eventKey(about, list[out].seq))
		list = slices.Delete(list, out, out+1)
		l.total--
	}
	l.seq++
	e.seq = l.seq
	value := append(make([]byte, 0, 1+eventHeaderBytes+len(raw)), eventVersion)
	value = append(value, e.reporter[:]...)
	value = appendUint64(value, uint64(e.at))
	b.Set(eventKey(about, e.seq), append(value, raw...))
	l.about[about] = append(list, e)
	l.seen[e.digest] = now.Add(seenFor).Unix()
	l.total++
	l.changed = true
	return eventKept
}

// holds reports whether an event came already. mu is held.
func (l *eventLog) holds(d eventDigest, now time.Time) bool {
	until, ok := l.seen[d]
	return ok && until >= now.Unix()
}

// saw is holds for who does not hold mu.
func (l *eventLog) saw(d eventDigest, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holds(d, now)
}

// givesWay is the index of the event that leaves for one more of reporter, -1 for none.
func (l *eventLog) givesWay(list []event, reporter identity.PublicKey) int {
	first, n := -1, 0
	for i := range list {
		if list[i].reporter == reporter {
			if n++; first < 0 {
				first = i
			}
		}
	}
	switch {
	case n >= maxOfReporter:
		return first
	case len(list) >= MaxEventsOfHub:
		return 0
	}
	return -1
}

// forget drops digests that are too old to come again.
func (l *eventLog) forget(now time.Time) {
	for d, until := range l.seen {
		if until < now.Unix() {
			delete(l.seen, d)
		}
	}
}

// takeChanged reports whether events came since the last call.
func (l *eventLog) takeChanged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.changed
	l.changed = false
	return was
}

// hearsay sums the events of the window by the hub they are about. score is the weight
// of a reporter, 0 for one that does not count.
func (l *eventLog) hearsay(now time.Time, score func(identity.PublicKey) float64) map[identity.PublicKey]hearsay {
	type tally struct{ n, good int64 }
	l.mu.Lock()
	tallies := make(map[identity.PublicKey]map[identity.PublicKey]tally, len(l.about))
	since := now.Add(-hearsayWindow).Unix()
	for about, list := range l.about {
		for i := range list {
			if e := &list[i]; e.counts && e.at >= since && e.reporter != about {
				by := tallies[about]
				if by == nil {
					by = map[identity.PublicKey]tally{}
					tallies[about] = by
				}
				t := by[e.reporter]
				t.n++
				if e.good {
					t.good++
				}
				by[e.reporter] = t
			}
		}
	}
	l.mu.Unlock()
	out := make(map[identity.PublicKey]hearsay, len(tallies))
	for about, by := range tallies {
		var h hearsay
		for reporter, t := range by {
			if s := score(reporter); s > 0 {
				h.add(t.n, t.good, s)
			}
		}
		if h.events > 0 {
			out[about] = h
		}
	}
	return out
}

// sweepEvents drops events that are out of the window for good.
func (c *Catalog) sweepEvents(now time.Time) {
	l := &c.events
	l.mu.Lock()
	defer l.mu.Unlock()
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	since := now.Add(-hearsayWindow).Unix()
	for about, list := range l.about {
		kept := slices.DeleteFunc(list, func(e event) bool {
			if e.at >= since {
				return false
			}
			b.Delete(eventKey(about, e.seq))
			return true
		})
		l.total -= len(list) - len(kept)
		if len(kept) == 0 {
			delete(l.about, about)
		} else {
			l.about[about] = kept
		}
	}
	l.forget(now)
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		c.cfg.Logger.Warn("catalog: old reputation events not deleted; the next start tries again", "error", err)
	}
}

// loadEvents reads the stored events. They are evidence of little weight: one that
// cannot be read is skipped, not an error.
func (c *Catalog) loadEvents() error {
	l := &c.events
	l.about, l.seen = map[identity.PublicKey][]event{}, map[eventDigest]int64{}
	l.paced, l.due = map[pace]time.Time{}, make(chan struct{}, 1)
	now := c.cfg.Now()
	err := c.cfg.Store.Scan([]byte(rangeEvent), nil, func(key, value []byte) (bool, error) {
		about, e, err := decodeEvent(key, value)
		if err != nil {
			c.cfg.Logger.Warn("catalog: unreadable reputation event skipped", "error", err)
			return true, nil
		}
		l.seq = max(l.seq, e.seq)
		l.about[about] = append(l.about[about], e)
		l.seen[e.digest] = now.Add(seenFor).Unix()
		l.total++
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("read reputation events: %w", err)
	}
	return nil
}

// decodeEvent reads a stored event.
func decodeEvent(key, value []byte) (about identity.PublicKey, e event, err error) {
	bad := func() (identity.PublicKey, event, error) {
		return about, e, fmt.Errorf("%w: reputation event %q", ErrCorrupt, key)
	}
	hub, age, ok := cutKey(rangeEvent, key)
	id, herr := hex.DecodeString(hub)
	if !ok || herr != nil || len(id) != len(about) || len(value) < 1+eventHeaderBytes || value[0] != eventVersion {
		return bad()
	}
	about = identity.PublicKey(id)
	if e.seq, err = parseHex64(age); err != nil {
		return bad()
	}
	e.reporter = identity.PublicKey(value[1:33])
	e.at = int64(readUint64(value[33:41]))
	parsed, err := parseStoredEvent(value[41:])
	if err != nil {
		return bad()
	}
	e.digest = parsed.digest(e.reporter)
	e.good, e.counts = outcome(parsed.kind)
	return about, e, nil
}
