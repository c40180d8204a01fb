package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
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
