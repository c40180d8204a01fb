package p2p

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
)

// world is a simulated network in a synctest bubble: 20 ms each way between any two
// hubs, until it is cut.
type world struct {
	t     *testing.T
	net   *simnet.Simnet
	hubs  int
	apart atomic.Pointer[func(a, b string) bool] // whether nothing passes between two IP addresses
}

func newWorld(t *testing.T) *world {
	w := &world{t: t}
	w.net = &simnet.Simnet{LatencyFunc: func(p *simnet.Packet) time.Duration {
		if apart := w.apart.Load(); apart != nil && (*apart)(ipOf(p.From.String()), ipOf(p.To.String())) {
			return 1000 * time.Hour
		}
		return 20 * time.Millisecond
	}}
	w.net.Start()
	t.Cleanup(w.net.Close)
	return w
}

func ipOf(hostport string) string {
	for i := len(hostport) - 1; i >= 0; i-- {
		if hostport[i] == ':' {
			return hostport[:i]
		}
	}
	return hostport
}

// ip is the address of the nth hub.
func (w *world) ip(n int) string { return simnet.IntToPublicIPv4(n).String() }

func (w *world) open(name string, change func(*Config)) *Host {
	w.t.Helper()
	link := simnet.NodeBiDiLinkSettings{
		Downlink: simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}, Uplink: simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps},
	}
	c := Config{Key: testKey(w.t, name), Handler: hello, Options: []libp2p.Option{
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", w.ip(w.hubs))),
		libp2p.Transport(quic.NewTransport), simlibp2p.QUICSimnet(w.net, link),
	}}
	w.hubs++
	if change != nil {
		change(&c)
	}
	h, err := New(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := h.Close(); err != nil {
			w.t.Errorf("closing %s: %v", name, err)
		}
	})
	return h
}

// halves cuts the network in two: the first n hubs and the rest.
func (w *world) halves(n int) {
	first := map[string]bool{}
	for i := range n {
		first[w.ip(i)] = true
	}
	apart := func(a, b string) bool { return first[a] != first[b] }
	w.apart.Store(&apart)
}

func (w *world) heal() { w.apart.Store(nil) }

// virtually waits, in virtual time, until ok holds and says how long it took.
func virtually(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

func TestEverybodyFindsEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.open("hub 0", withDHT)
		first.Provide([]string{"images"}) // with nobody there to keep it
		time.Sleep(time.Hour)
		hubs := []*Host{first}
		for i := 1; i < 8; i++ {
			hubs = append(hubs, w.open(fmt.Sprintf("hub %d", i), func(c *Config) { c.DHT, c.Bootstrap = true, first.Multiaddrs() }))
		}
		took := virtually(t, 2*time.Minute, "all are connected with all by the DHT alone", func() bool {
			for _, h := range hubs {
				if len(h.Connected()) != len(hubs)-1 {
					return false
				}
			}
			return true
		})
		t.Logf("after %s", took)
		virtually(t, time.Minute, "what the first offers is found", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			keys, err := hubs[3].FindProviders(ctx, "images", 1)
			return err == nil && len(keys) == 1 && keys[0] == key(first)
		})
		virtually(t, time.Minute, "the round trip is measured", func() bool { return hubs[1].Link(key(hubs[2])).Latency > 0 })
		if d := hubs[1].Link(key(hubs[2])).Latency; d < 35*time.Millisecond || d > 80*time.Millisecond {
			t.Errorf("round trip of %s on a line of 40ms", d)
		}
	})
}

func TestHubThatIsSlowToStartIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		mute := func(c *Config) { c.Handler = nil }
		a := w.open("a", mute)
		b := w.open("b", func(c *Config) { c.Handler, c.Bootstrap = nil, a.Multiaddrs() })
		virtually(t, time.Minute, "they are connected", linked(a, b))
		time.Sleep(time.Second)
		if len(a.peers.addrs(key(b))) != 0 {
			t.Fatal("a node that speaks nothing of ours is remembered as a hub")
		}
		b.host.SetStreamHandler("/aimarket/2/something", func(s network.Stream) { s.Reset() })
		virtually(t, time.Minute, "it is a hub now", func() bool { return len(a.peers.addrs(key(b))) != 0 })
		// So that it would be tried again if it were lost.
		a.redial.mu.Lock()
		defer a.redial.mu.Unlock()
		if to := a.redial.targets[b.id]; to == nil || !to.connected {
			t.Errorf("%+v", to)
		}
	})
}

func TestCutMeshGrowsTogetherAgain(t *testing.T) {
	for _, size := range []int{2, 8} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var hubs []*Host
				var addrs []string
				for i := range size {
					h := w.open(fmt.Sprintf("hub %d", i), func(c *Config) { c.Bootstrap = addrs })
					hubs, addrs = append(hubs, h), append(addrs, h.Multiaddrs()...)
				}
				degree := func(n int) func() bool {
					return func() bool {
						for _, h := range hubs {
							if len(h.Connected()) != n {
								return false
							}
						}
						return true
					}
				}
				virtually(t, time.Minute, "all are connected", degree(size-1))
				w.halves(size / 2)
				virtually(t, 2*time.Minute, "they notice the cut", degree(size/2-1))
				time.Sleep(10 * time.Minute)
				w.heal()
				limit := 10 * time.Second
				if size == 2 {
					limit = 5 * time.Minute // one lost hub is tried after a quarter of the outage
				}
				first := virtually(t, limit, "one crosses", func() bool {
					for _, h := range hubs {
						if len(h.Connected()) >= size/2 {
							return true
						}
					}
					return false
				})
				rest := virtually(t, time.Minute, "all are connected again", degree(size-1))
				t.Logf("first after %s, all after %s more", first, rest)
			})
		})
	}
}
