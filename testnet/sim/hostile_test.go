package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
)

// Bounds on what a hostile role may cost honest hubs.
const (
	maxSlowdown   = 2                // times the quiet p99 of a change's spread
	maxHeapGrowth = 64 << 20         // of all hubs together after collection, in bytes, and in addition
	heapPerHub    = 2 << 20          // for each hub: its own history of the scenario's honest changes is in it
	heapInFlight  = 16 << 20         // for each hub, in addition, while listings are pulled: four of the largest at both ends
	settle        = 30 * time.Second // what was under way ends
	graylisted    = -160             // below this score gossip is deaf to a peer
	spreadWithin  = 10 * time.Second
	agreeWithin   = 5 * time.Minute // a few comparisons: who cut a flood short each at another place has them alone
	samples       = 6               // changes whose spread is measured
	sampleEvery   = 500 * time.Millisecond
	firstHops     = 3 // hubs that a hostile member is connected to
)

// role is one way of breaking the rules, and what has to come of it. In every role
// honest changes spread as before, memory is bounded and honest catalogues end equal.
type role struct {
	name   string
	tries  string // what it is after
	policy catalog.Admission
	hubs   int // 0: as many as -sim.hubs says

	// play does it, while honest hubs go on publishing. What it starts with a.go ends
	// before the role is judged.
	play func(a *attack) error
	// check, if not nil, is what this role alone must not achieve, or must.
	check func(a *attack)

	blamed    bool // its score falls below graylisted at every first hop, and it is out of their meshes
	admitted  bool // its policy lists what it says by the rules: all hubs must list the same of it
	forwarded bool // what it says may pass the first hop
}

// attack is a role being played.
type attack struct {
	*role
	t   *testing.T
	ctx context.Context
	w   *World
	rng *rand.Rand

	first   []*Hub // the hubs that hostile members are connected to
	members []*member
	victim  *Hub    // a hub that is cut off by the role: its own pace is the role's matter; nil for none
	ear     *member // an idle neighbour of the hubs behind the first ones
	next    int     // index of the next address

	work  sync.WaitGroup
	mu    sync.Mutex
	errs  []error
	worst map[*member]map[*Hub]float64 // the lowest score that a first hop gave a member
	heap  int64
	quiet time.Duration

	agreed time.Duration // from the end of an admitted role's attack until all hubs held the same
}

// fail notes an error of the role's own means, from any goroutine.
func (a *attack) fail(err error) {
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs = append(a.errs, err)
	}
}

// every runs f n times, a gap apart, beside what the honest hubs do.
func (a *attack) every(n int, gap time.Duration, f func(i int) error) {
	a.work.Go(func() {
		for i := range n {
			if err := f(i); err != nil {
				a.fail(err)
				return
			}
			time.Sleep(gap)
		}
	})
}

// address reserves one on the wire.
func (a *attack) address() int {
	a.next++
	return a.next - 1
}

// member starts a hostile member and connects it to hubs; none: to the first ones.
func (a *attack) member(n int, at memberAt, hubs ...*Hub) (*member, error) {
	if at.index == 0 {
		at.index = a.address()
	}
	m, err := newMember(a.ctx, a.w, newAuthor(n), at)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.members = append(a.members, m)
	a.mu.Unlock()
	if hubs == nil {
		hubs = a.first
	}
	return m, m.join(a.ctx, hubs...)
}

// behind are the hubs that no hostile member is connected to.
func (a *attack) behind() []*Hub {
	var out []*Hub
	for _, h := range a.w.Hubs {
		if h.Running() && !slices.Contains(a.first, h) {
			out = append(out, h)
		}
	}
	return out
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// p99 publishes at hub after hub and returns how long the 99th of a hundred arrivals took.
func (a *attack) p99(when string) time.Duration {
	a.t.Helper()
	var all []time.Duration
	var among []int
	for _, h := range a.w.running(nil) {
		if h != a.victim {
			among = append(among, h.Index)
		}
	}
	honest := a.w.running(among)
	for i := range samples {
		h := honest[i*len(honest)/samples]
		time.Sleep(sampleEvery)
		took, err := a.w.spread(a.ctx, h.Index, fmt.Sprintf("%s-%d", when, i), spreadWithin, among)
		if err != nil {
			a.t.Fatal(err)
		}
		if len(took) != len(honest)-1 {
			a.t.Errorf("%s: a change of hub %d reached %d of %d hubs", when, h.Index, len(took), len(honest)-1)
		}
		all = append(all, took...)
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// TestHostile plays every role against a mesh of honest hubs.
func TestHostile(t *testing.T) {
	for _, r := range roles() {
		t.Run(r.name, func(t *testing.T) {
			cfg := Config{Hubs: r.hubs, Admission: r.policy, Public: true, URLs: resolving(t)}
			scenario(t, cfg, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
				a := &attack{worst: map[*member]map[*Hub]float64{}, role: &r, t: t, ctx: ctx, w: w, rng: rng, next: len(w.Hubs) + 8}
				defer a.end()
				a.run()
			})
		})
	}
}

// watch keeps the lowest scores: they recover by and by once a hub is deaf.
func (a *attack) watch(ctx context.Context) {
	for ctx.Err() == nil {
		a.mu.Lock()
		for _, m := range a.members {
			if a.worst[m] == nil {
				a.worst[m] = map[*Hub]float64{}
			}
			for _, h := range a.first {
				a.worst[m][h] = min(a.worst[m][h], h.Mesh.Score(m.host.ID()))
			}
		}
		a.mu.Unlock()
		time.Sleep(500 * time.Millisecond)
	}
}

// blame is the lowest score that a hub gave a member so far.
func (a *attack) blame(h *Hub, m *member) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.worst[m][h]
}

func (a *attack) end() {
	a.work.Wait()
	for _, m := range a.members {
		if err := m.close(); err != nil {
			a.t.Error(err)
		}
	}
}

func (a *attack) run() {
	t := a.t
	for _, i := range a.rng.Perm(len(a.w.Hubs))[:firstHops] {
		a.first = append(a.first, a.w.Hubs[i])
	}
	if err := a.listen(); err != nil {
		t.Fatal(err)
	}
	a.quiet = a.p99("quiet")
	a.heap = heapBytes()
	watching, stop := context.WithCancel(a.ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() { a.watch(watching) })
	if err := a.play(a); err != nil {
		t.Fatal(err)
	}
	busy := a.p99("busy")
	a.mustBeSmall("meanwhile", heapInFlight)
	a.work.Wait()
	for _, err := range a.errs {
		t.Error(err)
	}
	t.Logf("%s: p99 %v quiet, %v busy", a.tries, a.quiet, busy)
	if busy > maxSlowdown*a.quiet {
		t.Errorf("an honest change took %v (p99) beside it, %v in quiet: over %d times as long", busy, a.quiet, maxSlowdown)
	}
	if a.blamed {
		a.mustBeBlamed()
	}
	a.mustAgree()
	if !a.admitted {
		for _, h := range a.w.running(nil) {
			a.mustBeAbsent(h)
		}
	}
	if n := a.leaks(); n > 0 && !a.forwarded {
		t.Errorf("%d of its messages passed the first hop", n)
	}
	if a.check != nil {
		a.check(a)
	}
	time.Sleep(settle)
	a.mustBeSmall("afterwards", 0)
}

// mustBeSmall fails if all hubs together hold much more than before the attack.
func (a *attack) mustBeSmall(when string, perHub int) {
	a.t.Helper()
	grown := heapBytes() - a.heap
	bound := int64(maxHeapGrowth + (heapPerHub+perHub)*len(a.w.Hubs))
	if a.admitted { // what it lists by the rules is stored
		bound += int64(len(a.w.Hubs) * len(a.w.Hubs[0].Catalog.Heads()) * perSybil)
	}
	a.t.Logf("the heap grew by %d KB, %s", grown>>10, when)
	if grown > bound {
		a.t.Errorf("the heap grew by %d MB, over %d, %s", grown>>20, bound>>20, when)
	}
}

// listen puts the ear beside hubs behind the first ones.
func (a *attack) listen() (err error) {
	a.ear, err = newMember(a.ctx, a.w, newAuthor(-1), memberAt{index: a.address(), listens: true})
	if err != nil {
		return err
	}
	a.members = append(a.members, a.ear)
	behind := a.behind()
	return a.ear.join(a.ctx, behind[:min(len(behind), 20)]...)
}

// leaks counts the hostile members' messages that an honest hub handed to the ear.
func (a *attack) leaks() int {
	n := 0
	a.ear.mu.Lock()
	defer a.ear.mu.Unlock()
	for _, m := range a.members {
		if m == a.ear {
			continue
		}
		m.mu.Lock()
		for sum := range m.said {
			if _, ok := a.ear.heard[sum]; ok {
				n++
			}
		}
		m.mu.Unlock()
	}
	return n
}

// mustBeBlamed waits until every first hop is deaf to every hostile member that said
// something, and has put it out of its meshes.
func (a *attack) mustBeBlamed() {
	a.t.Helper()
	for _, m := range a.members {
		if len(m.said) == 0 {
			continue
		}
		for _, h := range a.first {
			_, met := a.w.waitFor(10*time.Second, func() bool { return a.blame(h, m) < graylisted })
			if !met {
				a.t.Errorf("hub %d scored member %d with %.1f at worst, not below %d", h.Index, m.index, a.blame(h, m), graylisted)
			}
			id, err := peerID(h.Key)
			if err != nil {
				a.t.Fatal(err)
			}
			m.mu.Lock()
			pruned := m.pruned[id]
			m.mu.Unlock()
			if !pruned {
				a.t.Errorf("hub %d has member %d in its mesh still", h.Index, m.index)
			}
		}
	}
}

// mustAgree waits until all hubs hold what the honest ones publish, and nothing else; of
// an admitted role's listings, all the same.
func (a *attack) mustAgree() {
	a.t.Helper()
	if !a.admitted {
		if _, err := a.w.WaitEqual(agreeWithin, nil); err != nil {
			a.t.Error(err)
		}
		return
	}
	start, lack := time.Now(), a.w.differ()
	for lack != "" && time.Since(start) < agreeWithin {
		time.Sleep(100 * time.Millisecond)
		lack = a.w.differ()
	}
	if lack != "" {
		a.t.Errorf("after %v (seed %d): %s", agreeWithin, a.w.cfg.Seed, lack)
	}
	a.agreed = time.Since(start)
	a.t.Logf("all agree %v after the attack", a.agreed)
}

// differ says in what the hubs' catalogues differ, those of hubs outside included; "" for
// nothing. Each must hold what the honest ones publish.
func (w *World) differ() string {
	hubs := w.running(nil)
	honest := w.published(hubs)
	var first map[identity.PublicKey]catalog.HeadRef
	total := 0
	for _, h := range hubs {
		now := map[identity.PublicKey]catalog.HeadRef{}
		for _, r := range h.Catalog.Heads() {
			r.Own = false
			now[r.Key] = r
		}
		for _, o := range honest {
			if got := now[o.hub.Key.Public()].Held; got != o.digest {
				return fmt.Sprintf("hub %d holds listing %.8s of hub %d, which publishes %.8s", h.Index, got, o.hub.Index, o.digest)
			}
		}
		n := h.Catalog.Counts().Total
		if first == nil {
			first, total = now, n
			continue
		}
		if n != total || len(now) != len(first) {
			return fmt.Sprintf("hub %d lists %d capabilities of %d hubs, hub %d lists %d of %d", h.Index, n, len(now), hubs[0].Index, total, len(first))
		}
		for key, r := range first {
			if now[key] != r {
				return fmt.Sprintf("of the hub with key %s hub %d knows %v, hub %d %v", key, h.Index, now[key], hubs[0].Index, r)
			}
		}
	}
	return ""
}

// mustBeAbsent fails if anything of a hostile member is for sale at, or told by, a hub.
func (a *attack) mustBeAbsent(h *Hub) {
	a.t.Helper()
	for _, m := range a.members {
		key := m.key.Public()
		if slices.ContainsFunc(h.Catalog.Heads(), func(r catalog.HeadRef) bool { return r.Key == key }) {
			a.t.Errorf("hub %d offers the head of member %d", h.Index, m.index)
		}
		if _, ok := h.Catalog.HeadOf(key); ok {
			a.t.Errorf("hub %d hands out the head of member %d", h.Index, m.index)
		}
		if _, err := h.Catalog.UpdateFor(a.ctx, key, ""); !errors.Is(err, catalog.ErrUnknown) {
			a.t.Errorf("hub %d serves the listing of member %d: %v", h.Index, m.index, err)
		}
		if p, ok := h.Catalog.PeerByKey(key); ok && p.Status == catalog.PeerActive {
			a.t.Errorf("member %d is active at hub %d as %s: %s", m.index, h.Index, p.URL, p.Why)
		}
		for id := range m.tools {
			if r, err := h.Catalog.Lookup(a.ctx, id.ProductID, id.CapabilityID, ""); err == nil && strings.Contains(r.Description, marker) {
				a.t.Errorf("hub %d sells %s of member %d", h.Index, id.CapabilityID, m.index)
			}
		}
	}
	a.mustNotTell(h)
}

// mustNotTell fails if the marker is in a hub's public documents or search results.
func (a *attack) mustNotTell(h *Hub) {
	a.t.Helper()
	discovery, err := h.Catalog.Discovery(a.ctx, catalog.Status{})
	if err != nil {
		a.t.Fatal(err)
	}
	manifest, err := h.Catalog.Manifest(a.ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	prices, err := h.Catalog.Prices(a.ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, doc := range map[string]catalog.Document{"discovery document": discovery, "manifest": manifest, "price list": prices} {
		if at := bytes.Index(doc.Body, []byte(marker)); at >= 0 {
			a.t.Errorf("the %s of hub %d has %q", name, h.Index, doc.Body[max(0, at-100):min(len(doc.Body), at+100)])
		}
	}
	found, err := h.Catalog.Search(a.ctx, catalog.Query{Intent: marker + " offer", MinTrust: new(float64), IncludeStale: true, IncludeDemo: true, LimitAll: true})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, m := range found.Matches {
		if strings.Contains(m.Description, marker) || strings.Contains(m.Name, marker) {
			a.t.Errorf("a search at hub %d finds %s of %s", h.Index, m.CapabilityID, m.SourceHub)
		}
	}
}

// counted sums a hub's counters of a name whose label values are among those given.
func (a *attack) counted(h *Hub, name string, values ...string) (sum float64) {
	a.t.Helper()
	families, err := h.Metrics.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if slices.Contains(values, l.GetValue()) {
					sum += m.GetCounter().GetValue()
					break
				}
			}
		}
	}
	return sum
}

// resolving is the check of URLs as a hub on the public internet makes it, with the names
// of the simulated world.
func resolving(t *testing.T) catalog.URLChecker {
	c := safehttp.New(safehttp.Options{Resolver: &resolver{}})
	t.Cleanup(c.Close)
	return c
}

// resolver knows every name: localhost and those that begin with "inside" are private,
// those with "rebind" are so from their second look-up on, all others are public.
type resolver struct {
	mu    sync.Mutex
	asked map[string]int
}

func (r *resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[string]int{}
	}
	r.asked[host]++
	if host == "localhost" || strings.HasPrefix(host, "inside") || strings.HasPrefix(host, "rebind") && r.asked[host] > 1 {
		return []netip.Addr{netip.MustParseAddr("10.66.0.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
}

// idOf is the peer ID of a hub.
func idOf(h *Hub) peer.ID {
	id, err := peerID(h.Key)
	if err != nil {
		panic(err) // a key that signs is a key
	}
	return id
}
