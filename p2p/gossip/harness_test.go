package gossip

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyNumber is the test's n-th key.
func keyNumber(n int) *identity.Key {
	seed := sha256.Sum256(fmt.Appendf(nil, "gossip test key %d", n))
	k, err := identity.FromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

// author makes heads and updates of one key, by the rules and against them.
type author struct {
	key      *identity.Key
	now      func() time.Time
	sequence uint64
	tools    map[catalog.RowID][]byte
	url      string
}

func newAuthor(n int) *author {
	return &author{key: keyNumber(n), now: time.Now, tools: map[catalog.RowID][]byte{}}
}

// tool is a printed capability.
func tool(product, capability, text string) []byte {
	b, _ := json.Marshal(map[string]any{
		"product_id": product, "capability_id": capability, "name": product + "." + capability + "@1", "display_name": capability,
		"description": text, "price_per_call_usd": 0.01, "input_schema": map[string]any{"type": "object"},
	})
	return b
}

func (a *author) set(product, capability, text string) {
	a.tools[catalog.RowID{ProductID: product, CapabilityID: capability}] = tool(product, capability, text)
}

func sortedIDs(tools map[catalog.RowID][]byte) []catalog.RowID {
	ids := make([]catalog.RowID, 0, len(tools))
	for id := range tools {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b catalog.RowID) int {
		return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.CapabilityID, b.CapabilityID))
	})
	return ids
}

// listingDigest is the digest of MESH's rule; removed tools are nil.
func listingDigest(tools map[catalog.RowID][]byte) (hexDigest string, size int) {
	h := sha256.New()
	h.Write([]byte("aimarket-listing/1\n"))
	for _, id := range sortedIDs(tools) {
		raw := tools[id]
		h.Write([]byte(id.ProductID + "\x00" + id.CapabilityID + "\x00"))
		var d [32]byte
		if raw != nil {
			d = sha256.Sum256(raw)
		}
		h.Write(d[:])
		size += len(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), size
}

// headOf prints and signs a head. changes and base may be nil and "".
func (a *author) headOf(sequence uint64, tools, changes map[catalog.RowID][]byte, base string) []byte {
	digest, size := listingDigest(tools)
	updateDigest := ""
	if base != "" && len(changes) > 0 {
		updateDigest, _ = listingDigest(changes)
	} else {
		base = ""
	}
	now := a.now().UTC().Truncate(time.Second)
	return a.sign(map[string]any{
		"type": "hub_head", "hub_url": a.url, "hub_name": "hub " + a.key.PublicBase64()[:6], "hub_version": "test",
		"signer_public_key": a.key.PublicBase64(), "multiaddrs": []string{}, "sequence": sequence,
		"generated_at": now.Format("2006-01-02T15:04:05Z"), "expires_at": now.Add(24 * time.Hour).Format("2006-01-02T15:04:05Z"),
		"listing_digest": digest, "listing_bytes": size, "capabilities_count": len(tools), "categories": []string{},
		"update_digest": updateDigest, "update_base": base,
	})
}

func (a *author) sign(doc map[string]any) []byte {
	delete(doc, "signature")
	raw, _ := json.Marshal(doc)
	v, err := canon.Parse(raw)
	if err != nil {
		panic(err)
	}
	msg, err := canon.ObjectMessage(v)
	if err != nil {
		panic(err)
	}
	doc["signature"] = map[string]any{"algorithm": "ed25519", "value": a.key.SignBase64(msg)}
	raw, _ = json.Marshal(doc)
	return raw
}

// updateOf prints an update around a head; removed tools are nil in changes.
func updateOf(head []byte, base string, changes map[catalog.RowID][]byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"announcement":%s,"base":"%s","tools":[`, head, base)
	var removed []map[string]string
	n := 0
	for _, id := range sortedIDs(changes) {
		if changes[id] == nil {
			removed = append(removed, map[string]string{"product_id": id.ProductID, "capability_id": id.CapabilityID})
			continue
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.Write(changes[id])
	}
	gone, _ := json.Marshal(removed)
	if removed == nil {
		gone = []byte("[]")
	}
	fmt.Fprintf(&b, `],"removed":%s}`, gone)
	return b.Bytes()
}

// whole is the next head with the whole listing.
func (a *author) whole() (update, head []byte) {
	a.next()
	head = a.headOf(a.sequence, a.tools, nil, "")
	return updateOf(head, "", a.tools), head
}

func (a *author) next() { a.sequence = max(a.sequence+1, uint64(a.now().UnixMilli())) }

func mustUpdate(raw []byte) *catalog.Update {
	u, err := catalog.ParseUpdate(raw)
	if err != nil {
		panic(err)
	}
	return u
}

// fake is a small catalogue with the rules of the real one, open to everybody unless
// closed is set.
type fake struct {
	mu      sync.Mutex
	self    *author
	own     *catalog.Head
	printed map[catalog.RowID][]byte // the listing of the last own head
	closed  bool
	peers   map[identity.PublicKey]*fakePeer
	changes chan struct{}
	due     chan struct{}
	events  [][]byte
	taken   [][]byte // events
	applied int
}

type fakePeer struct {
	head, heldHead *catalog.Head
	tools          map[catalog.RowID][]byte
	active         bool
}

func (p *fakePeer) held() string {
	if p.heldHead == nil {
		return ""
	}
	return p.heldHead.Digest
}

func newFake(n int) *fake {
	return &fake{self: newAuthor(n), peers: map[identity.PublicKey]*fakePeer{}, changes: make(chan struct{}, 1), due: make(chan struct{}, 1)}
}

func clone(m map[catalog.RowID][]byte) map[catalog.RowID][]byte {
	out := make(map[catalog.RowID][]byte, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// sell changes the own listing.
func (f *fake) sell(product, capability, text string) {
	f.mu.Lock()
	f.self.set(product, capability, text)
	f.mu.Unlock()
	f.poke(f.changes)
}

func (f *fake) poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lists tells whether a tool of a hub is in effect with a text.
func (f *fake) lists(key identity.PublicKey, product, capability, text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[key]
	return p != nil && p.active && bytes.Equal(p.tools[catalog.RowID{ProductID: product, CapabilityID: capability}], tool(product, capability, text))
}

// world is every listing in effect, for comparing catalogues.
func (f *fake) world() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := []string{}
	d, _ := listingDigest(f.self.tools)
	lines = append(lines, f.self.key.PublicBase64()+" "+d)
	for k, p := range f.peers {
		if p.active {
			d, _ := listingDigest(p.tools)
			lines = append(lines, k.String()+" "+d)
		}
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.peers)
}

func (f *fake) TakeHead(_ context.Context, h *catalog.Head, s catalog.Source) catalog.Intake {
	return f.take(h, nil, s)
}

func (f *fake) TakeUpdate(_ context.Context, u *catalog.Update, s catalog.Source) catalog.Intake {
	return f.take(u.Head, u, s)
}

func (f *fake) take(h *catalog.Head, u *catalog.Update, s catalog.Source) catalog.Intake {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := func(v catalog.Verdict, reason string) catalog.Intake {
		return catalog.Intake{Verdict: v, Reason: reason}
	}
	blame := func(reason string) catalog.Intake {
		if s.Author {
			return in(catalog.Reject, reason)
		}
		return in(catalog.Ignore, reason)
	}
	switch {
	case h.PublicKey == f.self.key.Public():
		return in(catalog.Ignore, catalog.ReasonSelf)
	case !f.self.now().Before(h.ExpiresAt):
		return in(catalog.Ignore, catalog.ReasonExpired)
	case u != nil && !u.Bound && s.Via == catalog.ViaGossip:
		return in(catalog.Reject, catalog.ReasonMismatch)
	}
	p := f.peers[h.PublicKey]
	if p == nil {
		p = &fakePeer{tools: map[catalog.RowID][]byte{}, active: !f.closed}
		f.peers[h.PublicKey] = p
	}
	if !p.active {
		p.head = h
		return in(catalog.Ignore, catalog.ReasonPending)
	}
	verdict := catalog.Accept
	want := func(reason string) catalog.Intake {
		return catalog.Intake{Verdict: verdict, Reason: reason, Want: &catalog.Want{Key: h.PublicKey, Digest: h.Digest, Have: p.held()}}
	}
	if p.head != nil {
		switch {
		case h.Sequence < p.head.Sequence:
			if p.head.GeneratedAt.Sub(h.GeneratedAt) > 10*time.Minute {
				return blame(catalog.ReasonStale)
			}
			return in(catalog.Ignore, catalog.ReasonStale)
		case h.Sequence == p.head.Sequence && h.Digest == p.head.Digest:
			if p.held() == h.Digest {
				return in(catalog.Ignore, catalog.ReasonDuplicate)
			}
			verdict = catalog.Ignore
			if u == nil {
				return want(catalog.ReasonWanted)
			}
		case h.Sequence == p.head.Sequence:
			if h.Digest < p.head.Digest {
				return blame(catalog.ReasonEquivocation)
			}
			if s.Author {
				verdict = catalog.Reject
			}
		}
	}
	p.head = h
	switch {
	case p.held() == h.Digest:
		p.heldHead = h
		return in(verdict, catalog.ReasonApplied)
	case u == nil:
		return want(catalog.ReasonWanted)
	case u.Base == "":
		p.tools = map[catalog.RowID][]byte{}
	case u.Base != p.held():
		return want(catalog.ReasonBase)
	}
	next := clone(p.tools)
	for _, t := range u.Tools {
		next[t.RowID] = bytes.Clone(t.Raw)
	}
	for _, id := range u.Removed {
		delete(next, id)
	}
	if d, _ := listingDigest(next); d != h.Digest {
		return blame(catalog.ReasonMismatch)
	}
	p.tools, p.heldHead = next, h
	f.applied++
	out := in(verdict, catalog.ReasonApplied)
	out.Changed = true
	return out
}

func (f *fake) TakeEvents(_ context.Context, events []canon.Value, _ catalog.Source) (catalog.EventCounts, catalog.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		if e.Get("consumer_hub").Str() == "" {
			return catalog.EventCounts{Rejected: 1}, catalog.Reject
		}
		f.taken = append(f.taken, bytes.Clone(e.Raw()))
	}
	return catalog.EventCounts{Received: len(events)}, catalog.Accept
}

func (f *fake) Heads() []catalog.HeadRef {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []catalog.HeadRef
	if f.own != nil {
		list = append(list, catalog.HeadRef{Key: f.own.PublicKey, Sequence: f.own.Sequence, Digest: f.own.Digest, Held: f.own.Digest, Own: true})
	}
	for k, p := range f.peers {
		if p.active && p.head != nil {
			list = append(list, catalog.HeadRef{Key: k, Sequence: p.head.Sequence, Digest: p.head.Digest, Held: p.held()})
		}
	}
	slices.SortFunc(list, func(a, b catalog.HeadRef) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return list
}

func (f *fake) HeadOf(key identity.PublicKey) (*catalog.Head, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if key == f.self.key.Public() {
		return f.own, f.own != nil
	}
	p := f.peers[key]
	if p == nil || !p.active || p.head == nil {
		return nil, false
	}
	return p.head, true
}

func (f *fake) RefOf(key identity.PublicKey) (catalog.HeadRef, bool) {
	for _, r := range f.Heads() {
		if r.Key == key {
			return r, true
		}
	}
	return catalog.HeadRef{}, false
}

func (f *fake) RawHead(key identity.PublicKey) ([]byte, bool) {
	h, ok := f.HeadOf(key)
	if !ok {
		return nil, false
	}
	return h.Raw(), true
}

func (f *fake) UpdateFor(_ context.Context, key identity.PublicKey, have string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	head, tools := f.own, f.printed
	if key != f.self.key.Public() {
		p := f.peers[key]
		if p == nil || !p.active || p.heldHead == nil {
			return nil, catalog.ErrUnknown
		}
		head, tools = p.heldHead, p.tools
	}
	if head == nil {
		return nil, catalog.ErrUnknown
	}
	if have == head.Digest {
		return updateOf(head.Raw(), have, nil), nil
	}
	return updateOf(head.Raw(), "", tools), nil
}

func (f *fake) OwnChanges() <-chan struct{} { return f.changes }
func (f *fake) EventsDue() <-chan struct{}  { return f.due }

func (f *fake) NextEvents() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.events
	f.events = nil
	return e
}

func (f *fake) NextUpdate(_ context.Context, refresh bool) (*catalog.Update, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := ""
	changes := clone(f.self.tools)
	if f.own != nil {
		base = f.own.Digest
		for id, raw := range f.printed {
			switch now, ok := changes[id]; {
			case !ok:
				changes[id] = nil
			case bytes.Equal(now, raw):
				delete(changes, id)
			}
		}
		if len(changes) == 0 && !refresh {
			return nil, nil
		}
	}
	f.self.next()
	head := f.self.headOf(f.self.sequence, f.self.tools, changes, base)
	u, err := catalog.ParseUpdate(updateOf(head, base, changes))
	if err != nil {
		return nil, err
	}
	f.own, f.printed = u.Head, clone(f.self.tools)
	return u, nil
}
