// Package limit counts events per key within bounded memory.
//
// It promises: for one key, at most Max events are allowed in any span of length
// Window, wherever the span begins. So "60 a minute" lets 60 through at once and
// refuses the 61st until a minute after the first. Refused events do not count:
// who keeps knocking is not locked out for longer.
//
// Up to a Max of [exactEvents] the promise is met exactly. Above, events that
// fall into the same 64th of a Window share one entry with the time of the last,
// so a refusal may last up to a 64th of Window longer than it must, never shorter.
//
// Limits: at most MaxKeys keys are remembered. When more are seen within one
// Window, the longest idle is forgotten and starts afresh, and [Limiter.Forgotten]
// counts it; to a flood from that many addresses this is no defence. Nothing
// outlives the process.
package limit

import (
	"crypto/sha256"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	defaultMaxKeys = 65536
	defaultWindow  = time.Minute
	// exactEvents bounds the entries of one key, about 1 KiB.
	exactEvents = 64
	// maxShards spreads the lock; each shard holds at least minShardKeys, so that
	// forgetting the longest idle of one shard is close to that of all.
	maxShards    = 16
	minShardKeys = 1024
	// maxKeyBytes is the longest key kept as it is; longer ones are hashed.
	maxKeyBytes = 128
	// sweepKeys is how many idle keys one call drops: more than it can add.
	sweepKeys = 2
)

// Config sets a limit: Max events per Window and key; Max ≤ 0 turns it off. At
// most MaxKeys keys are remembered (0: 65536); the longest idle is forgotten.
type Config struct {
	Max     int
	Window  time.Duration    // ≤ 0: one minute
	MaxKeys int              // ≤ 0: 65536
	Now     func() time.Time // nil: time.Now
}

// Limiter is safe for concurrent use.
type Limiter struct {
	max       int
	window    time.Duration
	granule   time.Duration
	now       func() time.Time
	start     time.Time
	seed      maphash.Seed
	shards    []shard
	refused   atomic.Uint64
	forgotten atomic.Uint64
}

type shard struct {
	mu   sync.Mutex
	keys *simplelru.LRU[string, *record]
}

// record is the events of one key, oldest first, and their sum.
type record struct {
	entries []entry
	sum     int
}

// entry is n events that count until at + Window. at is relative to Limiter.start.
type entry struct {
	at time.Duration
	n  int
}

// New returns a limiter for c.
func New(c Config) *Limiter {
	if c.Window <= 0 {
		c.Window = defaultWindow
	}
	if c.MaxKeys <= 0 {
		c.MaxKeys = defaultMaxKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Limiter{max: c.Max, window: c.Window, now: c.Now}
	if c.Max <= 0 {
		return l
	}
	if c.Max > exactEvents {
		l.granule = c.Window / exactEvents
	}
	l.start, l.seed = c.Now(), maphash.MakeSeed()
	l.shards = make([]shard, max(1, min(maxShards, c.MaxKeys/minShardKeys)))
	for i := range l.shards {
		// NewLRU fails only for sizes ≤ 0.
		l.shards[i].keys, _ = simplelru.NewLRU[string, *record](c.MaxKeys/len(l.shards), nil)
	}
	return l
}

// Allow counts one event of key and reports whether it is within the limit, and
// if not, how long to wait.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) {
	return l.check(key, true)
}

// Peek reports the same without counting, not as refused either.
func (l *Limiter) Peek(key string) (ok bool, retryAfter time.Duration) {
	return l.check(key, false)
}

// Refused is how many events were refused so far.
func (l *Limiter) Refused() uint64 { return l.refused.Load() }

// Forgotten is how many keys lost their count early because MaxKeys was reached.
func (l *Limiter) Forgotten() uint64 { return l.forgotten.Load() }

// Keys is how many keys are remembered now.
func (l *Limiter) Keys() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += s.keys.Len()
		s.mu.Unlock()
	}
	return n
}

func (l *Limiter) check(key string, count bool) (bool, time.Duration) {
	if l.max <= 0 {
		return true, 0
	}
	if len(key) > maxKeyBytes {
		sum := sha256.Sum256([]byte(key))
		key = string(sum[:])
	}
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.now().Sub(l.start) // under the lock, so that a key's entries are in order
	r := l.find(s, key, now, count)
	if r == nil { // Peek at a key that has no events
		return true, 0
	}
	now = r.expire(now, l.window)
	if r.sum >= l.max {
		if count {
			l.refused.Add(1)
		}
		return false, r.entries[0].at + l.window - now
	}
	if count {
		r.add(now, l.granule)
	}
	return true, 0
}

func (l *Limiter) shard(key string) *shard {
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}

// find returns the record of key, making it if asked to, and drops idle ones.
func (l *Limiter) find(s *shard, key string, now time.Duration, create bool) *record {
	if !create {
		r, _ := s.keys.Peek(key)
		return r
	}
	if r, ok := s.keys.Get(key); ok {
		return r
	}
	for range sweepKeys {
		if _, r, ok := s.keys.GetOldest(); !ok || r.last()+l.window > now {
			break
		}
		s.keys.RemoveOldest()
	}
	r := &record{}
	if s.keys.Add(key, r) {
		l.forgotten.Add(1)
	}
	return r
}

// last is the time of the newest event.
func (r *record) last() time.Duration {
	if len(r.entries) == 0 {
		return 0
	}
	return r.entries[len(r.entries)-1].at
}

// expire drops the events a window or more before now. It returns now, or the
// newest event's time if the clock went back behind it.
func (r *record) expire(now, window time.Duration) time.Duration {
	now = max(now, r.last())
	gone := 0
	for gone < len(r.entries) && r.entries[gone].at+window <= now {
		r.sum -= r.entries[gone].n
		gone++
	}
	if gone > 0 {
		r.entries = r.entries[:copy(r.entries, r.entries[gone:])]
	}
	return now
}

func (r *record) add(now, granule time.Duration) {
	r.sum++
	if n := len(r.entries); granule > 0 && n > 0 && r.entries[n-1].at/granule == now/granule {
		r.entries[n-1].at = now
		r.entries[n-1].n++
		return
	}
	r.entries = append(r.entries, entry{now, 1})
}
