package gossip

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

// hub is one honest hub of a simulation.
type hub struct {
	*fake
	mesh *Mesh
	host host.Host
}

func (s *simulation) hub(n int, change ...func(*Config)) *hub {
	s.t.Helper()
	f := newFake(n)
	h := &hub{fake: f, host: s.host(f.self.key)}
	c := Config{Host: h.host, Catalog: f, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	var err error
	if h.mesh, err = New(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
	s.meshes = append(s.meshes, h.mesh)
	return h
}

// hubs starts n hubs in a ring with a chord each, so that they are few hops apart.
func (s *simulation) hubs(n int, change ...func(*Config)) []*hub {
	s.t.Helper()
	list := make([]*hub, n)
	for i := range list {
		list[i] = s.hub(i, change...)
	}
	for i := range list {
		s.connect(list[i].host, list[(i+1)%n].host)
		if n > 4 {
			s.connect(list[i].host, list[(i+n/2)%n].host)
		}
	}
	return list
}

// agree waits until all hubs list the same.
func (s *simulation) agree(hubs []*hub, within time.Duration) time.Duration {
	s.t.Helper()
	start := time.Now()
	for {
		first, same := hubs[0].world(), hubs[0].count() == len(hubs)-1
		for _, h := range hubs[1:] {
			same = same && h.world() == first
		}
		if same {
			return time.Since(start)
		}
		if time.Since(start) > within {
			for i, h := range hubs {
				s.t.Logf("hub %d: knows %d, connected to %d, %s", i, h.count(), len(h.host.Network().Peers()), h.mesh.counts())
			}
			s.t.Fatalf("catalogues differ after %v", within)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *hub) know(o *hub, product, capability, text string) bool {
	return h.lists(o.self.key.Public(), product, capability, text)
}

func TestChangeArrivesEverywhere(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(8)
		s.agree(hubs, 20*time.Second)
		time.Sleep(3 * time.Second) // the meshes form
		hubs[3].sell("p", "new", "v1")
		took := s.eventually("the change at every hub", time.Second, func() bool {
			for _, h := range hubs {
				if h != hubs[3] && !h.know(hubs[3], "p", "new", "v1") {
					return false
				}
			}
			return true
		})
		t.Logf("at the last of 8 hubs after %v", took)
		if took > 300*time.Millisecond {
			t.Errorf("took %v with links of 20 ms", took)
		}
	})
}

// TestBurstIsPaced: 300 changes in a second leave in few messages and all arrive.
func TestBurstIsPaced(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(6)
		s.agree(hubs, 20*time.Second)
		time.Sleep(3 * time.Second)
		pulled := make([]float64, len(hubs))
		for i, h := range hubs {
			pulled[i] = counted(h.mesh.count.pulls, "")
		}
		for i := range 300 {
			hubs[0].sell("p", fmt.Sprintf("c%d", i%40), fmt.Sprintf("v%d", i))
			time.Sleep(time.Second / 300)
		}
		took := s.agree(hubs, 2*time.Second)
		sent := counted(hubs[0].mesh.count.published, "update")
		t.Logf("equal %v after the last change; %v updates sent", took, sent)
		if sent > 25 {
			t.Errorf("%v updates for 300 changes in a second", sent)
		}
		for i, h := range hubs {
			if n := counted(h.mesh.count.pulls, "") - pulled[i]; n > 0 {
				t.Errorf("hub %d pulled %v times: updates were applied out of order", i, n)
			}
		}
	})
}

func TestLargeListingIsPulled(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(6)
		s.agree(hubs, 20*time.Second)
		time.Sleep(3 * time.Second)
		hubs[2].fake.mu.Lock()
		for i := range 400 {
			hubs[2].self.set("p", fmt.Sprintf("c%03d", i), strings.Repeat("long text ", 40))
		}
		hubs[2].fake.mu.Unlock()
		hubs[2].poke(hubs[2].changes)
		took := s.agree(hubs, 10*time.Second)
		t.Logf("equal after %v", took)
		if n := counted(hubs[2].mesh.count.published, "head"); n < 1 {
			t.Error("no bare head was published for a listing that does not fit")
		}
	})
}

// TestLateJoiner: who comes later has everything, and everybody has it.
func TestLateJoiner(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(5)
		for i, h := range hubs {
			h.sell("p", "c", fmt.Sprint(i))
		}
		s.agree(hubs, 20*time.Second)
		late := s.hub(99)
		late.sell("late", "c", "here")
		time.Sleep(time.Second)
		s.connect(late.host, hubs[0].host)
		took := s.agree(append(hubs, late), 10*time.Second)
		t.Logf("equal %v after the connection", took)
		if took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestPartitionHeals: both halves change, one link comes back, and all agree without a
// new announcement.
func TestPartitionHeals(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(8)
		s.agree(hubs, 20*time.Second)
		for i := range 4 {
			for j := 4; j < 8; j++ {
				s.cut(hubs[i].host, hubs[j].host)
			}
		}
		time.Sleep(5 * time.Second)
		for i, h := range hubs {
			h.sell("p", "apart", fmt.Sprint(i))
		}
		time.Sleep(10 * time.Minute)
		if hubs[0].know(hubs[5], "p", "apart", "5") {
			t.Fatal("the cut is none")
		}
		s.connect(hubs[1].host, hubs[6].host)
		took := s.agree(hubs, 30*time.Second)
		t.Logf("equal %v after one link was back", took)
		if took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestLostMessagesAreRepaired: a hub whose gossip is deaf still has everything, by
// comparing.
func TestLostMessagesAreRepaired(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(4, func(c *Config) { c.Sync = 10 * time.Second })
		s.agree(hubs, 20*time.Second)
		deaf := hubs[2]
		for name := range deaf.mesh.topics {
			deaf.mesh.topics[name].relay()
		}
		time.Sleep(3 * time.Second)
		hubs[0].sell("p", "c", "v1")
		took := s.agree(hubs, 40*time.Second)
		t.Logf("equal after %v", took)
		if n := counted(deaf.mesh.count.repairs, ""); n == 0 {
			t.Error("it was no repair")
		}
	})
}

func TestRefreshKeepsHeadsFresh(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(4)
		s.agree(hubs, 20*time.Second)
		key := hubs[1].self.key.Public()
		before, _ := hubs[0].HeadOf(key)
		time.Sleep(DefaultRefresh*11/10 + time.Minute)
		after, _ := hubs[0].HeadOf(key)
		if after.Sequence <= before.Sequence || after.Digest != before.Digest {
			t.Errorf("sequence %d then %d", before.Sequence, after.Sequence)
		}
	})
}

func TestEventsSpread(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.hubs(4)
		s.agree(hubs, 20*time.Second)
		time.Sleep(3 * time.Second)
		hubs[0].fake.mu.Lock()
		for i := range 50 {
			hubs[0].events = append(hubs[0].events, fmt.Appendf(nil, `{"type":"call_ok","consumer_hub":"https://a.example","provider_hub":"https://b.example","n":%d}`, i))
		}
		hubs[0].fake.mu.Unlock()
		hubs[0].poke(hubs[0].due)
		s.eventually("50 events at every hub", 5*time.Second, func() bool {
			for _, h := range hubs[1:] {
				h.fake.mu.Lock()
				n := len(h.taken)
				h.fake.mu.Unlock()
				if n != 50 {
					return false
				}
			}
			return true
		})
	})
}

// TestAdmittedHubIsFetched: a stranger's head has no effect and is not passed on; once
// it is admitted, Want brings its listing.
func TestAdmittedHubIsFetched(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := []*hub{s.hub(0), s.hub(1), s.hub(2)}
		for _, h := range hubs[:2] {
			h.closed = true
		}
		hubs[2].sell("p", "c", "v1")
		time.Sleep(time.Second)
		s.connect(hubs[2].host, hubs[1].host)
		s.connect(hubs[1].host, hubs[0].host)
		stranger := hubs[2].self.key.Public()
		s.eventually("the stranger known", 5*time.Second, func() bool {
			hubs[1].fake.mu.Lock()
			defer hubs[1].fake.mu.Unlock()
			return hubs[1].peers[stranger] != nil
		})
		time.Sleep(5 * time.Minute)
		hubs[0].fake.mu.Lock()
		_, republished := hubs[0].peers[stranger]
		hubs[0].fake.mu.Unlock()
		if republished {
			t.Error("a pending hub's head was passed on")
		}
		if hubs[1].know(hubs[2], "p", "c", "v1") {
			t.Error("a pending hub's listing is in effect")
		}
		hubs[1].fake.mu.Lock()
		hubs[1].peers[stranger].active = true
		hubs[1].fake.mu.Unlock()
		hubs[1].mesh.Want(stranger)
		s.eventually("the listing after admission", time.Second, func() bool { return hubs[1].know(hubs[2], "p", "c", "v1") })
	})
}
