package gossip

import (
	"math"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// TestBucketNeverGivesMore: in any span the allowed events stay within burst and rate.
func TestBucketNeverGivesMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		b := newBuckets[string](authorRate, authorBurst, 8, func() time.Time { return now })
		allowed, start := 0, now
		for range rapid.IntRange(1, 400).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "ms")) * time.Millisecond)
			if ok, _ := b.take("k", 1); ok {
				allowed++
			}
			if most := authorBurst + authorRate*now.Sub(start).Seconds(); float64(allowed) > math.Ceil(most) {
				t.Fatalf("%d events after %v", allowed, now.Sub(start))
			}
		}
	})
}

func TestBucketAllowsWhatAHubPublishes(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBuckets[string](authorRate, authorBurst, 8, func() time.Time { return now })
	for i := range 2000 { // 100 seconds at the publisher's pace, with its repair heads
		if ok, _ := b.take("k", 1); !ok {
			t.Fatalf("update %d is over the limit", i)
		}
		if ok, _ := b.take("k", 0.05); !ok {
			t.Fatalf("head %d is over the limit", i)
		}
		now = now.Add(publishPace)
	}
}

func TestBucketFarOver(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBuckets[string](10, 5, 2, func() time.Time { return now })
	var verdicts []string
	for range 12 {
		ok, far := b.take("k", 1)
		switch {
		case ok:
			verdicts = append(verdicts, "ok")
		case far:
			verdicts = append(verdicts, "far")
		default:
			verdicts = append(verdicts, "over")
		}
	}
	for i, want := range []string{"ok", "ok", "ok", "ok", "ok", "over", "over", "over", "over", "far", "far", "far"} {
		if verdicts[i] != want {
			t.Fatalf("%v", verdicts)
		}
	}
	now = now.Add(time.Minute)
	if ok, _ := b.take("k", 1); !ok {
		t.Error("the debt does not fade")
	}
	for _, k := range []string{"a", "b", "c"} {
		b.take(k, 1)
	}
	if n := b.keys.Len(); n != 2 {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestSlots(t *testing.T) {
	s := newSlots(3, 2)
	a, b := peer.ID("a"), peer.ID("b")
	for i, c := range []struct {
		p    peer.ID
		want bool
	}{{a, true}, {a, true}, {a, false}, {b, true}, {b, false}} {
		if got := s.acquire(c.p); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	s.release(a)
	if !s.acquire(b) || s.free() {
		t.Error("a released slot is not free for another")
	}
	s.release(a)
	s.release(b)
	s.release(b)
	if len(s.of) != 0 || s.used != 0 {
		t.Errorf("left: %v", s.of)
	}
}

func TestOffencesFade(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBlame(func() time.Time { return now })
	for range maxStreamOffence {
		b.add("x")
	}
	if got := b.score("x"); got > graylistThreshold {
		t.Errorf("%v after %d offences", got, maxStreamOffence)
	}
	now = now.Add(offenceHalf)
	if got := b.of("x"); math.Abs(got-maxStreamOffence/2) > 0.01 {
		t.Errorf("%v offences after one half-life", got)
	}
	for i := range maxBlamed + 10 {
		b.add(peer.ID([]byte{byte(i), byte(i >> 8)}))
	}
	if n := b.list.Len(); n > maxBlamed {
		t.Errorf("%d peers are remembered", n)
	}
}
