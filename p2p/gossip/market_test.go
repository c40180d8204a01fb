package gossip

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// anyURL lets every address pass: these tests call none.
type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

// market is a hub with the real catalogue over a store in memory.
type market struct {
	t    testing.TB
	key  *identity.Key
	db   *store.DB
	cat  *catalog.Catalog
	host host.Host
	mesh *Mesh
}

func newMarket(t testing.TB, n int, h func(*identity.Key) host.Host, policy catalog.Admission) *market {
	t.Helper()
	m := &market{t: t, key: keyNumber(n)}
	var err error
	if m.db, err = store.Open("db", store.Options{FS: vfs.NewMem()}); err != nil {
		t.Fatal(err)
	}
	m.cat, err = catalog.Open(context.Background(), catalog.Config{
		Store: m.db, Signer: m.key, URLs: anyURL{}, Now: time.Now, HubURL: fmt.Sprintf("http://localhost:%d", 9100+n), HubName: fmt.Sprint("Hub ", n),
		HubVersion: "test", RoutingFeeBps: 100, MinTrust: 0.3, Admission: policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.host = h(m.key)
	if m.mesh, err = New(context.Background(), Config{Host: m.host, Catalog: m.cat, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	return m
}

// close ends what newMarket opened, the host apart.
func (m *market) close() {
	m.t.Helper()
	if err := m.mesh.Close(); err != nil {
		m.t.Errorf("close mesh: %v", err)
	}
	if err := m.cat.Close(); err != nil {
		m.t.Errorf("close catalogue: %v", err)
	}
	if err := m.db.Close(); err != nil {
		m.t.Errorf("close store: %v", err)
	}
}

func id(capability string) string { return "shop." + capability + "@v1" }

func (m *market) publish(capability, description string) {
	m.t.Helper()
	_, err := m.cat.Register(context.Background(), catalog.Registration{Publisher: "tester", Capability: catalog.Capability{
		Key: catalog.Key{ProductID: "shop", CapabilityID: id(capability)}, Name: capability, Description: description,
		InvokeURL: "https://provider.example/" + capability, PriceMicros: 1000, InputSchema: json.RawMessage(`{"type":"object"}`),
	}})
	if err != nil {
		m.t.Fatal(err)
	}
}

// sells reports whether this hub finds a capability of another.
func (m *market) sells(o *market, capability, description string) bool {
	r, err := m.cat.Lookup(context.Background(), "shop", id(capability), catalog.KeyURL(o.key.Public()))
	return err == nil && r.Description == description
}

// holds reports whether this hub holds the present listing of another.
func (m *market) holds(o *market) bool {
	own, ok := o.cat.HeadOf(o.key.Public())
	if !ok {
		return false
	}
	for _, r := range m.cat.Heads() {
		if r.Key == o.key.Public() {
			return r.Held == own.Digest
		}
	}
	return false
}

func allHold(list []*market) bool {
	for _, m := range list {
		for _, o := range list {
			if o != m && !m.holds(o) {
				return false
			}
		}
	}
	return true
}

func (s *simulation) markets(n int) []*market {
	s.t.Helper()
	list := make([]*market, n)
	for i := range list {
		list[i] = newMarket(s.t, i, s.host, catalog.AdmitAll)
		s.closers = append(s.closers, list[i].close)
	}
	for i := range list {
		s.connect(list[i].host, list[(i+1)%n].host)
		for d := 2; d <= n/2; d *= 2 {
			s.connect(list[i].host, list[(i+d)%n].host)
		}
	}
	return list
}

// TestTwentyHubsInVirtualTime is the whole path with real catalogues: 20 hubs with
// links of 50 ms, a change, a removal, a large listing, a partition.
func TestTwentyHubsInVirtualTime(t *testing.T) {
	inVirtualTime(t, 50*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.markets(20)
		took := s.eventually("20 hubs holding each other's listing", 30*time.Second, func() bool { return allHold(hubs) })
		t.Logf("all know all after %v", took)
		time.Sleep(5 * time.Second)

		var slowest time.Duration
		for i := range 10 {
			text := fmt.Sprint("version ", i)
			hubs[i].publish("quick", text)
			took := s.eventually("a change at every hub", 2*time.Second, func() bool {
				for _, h := range hubs {
					if h != hubs[i] && !h.sells(hubs[i], "quick", text) {
						return false
					}
				}
				return true
			})
			slowest = max(slowest, took)
			time.Sleep(time.Second)
		}
		t.Logf("slowest of ten changes at the last of 20 hubs: %v", slowest)
		if slowest > 400*time.Millisecond {
			t.Errorf("a change took %v with links of 50 ms", slowest)
		}

		if err := hubs[3].cat.Unpublish(t.Context(), "shop", id("quick"), "tester"); err != nil {
			t.Fatal(err)
		}
		s.eventually("the removal everywhere", time.Second, func() bool {
			for _, h := range hubs {
				if h.sells(hubs[3], "quick", "version 3") {
					return false
				}
			}
			return true
		})

		for i := range 300 {
			hubs[5].publish(fmt.Sprintf("bulk-%03d", i), strings.Repeat("many words ", 60))
		}
		took = s.eventually("300 rows at every hub", 30*time.Second, func() bool { return allHold(hubs) })
		t.Logf("300 rows of 1 KB at every hub after %v", took)

		for i := range 10 {
			for j := 10; j < 20; j++ {
				s.cut(hubs[i].host, hubs[j].host)
			}
		}
		for i, h := range hubs {
			h.publish("apart", fmt.Sprint(i))
		}
		time.Sleep(10 * time.Minute)
		if hubs[0].sells(hubs[12], "apart", "12") {
			t.Fatal("the cut is none")
		}
		s.connect(hubs[2].host, hubs[15].host)
		took = s.eventually("all equal after the partition", 60*time.Second, func() bool { return allHold(hubs) })
		t.Logf("healed by one link after %v", took)
		if took > 5*time.Second {
			t.Errorf("healing took %v", took)
		}
		offences := 0.0
		for _, h := range hubs {
			offences += counted(h.mesh.count.blames, "") + counted(h.mesh.count.messages, "reject")
		}
		if offences > 0 {
			t.Errorf("%v offences among honest hubs", offences)
		}
	})
}

// TestStrangersStayOutsideUntilAdmitted: with the verified policy a hub is known by its
// head and nothing of it is passed on; after admission Want brings its listing.
func TestStrangersStayOutsideUntilAdmitted(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		var hubs []*market
		for i := range 3 {
			hubs = append(hubs, newMarket(t, i, s.host, catalog.AdmitVerified))
			s.closers = append(s.closers, hubs[i].close)
		}
		hubs[2].publish("thing", "for sale")
		s.connect(hubs[0].host, hubs[1].host)
		s.connect(hubs[2].host, hubs[1].host)
		stranger := hubs[2].key.Public()
		s.eventually("the stranger pending", 10*time.Second, func() bool {
			p, ok := hubs[1].cat.PeerByKey(stranger)
			return ok && p.Status == catalog.PeerPending
		})
		time.Sleep(5 * time.Minute)
		if _, known := hubs[0].cat.PeerByKey(stranger); known {
			t.Error("a pending hub was passed on")
		}
		if hubs[1].sells(hubs[2], "thing", "for sale") {
			t.Error("a pending hub's capability is found")
		}
		p, _ := hubs[1].cat.PeerByKey(stranger)
		if _, err := hubs[1].cat.NoteTrial(t.Context(), p.URL, catalog.Trial{Passed: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		hubs[1].mesh.Want(stranger)
		s.eventually("the listing after admission", 2*time.Second, func() bool { return hubs[1].sells(hubs[2], "thing", "for sale") })
	})
}

// loopback starts a host on real sockets of this machine.
func loopback(t testing.TB) func(*identity.Key) host.Host {
	return func(key *identity.Key) host.Host {
		t.Helper()
		private, err := crypto.UnmarshalEd25519PrivateKey(key.Private())
		if err != nil {
			t.Fatal(err)
		}
		h, err := libp2p.New(libp2p.Identity(private), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
			libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(), libp2p.ResourceManager(&network.NullResourceManager{}))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

func link(t testing.TB, a, b host.Host) {
	t.Helper()
	if err := a.Connect(context.Background(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// within polls in real time.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
	return time.Since(start)
}

// TestLoopback is the path over real sockets.
func TestLoopback(t *testing.T) {
	hubs := make([]*market, 5)
	for i := range hubs {
		hubs[i] = newMarket(t, i, loopback(t), catalog.AdmitAll)
	}
	defer func() {
		for _, h := range hubs {
			h.close()
		}
		for _, h := range hubs {
			if err := h.host.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range hubs {
		link(t, hubs[i].host, hubs[(i+1)%len(hubs)].host)
	}
	within(t, 20*time.Second, "all hold all", func() bool { return allHold(hubs) })
	hubs[0].publish("quick", "now")
	took := within(t, 5*time.Second, "the change everywhere", func() bool {
		for _, h := range hubs[1:] {
			if !h.sells(hubs[0], "quick", "now") {
				return false
			}
		}
		return true
	})
	t.Logf("at the last of 5 hubs after %v", took)
}
