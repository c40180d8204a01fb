package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	pingEvery     = time.Hour // a ping costs a stream: every few minutes it would outweigh all else of a quiet mesh
	pingTimeout   = 10 * time.Second
	pingsAtOnce   = 8
	maxPingQueue  = 64
	pingSmoothing = 4 // a new measurement counts for a quarter
)

// latencies are the smoothed round trips to connected hubs. The peer store keeps such
// figures too, but the DHT mixes its requests, with all that is done for them, into those.
type latencies struct {
	mu   sync.Mutex
	hubs map[peer.ID]time.Duration
}

func (l *latencies) note(id peer.ID, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.hubs[id]; ok {
		d = old + (d-old)/pingSmoothing
	}
	l.hubs[id] = d
}

func (l *latencies) get(id peer.ID) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hubs[id]
}

func (l *latencies) forget(id peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hubs, id)
}

// pingLoop measures the round trip to a hub when it comes, and to all every pingEvery.
func (h *Host) pingLoop() {
	timer := time.NewTimer(h.jitter(pingEvery))
	defer timer.Stop()
	slots := make(chan struct{}, pingsAtOnce)
	var wg sync.WaitGroup
	defer wg.Wait()
	ping := func(id peer.ID) {
		select {
		case slots <- struct{}{}:
		case <-h.ctx.Done():
			return
		}
		wg.Go(func() {
			h.ping(id)
			<-slots
		})
	}
	for {
		select {
		case <-h.ctx.Done():
			return
		case id := <-h.pings:
			ping(id)
		case <-timer.C:
			for _, id := range h.host.Network().Peers() {
				ping(id)
			}
			timer.Reset(h.jitter(pingEvery))
		}
	}
}

func (h *Host) ping(id peer.ID) {
	ctx, cancel := context.WithTimeout(network.WithNoDial(h.ctx, "ping"), pingTimeout)
	results := ping.Ping(ctx, h.host, id)
	r := <-results
	if r.Error == nil {
		r = <-results // the first had to agree on the protocol as well
	}
	switch {
	case r.Error == nil && r.RTT > 0 && h.connected(id):
		h.latency.note(id, r.RTT)
	case r.Error != nil && h.ctx.Err() == nil:
		h.log.Debug("a hub does not answer pings", "hub", id, "error", r.Error)
	}
	cancel()
	for range results { // until its goroutine ends
	}
}
