package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// MaxDelay bounds Slow: beyond it every caller has given up.
const MaxDelay = time.Minute

// link is the way between two hubs, the lower number first.
type link struct{ a, b int }

func between(a, b int) link { return link{min(a, b), max(a, b)} }

// Cut lets nothing pass between two groups of hubs: connections of the mesh are closed
// and refused, HTTP between their addresses fails. Earlier cuts stay. An empty b is
// every hub that is not in a.
func (n *Network) Cut(a, b []int) error {
	for _, number := range append(slices.Clone(a), b...) {
		if _, err := n.hub(number); err != nil {
			return err
		}
	}
	if len(b) == 0 {
		for _, h := range n.hubs {
			if !slices.Contains(a, h.number) {
				b = append(b, h.number)
			}
		}
	}
	if len(a) == 0 || len(b) == 0 {
		return errors.New("a cut needs hubs on both of its sides")
	}
	for _, number := range a {
		if slices.Contains(b, number) {
			return fmt.Errorf("hub %d cannot be on both sides of a cut", number)
		}
	}
	n.mu.Lock()
	for _, x := range a {
		for _, y := range b {
			n.cuts[between(x, y)] = true
		}
	}
	n.mu.Unlock()
	for _, number := range append(slices.Clone(a), b...) {
		n.hubs[number-1].disconnect()
	}
	return nil
}

// Heal undoes every cut. The hubs find each other again by themselves.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cuts)
}

// Slow makes a hub take delay longer for every answer over HTTP and streams, and its
// provider as well; 0 ends it.
func (n *Network) Slow(number int, delay time.Duration) error {
	h, err := n.hub(number)
	if err != nil {
		return err
	}
	if delay < 0 || delay > MaxDelay {
		return fmt.Errorf("a delay of %s is outside 0…%s", delay, MaxDelay)
	}
	h.slow.Store(int64(delay))
	return nil
}

func (n *Network) isCut(a, b int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.cuts[between(a, b)]
}

// mayMeet is the gate of a hub's mesh connections.
func (h *Hub) mayMeet(key identity.PublicKey) bool {
	if h.dead.Load() {
		return false
	}
	h.net.mu.RLock()
	defer h.net.mu.RUnlock()
	other, ours := h.net.byKey[key]
	return !ours || !h.net.cuts[between(h.number, other)]
}

// mayAsk is the gate of a hub's requests over HTTP.
func (h *Hub) mayAsk(rawURL string) bool {
	if h.dead.Load() {
		return false
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return true // no address of ours
	}
	h.net.mu.RLock()
	defer h.net.mu.RUnlock()
	other, ours := h.net.byURL[net.JoinHostPort(u.Hostname(), u.Port())]
	return !ours || !h.net.cuts[between(h.number, other)]
}

// slowly delays every answer of next as Slow says.
func (h *Hub) slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.wait(r) {
			next.ServeHTTP(w, r)
		}
	})
}

// wait waits for the hub's delay; false if the caller left first.
func (h *Hub) wait(r *http.Request) bool {
	delay := time.Duration(h.slow.Load())
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
