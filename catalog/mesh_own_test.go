package catalog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aimarket/aimarket/internal/identity"
)

// due reports whether a new head was announced as due since the last call.
func (m *member) due() bool {
	select {
	case <-m.OwnChanges():
		return true
	default:
		return false
	}
}

// A head is due when what it says changes, and only then; each has a greater sequence,
// also after a restart, after the clock went back and after an old backup was restored.
func TestNextUpdateIsDue(t *testing.T) {
	a := mesh(t, 1)[0]
	ctx := context.Background()
	var last uint64
	step := func(what string, wanted bool, refresh bool) *Update {
		t.Helper()
		if due := a.due(); !refresh && due != wanted {
			t.Fatalf("%s: due is %v", what, due)
		}
		u, err := a.NextUpdate(ctx, refresh)
		must(t, err)
		if (u != nil) != (wanted || refresh) {
			t.Fatalf("%s: %+v", what, u)
		}
		if u != nil {
			if u.Head.Sequence <= last {
				t.Fatalf("%s: sequence %d after %d", what, u.Head.Sequence, last)
			}
			last = u.Head.Sequence
			if h, ok := a.HeadOf(a.pub()); !ok || h.Sequence != last {
				t.Fatalf("%s: its own head is %+v", what, h)
			}
		}
		return u
	}
	if h := a.Heads(); len(h) != 0 {
		t.Fatalf("heads before the first: %+v", h)
	}
	step("start", true, false)
	step("nothing", false, false)
	a.put(row("prod-1", "tool@v1"))
	step("published", true, false)
	a.put(row("prod-1", "tool@v1"))
	step("published the same", false, false)
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "")
	step("an address", true, false)
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "")
	step("the same address", false, false)
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "HTTPS://Shop.example.org/")
	if u := step("a URL", true, false); u.Head.HubURL != "https://shop.example.org" || u.Head.Digest != u.Base {
		t.Fatalf("%+v", u.Head)
	}
	step("refresh", false, true)
	for range 3 {
		a.Observe(Key{"prod-1", "tool@v1", Local}, true, time.Millisecond)
	}
	a.fold(a.clock.Now())
	if u := step("measured", true, false); len(u.Tools) != 1 || !strings.Contains(string(u.Tools[0].Raw), `"observations_30d":3`) {
		t.Fatalf("measured: %s", u.Raw())
	}
	a.reopen(t)
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "https://shop.example.org")
	a.due()
	a.clock.add(-time.Hour)
	step("refresh after the clock went back", false, true)
	a.clock.add(time.Hour + 5*time.Second)
	// Heard before the first head of this run: this key was further once.
	heard := &Head{PublicKey: a.pub(), Sequence: last + 1e6, raw: []byte("x")}
	a.reopen(t)
	a.due()
	if in := a.takeOwn(heard); in.Reason != ReasonSelf {
		t.Fatalf("%+v", in)
	}
	last = heard.Sequence
	step("refresh after a backup", false, true)
	must(t, a.Remove(ctx, Key{"prod-1", "tool@v1", Local}))
	if u := step("unpublished", true, false); u.Head.Capabilities != 0 || u.Head.Digest != emptyListing {
		t.Fatalf("%+v", u.Head)
	}
	a.clock.add(AwayAfter)
	if u, err := a.NextUpdate(ctx, false); err != nil || u == nil {
		t.Fatalf("after its head expired: %v, %v", u, err)
	}
}

// However often and by whatever way own rows change, the listing that is kept in step
// is the one that a pass over all rows would give.
func TestOwnListingIsTheManifests(t *testing.T) {
	ctx := context.Background()
	check := func(t *testing.T, m *member) *Update {
		t.Helper()
		u := m.next(t, true)
		m.mesh.own.all = true
		again, tools, err := m.ownListing(&digests{})
		must(t, err)
		if u.Head.Digest != again.digest() || u.Head.Size != int(again.size) || u.Head.Capabilities != len(tools) {
			t.Fatalf("head says %d tools of %d bytes, a pass over all finds %d of %d", u.Head.Capabilities, u.Head.Size, len(tools), again.size)
		}
		raw, err := m.UpdateFor(ctx, m.pub(), "")
		must(t, err)
		whole, err := ParseUpdate(raw)
		must(t, err)
		if whole.Head.Sequence != u.Head.Sequence {
			t.Fatal("another head is served")
		}
		m.mesh.own.all = false
		return whole
	}
	t.Run("more rows than a listing holds", func(t *testing.T) {
		m := mesh(t, 1)[0]
		rows := benchRows(MaxListed + 20)
		m.put(rows...)
		if u := check(t, m); len(u.Tools) != MaxListed {
			t.Fatalf("%d tools", len(u.Tools))
		}
		for _, r := range rows[:30] {
			must(t, m.Remove(ctx, r.Key))
			m.next(t, true)
		}
		if u := check(t, m); len(u.Tools) != MaxListed-10 {
			t.Fatalf("%d tools", len(u.Tools))
		}
	})
	t.Run("more bytes than a listing holds", func(t *testing.T) {
		m := mesh(t, 1)[0]
		big := []byte(`{"type":"object","description":"` + strings.Repeat("x", 200_000) + `"}`)
		for i := range 12 {
			r := row("prod-big", fmt.Sprintf("big%d@v1", i))
			r.InputSchema = big
			m.put(r)
		}
		u := check(t, m)
		if len(u.Tools) != 9 || len(u.Raw()) > MaxUpdateBytes {
			t.Fatalf("%d tools, %d bytes", len(u.Tools), len(u.Raw()))
		}
		m.put(row("prod-small", "small@v1"))
		must(t, m.Remove(ctx, Key{"prod-big", "big0@v1", Local}))
		must(t, m.Remove(ctx, Key{"prod-big", "big1@v1", Local}))
		if u := check(t, m); len(u.Tools) != 10 {
			t.Fatalf("%d tools", len(u.Tools))
		}
	})
}

// Who holds an earlier listing is served the changes; who does not, the whole.
func TestUpdateFor(t *testing.T) {
	ms := mesh(t, 2)
	a, b, ctx := ms[0], ms[1], context.Background()
	rows := benchRows(50)
	a.put(rows...)
	first := a.next(t, false)
	b.give(t, first, byRelay)
	for i := range 5 {
		r := rows[i]
		r.PriceMicros = 2_000_000
		a.put(r)
		must(t, a.Remove(ctx, rows[10+i].Key))
		b.give(t, a.next(t, false), byRelay)
	}
	newest, _ := a.HeadOf(a.pub())
	for name, m := range map[string]*member{"owner": a, "another": b} {
		for _, tt := range []struct {
			name, have     string
			base           string
			tools, removed int
		}{
			{"nothing", "", "", 45, 0},
			{"an unknown listing", strings.Repeat("ab", 32), "", 45, 0},
			{"the first", first.Head.Digest, first.Head.Digest, 5, 5},
			{"the newest", newest.Digest, newest.Digest, 0, 0},
		} {
			raw, err := m.UpdateFor(ctx, a.pub(), tt.have)
			must(t, err)
			u, err := ParseUpdate(raw)
			must(t, err)
			if u.Base != tt.base || len(u.Tools) != tt.tools || len(u.Removed) != tt.removed || u.Head.Sequence != newest.Sequence {
				t.Errorf("%s, who has %s: base %q, %d tools, %d removed", name, tt.name, u.Base, len(u.Tools), len(u.Removed))
			}
		}
	}
	late := newMember(t, 9, a.clock)
	defer late.close(t)
	late.give(t, first, byRelay)
	expect(t, "changes made for one asker", late.fetch(t, b, a.pub(), first.Head.Digest), Ignore, ReasonApplied)
	if diff := cmp.Diff(a.offers(t, Local), late.offers(t, KeyURL(a.pub()))); diff != "" {
		t.Fatalf("rows differ:\n%s", diff)
	}
	if _, err := b.UpdateFor(ctx, keyOf(99).Public(), ""); err == nil {
		t.Fatal("an unknown hub's listing is served")
	}
}

// The bounds on what is remembered of changes hold, whatever the hubs do.
func TestHistoryIsBounded(t *testing.T) {
	h := history{byKey: map[identity.PublicKey]*steps{}}
	ids := make([]RowID, maxStepIDs)
	for i := range ids {
		ids[i] = RowID{"p", fmt.Sprint(i)}
	}
	for hub := range 1000 {
		for i := range 3 {
			h.add(identity.PublicKey{byte(hub), byte(hub >> 8)}, fmt.Sprint("base", i), nil, ids)
		}
	}
	sum := 0
	for _, s := range h.byKey {
		sum += s.ids
	}
	if sum != h.ids || sum > maxHistory {
		t.Fatalf("%d remembered, counted %d", sum, h.ids)
	}
	key := identity.PublicKey{1}
	h.drop(key)
	for i := range 2 * maxSteps {
		h.add(key, fmt.Sprint("base", i), nil, nil)
	}
	if n := len(h.byKey[key].list); n != maxSteps {
		t.Fatalf("%d steps", n)
	}
	if _, ok := h.since(key, "base1"); ok {
		t.Fatal("a forgotten step is known")
	}
}

// A head fits its bound whatever the hub is called and wherever it is reached.
func TestHeadFits(t *testing.T) {
	m := mesh(t, 1, func(c *Config) { c.HubName = strings.Repeat("ü", 300) })[0]
	for i := range 40 {
		m.put(row("prod-1", fmt.Sprintf("%s%d.x@v1", strings.Repeat("c", 29), i)))
	}
	var addrs []string
	for i := range 2 * MaxMultiaddrs {
		addrs = append(addrs, fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001/p2p/%s", i, strings.Repeat("q", 100)))
	}
	m.SetAddresses("peer", addrs, "https://shop.example.org/"+strings.Repeat("p", 200))
	u := m.next(t, false)
	if _, err := ParseHead(u.Head.Raw()); err != nil || len(u.Head.Raw()) > MaxHeadBytes || len(u.Head.Multiaddrs) == 0 {
		t.Fatalf("%d bytes, %d addresses: %v", len(u.Head.Raw()), len(u.Head.Multiaddrs), err)
	}
}
