package gossip

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/aimarket/aimarket/catalog"
)

const benchHubs = 50

// ring links hosts so that each has about eight neighbours.
func ring(b testing.TB, hosts []host.Host) {
	n := len(hosts)
	for i := range hosts {
		for _, d := range []int{1, 3, 7, 17} {
			link(b, hosts[i], hosts[(i+d)%n])
		}
	}
}

// BenchmarkGossip50 measures how long a change takes to the last of 50 hubs in one
// process on loopback: as a bare gossipsub message of the same size, and from the
// publishing on one hub until all others find it.
func BenchmarkGossip50(b *testing.B) {
	b.Run("bare", benchBare)
	b.Run("hub", benchHub)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	ms := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))]) / float64(time.Millisecond)
	}
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}

func benchBare(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	var hosts []host.Host
	var topics []*pubsub.Topic
	arrived := make(chan struct{}, 10*benchHubs)
	var readers sync.WaitGroup
	for i := range benchHubs {
		h := loopback(b)(keyNumber(1000 + i))
		ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
			pubsub.WithMessageIdFn(messageID), pubsub.WithFloodPublish(true))
		if err != nil {
			b.Fatal(err)
		}
		t, err := ps.Join(ManifestTopic)
		if err != nil {
			b.Fatal(err)
		}
		sub, err := t.Subscribe()
		if err != nil {
			b.Fatal(err)
		}
		readers.Go(func() {
			for {
				if _, err := sub.Next(ctx); err != nil {
					return
				}
				arrived <- struct{}{}
			}
		})
		hosts, topics = append(hosts, h), append(topics, t)
	}
	defer func() {
		cancel()
		readers.Wait()
		for _, h := range hosts {
			_ = h.Close()
		}
	}()
	ring(b, hosts)
	settle(b)
	var took []time.Duration
	n := 0
	for b.Loop() {
		payload := fmt.Appendf(make([]byte, 0, 2048), "%2048d", n)
		start := time.Now()
		if err := topics[n%benchHubs].Publish(ctx, payload); err != nil {
			b.Fatal(err)
		}
		for range benchHubs {
			<-arrived
		}
		took = append(took, time.Since(start))
		n++
	}
	report(b, took)
}

// settle gives the meshes three heartbeats to form; nothing tells when they have.
func settle(b *testing.B) {
	b.Helper()
	timer := time.NewTimer(3 * time.Second)
	defer timer.Stop()
	<-timer.C
}

// BenchmarkGossipBurst50 makes 300 changes within one second on one of 50 hubs and
// measures how long after the last one all hold the same.
func BenchmarkGossipBurst50(b *testing.B) {
	hubs, end := startFifty(b)
	defer end()
	var took []time.Duration
	n := 0
	for b.Loop() {
		tick := time.NewTicker(time.Second / 300)
		for i := range 300 {
			hubs[n%benchHubs].publish(fmt.Sprint("burst-", i%60), fmt.Sprint("version ", n, " ", i))
			<-tick.C
		}
		tick.Stop()
		took = append(took, within(b, 30*time.Second, "all hold the same", func() bool { return allHold(hubs) }))
		n++
	}
	report(b, took)
	reportRepairs(b, hubs)
}

func benchHub(b *testing.B) {
	hubs, end := startFifty(b)
	defer end()
	var took []time.Duration
	n := 0
	for b.Loop() {
		from, text := hubs[n%benchHubs], fmt.Sprint("version ", n)
		start := time.Now()
		from.publish("quick", text)
		waiting := slices.DeleteFunc(slices.Clone(hubs), func(h *market) bool { return h == from })
		for len(waiting) > 0 {
			if waiting[len(waiting)-1].sells(from, "quick", text) {
				waiting = waiting[:len(waiting)-1]
				continue
			}
			timer := time.NewTimer(200 * time.Microsecond)
			<-timer.C
			if time.Since(start) > 10*time.Second {
				b.Fatalf("change %d did not arrive within 10 s", n)
			}
		}
		took = append(took, time.Since(start))
		n++
	}
	report(b, took)
	reportRepairs(b, hubs)
}

func reportRepairs(b *testing.B, hubs []*market) {
	pulls, bounds := 0.0, 0.0
	for _, h := range hubs {
		pulls += counted(h.mesh.count.pulls, "")
		bounds += counted(h.mesh.count.bounds, "lane_waits") + counted(h.mesh.count.bounds, "validation_queue") + counted(h.mesh.count.bounds, "outbound_queue")
	}
	b.ReportMetric(pulls/benchHubs, "pulls/hub")
	b.ReportMetric(bounds, "dropped")
}

// startFifty starts hubs that know each other.
func startFifty(b *testing.B) (hubs []*market, end func()) {
	hubs = make([]*market, benchHubs)
	var hosts []host.Host
	for i := range hubs {
		hubs[i] = newMarket(b, i, loopback(b), catalog.AdmitAll)
		hosts = append(hosts, hubs[i].host)
	}
	ring(b, hosts)
	within(b, time.Minute, "50 hubs holding each other's listing", func() bool { return allHold(hubs) })
	settle(b)
	return hubs, func() {
		for _, h := range hubs {
			h.close()
			_ = h.host.Close()
		}
	}
}
