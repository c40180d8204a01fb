package p2p

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/internal/identity"
)

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no key":               func(c *Config) { c.Key = nil },
		"bootstrap without id": func(c *Config) { c.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1"} },
		"bootstrap is a URL":   func(c *Config) { c.Bootstrap = []string{"http://hub.example"} },
		"bootstrap is an id":   func(c *Config) { c.Bootstrap = []string{"/p2p/" + someID} },
		"listen is a port":     func(c *Config) { c.Listen = []string{":4001"} },
		"announce is a name":   func(c *Config) { c.Announce = []string{"hub.example"} },
		"marks in wrong order": func(c *Config) { c.ConnLow, c.ConnHigh = 10, 5 },
		"listens on a file":    func(c *Config) { c.Listen = []string{"/unix/nowhere/at/all"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Key: testKey(t, "x"), Local: true}
			change(&c)
			h, err := New(t.Context(), c)
			if err == nil {
				t.Error("it was accepted")
				h.Close()
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestTakenPortIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	h, err := New(t.Context(), Config{Key: testKey(t, "x"), Local: true, Listen: []string{"/ip4/127.0.0.1/tcp/" + port}})
	if err == nil || !strings.Contains(err.Error(), port) {
		t.Errorf("%v", err)
		h.Close()
	}
}

func TestBootstrapHubThatComesLater(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	at := "/ip4/127.0.0.1/tcp/" + port
	late, err := peerIDOf(testKey(t, "late").Public())
	if err != nil {
		t.Fatal(err)
	}
	early := open(t, "early", func(c *Config) {
		c.Bootstrap = []string{at + "/p2p/" + late.String(), "/ip4/127.0.0.1/tcp/1/p2p/" + c1(t)}
	})
	again := open(t, "late", func(c *Config) { c.Listen = []string{at} })
	eventually(t, "the bootstrap hub is tried until it is there", linked(early, again))
}

// c1 is this very hub's own ID among its bootstrap hubs, as in one list for all.
func c1(t *testing.T) string {
	id, err := peerIDOf(testKey(t, "early").Public())
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func TestGateKeepsHubsApart(t *testing.T) {
	var shut atomic.Bool
	shut.Store(true)
	other := testKey(t, "b").Public()
	a := open(t, "a", func(c *Config) { c.Gate = func(k identity.PublicKey) bool { return !shut.Load() || k != other } })
	b := open(t, "b", func(c *Config) { c.Bootstrap = a.Multiaddrs() })
	d := open(t, "d", func(c *Config) { c.Bootstrap = a.Multiaddrs() })
	eventually(t, "another hub is let in", linked(a, d))
	a.Learn(other, b.Multiaddrs())
	if err := a.Connect(t.Context(), other); err == nil || a.Link(other).Connected {
		t.Errorf("the gate is open: %v", err)
	}
	shut.Store(false)
	eventually(t, "the gate is opened", linked(a, b))
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	a := open(t, "a", func(c *Config) { c.Registry = r })
	b := open(t, "b", func(c *Config) { c.Bootstrap = a.Multiaddrs() })
	eventually(t, "they are connected", linked(a, b))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "aimarket_p2p_") {
			t.Errorf("%s", f.GetName())
		}
		found = found || f.GetName() == "aimarket_p2p_connected_hubs" && f.GetMetric()[0].GetGauge().GetValue() == 1
	}
	if !found {
		t.Errorf("no connected hub among %v", families)
	}
	if h, err := New(t.Context(), Config{Key: testKey(t, "c"), Local: true, Registry: r}); err == nil {
		h.Close()
		t.Error("two hosts share a registry")
	}
}

// admitted counts how many connections from one address are let in, of n tried.
func admitted(t *testing.T, high int, local bool, n int) (taken int) {
	rm, err := resourceManager(high, local)
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	for range n {
		c, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/8.8.8.8/tcp/1"))
		if err != nil {
			break
		}
		defer c.Done()
		id, _ := peerIDOf(testKey(t, time.Duration(taken).String()).Public())
		if err := c.SetPeer(id); err != nil { // out of the transient scope
			break
		}
		taken++
	}
	return taken
}

func TestConnectionsAreBounded(t *testing.T) {
	for _, c := range []struct {
		local bool
		want  int
	}{{true, connsPerHigh*defaultConnHigh + connsSpare}, {false, connsPerIPv4}} {
		if got := admitted(t, defaultConnHigh, c.local, 1000); got != c.want {
			t.Errorf("local %v: %d connections from one address, want %d", c.local, got, c.want)
		}
	}
	if got := connsPerHigh*defaultConnHigh + connsSpare; got < 400 {
		t.Errorf("the default hub takes %d connections", got)
	}
}

func TestLostHubsAreBounded(t *testing.T) {
	r := newRedialer()
	now := time.Unix(1_700_000_000, 0)
	for i := range 2 * maxLost {
		id, _ := peerIDOf(testKey(t, time.Duration(i).String()).Public())
		r.targets[id] = &target{since: now.Add(time.Duration(i) * time.Second), named: i == 0}
	}
	r.bound()
	if len(r.targets) != maxLost+1 {
		t.Errorf("%d lost hubs", len(r.targets))
	}
	for _, target := range r.targets {
		if !target.named && target.since.Before(now.Add(maxLost*time.Second)) {
			t.Error("an older one was kept")
		}
	}
	later := now.Add(redialGiveUp + time.Hour)
	if ids, _ := r.due(later, 1000, false); len(ids) != 1 || len(r.targets) != 1 {
		t.Errorf("%d due of %d after a day", len(ids), len(r.targets))
	}
}

func TestPausesGrowWithTheOutage(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRedialer()
	lose := func(n int) {
		for i := range n {
			id, _ := peerIDOf(testKey(t, time.Duration(i).String()).Public())
			r.targets[id] = &target{}
		}
	}
	lose(1)
	for _, c := range []struct {
		lost, strikes int
		away, want    time.Duration
	}{
		{1, 0, 0, time.Second},
		{1, 0, 40 * time.Second, 5 * time.Second},
		{1, 0, 30 * time.Minute, 17 * time.Second},
		{100, 0, 30 * time.Minute, 215 * time.Second},
		{100, 0, 10 * time.Hour, redialLast},
		{1, 3, 0, 8 * time.Second},
		{1, maxStrikes, 2 * time.Hour, redialLast},
	} {
		lose(c.lost)
		if got := r.pause(&target{since: now.Add(-c.away), strikes: c.strikes}, now); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
