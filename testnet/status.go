package testnet

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/node"
)

// Status is the state of the whole network at one moment.
type Status struct {
	Time       time.Time   `json:"time"`
	Hubs       []HubStatus `json:"hubs"`
	Up         int         `json:"up"`
	Connected  bool        `json:"connected"` // every running hub lists every other one as active
	Agree      bool        `json:"agree"`     // running hubs hold the same listing of each of them
	Cuts       [][2]int    `json:"cuts"`      // pairs of hubs between which nothing passes
	Goroutines int         `json:"goroutines"`
	HeapBytes  uint64      `json:"heap_bytes"`
	Resident   int64       `json:"resident_bytes"`   // of the process; 0 where the system does not tell
	Files      int         `json:"file_descriptors"` // likewise
}

// HubStatus is the state of one hub and what it thinks of the others.
type HubStatus struct {
	Number    int    `json:"number"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	PublicKey string `json:"public_key"`
	State     string `json:"state"` // up, down
	Why       string `json:"why,omitempty"`
	DelayMS   int64  `json:"delay_ms"`

	Multiaddrs []string `json:"multiaddrs"`
	Linked     []int    `json:"linked"` // hubs with a connection
	Active     []int    `json:"active"` // hubs whose catalogues count
	Pending    []int    `json:"pending"`
	Others     []int    `json:"others"` // hubs known in any other state
	Peers      int      `json:"peers_active"`
	Waiting    int      `json:"peers_pending"`
	Local      int      `json:"capabilities_local"`
	Total      int      `json:"capabilities_total"`
}

// The states of a hub.
const (
	Up   = "up"
	Down = "down"
)

// Status asks every hub.
func (n *Network) Status() Status {
	s := Status{Time: n.now().UTC(), Hubs: make([]HubStatus, 0, len(n.hubs)), Cuts: [][2]int{}, Goroutines: runtime.NumGoroutine()}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.HeapBytes, s.Resident, s.Files = m.HeapAlloc, residentBytes(), openFiles()
	for _, h := range n.hubs {
		hs := h.status()
		if hs.State == Up {
			s.Up++
		}
		s.Hubs = append(s.Hubs, hs)
	}
	s.Connected = len(n.strangers(n.running(), 1)) == 0
	s.Agree = len(n.disagreements(n.running(), 1)) == 0
	n.mu.RLock()
	defer n.mu.RUnlock()
	for a := 1; a <= len(n.hubs) && len(n.cuts) > 0; a++ {
		for b := a + 1; b <= len(n.hubs); b++ {
			if n.cuts[link{a, b}] {
				s.Cuts = append(s.Cuts, [2]int{a, b})
			}
		}
	}
	return s
}

func (h *Hub) status() HubStatus {
	s := HubStatus{Number: h.number, Name: h.name, URL: h.URL(), PublicKey: h.Key().String(), State: Down, DelayMS: time.Duration(h.slow.Load()).Milliseconds(),
		Multiaddrs: []string{}, Linked: []int{}, Active: []int{}, Pending: []int{}, Others: []int{}}
	h.mu.RLock()
	if h.err != nil {
		s.Why = h.err.Error()
	}
	h.mu.RUnlock()
	h.use(func(n *node.Node) {
		s.State = Up
		c := n.Catalog().Counts()
		s.Peers, s.Waiting, s.Local, s.Total = c.Peers, c.Pending, c.Local, c.Total
		if p := n.P2P(); p != nil {
			s.Multiaddrs = append(s.Multiaddrs, p.Multiaddrs()...)
		}
	})
	if s.State == Down {
		return s
	}
	for _, o := range h.net.hubs {
		if o == h {
			continue
		}
		key := o.Key()
		h.use(func(n *node.Node) {
			if p := n.P2P(); p != nil && p.Link(key).Connected {
				s.Linked = append(s.Linked, o.number)
			}
			p, known := n.Catalog().PeerByKey(key)
			switch {
			case !known:
			case p.Status == catalog.PeerActive:
				s.Active = append(s.Active, o.number)
			case p.Status == catalog.PeerPending:
				s.Pending = append(s.Pending, o.number)
			default:
				s.Others = append(s.Others, o.number)
			}
		})
	}
	return s
}

// residentBytes and openFiles are of this process, where /proc tells.
func residentBytes() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(raw))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func openFiles() int {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return max(0, len(names)-1)
}
