package catalog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestSight(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxPending = 2 })
	ctx := context.Background()
	var bad *InvalidError
	for _, tt := range []struct {
		name, url string
		added     bool
		check     func(error) bool
	}{
		{"new", "https://A.example.org/", true, func(err error) bool { return err == nil }},
		{"again", "https://a.example.org", false, func(err error) bool { return err == nil }},
		{"ourselves", "https://hub.example.com", false, func(err error) bool { return err == nil }},
		{"private", "http://127.0.0.1:9", false, func(err error) bool { return errors.As(err, &bad) }},
		{"a key", KeyURL(keyOf(1).Public()), false, func(err error) bool { return errors.As(err, &bad) }},
		{"nonsense", "x", false, func(err error) bool { return errors.As(err, &bad) }},
		{"another", "https://b.example.org", true, func(err error) bool { return err == nil }},
		{"one too many", "https://c.example.org", false, func(err error) bool { return errors.Is(err, ErrFull) }},
	} {
		added, err := h.Sight(ctx, tt.url, "gossip:https://teller.example.org", 2)
		if added != tt.added || !tt.check(err) {
			t.Errorf("%s: %v, %v", tt.name, added, err)
		}
	}
	p, ok := h.Peer("https://a.example.org")
	if !ok || p.Status != PeerPending || p.Discoverer != "gossip:https://teller.example.org" || p.Depth != 2 || p.Why == "" {
		t.Fatalf("%+v", p)
	}
	h.reopen(t)
	if n := h.Counts().Pending; n != 2 {
		t.Fatalf("%d pending after a restart", n)
	}
}

// Nothing reopens a rejected hub but the operator's approval.
func TestReject(t *testing.T) {
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b, ctx := ms[0], ms[1], context.Background()
	manyTools(a)
	hub := KeyURL(a.pub())
	b.give(t, a.next(t, false), byAuthor)
	_, err := b.Approve(ctx, hub, true)
	must(t, err)
	in := b.tell(t, a.next(t, true).Head, byAuthor)
	b.fetch(t, a, a.pub(), in.Want.Have)
	if n := b.Counts(); n.Total != 10 || n.Peers != 1 {
		t.Fatalf("%+v", n)
	}
	p, err := b.Reject(ctx, hub)
	must(t, err)
	if p.Status != PeerRejected || p.Why == "" {
		t.Fatalf("%+v", p)
	}
	b.nowhere(t, a, "prod-many")
	expect(t, "its head", b.tell(t, a.next(t, true).Head, byAuthor), Ignore, ReasonRejected)
	b.reopen(t)
	if due, _ := b.TrialsDue(9); len(due) != 0 {
		t.Fatalf("a rejected hub is tried: %+v", due)
	}
	if p, err := b.NoteTrial(ctx, hub, Trial{Passed: true}); err != nil || p.Status != PeerRejected {
		t.Fatalf("a passed trial: %+v, %v", p, err)
	}
	if got := b.Peers(PeerRejected); len(got) != 1 || b.Counts().Pending != 0 {
		t.Fatalf("rejected %+v, %+v", got, b.Counts())
	}
	err = b.db.Scan([]byte(rangeTool), nil, func(key, _ []byte) (bool, error) { return true, fmt.Errorf("%q", key) })
	if err != nil {
		t.Fatalf("left of its listing: %v", err)
	}
	if p, err := b.Approve(ctx, hub, true); err != nil || p.Status != PeerActive {
		t.Fatalf("approved: %+v, %v", p, err)
	}
	if _, err := b.Reject(ctx, "https://nobody.example.org"); !errors.Is(err, ErrUnknown) {
		t.Fatalf("rejecting an unknown hub: %v", err)
	}
	consistent(t, b.Catalog)
}

// An announcement does not reopen a rejected address either.
func TestAnnounceOfARejectedHub(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	a := Announcement{HubURL: shopURL}
	_, err := h.Announce(ctx, a)
	must(t, err)
	_, err = h.Reject(ctx, shopURL)
	must(t, err)
	for _, a.Operator = range []bool{false, true} {
		res, err := h.Announce(ctx, a)
		if err != nil || !res.Known || res.Added || res.Status != PeerRejected {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	if added, err := h.Sight(ctx, shopURL, "x", 1); added || err != nil {
		t.Fatalf("sighted: %v, %v", added, err)
	}
	c := newMember(t, 3, h.clock)
	defer c.close(t)
	c.SetAddresses("", nil, shopURL)
	m := &member{hub: h}
	expect(t, "a key that claims it", m.tell(t, c.next(t, true).Head, byAuthor), Ignore, ReasonRejected)
}

func TestRejectedAreBounded(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	h.Catalog.mesh.rejected = MaxRejected
	_, err := h.Announce(ctx, Announcement{HubURL: shopURL})
	must(t, err)
	if _, err := h.Reject(ctx, shopURL); !errors.Is(err, ErrFull) {
		t.Fatalf("one too many: %v", err)
	}
}

func TestRepin(t *testing.T) {
	ctx := context.Background()
	yes, no := true, false
	first, second, third := keyOf(11).PublicBase64(), keyOf(12).PublicBase64(), keyOf(13).PublicBase64()
	var bad *InvalidError
	tests := []struct {
		name   string
		start  func(p *Peer)
		r      RepinRequest
		key    string
		status PeerState
		err    func(error) bool
	}{
		{"the advertised key heals", func(p *Peer) { p.Status, p.AdvertisedKey = PeerKeyMismatch, second }, RepinRequest{}, second, PeerActive, nil},
		{"a named key", nil, RepinRequest{PublicKey: second}, second, PeerActive, nil},
		{"with the previous one", nil, RepinRequest{PublicKey: second, PreviousKey: first}, second, PeerActive, nil},
		{"with a wrong previous one", nil, RepinRequest{PublicKey: second, PreviousKey: third}, "", "", func(err error) bool { return errors.As(err, &bad) }},
		{"with nonsense", nil, RepinRequest{PublicKey: "x"}, "", "", func(err error) bool { return errors.As(err, &bad) }},
		{"this hub's own key", nil, RepinRequest{PublicKey: testSigner{}.PublicBase64()}, "", "", func(err error) bool { return errors.As(err, &bad) }},
		{"back to pending", nil, RepinRequest{PublicKey: second, Trusted: &no}, second, PeerPending, nil},
		{"pending and trusted", func(p *Peer) { p.Status = PeerPending }, RepinRequest{PublicKey: second, Trusted: &yes}, second, PeerActive, nil},
		{"pending stays pending", func(p *Peer) { p.Status = PeerPending }, RepinRequest{PublicKey: second}, second, PeerPending, nil},
		{"no key known", func(p *Peer) { p.Status, p.PublicKey = PeerPending, "" }, RepinRequest{}, "", "", func(err error) bool { return errors.As(err, &bad) }},
		{"a key that is active elsewhere", nil, RepinRequest{PublicKey: third}, "", "", func(err error) bool { return errors.Is(err, ErrDuplicateIdentity) }},
		{"unknown", nil, RepinRequest{URL: "https://nobody.example.org"}, "", "", func(err error) bool { return errors.Is(err, ErrUnknown) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			store := func(p Peer) {
				h.mu.Lock()
				commit, err := h.storePeer(&p)
				h.mu.Unlock()
				must(t, err)
				must(t, commit.Wait())
			}
			store(Peer{URL: "https://other.example.org", PublicKey: third, Status: PeerActive, FirstSeen: testStart})
			p := Peer{URL: shopURL, PublicKey: first, Status: PeerActive, FirstSeen: testStart, LastCrawl: testStart}
			store(p)
			theirs := row("theirs", "sum@v1")
			theirs.SourceHub, theirs.Builtin = shopURL, false
			h.put(theirs)
			if tt.start != nil {
				tt.start(&p)
				store(p)
			}
			if tt.r.URL == "" {
				tt.r.URL = shopURL
			}
			got, err := h.Repin(ctx, tt.r)
			if tt.err != nil {
				if !tt.err(err) {
					t.Fatalf("error %v", err)
				}
				return
			}
			must(t, err)
			if got.PublicKey != tt.key || got.Status != tt.status || got.AdvertisedKey != "" || got.Why == "" {
				t.Fatalf("%+v", got)
			}
			_, err = h.Lookup(ctx, "theirs", "sum@v1", shopURL)
			if (err == nil) != (tt.status == PeerActive) {
				t.Fatalf("its row: %v", err)
			}
			h.reopen(t)
			if again, _ := h.Peer(shopURL); again.PublicKey != tt.key || again.Status != tt.status {
				t.Fatalf("after a restart: %+v", again)
			}
		})
	}
}

// A hub known by its key alone is known by its next key after a repin, and what the
// former one signed is void.
func TestRepinOfAKeyURL(t *testing.T) {
	ms := mesh(t, 2)
	a, b, ctx := ms[0], ms[1], context.Background()
	manyTools(a)
	b.give(t, a.next(t, false), byRelay)
	p, err := b.Repin(ctx, RepinRequest{URL: KeyURL(a.pub()), PublicKey: keyOf(40).PublicBase64()})
	must(t, err)
	if p.URL != KeyURL(keyOf(40).Public()) || p.Held != "" || p.Sequence != 0 || len(b.offers(t, p.URL)) != 10 {
		t.Fatalf("%+v", p)
	}
	heir := newMember(t, 40, a.clock)
	defer heir.close(t)
	must(t, heir.Put(ctx, []Capability{row("prod-many", "tool1@v1")}))
	expect(t, "the next key", b.give(t, heir.next(t, false), byRelay), Accept, ReasonApplied)
	if len(b.offers(t, p.URL)) != 1 {
		t.Fatalf("rows of the former key stay: %q", b.offers(t, p.URL))
	}
	consistent(t, b.Catalog)
}

func TestUnpublish(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	h.stake("alice", 100)
	_, err := h.Register(ctx, registration("alice", "shop"))
	must(t, err)
	h.put(row("inner", "echo@v1"))
	for _, tt := range []struct {
		name, product, capability, publisher string
		gate                                 Gate
		unknown                              bool
	}{
		{"another's", "shop", "tool@v1", "bob", GateProduct, false},
		{"built in", "inner", "echo@v1", "", GateProduct, false},
		{"not listed", "shop", "other@v1", "alice", "", true},
		{"no id", "shop", "../x", "alice", "", true},
		{"own", "shop", "tool@v1", "alice", "", false},
		{"gone", "shop", "tool@v1", "alice", "", true},
	} {
		err := h.Unpublish(ctx, tt.product, tt.capability, tt.publisher)
		switch {
		case tt.gate != "" && gateOf(err) != tt.gate, tt.unknown && !errors.Is(err, ErrUnknown), tt.gate == "" && !tt.unknown && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	_, err = h.Register(ctx, registration("alice", "shop"))
	must(t, err)
	must(t, h.Unpublish(ctx, "shop", "tool@v1", "")) // the operator
	consistent(t, h.Catalog)
}

func TestKeyURLs(t *testing.T) {
	key := keyOf(1).Public()
	for in, want := range map[string]string{
		KeyURL(key):                    KeyURL(key),
		KeyURL(key) + "/":              KeyURL(key),
		"LIBP2P" + KeyURL(key)[6:]:     KeyURL(key),
		"libp2p://12":                  "",
		KeyURL(key) + "/path":          "",
		KeyURL(key)[:len("libp2p://")]: "",
	} {
		got, err := NormalizeHubURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("NormalizeHubURL(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if k, ok := keyOfURL(KeyURL(key)); !ok || k != key {
		t.Error("a key does not survive its URL")
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1 << 40: 6 * time.Hour} {
		if got := backoff(trialFirst, failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
}
