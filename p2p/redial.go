package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds on reaching hubs again.
const (
	rejoinKnown  = 32 // known hubs dialled at the start
	maxLost      = 256
	redials      = 8 // at a time
	redialFirst  = time.Second
	redialLast   = 10 * time.Minute
	redialEager  = time.Hour // how long an outage is taken for a passing one
	redialBase   = 15 * time.Second
	redialEach   = 2 * time.Second
	redialGiveUp = 24 * time.Hour
	redialSpread = 2 * time.Second // when one lost hub is back, the others are tried within this
	redialIdle   = time.Minute
	longLived    = time.Minute // a connection that ends sooner was not wanted by the other side
	fewStrikes   = 2
	maxStrikes   = 9
)

// redialer keeps apart the hubs that are connected and those that were. A lost hub is
// tried again after an eighth of the time that it has been away, in the first hour sooner:
// as often as one try in two seconds over all lost hubs allows. Of many hubs cut off
// together some try every moment, and the first that gets through wakes the rest.
type redialer struct {
	mu      sync.Mutex
	targets map[peer.ID]*target
	wake    chan struct{}
}

type target struct {
	named     bool // by the operator: tried until it was connected once, and never given up
	met       bool // was connected
	connected bool
	busy      bool
	since     time.Time // connected or lost since
	next      time.Time // earliest next attempt
	strikes   int       // connections in a row that ended soon
}

func newRedialer() *redialer {
	return &redialer{targets: map[peer.ID]*target{}, wake: make(chan struct{}, 1)}
}

func (r *redialer) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// rejoin makes the operator's bootstrap hubs and the newest known ones due.
func (h *Host) rejoin() {
	now := time.Now()
	r := h.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range h.peers.newest(rejoinKnown) {
		if id, err := peerIDOf(key); err == nil && id != h.id {
			r.targets[id] = &target{since: now, next: now}
		}
	}
	for _, info := range h.bootstrap {
		r.targets[info.ID] = &target{named: true, since: now, next: now}
	}
}

// up notes a connection.
func (h *Host) up(id peer.ID) {
	now := time.Now()
	r := h.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[id]
	if t == nil {
		t = &target{}
		r.targets[id] = t
	}
	back := t.met && !t.connected
	if !t.connected {
		t.since = now
	}
	t.met, t.connected = true, true
	if !back {
		return
	}
	for _, other := range r.targets {
		if soon := now.Add(h.jitter(redialSpread)); !other.connected && other.strikes <= fewStrikes && other.next.After(soon) {
			other.next = soon
		}
	}
	r.poke()
}

// down notes that the last connection to a hub is gone.
func (h *Host) down(id peer.ID) {
	now := time.Now()
	r := h.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[id]
	if t == nil || !t.connected {
		return
	}
	if now.Sub(t.since) < longLived {
		t.strikes = min(t.strikes+1, maxStrikes)
	} else {
		t.strikes = 0
	}
	t.connected, t.since = false, now
	t.next = now.Add(h.jitter(redialFirst << t.strikes))
	r.bound()
	r.poke()
}

// later has a hub tried again that was never connected.
func (h *Host) later(id peer.ID) {
	now := time.Now()
	r := h.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.targets[id] == nil {
		r.targets[id] = &target{since: now, next: now.Add(h.jitter(redialFirst))}
		r.bound()
		r.poke()
	}
}

// bound drops the hubs lost longest ago when too many are.
func (r *redialer) bound() {
	for {
		lost := 0
		var oldest peer.ID
		for id, t := range r.targets {
			if t.connected || t.named {
				continue
			}
			lost++
			if oldest == "" || t.since.Before(r.targets[oldest].since) {
				oldest = id
			}
		}
		if lost <= maxLost {
			return
		}
		delete(r.targets, oldest)
	}
}

// due takes up to n hubs that are to be tried now, and says how long until the next one.
func (r *redialer) due(now time.Time, n int, enough bool) (ids []peer.ID, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = redialIdle
	for id, t := range r.targets {
		if t.connected || t.busy || enough && (!t.named || t.met) {
			continue
		}
		if now.Sub(t.since) > redialGiveUp && !t.named {
			delete(r.targets, id)
			continue
		}
		switch left := t.next.Sub(now); {
		case left > 0:
			wait = min(wait, left)
		case len(ids) < n:
			t.busy = true
			ids = append(ids, id)
		}
	}
	return ids, wait
}

func (h *Host) redialLoop() {
	r := h.redial
	slots := make(chan struct{}, redials)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		ids, wait := r.due(time.Now(), redials-len(slots), h.enough())
		for _, id := range ids {
			slots <- struct{}{}
			h.wg.Go(func() {
				h.retry(id)
				<-slots
				r.poke()
			})
		}
		timer.Reset(wait)
	}
}

// enough reports that there are connections to spare.
func (h *Host) enough() bool { return len(h.host.Network().Peers()) >= h.cfg.ConnLow }

// pause is how long to wait after an attempt that failed.
func (r *redialer) pause(t *target, now time.Time) time.Duration {
	away := now.Sub(t.since)
	limit := redialLast
	if away < redialEager {
		lost := 0
		for _, other := range r.targets {
			if !other.connected {
				lost++
			}
		}
		limit = min(limit, redialBase+time.Duration(lost)*redialEach)
	}
	return min(max(away/8, redialFirst<<t.strikes), limit)
}

// retry tries one hub and says when next.
func (h *Host) retry(id peer.ID) {
	nowhere := len(h.addrsOf(id)) == 0
	var err error
	if !nowhere {
		err = h.connect(h.ctx, id, "again")
	}
	r := h.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[id]
	if t == nil {
		return
	}
	now := time.Now()
	t.busy = false
	switch {
	case nowhere && !t.named:
		delete(r.targets, id) // it never said where it is: it may come back by itself
	default: // also after a success: it counts once the other side has said that it is a hub
		wait := r.pause(t, now)
		t.next = now.Add(h.jitter(wait))
		if err != nil && t.named && !t.met && h.ctx.Err() == nil {
			h.log.Info("a bootstrap hub does not answer yet", "hub", id, "again_in", wait, "error", err)
		}
	}
}
