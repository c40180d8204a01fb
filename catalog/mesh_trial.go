package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// The wait after a failed trial doubles from trialFirst to trialMost.
const (
	trialFirst = time.Minute
	trialMost  = 6 * time.Hour
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
		t.Next = now.Add(backoff(trialFirst, t.Failures))
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
	p.Why = "pending: its trial failed: " + t.Detail + "; the next one is at " + stamp(t.Next)
	commit, err := c.storePeer(&p)
	return p, commit, err
}

// backoff is the wait after so many failures in a row: first, doubling to trialMost.
func backoff(first time.Duration, failures int) time.Duration {
	if failures > 16 {
		return trialMost
	}
	return min(trialMost, first<<max(0, failures-1))
}
