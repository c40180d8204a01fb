package catalog

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A peer that nobody could reach is tried again within seconds, and at once when it is
// connected or names another address; one that broke a rule is not.
func TestUnreachedIsTriedAgainSoon(t *testing.T) {
	ctx := context.Background()
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b := ms[0], ms[1]
	hub, addr := KeyURL(a.pub()), []string{"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.2/tcp/4001"}
	a.SetAddresses("peer", addr[:1], "")
	expect(t, "a stranger", b.tell(t, a.next(t, true).Head, byAuthor), Ignore, ReasonPending)
	b.NoteReachable(a.pub())
	b.NoteReachable(b.pub())
	fails := func(unreached bool) Peer {
		t.Helper()
		p, err := b.NoteTrial(ctx, hub, Trial{Unreached: unreached, Detail: "silence"})
		must(t, err)
		for len(b.AdmissionDue()) > 0 {
			<-b.AdmissionDue()
		}
		return p
	}
	wait := func() time.Duration {
		t.Helper()
		p, _ := b.Peer(hub)
		if !strings.Contains(p.Why, "its trial failed: silence") || !strings.Contains(p.Why, stamp(p.Trial.Next)) {
			t.Fatalf("the next trial is at %s: %s", stamp(p.Trial.Next), p.Why)
		}
		return p.Trial.Next.Sub(p.Trial.At)
	}
	told := map[string]func(){
		"connected": func() { b.NoteReachable(a.pub()) },
		"another address": func() {
			addr[0], addr[1] = addr[1], addr[0]
			a.SetAddresses("peer", addr[:1], "")
			expect(t, "another address", b.tell(t, a.next(t, false).Head, byRelay), Ignore, ReasonPending)
		},
	}
	for n := 1; n <= 20; n++ {
		for what, tell := range told {
			p, _ := b.Peer(hub)
			p.Trial.Failures = n - 1
			must(t, b.keepPeer(&p))
			fails(true)
			if got, want := wait(), min(trialMost, unreachedFirst<<(n-1)); got != want {
				t.Fatalf("after %d failures: %s, not %s", n, got, want)
			}
			long := wait()
			tell()
			want := min(long, trialFirst)
			if n <= hurriedTrials {
				want = unreachedFirst
			}
			if got := wait(); got != want {
				t.Fatalf("%s after %d failures: %s, not %s", what, n, got, want)
			}
			if woken := len(b.AdmissionDue()) > 0; what == "connected" && woken != (want < long) {
				t.Fatalf("%s after %d failures: woken is %t", what, n, woken)
			}
		}
	}
	fails(false)
	before := wait()
	b.NoteReachable(a.pub())
	if got := wait(); got != before || got < trialFirst {
		t.Fatalf("one that broke a rule is tried after %s, was %s", got, before)
	}
}

// Whatever else is learned of a pending hub, its row says what failed and when it is
// tried again.
func TestPendingWhyTellsOfTheTrial(t *testing.T) {
	ctx := context.Background()
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b := ms[0], ms[1]
	a.SetAddresses("", nil, shopURL)
	expect(t, "a stranger", b.tell(t, a.next(t, true).Head, byAuthor), Ignore, ReasonPending)
	_, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Detail: "no receipt"})
	must(t, err)
	s := &stranger{t: t, key: a.key, url: shopURL, clock: a.clock}
	says := func(what, also string) {
		t.Helper()
		p, ok := b.Peer(shopURL)
		want := "pending: its trial failed: no receipt; the next one is at " + stamp(p.Trial.Next)
		if !ok || p.Status != PeerPending || !strings.HasPrefix(p.Why, want) || !strings.Contains(p.Why, also) {
			t.Fatalf("%s: %q", what, p.Why)
		}
	}
	if seen := b.TakeDiscovery(ctx, s.found(nil), "crawler", 1); seen.Moved != KeyURL(a.pub()) {
		t.Fatalf("%+v", seen)
	}
	says("found at its address", "it moved here from "+KeyURL(a.pub()))
	b.TakeUnreachable(ctx, shopURL, "timeout")
	says("silent", unreachable)
	b.TakeDiscovery(ctx, s.found(nil), "crawler", 1)
	says("answers again", "")
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, shopURL)
	expect(t, "another address", b.tell(t, a.next(t, true).Head, byAuthor), Ignore, ReasonPending)
	says("another address", "")
}
