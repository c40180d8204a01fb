// Package limit counts events per key within bounded memory.
package limit

import "time"

// Config sets a limit: Max events per Window and key; Max ≤ 0 turns it off. At
// most MaxKeys keys are remembered (0: 65536); the longest idle is forgotten.
type Config struct {
	Max     int
	Window  time.Duration
	MaxKeys int
	Now     func() time.Time
}

// Limiter is safe for concurrent use.
type Limiter struct{}

func New(c Config) *Limiter { panic("skeleton") }

// Allow counts one event of key and reports whether it is within the limit, and
// if not, how long to wait.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) { panic("skeleton") }

// Peek reports the same without counting.
func (l *Limiter) Peek(key string) (ok bool, retryAfter time.Duration) { panic("skeleton") }

// Refused is how many events were refused so far.
func (l *Limiter) Refused() uint64 { panic("skeleton") }

// AddressKey folds a client address into the key that limits it: an IPv4 address,
// or the /64 of an IPv6 address.
func AddressKey(addr string) string { panic("skeleton") }
