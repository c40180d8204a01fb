package gossip

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// TestLaneWaitsForTheUpdateBefore: an update that overtook its base waits for it, but
// not for long, and never for one that is older than what is in effect.
func TestLaneWaitsForTheUpdateBefore(t *testing.T) {
	key := identity.PublicKey{1}
	for name, c := range map[string]struct {
		base     string
		sequence uint64
		apply    time.Duration // when the base arrives, 0 never
		want     time.Duration
	}{
		"base in effect":   {"one", 2, 0, 0},
		"whole listing":    {"", 2, 0, 0},
		"old":              {"zero", 1, 0, 0},
		"base comes":       {"two", 3, 30 * time.Millisecond, 30 * time.Millisecond},
		"base never comes": {"two", 3, 0, laneWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLanes()
				l.note(key, 1, "one")
				if c.apply > 0 {
					time.AfterFunc(c.apply, func() { l.note(key, 2, "two") })
				}
				start := time.Now()
				if l.await(t.Context(), key, c.sequence, c.base) {
					t.Error("full")
				}
				if took := time.Since(start); took != c.want {
					t.Errorf("waited %v", took)
				}
				if l.waiting != 0 {
					t.Errorf("%d still wait", l.waiting)
				}
			})
		})
	}
}

func TestLanesAreBounded(t *testing.T) {
	l := newLanes()
	for i := range maxLanes + 100 {
		l.note(identity.PublicKey{byte(i), byte(i >> 8)}, 1, "x")
	}
	if n := l.of.Len(); n != maxLanes {
		t.Errorf("%d lanes", n)
	}
	l.waiting = maxLaneWaits
	key := identity.PublicKey{1}
	l.note(key, 1, "one")
	if !l.await(t.Context(), key, 3, "two") {
		t.Error("one more may wait than the bound says")
	}
}

func TestReplayedSequenceIsBehind(t *testing.T) {
	l, key := newLanes(), identity.PublicKey{9}
	if l.behind(key, 1) {
		t.Error("the first head is no news")
	}
	l.note(key, 5, "")
	for sequence, want := range map[uint64]bool{4: true, 5: true, 6: false} {
		if l.behind(key, sequence) != want {
			t.Errorf("sequence %d", sequence)
		}
	}
}
