package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const shopURL = "https://shop.example.org"

// nowhere checks that nothing of a hub is published or served.
func (m *member) nowhere(t *testing.T, of *member, word string) {
	t.Helper()
	ctx, zero := context.Background(), 0.0
	res, err := m.Search(ctx, Query{MinTrust: &zero, IncludeDemo: true, IncludeStale: true, LimitAll: true})
	must(t, err)
	for _, r := range res.Matches {
		if r.SourceHub != Local {
			t.Errorf("search finds %v", r.Key)
		}
	}
	for _, hub := range []string{KeyURL(of.pub()), shopURL} {
		if _, err := m.Lookup(ctx, "prod-1", "tool@v1", hub); !errors.Is(err, ErrUnknown) {
			t.Errorf("lookup at %s: %v", hub, err)
		}
	}
	docs := map[string]func(context.Context) (Document, error){"manifest": m.Manifest, "prices": m.Prices}
	for name, make := range docs {
		doc, err := make(ctx)
		must(t, err)
		if strings.Contains(string(doc.Body), word) || strings.Contains(string(doc.Body), KeyURL(of.pub())) || strings.Contains(string(doc.Body), shopURL) {
			t.Errorf("%s speaks of it: %s", name, doc.Body)
		}
	}
	for _, h := range m.Heads() {
		if h.Key == of.pub() {
			t.Errorf("heads list it")
		}
	}
	if _, ok := m.HeadOf(of.pub()); ok {
		t.Error("its head is served")
	}
	if _, err := m.UpdateFor(ctx, of.pub(), ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("its listing is served: %v", err)
	}
	if n := m.Counts(); n.Peers != 0 || n.Total != n.Local {
		t.Errorf("counts %+v", n)
	}
}

// A stranger waits, unseen by everything but the preview, until its trial passes; then
// what it sells comes with the next comparison.
func TestVerifiedAdmission(t *testing.T) {
	ms := mesh(t, 2, policy(AdmitVerified))
	a, b, ctx := ms[0], ms[1], context.Background()
	for i := range maxPreview + 5 {
		a.put(row("prod-1", fmt.Sprintf("secretword%02d@v1", i)))
	}
	a.put(row("prod-1", "tool@v1"))
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, shopURL)
	u := a.next(t, false)
	expect(t, "a stranger", b.give(t, u, byAuthor), Ignore, ReasonPending)
	select {
	case <-b.AdmissionDue():
	default:
		t.Fatal("nobody is told of the stranger")
	}
	b.nowhere(t, a, "secretword")
	hub := KeyURL(a.pub())
	rows, err := b.Preview(ctx, hub, 0)
	must(t, err)
	if len(rows) != maxPreview || rows[0].CapabilityID != "secretword00@v1" || rows[0].SourceHub != hub {
		t.Fatalf("the preview has %d rows, first %+v", len(rows), rows[0].Key)
	}
	if rows, err := b.Preview(ctx, hub, 3); err != nil || len(rows) != 3 {
		t.Fatalf("3 rows of the preview: %d, %v", len(rows), err)
	}
	b.reopen(t)
	b.nowhere(t, a, "secretword")

	due, next := b.TrialsDue(5)
	if len(due) != 1 || due[0].ClaimedURL != shopURL || !next.IsZero() {
		t.Fatalf("due %+v, next %v", due, next)
	}
	wait := trialFirst
	for i := range 12 {
		p, err := b.NoteTrial(ctx, hub, Trial{Detail: "no receipt"})
		must(t, err)
		if p.Status != PeerPending || p.Trial.Failures != i+1 || p.Trial.Next.Sub(p.Trial.At) != wait || !strings.Contains(p.Why, "no receipt") {
			t.Fatalf("failure %d: %+v", i+1, p)
		}
		if due, next := b.TrialsDue(5); len(due) != 0 || !next.Equal(p.Trial.Next) {
			t.Fatalf("after a failure: due %+v, next %v", due, next)
		}
		b.clock.add(wait)
		if due, _ := b.TrialsDue(5); len(due) != 1 {
			t.Fatal("not due when its wait is over")
		}
		wait = min(2*wait, trialMost)
	}
	// Another address makes it worth a trial at once.
	_, err = b.NoteTrial(ctx, hub, Trial{Detail: "no receipt"})
	must(t, err)
	a.SetAddresses("peer", []string{"/ip4/192.0.2.2/tcp/4001"}, shopURL)
	u = a.next(t, false)
	expect(t, "another address", b.tell(t, u.Head, byRelay), Ignore, ReasonPending)
	if due, _ := b.TrialsDue(5); len(due) != 0 {
		t.Fatal("due again within a moment: it could change its address for ever")
	}
	b.clock.add(trialFirst)
	if due, _ := b.TrialsDue(5); len(due) != 1 {
		t.Fatal("not due with another address")
	}
	if due, next := b.TrialsDue(0); len(due) != 0 || next.IsZero() {
		t.Fatalf("more than asked for: %+v, %v", due, next)
	}
	p, err := b.NoteTrial(ctx, hub, Trial{Passed: true, URLConfirmed: true, Address: shopURL, Detail: "one receipt"})
	must(t, err)
	if p.Status != PeerActive || p.URL != shopURL || p.ClaimedURL != "" || !strings.Contains(p.Why, "one receipt") {
		t.Fatalf("passed: %+v", p)
	}
	if rows, err := b.Preview(ctx, shopURL, 0); err != nil || len(rows) != 0 {
		t.Fatalf("preview of an admitted hub: %d, %v", len(rows), err)
	}
	in := b.tell(t, u.Head, byRelay)
	expect(t, "its known head", in, Ignore, ReasonWanted)
	expect(t, "its listing", b.fetch(t, a, a.pub(), in.Want.Have), Accept, ReasonApplied)
	if diff := cmp.Diff(a.offers(t, Local), b.offers(t, shopURL)); diff != "" {
		t.Fatalf("rows differ (-owner +receiver):\n%s", diff)
	}
	if c, err := b.Lookup(ctx, "", "tool@v1", hub); err != nil || c.SourceHub != shopURL {
		t.Fatalf("lookup by its key: %v, %v", c.SourceHub, err)
	}
	b.reopen(t)
	if got, ok := b.PeerByKey(a.pub()); !ok || got.URL != shopURL || got.Status != PeerActive {
		t.Fatalf("after a restart: %+v", got)
	}
	consistent(t, b.Catalog)
}

func TestTrialNeedsPlace(t *testing.T) {
	ms := mesh(t, 3, policy(AdmitVerified))
	a, b, c, ctx := ms[0], ms[1], ms[2], context.Background()
	for _, m := range []*member{a, c} {
		m.SetAddresses("", nil, shopURL)
		expect(t, "stranger", b.tell(t, m.next(t, true).Head, byAuthor), Ignore, ReasonPending)
	}
	_, err := b.NoteTrial(ctx, KeyURL(a.pub()), Trial{Passed: true, URLConfirmed: true, Address: shopURL})
	must(t, err)
	p, err := b.NoteTrial(ctx, KeyURL(c.pub()), Trial{Passed: true, URLConfirmed: true, Address: shopURL})
	must(t, err)
	if p.URL != KeyURL(c.pub()) || p.Status != PeerActive {
		t.Fatalf("two keys at one address: %+v", p)
	}
	if o, _ := b.Peer(shopURL); o.PublicKey != a.key.PublicBase64() {
		t.Fatal("the address changed hands")
	}
	if _, err := b.NoteTrial(ctx, "https://nobody.example.org", Trial{}); !errors.Is(err, ErrUnknown) {
		t.Fatalf("trial of an unknown hub: %v", err)
	}
	// A later failed trial does not undo an admission.
	if p, err = b.NoteTrial(ctx, KeyURL(c.pub()), Trial{}); err != nil || p.Status != PeerActive {
		t.Fatalf("%+v, %v", p, err)
	}
}

func TestOtherPoliciesTryNobody(t *testing.T) {
	for _, a := range []Admission{AdmitNone, ""} {
		ms := mesh(t, 2, policy(a))
		ms[1].tell(t, ms[0].next(t, true).Head, byAuthor)
		if due, next := ms[1].TrialsDue(9); len(due) != 0 || !next.IsZero() {
			t.Fatalf("policy %q tries %+v", a, due)
		}
		p, err := ms[1].Approve(context.Background(), KeyURL(ms[0].pub()), true)
		if err != nil || p.Status != PeerActive || p.Why == "" {
			t.Fatalf("approve: %+v, %v", p, err)
		}
		expect(t, "an approved hub", ms[1].tell(t, ms[0].next(t, true).Head, byAuthor), Accept, ReasonApplied)
	}
}

// A key that the operator pinned for a seed is admitted at first contact, whatever the
// policy; the seed's URL is nobody else's.
func TestSeedPins(t *testing.T) {
	pin := func(c *Config) {
		c.Admission = AdmitNone
		c.SeedKeys = map[string]string{shopURL + wellKnownPath: keyOf(1).PublicBase64()}
	}
	ms := mesh(t, 3, pin)
	a, b, thief := ms[0], ms[1], ms[2]
	thief.SetAddresses("", nil, shopURL)
	expect(t, "another key at a pinned URL", b.tell(t, thief.next(t, true).Head, byAuthor), Reject, ReasonURLTaken)
	a.put(row("prod-1", "tool@v1"))
	a.SetAddresses("", nil, shopURL)
	in := b.give(t, a.next(t, false), byRelay)
	expect(t, "a pinned key", in, Accept, ReasonApplied)
	if in.Peer != shopURL || in.State != PeerActive {
		t.Fatalf("%+v", in)
	}
}

// A hub whose address changes keeps its rows and their measurements, under the new one.
func TestMoves(t *testing.T) {
	ms := mesh(t, 2)
	a, b, ctx := ms[0], ms[1], context.Background()
	manyTools(a)
	expect(t, "at first", b.give(t, a.next(t, false), byAuthor), Accept, ReasonApplied)
	from := KeyURL(a.pub())
	for range 10 {
		b.Observe(Key{"prod-many", "tool1@v1", from}, true, 7*time.Millisecond)
	}
	b.fold(b.clock.Now())
	must(t, err2(b.Sight(ctx, shopURL, "gossip:x", 2))) // somebody named the new address before
	a.SetAddresses("", nil, shopURL)
	in := b.tell(t, a.next(t, false).Head, byRelay)
	expect(t, "moved", in, Accept, ReasonApplied)
	check := func() {
		t.Helper()
		if diff := cmp.Diff(a.offers(t, Local), b.offers(t, shopURL)); diff != "" || len(b.offers(t, from)) != 0 {
			t.Fatalf("rows after the move (-owner +receiver):\n%s", diff)
		}
		r, err := b.Lookup(ctx, "prod-many", "tool1@v1", shopURL)
		if err != nil || r.Observations30d != 10 {
			t.Fatalf("measurements after the move: %+v, %v", r, err)
		}
		if p, ok := b.Peer(shopURL); !ok || p.PublicKey != a.key.PublicBase64() || p.Status != PeerActive {
			t.Fatalf("peer after the move: %+v", p)
		}
		if _, ok := b.Peer(from); ok || b.Counts().Peers != 1 || b.Counts().Pending != 0 {
			t.Fatalf("the old record stays: %+v", b.Counts())
		}
		consistent(t, b.Catalog)
	}
	if in.Peer != shopURL {
		t.Fatalf("%+v", in)
	}
	check()
	b.reopen(t)
	check()
	// A change that comes with another name renames all rows, not only the changed one.
	a.Catalog.cfg.HubName = "Renamed"
	a.put(row("prod-1", "second@v1"))
	expect(t, "renamed", b.give(t, a.next(t, false), byRelay), Accept, ReasonApplied)
	for _, r := range listing(t, b.Catalog) {
		if r.SourceHubName != "Renamed" {
			t.Fatalf("row %v is of %q", r.Key, r.SourceHubName)
		}
	}
	check()
}

func err2[T any](_ T, err error) error { return err }

// Who was heard under two keys, one naming the other, is one hub: its rows stay and
// the former key counts for nothing.
func TestSuccession(t *testing.T) {
	for _, metBefore := range []bool{false, true} {
		t.Run(fmt.Sprint("met before: ", metBefore), func(t *testing.T) {
			ms := mesh(t, 2)
			a, b := ms[0], ms[1]
			manyTools(a)
			b.give(t, a.next(t, false), byRelay)
			first, _ := b.PeerByKey(a.pub())
			if metBefore {
				early := newMember(t, 50, a.clock)
				expect(t, "the new key alone", b.tell(t, early.next(t, true).Head, byRelay), Accept, ReasonApplied)
				early.close(t)
				a.clock.add(time.Second)
			}
			heir := newMember(t, 50, a.clock, succeeds(a.key, 50))
			defer heir.close(t)
			heir.t = t
			manyTools(heir)
			in := b.tell(t, heir.next(t, false).Head, byRelay)
			expect(t, "succession", in, Accept, ReasonWanted)
			p, ok := b.PeerByKey(heir.pub())
			if !ok || p.URL != KeyURL(heir.pub()) || !p.FirstSeen.Equal(first.FirstSeen) || b.Counts().Peers != 1 {
				t.Fatalf("%+v, %+v", p, b.Counts())
			}
			if len(b.offers(t, p.URL)) != 10 || len(b.offers(t, KeyURL(a.pub()))) != 0 {
				t.Fatal("the rows did not stay")
			}
			expect(t, "the listing", b.fetch(t, heir, heir.pub(), in.Want.Have), Accept, ReasonApplied)
			b.reopen(t)
			expect(t, "the former key", b.tell(t, a.next(t, true).Head, byRelay), Ignore, ReasonKeyChanged)
			if n := b.Counts(); n.Peers != 1 || n.Total != 10 {
				t.Fatalf("%+v", n)
			}
			consistent(t, b.Catalog)
		})
	}
}

// A hub that gets another key lists under it what it listed before, keeps nothing under
// the former one and takes no head of it for somebody else's.
func TestOwnKeySucceeded(t *testing.T) {
	ms := mesh(t, 2)
	a, b := ms[0], ms[1]
	manyTools(a)
	old := a.next(t, false)
	b.give(t, old, byRelay)
	first := a.pub()
	a.close(t)
	a.key = keyOf(60)
	succeeds(keyOf(1), 60)(&a.cfg)
	a.cfg.Signer = a.key
	a.clock.add(time.Second)
	a.open(t)
	expect(t, "its own former head", a.tell(t, old.Head, byRelay), Ignore, ReasonSelf)
	if l, err := readListing(a.cfg.Store, first); err != nil || len(l.entries) > 0 || err2(readStoredHead(a.cfg.Store, first)) == nil {
		t.Errorf("%d rows of the former key are still stored: %v", len(l.entries), err)
	}
	b.give(t, a.next(t, false), byRelay)
	if n := b.Counts(); n.Peers != 1 || n.Total != 10 || len(b.offers(t, KeyURL(a.pub()))) != 10 {
		t.Errorf("%+v", n)
	}
	consistent(t, b.Catalog)
}

// Two listings under one sequence: whoever saw which first, all end with the same one.
func TestEquivocationConverges(t *testing.T) {
	ms := mesh(t, 3)
	a, b, c := ms[0], ms[1], ms[2]
	a.put(row("prod-1", "tool@v1"))
	lesser, greater := twoListings(t, a)
	b.give(t, lesser, byRelay)
	b.give(t, greater, byRelay)
	c.give(t, greater, byRelay)
	for range 3 {
		c.give(t, lesser, byRelay)
	}
	if diff := cmp.Diff(b.Heads(), c.Heads()); diff != "" {
		t.Fatalf("heads differ:\n%s", diff)
	}
	if diff := cmp.Diff(b.offers(t, KeyURL(a.pub())), c.offers(t, KeyURL(a.pub()))); diff != "" {
		t.Fatalf("rows differ:\n%s", diff)
	}
	for _, m := range []*member{b, c} {
		if p, _ := m.PeerByKey(a.pub()); p.Equivocations != 1 || p.Held != greater.Head.Digest {
			t.Fatalf("%+v", p)
		}
	}
}

// Silence hides a peer's rows, then takes them off; a sign of life brings them back.
func TestSilence(t *testing.T) {
	ms := mesh(t, 2, func(c *Config) { c.Admission, c.StaleAfter, c.AwayAfter = AdmitAll, time.Minute, time.Hour })
	a, b := ms[0], ms[1]
	manyTools(a)
	b.give(t, a.next(t, false), byRelay)
	hub := KeyURL(a.pub())
	if found(t, b.Catalog, "tool1") == 0 {
		t.Fatal("not found while it is heard")
	}
	a.clock.add(2 * time.Minute)
	if found(t, b.Catalog, "tool1") != 0 || len(b.offers(t, hub)) != 10 {
		t.Fatal("a stale hub's rows are found, or gone")
	}
	expect(t, "a refresh", b.tell(t, a.next(t, true).Head, byRelay), Accept, ReasonApplied)
	if found(t, b.Catalog, "tool1") == 0 {
		t.Fatal("not found when it is heard again")
	}
	a.clock.add(time.Hour)
	b.Heads()
	p, _ := b.Peer(hub)
	if !p.Away || p.Status != PeerActive || p.Held != "" || len(b.offers(t, hub)) != 0 || !strings.HasPrefix(p.Why, "away") {
		t.Fatalf("after an hour: %+v", p)
	}
	for _, ref := range b.Heads() {
		if ref.Key == a.pub() {
			t.Fatal("an expired head is offered")
		}
	}
	consistent(t, b.Catalog)
	b.reopen(t)
	in := b.tell(t, a.next(t, true).Head, byRelay)
	expect(t, "heard again", in, Accept, ReasonWanted)
	expect(t, "its listing", b.fetch(t, a, a.pub(), in.Want.Have), Accept, ReasonApplied)
	p, _ = b.Peer(hub)
	if p.Away || len(b.offers(t, hub)) != 10 || strings.HasPrefix(p.Why, "away") {
		t.Fatalf("back: %+v", p)
	}
	consistent(t, b.Catalog)
}

// A tool that breaks a rule is left out alone and reported, yet it is part of the
// listing that others fetch.
func TestBadToolsAreDroppedAlone(t *testing.T) {
	a, b := mesh(t, 1)[0], mesh(t, 2)[1]
	a.put(row("prod-1", "good@v1"))
	u := a.next(t, false)
	tool := string(u.Tools[0].Raw)
	make := func(old, new string, id string) string {
		s := strings.Replace(tool, `"capability_id":"good@v1"`, `"capability_id":"`+id+`"`, 1)
		if !strings.Contains(s, old) {
			t.Fatalf("no %s in %s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
	bad := []string{
		make(`"price_per_call_usd":0.001`, `"price_per_call_usd":-1`, "bad1@v1"),
		make(`"price_per_call_usd":0.001`, `"price_per_call_usd":1000.5`, "bad2@v1"),
		make(`"price_per_call_usd":0.001`, `"price_per_call_usd":"1"`, "bad3@v1"),
		make(`"source_hub":"local"`, `"source_hub":"https://other.example.org"`, "bad4@v1"),
		make(`"input_schema":{`, `"input_schema":[],"x":{`, "bad5@v1"),
		make(`"description":"`, `"descriptio":"`, "bad6@v1"),
		make(``, ``, "bad id"),
	}
	fine := []string{
		make(`"price_per_call_usd":0.001,`, ``, "free1@v1"),
		make(`"p50_latency_ms":3`, `"p50_latency_ms":1e300`, "slow@v1"),
		make(`"source_hub":"local"`, `"source_hub":"`+KeyURL(a.pub())+`","invoke_url":"https://evil.example.org/"`, "mine@v1"),
	}
	var tools []Tool
	for _, s := range append(bad, fine...) {
		if _, err := ParseUpdate([]byte(strings.Replace(string(u.Raw()), tool, s, 1))); err == nil {
			t.Fatal("another tool passes as the announced one")
		}
		tools = append(tools, toolFrom(t, s))
	}
	l, err := listingOf(tools, nil)
	must(t, err)
	h := *u.Head
	h.Digest, h.Size, h.Capabilities, h.Sequence = l.digest(), int(l.size), len(tools), h.Sequence+1
	signed, err := a.signHead(h)
	must(t, err)
	in := b.give(t, newUpdate(signed, "", tools, nil), byAuthor)
	expect(t, "with bad tools", in, Accept, ReasonApplied)
	if len(in.Dropped) != len(bad) {
		t.Fatalf("dropped %+v", in.Dropped)
	}
	for _, d := range in.Dropped {
		if !strings.HasPrefix(d.CapabilityID, "bad") || d.Reason == "" {
			t.Errorf("dropped %+v", d)
		}
	}
	hub := KeyURL(a.pub())
	if len(b.offers(t, hub)) != len(fine) {
		t.Fatalf("rows %q", b.offers(t, hub))
	}
	ctx := context.Background()
	if r, err := b.Lookup(ctx, "prod-1", "free1@v1", hub); err != nil || r.PriceMicros != 350_000 || r.RoutedMicros != 353_500 || r.SuccessRate30d != 0.5 || r.TrustScore != 0.5 {
		t.Errorf("without a price: %+v, %v", r, err)
	}
	if r, err := b.Lookup(ctx, "prod-1", "slow@v1", hub); err != nil || r.P50LatencyMS != MaxLatencyMS {
		t.Errorf("with a huge latency: %+v, %v", r, err)
	}
	if r, err := b.Lookup(ctx, "prod-1", "mine@v1", hub); err != nil || r.InvokeURL != "" {
		t.Errorf("with an invoke URL: %+v, %v", r, err)
	}
	raw, err := b.UpdateFor(ctx, a.pub(), "")
	must(t, err)
	if served, err := ParseUpdate(raw); err != nil || len(served.Tools) != len(tools) {
		t.Fatalf("served on: %v", err)
	}
}

// A flood of keys without hubs behind them keeps nobody out for long.
func TestPendingMakesRoom(t *testing.T) {
	ms := mesh(t, 5, func(c *Config) { c.Admission, c.MaxPending = AdmitVerified, 2 })
	b, ctx := ms[0], context.Background()
	come := func(m *member) Intake {
		m.clock.add(time.Second)
		return b.tell(t, m.next(t, true).Head, byAuthor)
	}
	expect(t, "first", come(ms[1]), Ignore, ReasonPending)
	expect(t, "second", come(ms[2]), Ignore, ReasonPending)
	expect(t, "third", come(ms[3]), Ignore, ReasonFull)
	for i, n := range []int{1, 2} {
		for range n {
			_, err := b.NoteTrial(ctx, KeyURL(ms[i+1].pub()), Trial{Detail: "silent"})
			must(t, err)
		}
	}
	expect(t, "third again", come(ms[3]), Ignore, ReasonPending)
	if _, ok := b.Peer(KeyURL(ms[2].pub())); ok {
		t.Fatal("the one with the most failures stays")
	}
	b.clock.add(AwayAfter)
	expect(t, "when the others are silent", come(ms[4]), Ignore, ReasonPending)
	if n := b.Counts().Pending; n != 2 {
		t.Fatalf("%d pending", n)
	}
}
