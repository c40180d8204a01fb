package catalog

import (
	"context"
	"strings"
	"testing"
	"time"
)

// One key is one peer: what was only sighted is no bar to the hub that shows its key
// there, whichever comes first, and the records become one.
func TestSightedURLBecomesItsHubs(t *testing.T) {
	ctx := context.Background()
	sight := func(b *member) {
		_, err := b.Sight(ctx, shopURL, "seed", 0)
		must(b.t, err)
	}
	come := func(a, b *member) Intake { return b.give(b.t, a.next(b.t, true), byAuthor) }
	tests := map[string]struct {
		policy Admission
		do     func(t *testing.T, a, b *member)
	}{
		"seen first, trial confirms": {AdmitVerified, func(t *testing.T, a, b *member) {
			sight(b)
			b.clock.add(time.Hour)
			expect(t, "its head", come(a, b), Ignore, ReasonPending)
			_, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Passed: true, URLConfirmed: true, Address: shopURL})
			must(t, err)
		}},
		"head first, trial over streams, then a look": {AdmitVerified, func(t *testing.T, a, b *member) {
			come(a, b)
			sight(b)
			_, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Passed: true})
			must(t, err)
			b.clock.add(lookFirst)
			_, err = b.NoteClaim(ctx, KeyURL(a.pub()), shopURL, true, "")
			must(t, err)
		}},
		"approved by key, then the crawler reads the sighted address": {AdmitNone, func(t *testing.T, a, b *member) {
			come(a, b)
			_, err := b.Approve(ctx, KeyURL(a.pub()), true)
			must(t, err)
			sight(b)
			s := &stranger{t: t, key: a.key, url: shopURL, clock: b.clock}
			out := b.TakeDiscovery(ctx, s.found(nil), "gossip:x", 2)
			if out.Moved != KeyURL(a.pub()) || out.Peer != shopURL {
				t.Fatalf("%+v", out)
			}
		}},
		"sighted, open policy": {AdmitAll, func(t *testing.T, a, b *member) {
			sight(b)
			expect(t, "its head", come(a, b), Accept, ReasonApplied)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ms := mesh(t, 2, policy(tt.policy))
			a, b := ms[0], ms[1]
			a.put(row("prod-1", "tool@v1"))
			a.SetAddresses("", nil, shopURL)
			tt.do(t, a, b)
			p, ok := b.Peer(shopURL)
			if !ok || p.Status != PeerActive || p.PublicKey != a.key.PublicBase64() || p.ClaimedURL != "" {
				t.Fatalf("at its URL: %+v", p)
			}
			if !p.FirstSeen.Equal(testStart) || p.Discoverer != "seed" {
				t.Fatalf("first seen %v by %q", p.FirstSeen, p.Discoverer)
			}
			if n := b.Counts(); n.Peers != 1 || n.Pending != 0 {
				t.Fatalf("one hub is %+v", n)
			}
			b.fetch(t, a, a.pub(), "")
			if len(b.offers(t, shopURL)) != 1 || len(b.offers(t, KeyURL(a.pub()))) != 0 {
				t.Fatal("its row is not at its URL")
			}
			consistent(t, b.Catalog)
			b.reopen(t)
			if n := b.Counts(); n.Peers != 1 || n.Pending != 0 {
				t.Fatalf("after a restart: %+v", n)
			}
		})
	}
}

// The rows of a peer that is active under its key move with it, and keep what was measured.
func TestLookMovesRows(t *testing.T) {
	ms := mesh(t, 2, policy(AdmitNone))
	a, b, ctx := ms[0], ms[1], context.Background()
	a.put(row("prod-1", "tool@v1"))
	a.SetAddresses("", nil, shopURL)
	u := a.next(t, false)
	b.give(t, u, byAuthor)
	hub := KeyURL(a.pub())
	_, err := b.Approve(ctx, hub, true)
	must(t, err)
	b.fetch(t, a, a.pub(), "")
	if got := b.offers(t, hub); len(got) != 1 {
		t.Fatalf("%q", got)
	}
	if due, _ := b.TrialsDue(3); len(due) != 1 || due[0].URL != hub {
		t.Fatalf("its claim is not looked at: %+v", due)
	}
	wait := lookFirst
	for i := range 14 { // slower and slower, but for ever
		p, err := b.NoteClaim(ctx, hub, shopURL, false, "nobody is there")
		must(t, err)
		if p.Look.Failures != i+1 || p.Look.Next.Sub(p.Look.At) != wait || p.Status != PeerActive {
			t.Fatalf("look %d: %+v", i+1, p.Look)
		}
		if due, next := b.TrialsDue(3); len(due) != 0 || !next.Equal(p.Look.Next) {
			t.Fatalf("due %+v, next %v", due, next)
		}
		b.clock.add(wait)
		b.give(t, a.next(t, true), byAuthor) // it is heard, with the same claim
		wait = min(2*wait, trialMost)
	}
	_, err = b.NoteClaim(ctx, hub, shopURL, false, "nobody is there")
	must(t, err)
	for len(b.AdmissionDue()) > 0 {
		<-b.AdmissionDue()
	}
	// Somebody says that a hub is there: it is looked at soon, and the sighting says what
	// it waits for.
	b.clock.add(10 * time.Minute)
	_, err = b.Sight(ctx, shopURL, "crawler", 1)
	must(t, err)
	if due, _ := b.TrialsDue(3); len(due) != 1 || len(b.AdmissionDue()) != 1 {
		t.Fatalf("due %+v", due)
	}
	_, err = b.NoteClaim(ctx, hub, shopURL, false, "shows another key")
	must(t, err)
	if p, _ := b.Peer(shopURL); !strings.Contains(p.Why, hub) || !strings.Contains(p.Why, "another key") {
		t.Fatalf("why %q", p.Why)
	}
	// What was looked at is no longer what it claims.
	if p, err := b.NoteClaim(ctx, hub, "https://other.example.org", true, ""); err != nil || p.URL != hub {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err := b.NoteClaim(ctx, hub, shopURL, true, ""); err != nil || p.URL != shopURL || p.Discoverer == "crawler" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, known := b.Peer(hub); known || len(b.offers(t, shopURL)) != 1 || len(b.offers(t, hub)) != 0 {
		t.Fatal("it is there twice, or its row did not move")
	}
	if due, next := b.TrialsDue(3); len(due) != 0 || !next.IsZero() {
		t.Fatalf("due %+v, next %v", due, next)
	}
	consistent(t, b.Catalog)
	// It moves on: its next head claims another address, which shows its key.
	a.put(row("prod-1", "tool2@v1"))
	a.SetAddresses("", nil, "https://new.example.org")
	expect(t, "with another address", b.give(t, a.next(t, false), byAuthor), Accept, ReasonApplied)
	if due, _ := b.TrialsDue(3); len(due) != 0 {
		t.Fatal("looked at twice in a moment")
	}
	b.clock.add(lookFirst)
	if due, _ := b.TrialsDue(3); len(due) != 1 || due[0].ClaimedURL != "https://new.example.org" {
		t.Fatalf("due %+v", due)
	}
	if p, err := b.NoteClaim(ctx, shopURL, "https://new.example.org", true, ""); err != nil || p.URL != "https://new.example.org" || len(b.offers(t, p.URL)) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	consistent(t, b.Catalog)
}

// A trial confirms the address that it saw, not the one that is claimed when it ends.
func TestTrialConfirmsWhatItSaw(t *testing.T) {
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b, ctx := ms[0], ms[1], context.Background()
	a.SetAddresses("", nil, shopURL)
	b.tell(t, a.next(t, true).Head, byAuthor)
	const victim = "https://victim.example.org"
	a.SetAddresses("", nil, victim)
	b.clock.add(time.Second)
	b.tell(t, a.next(t, true).Head, byAuthor) // while the trial goes on
	p, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Passed: true, URLConfirmed: true, Address: shopURL})
	if err != nil || p.URL != KeyURL(a.pub()) || p.ClaimedURL != victim || p.Status != PeerActive {
		t.Fatalf("%+v, %v", p, err)
	}
	if p.Look.Next.Before(b.clock.Now()) {
		t.Fatalf("looked at again at once: %+v", p.Look)
	}
}

// A hub that changed its key while it waited is not blamed for its own address.
func TestPendingKeyBlocksNobody(t *testing.T) {
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b, ctx := ms[0], ms[1], context.Background()
	former := newStranger(b.hub, shopURL)
	b.meet(former)
	a.SetAddresses("", nil, shopURL)
	expect(t, "its head under a new key", b.tell(t, a.next(t, true).Head, byAuthor), Ignore, ReasonPending)
	p, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Passed: true, URLConfirmed: true, Address: shopURL})
	if err != nil || p.URL != shopURL || p.PublicKey != a.key.PublicBase64() || b.Counts().Pending != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
}
