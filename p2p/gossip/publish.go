package gossip

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

// publishLoop sends what is new here: changes at once and then at publishPace, their
// heads when it is quiet again, refreshes, events, and heads to pass on.
func (m *Mesh) publishLoop(ctx context.Context) {
	var (
		due      = true // whatever changed while this hub was off
		refresh  bool
		pacing   bool
		repair   *catalog.Head // newest head whose update was published
		repairBy time.Time
		events   [][]byte

		pace        = stopped()
		quiet       = stopped()
		announce    = stopped()
		burst       = stopped()
		rumourTimer = stopped()
		renew       = time.NewTimer(m.chance.around(m.cfg.Refresh, 0.1))
	)
	for _, t := range []*time.Timer{pace, quiet, announce, burst, rumourTimer, renew} {
		defer t.Stop()
	}
	for {
		if due && !pacing {
			u, err := m.cat.NextUpdate(ctx, refresh)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				m.log.Error("this hub's next head could not be made; trying again", "error", err, "in", publishRetry)
				pacing = true
				pace.Reset(publishRetry)
			default:
				due, refresh = false, false
				if u == nil {
					break
				}
				pacing = true
				pace.Reset(publishPace)
				renew.Reset(m.chance.around(m.cfg.Refresh, 0.1))
				if m.publishUpdate(ctx, u) {
					if repair == nil {
						repairBy = time.Now().Add(maxRepairWait)
					}
					repair = u.Head
					quiet.Reset(min(m.chance.around(repairDelay, 0.1), time.Until(repairBy)))
				} else {
					repair = nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-m.cat.OwnChanges():
			due = true
		case <-renew.C:
			due, refresh = true, true
		case <-pace.C:
			pacing = false
		case <-quiet.C:
			if repair != nil {
				m.publish(ctx, AnnounceTopic, "repair", repair.Raw())
				repair = nil
			}
		case <-m.joined:
			announce.Reset(m.chance.around(joinDelay, 0.1))
		case <-announce.C:
			m.announceSelf(ctx)
		case <-m.cat.EventsDue():
			events = append(events, m.cat.NextEvents()...)
			if over := len(events) - maxEventQueue; over > 0 {
				events = events[over:]
				m.count.bounds.WithLabelValues("event_queue").Add(float64(over))
			}
			burst.Reset(0)
		case <-burst.C:
			n := min(eventBurst, len(events))
			for _, e := range events[:n] {
				m.publish(ctx, AnnounceTopic, "event", e)
			}
			if events = events[n:]; len(events) > 0 {
				burst.Reset(eventPace)
			}
		case <-m.rumours.due:
			rumourTimer.Reset(m.chance.around(rumourDelay, 0.9))
		case <-rumourTimer.C:
			m.spreadRumours(ctx, rumourTimer)
		}
	}
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// publishUpdate reports whether the update itself went out, so that its head has to follow.
func (m *Mesh) publishUpdate(ctx context.Context, u *catalog.Update) bool {
	if u.Refresh() || len(u.Raw()) > MaxGossipUpdate {
		m.publish(ctx, AnnounceTopic, "head", u.Head.Raw())
		return false
	}
	m.publish(ctx, ManifestTopic, "update", u.Raw())
	return true
}

// announceSelf tells the mesh that was just joined what this hub lists, whole if it fits.
func (m *Mesh) announceSelf(ctx context.Context) {
	head, ok := m.cat.RawHead(m.key)
	if !ok {
		return // the first one is yet to be made, and will be published then
	}
	raw, err := m.cat.UpdateFor(ctx, m.key, "")
	if err == nil && len(raw) <= MaxGossipUpdate {
		m.publish(ctx, ManifestTopic, "join", raw)
		return
	}
	m.publish(ctx, AnnounceTopic, "join", head)
}

// publish hands a copy to pubsub, which keeps the slice. While nobody listens it does
// nothing: a message counts as seen once published and could not be sent again.
func (m *Mesh) publish(ctx context.Context, topic, kind string, data []byte) {
	if m.alone(topic) {
		m.count.bound("nobody_listens")
		return
	}
	if err := m.topics[topic].t.Publish(ctx, bytes.Clone(data)); err != nil {
		if ctx.Err() == nil {
			m.log.Warn("a message could not be published; comparisons will carry it", "kind", kind, "topic", topic, "error", err)
			m.count.bound("publish")
		}
		return
	}
	m.count.published.WithLabelValues(kind).Inc()
}

// rumours are heads that this hub learned by comparing and that its neighbours may not
// know: a comparison joins two hubs, not the two halves of a mesh behind them.
type rumours struct {
	mu    sync.Mutex
	heads []*verified
	due   chan struct{}
}

func newRumours() *rumours { return &rumours{due: make(chan struct{}, 1)} }

// rumour queues a head to be passed on unless gossip brought it, or brings it first. What
// a hub learns when it has just joined is no news to anybody: whom it is connected to
// compares catalogues with it in that time.
func (m *Mesh) rumour(h *catalog.Head) {
	r, known := m.rumours, m.remember(h)
	if known.gossiped.Load() || m.young() {
		return
	}
	r.mu.Lock()
	full := len(r.heads) >= maxRumours
	if !full {
		known.rumour.Store(true)
		r.heads = append(r.heads, known)
	}
	r.mu.Unlock()
	if full {
		m.count.bound("rumours")
		return
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// spreadRumours publishes what waited, at most rumourRate in a second.
func (m *Mesh) spreadRumours(ctx context.Context, again *time.Timer) {
	r := m.rumours
	r.mu.Lock()
	n := min(len(r.heads), rumourRate)
	batch := r.heads[:n:n]
	r.heads = r.heads[n:]
	if len(r.heads) == 0 {
		r.heads = nil
	} else {
		again.Reset(time.Second)
	}
	r.mu.Unlock()
	for _, known := range batch {
		if !known.rumour.Swap(false) {
			continue // forwarded meanwhile
		}
		h := known.head
		if newest, ok := m.cat.RefOf(h.PublicKey); !ok || newest.Sequence != h.Sequence || newest.Digest != h.Digest {
			continue
		}
		m.publish(ctx, AnnounceTopic, "rumour", h.Raw())
	}
}
