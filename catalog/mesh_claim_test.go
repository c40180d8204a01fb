package catalog

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
)

// A hub that claims an address which may not be called from here is known by its key, as
// if it claimed none.
func TestClaimThatMayNotBeCalled(t *testing.T) {
	ctx := context.Background()
	for _, a := range []Admission{AdmitVerified, AdmitAll} {
		for _, claim := range []string{"http://127.0.0.1:9000", "http://localhost:9000", "http://shop.localhost:9000"} {
			t.Run(string(a)+" "+claim, func(t *testing.T) {
				var log bytes.Buffer
				ms := mesh(t, 2, policy(a), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				a, b := ms[0], ms[1]
				a.put(row("prod-1", "tool@v1"))
				a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, claim)
				in := b.give(t, a.next(t, false), byAuthor)
				hub := KeyURL(a.pub())
				if b.cfg.Admission == AdmitVerified {
					expect(t, "its head", in, Ignore, ReasonPending)
					due, _ := b.TrialsDue(5)
					if len(due) != 1 || due[0].URL != hub || due[0].ClaimedURL != "" || len(due[0].Multiaddrs) != 1 {
						t.Fatalf("due: %+v", due)
					}
					_, err := b.NoteTrial(ctx, hub, Trial{Passed: true})
					must(t, err)
					in = b.give(t, a.next(t, true), byAuthor)
				}
				expect(t, "its head when admitted", in, Accept, in.Reason)
				p, ok := b.PeerByKey(a.pub())
				if !ok || p.URL != hub || p.ClaimedURL != "" || p.Status != PeerActive {
					t.Fatalf("%+v", p)
				}
				if due, next := b.TrialsDue(5); len(due) != 0 || !next.IsZero() {
					t.Fatalf("a look at what may not be called: %+v, %v", due, next)
				}
				if log.Len() > 0 {
					t.Fatalf("a head is worth no line of the log:\n%s", log.String())
				}
				if _, ok := b.Peer(claim); ok {
					t.Fatal("the address is a peer")
				}
				consistent(t, b.Catalog)
			})
		}
	}
}

// Of a hub that was known at a public address one that may not be called takes nothing.
func TestClaimThatMayNotBeCalledOfKnownHub(t *testing.T) {
	ms := mesh(t, 2)
	a, b := ms[0], ms[1]
	a.put(row("prod-1", "tool@v1"))
	a.SetAddresses("", nil, shopURL)
	expect(t, "public", b.give(t, a.next(t, false), byAuthor), Accept, ReasonApplied)
	a.SetAddresses("", nil, "http://127.0.0.1:9000")
	expect(t, "private", b.give(t, a.next(t, false), byAuthor), Accept, ReasonApplied)
	if p, _ := b.PeerByKey(a.pub()); p.URL != shopURL || p.ClaimedURL != "" || len(b.offers(t, shopURL)) != 1 {
		t.Fatalf("%+v", p)
	}
}
