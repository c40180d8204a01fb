package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// The wait after a failed trial doubles from trialFirst to trialMost; from unreachedFirst
// if nobody answered: hubs that start together find their way to each other within
// seconds.
const (
	trialFirst     = time.Minute
	unreachedFirst = 2 * time.Second
	trialMost      = 6 * time.Hour
	// hurriedTrials is after how many failures another address, or a connection, has a
	// peer that was not reached tried within trialFirst and no more within unreachedFirst:
	// both cost it nothing, and it chooses whom its trials call.
	hurriedTrials = 8
)

// maxTrialDetail bounds what is kept of a trial's story.
const maxTrialDetail = 1000

// AdmissionDue has an element whenever a pending peer may be worth a trial.
func (c *Catalog) AdmissionDue() <-chan struct{} { return c.mesh.admission }

// TrialsDue lists the peers to try now, at most n, and when to ask again: zero if only a
// new peer (AdmissionDue) makes that worth while. First the pending ones that the
// verified policy tries (NoteTrial), then, under every policy, the active ones that claim
// a URL which is to be looked at (NoteClaim), of each the longest waiting first. Peers
// whose key is not known yet wait for the crawler to read their discovery document.
func (c *Catalog) TrialsDue(n int) (due []Peer, next time.Time) {
	now := c.cfg.Now()
	c.judgeStale(now)
	c.peersMu.RLock()
	for _, p := range c.peers {
		from, ever := c.tryFrom(p)
		switch {
		case !ever:
		case !now.Before(from):
			due = append(due, p.clone())
		case next.IsZero() || from.Before(next):
			next = from
		}
	}
	c.peersMu.RUnlock()
	slices.SortFunc(due, func(a, b Peer) int {
		if a.Status != b.Status {
			return cmp.Compare(b.Status, a.Status) // pending before active
		}
		return cmp.Or(waitingSince(&a).Compare(waitingSince(&b)), cmp.Compare(a.URL, b.URL))
	})
	if len(due) > max(0, n) {
		due, next = due[:max(0, n)], now
	}
	return due, next
}

// tryFrom is the time from which a peer may be tried; false if it is not to be.
func (c *Catalog) tryFrom(p *Peer) (from time.Time, ever bool) {
	switch {
	case p.PublicKey == "":
	case p.Status == PeerPending:
		return p.Trial.Next, c.cfg.Admission == AdmitVerified
	case p.Status == PeerActive:
		return p.Look.Next, p.ClaimedURL != ""
	}
	return time.Time{}, false
}

// waitingSince is the last trial or look, or the first sight of a peer that had none.
func waitingSince(p *Peer) time.Time {
	last := p.Trial.At
	if p.Status == PeerActive {
		last = p.Look.At
	}
	if last.IsZero() {
		return p.FirstSeen
	}
	return last
}

// NoteTrial records a trial. With t.Passed the peer becomes active, under its claimed URL
// if t.URLConfirmed and t.Address is still what it claims; otherwise it is due again after
// a backoff, or when its head changes address. Only a pending peer's state changes. At,
// Failures and Next are filled in here.
func (c *Catalog) NoteTrial(ctx context.Context, hubURL string, t Trial) (Peer, error) {
	if err := ctx.Err(); err != nil {
		return Peer{}, fmt.Errorf("catalog: trial of %s: %w", clip(hubURL), err)
	}
	c.mu.Lock()
	p, commit, err := c.trialLocked(hubURL, t)
	c.mu.Unlock()
	if err = waitAll([]*store.Commit{commit}, err); err != nil {
		return Peer{}, fmt.Errorf("catalog: trial of %s: %w", clip(hubURL), err)
	}
	return p, nil
}

func (c *Catalog) trialLocked(hubURL string, t Trial) (Peer, *store.Commit, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return p, nil, &UnknownError{SourceHub: hubURL, NoHub: true}
	}
	now := c.cfg.Now().UTC().Truncate(time.Second)
	t.At, t.Failures, t.Next = now, 0, time.Time{}
	t.Detail = clipTo(t.Detail, maxTrialDetail)
	if !t.Passed {
		t.Failures = p.Trial.Failures + 1
		first := trialFirst
		if t.Unreached {
			first = unreachedFirst
		}
		t.Next = now.Add(backoff(first, t.Failures))
	}
	p.Trial = t
	if t.URLConfirmed && p.Status != PeerRejected {
		if err := c.confirmURL(&p, t.Address); err != nil {
			return p, nil, err
		}
	}
	if t.Passed && p.ClaimedURL != "" { // it may have been tried there a moment ago
		p.Look = Look{At: now, Failures: 1, Next: now.Add(lookFirst)}
	}
	if p.Status != PeerPending {
		commit, err := c.storePeer(&p)
		return p, commit, err
	}
	if t.Passed {
		commit, err := c.activate(&p, "active: admitted by its trial at "+stamp(now)+": "+t.Detail)
		return p, commit, err
	}
	p.Why = c.waitingWhy(&p)
	commit, err := c.storePeer(&p)
	return p, commit, err
}

// again is from when a peer may be tried because something about it changed since its
// newest trial.
func (t *Trial) again() time.Time {
	switch {
	case t.At.IsZero():
		return time.Time{}
	case t.Unreached && t.Failures <= hurriedTrials:
		return t.At.Add(unreachedFirst)
	}
	return t.At.Add(trialFirst)
}

// NoteReachable notes that the hub of a key is connected now, proven by that key. If it is
// pending and was not reached when it was tried, its next trial is due within moments. It
// changes memory alone, and may wait for a change of the catalogue that is under way.
func (c *Catalog) NoteReachable(key identity.PublicKey) {
	hurry := func() (p Peer, ok bool) {
		if p, ok = c.PeerByKey(key); !ok || p.Status != PeerPending || !p.Trial.Unreached {
			return p, false
		}
		return p, p.Trial.again().Before(p.Trial.Next)
	}
	if _, ok := hurry(); !ok { // nearly all connections
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := hurry()
	if !ok {
		return
	}
	p.Trial.Next = p.Trial.again()
	p.Why = c.waitingWhy(&p)
	c.setPeer(p.URL, &p)
	poke(c.mesh.admission)
}

// backoff is the wait after so many failures in a row: first, doubling to trialMost.
func backoff(first time.Duration, failures int) time.Duration {
	if failures > 16 {
		return trialMost
	}
	return min(trialMost, first<<max(0, failures-1))
}
