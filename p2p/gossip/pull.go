package gossip

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

func protocolID(p string) protocol.ID { return protocol.ID(p) }

// pulls is what this hub wants: at most one listing per key, the newest.
type pulls struct {
	m     *Mesh
	mu    sync.Mutex
	of    map[identity.PublicKey]*pull
	wake  chan struct{}
	slots *slots
}

type pull struct {
	want     catalog.Want
	sequence uint64
	due      time.Time
	offers   []peer.ID // who is said to have it, the newest last
	tried    []peer.ID
	attempts int // rounds in which every peer was asked
	running  bool
}

func newPulls(m *Mesh) *pulls {
	return &pulls{m: m, of: map[identity.PublicKey]*pull{}, wake: make(chan struct{}, 1), slots: newSlots(pullsAtOnce, pullsPerPeer)}
}

func (q *pulls) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add notes that a listing is wanted and that from may have it.
func (q *pulls) add(w catalog.Want, sequence uint64, from peer.ID, delay time.Duration) {
	if w.Key == q.m.key {
		return
	}
	due := time.Now().Add(delay)
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.of[w.Key]
	switch {
	case p == nil:
		if len(q.of) >= maxPulls {
			q.m.count.bound("pulls")
			return
		}
		p = &pull{want: w, sequence: sequence, due: due}
		q.of[w.Key] = p
	case sequence > p.sequence || sequence == p.sequence && w.Digest != p.want.Digest:
		p.want, p.sequence, p.attempts, p.tried = w, sequence, 0, nil
		p.due = due
	case due.Before(p.due) && p.attempts == 0:
		p.due = due
	}
	p.offers = slices.DeleteFunc(p.offers, func(o peer.ID) bool { return o == from })
	if p.offers = append(p.offers, from); len(p.offers) > maxOffers {
		p.offers = p.offers[1:]
	}
	q.nudge()
}

// settled drops a want that something else fulfilled.
func (q *pulls) settled(key identity.PublicKey, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.of[key]; p != nil && p.sequence <= sequence {
		delete(q.of, key)
	}
}

// loop starts pulls when they are due, at most pullsAtOnce.
func (q *pulls) loop(ctx context.Context) {
	timer := stopped()
	defer timer.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		next, any := q.start(ctx, &running)
		if any {
			timer.Reset(max(0, time.Until(next)))
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// slotRetry is how soon a pull is looked at again whose every peer is in use.
const slotRetry = 50 * time.Millisecond

// start runs what is due and tells when the next one is.
func (q *pulls) start(ctx context.Context, running *sync.WaitGroup) (next time.Time, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for key, p := range q.of {
		if p.running {
			continue
		}
		if !p.due.After(now) {
			if !q.slots.free() {
				return next, false // the end of a running one wakes the loop
			}
			from, dial, busy := q.choose(p)
			switch {
			case busy:
				p.due = now.Add(slotRetry)
			case from == "":
				if p.attempts++; p.attempts >= maxPullAttempts {
					q.m.count.pulls.WithLabelValues("given_up").Inc()
					delete(q.of, key)
					continue
				}
				p.tried, p.due = nil, now.Add(q.backoff(p.attempts))
			default:
				p.running = true
				p.tried = append(p.tried, from)
				want := p.want
				running.Go(func() { q.run(ctx, key, want, from, dial) })
				continue
			}
		}
		if !any || p.due.Before(next) {
			next, any = p.due, true
		}
	}
	return next, any
}

func (q *pulls) backoff(attempts int) time.Duration {
	return q.m.chance.around(min(pullBackoff<<min(attempts, 10), maxPullBackoff), 0.3)
}

// choose takes a slot at a peer to pull from: who offered it, then its author, then
// anybody connected. busy means that somebody could be asked, but not now.
func (q *pulls) choose(p *pull) (from peer.ID, dial, busy bool) {
	author := idOf(p.want.Key)
	candidates := slices.Clone(p.offers)
	slices.Reverse(candidates)
	if !slices.Contains(candidates, author) {
		candidates = append(candidates, author)
	}
	if len(p.tried) > 0 { // only if those could not help
		others := q.m.host.Network().Peers()
		for n := len(others); n > 0 && len(candidates) < maxPullAttempts; n-- {
			i := q.m.chance.below(n)
			others[i], others[n-1] = others[n-1], others[i]
			if c := others[n-1]; !slices.Contains(candidates, c) {
				candidates = append(candidates, c)
			}
		}
	}
	for _, c := range candidates {
		connected := q.m.host.Network().Connectedness(c)
		reachable := connected == network.Connected || connected == network.Limited
		if c == q.m.self || slices.Contains(p.tried, c) || q.m.blame.of(c) >= maxStreamOffence || !reachable && c != author {
			continue
		}
		if !reachable && (busy || len(q.m.host.Peerstore().Addrs(c)) == 0) {
			continue // a slot is free sooner than a connection is made, and cheaper
		}
		if q.slots.acquire(c) {
			return c, !reachable, false
		}
		busy = true
	}
	return "", false, busy
}

// run pulls once and decides what follows.
func (q *pulls) run(ctx context.Context, key identity.PublicKey, want catalog.Want, from peer.ID, dial bool) {
	outcome, in, h := q.pullFrom(ctx, want, from, dial)
	q.slots.release(from)
	q.m.count.pulls.WithLabelValues(outcome).Inc()
	if h != nil {
		q.m.took(h, in, from, catalog.ViaStream, true)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.nudge()
	p := q.of[key]
	if p == nil {
		return
	}
	p.running = false
	if p.want != want { // something newer is wanted meanwhile
		return
	}
	switch outcome {
	case pullDone, pullUnwanted:
		delete(q.of, key)
	case pullBase:
		p.want.Have, p.tried, p.due = "", nil, time.Now()
		if want.Have == "" { // a whole listing has no base: it sent something else
			p.tried = []peer.ID{from}
		}
	default:
		p.due = time.Now() // the next peer; when none is left, start counts the attempt and waits
	}
}

// Outcomes of one pull.
const (
	pullDone     = "done"
	pullUnwanted = "without_effect" // the catalogue has no use for it: pending, rejected, full
	pullBase     = "unknown_base"
	pullUnknown  = "unknown" // the peer does not have it, or only what is known already
	pullBusy     = "busy"
	pullFailed   = "failed" // the network, or too slow
	pullOffence  = "offence"
)

func (q *pulls) pullFrom(ctx context.Context, want catalog.Want, from peer.ID, dial bool) (outcome string, in catalog.Intake, h *catalog.Head) {
	raw, err := q.m.fetch(ctx, from, request{want.Key, digestOf(want.Digest), digestOf(want.Have)}, dial)
	switch {
	case errors.Is(err, errUnknown):
		return pullUnknown, in, nil
	case errors.Is(err, errBusy):
		return pullBusy, in, nil
	case errors.Is(err, errWire):
		q.m.offend(from, "fetch_format", err.Error())
		return pullOffence, in, nil
	case err != nil:
		q.m.log.Debug("a listing could not be pulled; another peer is asked", "peer", from, "hub", want.Key, "error", err)
		return pullFailed, in, nil
	}
	u, err := catalog.ParseUpdate(raw)
	switch {
	case err != nil:
		q.m.offend(from, "fetch_content", err.Error())
		return pullOffence, in, nil
	case u.Head.PublicKey != want.Key:
		q.m.offend(from, "fetch_content", "it sent the listing of another hub than was asked for")
		return pullOffence, in, nil
	}
	in = q.m.cat.TakeUpdate(ctx, u, q.m.source(catalog.ViaStream, from, u.Head))
	switch in.Reason {
	case catalog.ReasonApplied:
		return pullDone, in, u.Head
	case catalog.ReasonDuplicate, catalog.ReasonStale, catalog.ReasonExpired, catalog.ReasonFuture:
		if in.Want == nil && in.Reason == catalog.ReasonDuplicate {
			return pullDone, in, u.Head
		}
		return pullUnknown, in, u.Head
	case catalog.ReasonBase:
		return pullBase, in, nil // Want would only repeat what is being pulled
	case catalog.ReasonMismatch:
		if in.Verdict != catalog.Reject { // changes that nobody signed, from a relay: the whole can be checked
			return pullBase, in, nil
		}
	case catalog.ReasonStorage:
		return pullFailed, in, nil
	}
	if in.Verdict == catalog.Reject {
		q.m.offend(from, "fetch_content", in.Reason+": "+in.Detail)
		return pullOffence, in, nil
	}
	return pullUnwanted, in, u.Head
}
