package limit

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a time that only tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time              { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration)     { c.ns.Add(int64(d)) }
func (c *clock) limiter(cfg Config) *Limiter { cfg.Now = c.now; return New(cfg) }

func TestBurstThenRefusal(t *testing.T) {
	for _, maxEvents := range []int{1, 2, 60, exactEvents, exactEvents + 1, 1000} {
		var c clock
		l := c.limiter(Config{Max: maxEvents, Window: time.Minute})
		for i := range maxEvents {
			if ok, wait := l.Allow("k"); !ok || wait != 0 {
				t.Fatalf("max %d: event %d: %v %v", maxEvents, i, ok, wait)
			}
		}
		if ok, wait := l.Allow("k"); ok || wait != time.Minute {
			t.Errorf("max %d: one more: %v %v", maxEvents, ok, wait)
		}
		c.advance(time.Minute - 1)
		if ok, wait := l.Allow("k"); ok || wait != 1 {
			t.Errorf("max %d: just before the minute: %v %v", maxEvents, ok, wait)
		}
		if ok, _ := l.Allow("other"); !ok {
			t.Errorf("max %d: another key was refused", maxEvents)
		}
		c.advance(1)
		if ok, _ := l.Allow("k"); !ok {
			t.Errorf("max %d: refused after the minute", maxEvents)
		}
		if l.Refused() != 2 || l.Forgotten() != 0 {
			t.Errorf("max %d: refused %d, forgotten %d", maxEvents, l.Refused(), l.Forgotten())
		}
	}
}

func TestSlidingNotFixed(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 2, Window: time.Minute})
	step := func(d time.Duration, want bool, wait time.Duration) {
		t.Helper()
		c.advance(d)
		if ok, w := l.Allow("k"); ok != want || w != wait {
			t.Errorf("at %v: %v %v, want %v %v", c.now().Unix(), ok, w, want, wait)
		}
	}
	step(0, true, 0)
	step(50*time.Second, true, 0)
	step(5*time.Second, false, 5*time.Second)
	step(5*time.Second, true, 0)
	step(time.Second, false, 49*time.Second)
}

func TestPeekDoesNotCount(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 1, Window: time.Second})
	for range 3 {
		if ok, _ := l.Peek("k"); !ok {
			t.Fatal("peek used the event up")
		}
	}
	if l.Keys() != 0 {
		t.Error("peek made a record")
	}
	l.Allow("k")
	if ok, wait := l.Peek("k"); ok || wait != time.Second {
		t.Errorf("peek at a used up key: %v %v", ok, wait)
	}
	if l.Refused() != 0 {
		t.Error("peek counted as refused")
	}
}

func TestOff(t *testing.T) {
	for _, m := range []int{0, -1} {
		l := New(Config{Max: m, Window: time.Hour})
		for range 1000 {
			if ok, wait := l.Allow("k"); !ok || wait != 0 {
				t.Fatal("a limit that is off refused")
			}
		}
		if ok, _ := l.Peek("k"); !ok || l.Keys() != 0 || l.Refused() != 0 {
			t.Error("a limit that is off keeps records")
		}
	}
}

func TestDefaults(t *testing.T) {
	l := New(Config{Max: 1})
	l.Allow("k")
	if ok, wait := l.Allow("k"); ok || wait > time.Minute || wait < 50*time.Second {
		t.Errorf("default window: %v %v", ok, wait)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 1, Window: time.Hour, MaxKeys: 100})
	for i := range 100 {
		l.Allow(fmt.Sprint(i))
		c.advance(1)
	}
	l.Allow("0") // refused, yet now the most recently seen
	l.Allow("new")
	if l.Keys() != 100 || l.Forgotten() != 1 {
		t.Errorf("keys %d, forgotten %d", l.Keys(), l.Forgotten())
	}
	if ok, _ := l.Peek("0"); ok {
		t.Error("the most recently seen was forgotten")
	}
	if ok, _ := l.Peek("1"); !ok {
		t.Error("the longest idle was kept")
	}
	for i := range 200_000 {
		l.Allow(fmt.Sprint("flood", i))
	}
	if l.Keys() > 100 {
		t.Errorf("keys %d", l.Keys())
	}
	// Long keys are told apart without being kept.
	long := strings.Repeat("x", 1<<20)
	l.Allow(long + "a")
	if ok, _ := l.Allow(long + "b"); !ok {
		t.Error("two long keys share a count")
	}
	if ok, _ := l.Allow(long + "a"); ok {
		t.Error("a long key is not counted")
	}
}

func TestEntriesAreBounded(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 100_000, Window: time.Minute})
	for range 200_000 {
		l.Allow("k")
		c.advance(time.Millisecond)
	}
	r, _ := l.shard("k").keys.Peek("k")
	if len(r.entries) > exactEvents+1 {
		t.Errorf("%d entries", len(r.entries))
	}
}

func TestIdleKeysAreDropped(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 5, Window: time.Second})
	for i := range 1000 {
		l.Allow(fmt.Sprint(i))
	}
	c.advance(time.Second)
	for i := range 1000 {
		l.Allow(fmt.Sprint("later", i))
	}
	if l.Keys() > 1100 || l.Forgotten() != 0 {
		t.Errorf("keys %d, forgotten %d", l.Keys(), l.Forgotten())
	}
}

// For any times of arrival, no span of one Window ever holds more than Max
// allowed events; up to exactEvents nothing is refused that would have fitted; a
// refusal's wait is enough and, up to exactEvents, exact.
func TestPropertyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		maxEvents := rapid.SampledFrom([]int{1, 2, 3, 10, 64, 65, 100, 200}).Draw(t, "max")
		window := time.Duration(rapid.IntRange(1, 2000).Draw(t, "window"))
		l := c.limiter(Config{Max: maxEvents, Window: window, MaxKeys: 4})
		var allowed []int64
		for range rapid.IntRange(1, 600).Draw(t, "events") {
			c.advance(time.Duration(rapid.IntRange(0, int(window)/max(1, maxEvents/2)+1).Draw(t, "gap")))
			now := c.ns.Load()
			inWindow := 0
			for _, a := range allowed {
				if a > now-int64(window) {
					inWindow++
				}
			}
			peek, _ := l.Peek("k")
			ok, wait := l.Allow("k")
			if ok != peek {
				t.Fatalf("peek %v, allow %v", peek, ok)
			}
			switch {
			case ok && inWindow >= maxEvents:
				t.Fatalf("event %d in a window of %d", inWindow+1, maxEvents)
			case !ok && inWindow < maxEvents && maxEvents <= exactEvents:
				t.Fatalf("refused with %d of %d", inWindow, maxEvents)
			case !ok && (wait <= 0 || wait > window):
				t.Fatalf("wait %v of window %v", wait, window)
			case ok:
				allowed = append(allowed, now)
			case maxEvents <= exactEvents:
				if want := allowed[len(allowed)-maxEvents] + int64(window) - now; int64(wait) != want {
					t.Fatalf("wait %d, want %d", wait, want)
				}
			default:
				c.advance(wait)
				if ok, _ := l.Peek("k"); !ok {
					t.Fatal("still refused after the wait")
				}
			}
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 2, Window: time.Minute})
	c.advance(time.Hour)
	l.Allow("k")
	c.advance(-time.Hour)
	l.Allow("k")
	if ok, wait := l.Allow("k"); ok || wait != time.Minute {
		t.Errorf("after the clock went back: %v %v", ok, wait)
	}
}

func TestConcurrent(t *testing.T) {
	var c clock
	l := c.limiter(Config{Max: 100, Window: time.Minute})
	var wg sync.WaitGroup
	var allowed atomic.Int64
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				if ok, _ := l.Allow("shared"); ok {
					allowed.Add(1)
				}
				l.Peek("shared")
				l.Allow(fmt.Sprint(i))
				l.Keys()
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 100 {
		t.Errorf("allowed %d of 100", allowed.Load())
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":                     "192.0.2.7",
		"192.0.2.7:8080":                "192.0.2.7",
		"::ffff:192.0.2.7":              "192.0.2.7",
		"[::ffff:192.0.2.7]:80":         "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":          "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:443":    "2001:db8:1:2::/64",
		"[2001:db8:1:2::9]":             "2001:db8:1:2::/64",
		"2001:DB8:1:2::9":               "2001:db8:1:2::/64",
		"fe80::1%eth0":                  "fe80::/64",
		"[fe80::1%eth0]:1":              "fe80::/64",
		"::1":                           "::/64",
		"":                              "",
		"@":                             "@",
		"not an address":                "not an address",
		"1.2.3":                         "1.2.3",
		"1.2.3.4:99999":                 "1.2.3.4:99999",
		"[":                             "[",
		strings.Repeat("z", 1000):       strings.Repeat("z", 64),
		"2001:db8::1, 203.0.113.9":      "2001:db8::1, 203.0.113.9",
		"host.example:80":               "host.example:80",
		strings.Repeat("1", 65) + ":80": strings.Repeat("1", 64),
	} {
		if got := AddressKey(in); got != want {
			t.Errorf("AddressKey(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzAddressKey(f *testing.F) {
	for _, s := range []string{"192.0.2.7:1", "[::1%x]:2", "::ffff:1.2.3.4", "[", "]", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k := AddressKey(s); len(k) > maxAddressText {
			t.Errorf("AddressKey(%q) is %d bytes", s, len(k))
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	l := New(Config{Max: 1 << 30, Window: time.Minute})
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("198.51.%d.%d", i/256, i%256)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.Allow(keys[i%len(keys)])
		}
	})
}
