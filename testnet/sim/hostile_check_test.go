package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

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
			_, met := a.w.waitFor(10*time.Second, step, func() bool { return a.blame(h, m) < graylisted })
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
