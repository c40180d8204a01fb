package gossip

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// syncs decides when to compare with whom.
type syncs struct {
	m      *Mesh
	mu     sync.Mutex
	queue  map[peer.ID]comparison
	recent *simplelru.LRU[peer.ID, time.Time]
	refuse *simplelru.LRU[identity.PublicKey, declined]
	wake   chan struct{}
	serves *slots
}

// comparison is one that is to come.
type comparison struct {
	at     time.Time
	unless bool // not if the peer began one meanwhile
	fresh  bool // the peer was just connected: another follows
}

// declined is a head that had no effect here.
type declined struct {
	ref   [40]byte
	until time.Time
}

func newSyncs(m *Mesh) *syncs {
	recent, _ := simplelru.NewLRU[peer.ID, time.Time](maxSyncQueue, nil) // fails only for sizes ≤ 0
	refuse, _ := simplelru.NewLRU[identity.PublicKey, declined](maxDeclined, nil)
	return &syncs{m: m, queue: map[peer.ID]comparison{}, recent: recent, refuse: refuse, wake: make(chan struct{}, 1),
		serves: newSlots(syncServed, syncServedOfOne)}
}

// request queues a comparison, the earliest time counts.
func (q *syncs) request(p peer.ID, delay time.Duration) {
	q.put(p, comparison{at: time.Now().Add(delay)})
}

func (q *syncs) put(p peer.ID, c comparison) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old, ok := q.queue[p]
	switch {
	case p == q.m.self:
		return
	case !ok && len(q.queue) >= maxSyncQueue:
		q.m.count.bound("sync_queue")
		return
	case !ok || c.at.Before(old.at):
		c.fresh = c.fresh || old.fresh
		q.queue[p] = c
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// met notes that a comparison with p took place, whoever began it.
func (q *syncs) met(p peer.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.recent.Add(p, time.Now())
}

func (q *syncs) decline(h *catalog.Head) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse.Add(h.PublicKey, declined{refOf(h), q.m.cfg.Now().Add(declineFor)})
}

func (q *syncs) declined(r ref) bool {
	var id [40]byte
	copy(id[:], r.digest[:])
	binary.BigEndian.PutUint64(id[32:], r.sequence)
	q.mu.Lock()
	defer q.mu.Unlock()
	d, ok := q.refuse.Get(r.key)
	return ok && d.ref == id && q.m.cfg.Now().Before(d.until)
}

// admitted forgets that a hub's head had no effect.
func (q *syncs) admitted(key identity.PublicKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse.Remove(key)
}

// watchConnects subscribes to what the host learns of its peers' protocols.
func (m *Mesh) watchConnects() (event.Subscription, error) {
	sub, err := m.host.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated)},
		eventbus.BufSize(256), eventbus.Name("aimarket.gossip"))
	if err != nil {
		return nil, fmt.Errorf("gossip: watching the host's connections: %w", err)
	}
	return sub, nil
}

// loop compares on connect, when asked, and with a random peer every Config.Sync.
func (q *syncs) loop(ctx context.Context, connects event.Subscription) {
	defer connects.Close()
	var (
		running sync.WaitGroup
		slots   = newSlots(syncsAtOnce, 1)
		timer   = stopped()
		regular = time.NewTimer(q.m.chance.around(q.m.cfg.Sync, 0.3))
	)
	defer running.Wait()
	defer timer.Stop()
	defer regular.Stop()
	for _, p := range q.m.host.Network().Peers() {
		q.connected(p)
	}
	for {
		next, any := q.start(ctx, slots, &running)
		if any {
			timer.Reset(max(0, time.Until(next)))
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		case <-regular.C:
			regular.Reset(q.m.chance.around(q.m.cfg.Sync, 0.3))
			q.random()
		case e, ok := <-connects.Out():
			if !ok {
				return
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				if slices.Contains(e.Protocols, protocolID(SyncProtocol)) {
					q.connected(e.Peer)
				}
			case event.EvtPeerProtocolsUpdated:
				if slices.Contains(e.Added, protocolID(SyncProtocol)) {
					q.connected(e.Peer)
				}
			}
		}
	}
}

// connected queues the comparison with a new neighbour: at once by the side that
// dialled, later by the other in case the first does not come. What gossip carries
// before the two are in each other's mesh passes them by, so another one follows.
func (q *syncs) connected(p peer.ID) {
	if !q.speaks(p) {
		return
	}
	for _, c := range q.m.host.Network().ConnsToPeer(p) {
		if c.Stat().Direction == network.DirOutbound {
			q.put(p, comparison{at: time.Now(), fresh: true})
			return
		}
	}
	q.put(p, comparison{at: time.Now().Add(q.m.chance.around(syncFollowUp, 0.3)), unless: true})
}

func (q *syncs) speaks(p peer.ID) bool {
	got, err := q.m.host.Peerstore().SupportsProtocols(p, protocolID(SyncProtocol))
	return err == nil && len(got) > 0
}

func (q *syncs) random() {
	peers := q.m.host.Network().Peers()
	peers = slices.DeleteFunc(peers, func(p peer.ID) bool { return !q.speaks(p) || q.m.blame.of(p) >= maxStreamOffence })
	if len(peers) > 0 {
		q.request(peers[q.m.chance.below(len(peers))], 0)
	}
}

// start begins the comparisons that are due and tells when the next one is.
func (q *syncs) start(ctx context.Context, slots *slots, running *sync.WaitGroup) (next time.Time, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for p, c := range q.queue {
		if c.at.After(now) {
			if !any || c.at.Before(next) {
				next, any = c.at, true
			}
			continue
		}
		if last, ok := q.recent.Get(p); c.unless && ok && now.Sub(last) < 2*syncFollowUp {
			delete(q.queue, p)
			continue
		}
		if q.m.young() && slots.busy() { // its end wakes the loop, or the end of youth
			if again := now.Add(time.Second); !any || again.Before(next) {
				next, any = again, true
			}
			continue
		}
		if !slots.acquire(p) {
			continue // the end of a running one wakes the loop
		}
		delete(q.queue, p)
		running.Go(func() {
			again := q.run(ctx, p)
			slots.release(p)
			switch {
			case again:
				q.put(p, comparison{at: time.Now(), fresh: c.fresh})
			case c.fresh:
				q.request(p, q.m.chance.around(syncSettle, 0.3))
			}
			select {
			case q.wake <- struct{}{}:
			default:
			}
		})
	}
	return next, any
}

func (q *syncs) run(ctx context.Context, p peer.ID) (again bool) {
	again, err := q.m.compare(ctx, p)
	if err != nil {
		q.m.count.syncs.WithLabelValues("failed").Inc()
		q.m.log.Debug("a comparison with a peer failed; another follows in its time", "peer", p, "error", err)
		return false
	}
	q.met(p)
	q.m.count.syncs.WithLabelValues("begun").Inc()
	return again
}

// serve registers the handlers of the two protocols. Each stream runs under m.work, so
// that Close waits for it.
func (m *Mesh) serve(ctx context.Context) {
	fetches := newSlots(servedAtOnce, servedPerPeer)
	m.host.SetStreamHandler(protocolID(FetchProtocol), m.bounded(ctx, fetches, "fetch_served", nil, m.serveFetch))
	m.host.SetStreamHandler(protocolID(SyncProtocol), m.bounded(ctx, m.syncs.serves, "sync_served", m.limits.sync, func(ctx context.Context, s network.Stream) {
		m.serveSync(ctx, s)
		m.syncs.met(s.Conn().RemotePeer())
	}))
}

// bounded is a stream handler that serves only so many at once, and nobody who broke
// the rules too often.
func (m *Mesh) bounded(ctx context.Context, slots *slots, bound string, rate *buckets[peer.ID], serve func(context.Context, network.Stream)) network.StreamHandler {
	return func(s network.Stream) {
		p := s.Conn().RemotePeer()
		refuse := func(why string) {
			m.count.bound(why)
			_ = s.Reset()
		}
		if m.blame.of(p) >= maxStreamOffence {
			refuse("offender")
			return
		}
		if rate != nil {
			if ok, _ := rate.take(p, 1); !ok {
				refuse(bound + "_rate")
				return
			}
		}
		if !slots.acquire(p) {
			refuse(bound)
			return
		}
		defer slots.release(p)
		if !m.begin() {
			_ = s.Reset()
			return
		}
		defer m.work.Done()
		end := context.AfterFunc(ctx, func() { _ = s.Reset() })
		defer end()
		serve(ctx, s)
	}
}
