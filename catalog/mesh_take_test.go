package catalog

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A change on one hub is searchable on another: first whole, then as a change.
func TestUpdatesTravel(t *testing.T) {
	ms := mesh(t, 3)
	a, b, c := ms[0], ms[1], ms[2]
	ctx := context.Background()
	for i := range 20 {
		a.put(row("prod-a", "tool"+string(rune('a'+i))+"@v1"))
	}
	<-a.OwnChanges()
	u := a.next(t, false)
	if u.Base != "" || len(u.Tools) != 20 {
		t.Fatalf("the first update has base %q and %d tools", u.Base, len(u.Tools))
	}
	in := b.give(t, u, byAuthor)
	expect(t, "first update", in, Accept, ReasonApplied)
	if !in.Changed || in.State != PeerActive || in.Peer != KeyURL(a.pub()) {
		t.Fatalf("first update: %+v", in)
	}
	same := func(m *member) {
		t.Helper()
		if diff := cmp.Diff(a.offers(t, Local), m.offers(t, KeyURL(a.pub()))); diff != "" {
			t.Fatalf("rows differ (-owner +receiver):\n%s", diff)
		}
		consistent(t, m.Catalog)
	}
	same(b)
	if n := found(t, b.Catalog, "toola"); n == 0 {
		t.Fatal("a peer's row is not found")
	}
	if u, err := a.NextUpdate(ctx, false); err != nil || u != nil {
		t.Fatalf("nothing changed, yet the next update is %v, %v", u, err)
	}
	dear := row("prod-a", "toolc@v1")
	dear.PriceMicros = 777_000
	a.put(dear)
	must(t, a.Remove(ctx, Key{"prod-a", "toold@v1", Local}))
	<-a.OwnChanges()
	u2 := a.next(t, false)
	if u2.Base != u.Head.Digest || len(u2.Tools) != 1 || len(u2.Removed) != 1 {
		t.Fatalf("the change has base %q, %d tools, %d removed", u2.Base, len(u2.Tools), len(u2.Removed))
	}
	expect(t, "change", b.give(t, u2, byRelay), Accept, ReasonApplied)
	same(b)
	expect(t, "again", b.give(t, u2, byRelay), Ignore, ReasonDuplicate)
	expect(t, "older", b.give(t, u, byRelay), Ignore, ReasonStale)

	// Who missed the first asks for it, and gets it from a third hub.
	in = c.give(t, u2, byRelay)
	expect(t, "change without its base", in, Accept, ReasonBase)
	if in.Want == nil || in.Want.Digest != u2.Head.Digest || in.Want.Have != "" {
		t.Fatalf("want %+v", in.Want)
	}
	in = c.fetch(t, b, a.pub(), "")
	expect(t, "fetched", in, Accept, ReasonApplied)
	same(c)
	if diff := cmp.Diff(b.Heads()[0], c.Heads()[0]); diff != "" {
		t.Fatalf("heads differ: %s", diff)
	}
	// A refresh of an unchanged listing is taken by its head alone.
	u3 := a.next(t, true)
	if !u3.Refresh() {
		t.Fatalf("refresh with base %q, %d tools", u3.Base, len(u3.Tools))
	}
	expect(t, "refresh", b.tell(t, u3.Head, byRelay), Accept, ReasonApplied)
	b.reopen(t)
	same(b)
	c.reopen(t)
	expect(t, "after a restart", c.give(t, u3, byRelay), Accept, ReasonApplied)
}
