package catalog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A listing that finds no room is refused as a whole, whatever bound is reached: what was
// held stays in effect and is served on, the peer says why, and a smaller one is taken.
func TestListingWithoutRoom(t *testing.T) {
	bounds := map[string]func(*Config){
		"rows":  func(c *Config) { c.MaxRows = 6 },
		"bytes": func(c *Config) { c.MaxHeldBytes = 6 * 1500 },
	}
	for name, bound := range bounds {
		for _, door := range []string{"gossip", "head and fetch"} {
			t.Run(name+" by "+door, func(t *testing.T) {
				a, b := mesh(t, 1)[0], mesh(t, 2, bound)[1]
				list := func(n int) Intake { // of more than 1300 and less than 1500 bytes each
					for i := range 20 {
						if id := fmt.Sprintf("tool%02d@v1", i); i < n {
							r := row("prod-1", id)
							r.Description = fmt.Sprintf("of %d %s", n, strings.Repeat("x", 850))
							a.put(r)
						} else {
							_ = a.Remove(context.Background(), Key{"prod-1", id, Local})
						}
					}
					a.clock.add(time.Second)
					b.clock.add(time.Second)
					u := a.next(t, false)
					if door == "gossip" {
						return b.give(t, u, byAuthor)
					}
					in := b.tell(t, u.Head, byAuthor)
					if in.Want != nil {
						in = b.fetch(t, a, a.pub(), in.Want.Have)
					}
					return in
				}
				hub := KeyURL(a.pub())
				expect(t, "five", list(5), Accept, ReasonApplied)
				five, sum := b.offers(t, hub), b.Counts().HeldBytes
				if len(five) != 5 || sum < 5*1300 || sum > 5*1500 {
					t.Fatalf("%d rows of %d bytes", len(five), sum)
				}
				was, _ := b.Peer(hub)
				expect(t, "seven", list(7), Ignore, ReasonFull)
				p, _ := b.Peer(hub)
				if p.Sequence != was.Sequence || p.Digest != was.Digest || p.Held != was.Held || p.LastCrawl != was.LastCrawl || !strings.Contains(p.Why, noRoomMark) {
					t.Fatalf("after a refused listing: %+v", p)
				}
				if got := b.offers(t, hub); fmt.Sprint(got) != fmt.Sprint(five) {
					t.Fatalf("a part of it was taken: %q", got)
				}
				if n := b.Counts(); n.NoRoom != 1 || n.HeldBytes != sum {
					t.Fatalf("%+v", n)
				}
				consistent(t, b.Catalog)
				raw, err := b.UpdateFor(context.Background(), a.pub(), "")
				must(t, err)
				if u, err := ParseUpdate(raw); err != nil || len(u.Tools) != 5 {
					t.Fatalf("served on: %v", err)
				}
				b.reopen(t)
				if b.Counts().HeldBytes != sum {
					t.Fatalf("%d bytes after a restart", b.Counts().HeldBytes)
				}
				expect(t, "four", list(4), Accept, ReasonApplied)
				if p, _ := b.Peer(hub); strings.Contains(p.Why, noRoomMark) || len(b.offers(t, hub)) != 4 || p.Status != PeerActive {
					t.Fatalf("%+v", p)
				}
				consistent(t, b.Catalog)
				must(t, b.RemovePeer(context.Background(), hub))
				if n := b.Counts(); n.HeldBytes != 0 {
					t.Fatalf("%+v", n)
				}
				consistent(t, b.Catalog)
			})
		}
	}
}

// The same for a catalogue that the crawler brings.
func TestManifestWithoutRoom(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxRows = 3 })
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "a@v1", nil), tool("prod", "b@v1", nil))
	h.clock.add(time.Minute)
	in := h.TakeManifest(context.Background(), s.url, s.manifest(tool("prod", "c@v1", nil), tool("prod", "d@v1", nil), tool("prod", "e@v1", nil), tool("prod", "f@v1", nil)))
	if in.Verdict != Ignore || in.Reason != ReasonFull || len(h.findable(s.url)) != 2 || h.Counts().NoRoom != 1 {
		t.Fatalf("%s, %q", show(in), h.findable(s.url))
	}
	if p := mustPeer(t, h, s.url); !strings.Contains(p.Why, noRoomMark) || !strings.Contains(p.Why, "the bound is 3") {
		t.Fatalf("why %q", p.Why)
	}
	h.clock.add(time.Minute)
	if in := h.sell(s, tool("prod", "c@v1", nil)); !in.Changed || len(h.findable(s.url)) != 1 {
		t.Fatalf("%s", show(in))
	}
	if p := mustPeer(t, h, s.url); strings.Contains(p.Why, noRoomMark) {
		t.Fatalf("why %q", p.Why)
	}
	consistent(t, h.Catalog)
}
