package catalog

import (
	"context"
	"errors"
	"testing"
)

func TestLookup(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	_, err := h.Announce(ctx, Announcement{HubURL: "https://peer.example.org"})
	must(t, err)
	_, err = h.Approve(ctx, "https://peer.example.org", true)
	must(t, err)
	_, err = h.Announce(ctx, Announcement{HubURL: "https://pending.example.org"})
	must(t, err)
	low, high, dead, theirs := row("low", "sum@v1"), row("high", "sum@v1"), row("dead", "sum@v1"), row("theirs", "their.sum@v1")
	low.TrustScore, high.TrustScore, dead.TrustScore, dead.Builtin = 0.4, 0.6, 1, false
	theirs.SourceHub, theirs.Builtin = "https://peer.example.org", false
	h.put(low, high, dead, theirs)
	tests := []struct {
		name, product, capability, hub string
		want                           string // product found, "" is unknown
		noHub                          bool
	}{
		{"exact", "low", "sum@v1", Local, "low", false},
		{"no hub is local", "low", "sum@v1", "", "low", false},
		{"own URL is local", "low", "sum@v1", "https://hub.example.com", "low", false},
		{"no product", "", "sum@v1", Local, "high", false},
		{"guessed product", "sum", "sum@v1", Local, "high", false},
		{"product that cannot be one", "../x", "sum@v1", Local, "high", false},
		{"peer", "theirs", "their.sum@v1", "https://peer.example.org", "theirs", false},
		{"peer, guessed product", "their", "their.sum@v1", "https://peer.example.org", "theirs", false},
		{"a peer's capability is not ours", "theirs", "their.sum@v1", Local, "", false},
		{"ours is not a peer's", "low", "sum@v1", "https://peer.example.org", "", false},
		{"pending peer", "low", "sum@v1", "https://pending.example.org", "", true},
		{"unknown peer", "low", "sum@v1", "https://nobody.example.org", "", true},
		{"unknown capability", "low", "sub@v1", Local, "", false},
		{"prefix of a capability", "low", "sum", Local, "", false},
		{"zero bytes", "low", "sum@v1\x00local", Local, "", false},
		{"empty", "", "", "", "", false},
	}
	for range 2 { // cold, then from the cache
		for _, tt := range tests {
			got, err := h.Lookup(ctx, tt.product, tt.capability, tt.hub)
			var unknown *UnknownError
			switch {
			case tt.want != "":
				if err != nil || got.ProductID != tt.want {
					t.Errorf("%s: got %q, %v; want %q", tt.name, got.ProductID, err, tt.want)
				}
			case !errors.As(err, &unknown) || !errors.Is(err, ErrUnknown) || unknown.NoHub != tt.noHub:
				t.Errorf("%s: got %q, %v", tt.name, got.ProductID, err)
			}
		}
	}
}

// A change is seen by the next lookup, whatever was cached.
func TestLookupFollowsChanges(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	find := func(product string) string {
		r, err := h.Lookup(ctx, product, "sum@v1", Local)
		if err != nil && !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
		return r.ProductID
	}
	if got := find("one"); got != "" {
		t.Fatalf("found %q in an empty catalogue", got)
	}
	h.put(row("one", "sum@v1"))
	if got := find("one"); got != "one" {
		t.Fatalf("found %q, want the new row", got)
	}
	if got := find("guess"); got != "one" {
		t.Fatalf("found %q, want the only row", got)
	}
	best := row("two", "sum@v1")
	best.TrustScore = 1
	h.put(best)
	if got := find("guess"); got != "two" {
		t.Fatalf("found %q, want the row of more trust", got)
	}
	must(t, h.Remove(ctx, best.Key))
	if got := find("guess"); got != "one" {
		t.Fatalf("found %q after the removal", got)
	}
	if got := find("two"); got != "one" {
		t.Fatalf("found %q for the removed row", got)
	}
	if err := h.Remove(ctx, best.Key); !errors.Is(err, ErrUnknown) {
		t.Fatalf("removing twice: %v", err)
	}
}

func TestCacheRefusesFillsFromBeforeADrop(t *testing.T) {
	c := newCache[string, int](1000)
	_, _, epoch := c.get("a")
	c.drop("a") // a writer changed it while the reader was at the store
	c.put("a", 1, 10, epoch)
	if _, ok, _ := c.get("a"); ok {
		t.Fatal("a value read before the change was cached after it")
	}
	_, _, epoch = c.get("a")
	c.put("a", 2, 10, epoch)
	if v, ok, _ := c.get("a"); !ok || v != 2 {
		t.Fatal("a current value was not cached")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[int, int](1000)
	for i := range 10_000 {
		_, _, epoch := c.get(i)
		c.put(i, i, 10, epoch)
		if len(c.cur)+len(c.old) > 100 {
			t.Fatalf("%d entries of 10 bytes in 1000 bytes", len(c.cur)+len(c.old))
		}
	}
	if _, ok, _ := c.get(9999); !ok {
		t.Fatal("the newest entry is gone")
	}
	c.put(-1, 0, 501, c.epoch)
	if _, ok, _ := c.get(-1); ok {
		t.Fatal("an entry above half of the budget was cached")
	}
}
