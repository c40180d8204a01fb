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
	next  time.Time // when the loop looks again by itself; zero: it does not
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
	if have, ok := q.m.cat.RefOf(w.Key); ok && have.Held == w.Digest && w.Digest != "" {
		return // it came meanwhile
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
	if q.next.IsZero() || p.due.Before(q.next) { // each look is at all that is wanted
		q.nudge()
	}
}

// settled drops a want that something else fulfilled.
func (q *pulls) settled(key identity.PublicKey, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.of[key]; p != nil && p.sequence <= sequence {
		delete(q.of, key)
	}
}

// loop starts pulls when they are due, at most pullsAtOnce conversations.
func (q *pulls) loop(ctx context.Context) {
	timer := stopped()
	defer timer.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		batches, next := q.due()
		for _, b := range batches {
			running.Go(func() { q.run(ctx, b) })
		}
		if !next.IsZero() {
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

// batch is what one peer is asked for in one conversation.
type batch struct {
	from  peer.ID
	dial  bool
	wants []catalog.Want
}

// due takes what is due, by the peer to ask, and tells when the next is; zero for never.
func (q *pulls) due() (batches map[peer.ID]*batch, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() { q.next = next }()
	now := time.Now()
	batches = map[peer.ID]*batch{}
	for key, p := range q.of {
		if p.running {
			continue
		}
		if !p.due.After(now) {
			b, busy := q.choose(p, batches)
			switch {
			case busy && !q.slots.free():
				continue // the end of a running one wakes the loop
			case busy:
				p.due = now.Add(slotRetry)
			case b == nil:
				if p.attempts++; p.attempts >= maxPullAttempts {
					q.m.count.pulls.WithLabelValues("given_up").Inc()
					delete(q.of, key)
					continue
				}
				p.tried, p.due = nil, now.Add(q.backoff(p.attempts))
			default:
				p.running = true
				p.tried = append(p.tried, b.from)
				b.wants = append(b.wants, p.want)
				continue
			}
		}
		if next.IsZero() || p.due.Before(next) {
			next = p.due
		}
	}
	return batches, next
}

func (q *pulls) backoff(attempts int) time.Duration {
	return q.m.chance.around(min(pullBackoff<<min(attempts, 10), maxPullBackoff), 0.3)
}

// choose finds a conversation to pull in, one of batches or a new one: with who offered the
// listing or wrote it, from the second round on with anybody connected, and at last with
// an author that must be dialled. Who offers a head may still be pulling itself what
// belongs to it: a moment later it has it, and that costs less than a connection to the
// author, which all the mesh would make. busy means that somebody could be asked, but not
// now.
func (q *pulls) choose(p *pull, batches map[peer.ID]*batch) (b *batch, busy bool) {
	author := idOf(p.want.Key)
	candidates := slices.DeleteFunc(slices.Clone(p.offers), func(c peer.ID) bool { return c == author })
	slices.Reverse(candidates)
	near := q.reachable(author)
	if near {
		candidates = append(candidates, author)
	}
	if p.attempts > 0 && len(p.tried) > 0 { // only if those could not help
		others := q.m.host.Network().Peers()
		for n := len(others); n > 0 && len(candidates) < maxPullAttempts; n-- {
			i := q.m.chance.below(n)
			others[i], others[n-1] = others[n-1], others[i]
			if c := others[n-1]; !slices.Contains(candidates, c) {
				candidates = append(candidates, c)
			}
		}
	}
	if !near {
		candidates = append(candidates, author)
	}
	for _, c := range candidates {
		reachable := q.reachable(c)
		if c == q.m.self || slices.Contains(p.tried, c) || q.m.blame.of(c) >= maxStreamOffence || !reachable && c != author {
			continue
		}
		if asked := p.attempts == 0 && len(p.tried) > 0; !reachable && (busy || asked || len(q.m.host.Peerstore().Addrs(c)) == 0) {
			continue
		}
		if b := batches[c]; b != nil {
			if len(b.wants) < maxFetches {
				return b, false
			}
		} else if q.slots.acquire(c) {
			batches[c] = &batch{from: c, dial: !reachable}
			return batches[c], false
		}
		busy = true
	}
	return nil, busy
}

func (q *pulls) reachable(p peer.ID) bool {
	c := q.m.host.Network().Connectedness(p)
	return c == network.Connected || c == network.Limited
}

// run has one conversation and decides for each listing what follows.
func (q *pulls) run(ctx context.Context, b *batch) {
	requests := make([]request, len(b.wants))
	for i, w := range b.wants {
		requests[i] = request{w.Key, digestOf(w.Digest), digestOf(w.Have)}
	}
	q.m.fetch(ctx, b.from, requests, b.dial, func(i int, raw []byte, err error) {
		q.answered(ctx, b.wants[i], b.from, raw, err)
	})
	q.slots.release(b.from)
	q.nudge()
}

// answered deals with one answer.
func (q *pulls) answered(ctx context.Context, want catalog.Want, from peer.ID, raw []byte, err error) {
	outcome, in, h := q.judge(ctx, want, from, raw, err)
	q.m.count.pulls.WithLabelValues(outcome).Inc()
	if h != nil {
		q.m.took(h, in, from, catalog.ViaStream, true)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.of[want.Key]
	if p == nil {
		return
	}
	p.running = false
	switch {
	case p.want != want: // something newer is wanted meanwhile
		q.nudge()
		return
	case outcome == pullDone, outcome == pullUnwanted:
		delete(q.of, want.Key)
		return
	}
	defer q.nudge()
	switch outcome {
	case pullBase:
		p.want.Have, p.tried, p.due = "", nil, time.Now()
		if want.Have == "" { // a whole listing has no base: it sent something else
			p.tried = []peer.ID{from}
		}
	default:
		p.due = time.Now() // the next peer; when none is left, due counts the attempt and waits
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

// judge finds out what an answer is and hands a listing to the catalogue.
func (q *pulls) judge(ctx context.Context, want catalog.Want, from peer.ID, raw []byte, err error) (outcome string, in catalog.Intake, h *catalog.Head) {
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
	u, _, err := q.m.parseUpdate(raw)
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
