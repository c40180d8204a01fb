package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// step is how often a condition is looked at, in virtual time; catalogues are compared as
// much more seldom as there are more hubs, or looking would be most of the work.
const (
	step         = 5 * time.Millisecond
	hubsPerSteps = 100
	saysEvery    = 5 * time.Second // of virtual time, while catalogues become equal
)

// ErrNotEqual reports catalogues that did not become equal in time.
var ErrNotEqual = errors.New("sim: the catalogues are not equal")

// waitFor polls a condition; took is how long it was false.
func (w *World) waitFor(within, every time.Duration, ok func() bool) (took time.Duration, met bool) {
	start := time.Now()
	for {
		if ok() {
			return time.Since(start), true
		}
		if took = time.Since(start); took >= within {
			return took, false
		}
		time.Sleep(every)
	}
}

// WaitEqual waits until every running hub of among (nil: all) holds exactly the listings
// that the running hubs of among publish now.
func (w *World) WaitEqual(within time.Duration, among []int) (time.Duration, error) {
	todo := w.running(among)
	owners := slices.Clone(todo)
	said := time.Now()
	took, met := w.waitFor(within, step*time.Duration(1+len(owners)/hubsPerSteps), func() bool { // looks no further than the first that differs
		if time.Since(said) >= saysEvery {
			said = time.Now()
			w.cfg.Log("%s", w.progress(owners))
		}
		for want := w.published(owners); len(todo) > 0 && todo[0].lacks(want) == ""; {
			todo = todo[1:]
		}
		return len(todo) == 0
	})
	if met {
		// Those that were equal early must still be.
		want := w.published(owners)
		for _, h := range owners {
			if lack := h.lacks(want); lack != "" {
				return took, fmt.Errorf("%w (seed %d): %s", ErrNotEqual, w.cfg.Seed, lack)
			}
		}
		return took, nil
	}
	want := w.published(owners)
	differ := slices.DeleteFunc(slices.Clone(todo), func(h *Hub) bool { return h.lacks(want) == "" })
	if len(differ) == 0 {
		return took, nil
	}
	return took, fmt.Errorf("%w after %s (seed %d): %d of %d hubs differ, first: %s", ErrNotEqual, within, w.cfg.Seed, len(differ), len(owners), differ[0].lacks(want))
}

// progress says how much of what the owners publish they know of each other.
func (w *World) progress(owners []*Hub) string {
	held, published := 0, 0
	for _, h := range owners {
		n := h.Catalog.Counts()
		held, published = held+n.Total, published+n.Local
	}
	return fmt.Sprintf("%d hubs know %.1f %% of what they publish, %.1f connections each", len(owners), 100*float64(held)/float64(max(1, published*len(owners))), w.Conns())
}

func (w *World) running(among []int) []*Hub {
	var out []*Hub
	for i, h := range w.Hubs {
		if h.Running() && (among == nil || slices.Contains(among, i)) {
			out = append(out, h)
		}
	}
	return out
}

// offer is what a hub publishes.
type offer struct {
	hub    *Hub
	digest string
	rows   int
}

func (w *World) published(owners []*Hub) []offer {
	out := make([]offer, 0, len(owners))
	for _, h := range owners {
		own, _ := h.Catalog.RefOf(h.Key.Public())
		out = append(out, offer{hub: h, digest: own.Held, rows: h.Catalog.Counts().Local})
	}
	return out
}

// lacks says in what a hub's catalogue differs from what is published; "" for nothing.
func (h *Hub) lacks(want []offer) string {
	total := 0
	for _, o := range want {
		total += o.rows
	}
	if got := h.Catalog.Counts().Total; got != total {
		return fmt.Sprintf("hub %d lists %d capabilities, published are %d", h.Index, got, total)
	}
	held := map[identity.PublicKey]string{}
	for _, r := range h.Catalog.Heads() {
		held[r.Key] = r.Held
	}
	for _, o := range want {
		if got := held[o.hub.Key.Public()]; got != o.digest {
			return fmt.Sprintf("hub %d holds listing %.8s of hub %d, which publishes %.8s", h.Index, got, o.hub.Index, o.digest)
		}
	}
	return ""
}

// Spread publishes one capability at a hub and returns how long each other running hub
// took to have it searchable, shortest first. Hubs that never get it are not in it.
func (w *World) Spread(ctx context.Context, from int, name string, within time.Duration) ([]time.Duration, error) {
	return w.spread(ctx, from, name, within, nil)
}

// spread is Spread to the hubs of among alone (nil: all).
func (w *World) spread(ctx context.Context, from int, name string, within time.Duration, among []int) ([]time.Duration, error) {
	seller := w.Hubs[from]
	start := time.Now()
	if err := seller.Publish(ctx, name, 2000); err != nil {
		return nil, err
	}
	var took []time.Duration
	todo := w.running(among)
	todo = slices.DeleteFunc(todo, func(h *Hub) bool { return h == seller })
	w.waitFor(within, step, func() bool {
		todo = slices.DeleteFunc(todo, func(h *Hub) bool {
			if _, ok := h.Price(ctx, seller, name); ok {
				took = append(took, time.Since(start))
				return true
			}
			return false
		})
		return len(todo) == 0
	})
	slices.Sort(took)
	return took, nil
}
