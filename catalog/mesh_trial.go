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

// TrialsDue lists the pending peers that the verified policy should try now, the
// longest waiting first, at most n, and when to ask again: zero if only a new peer
// (AdmissionDue) makes that worth while. Peers whose key is not known yet wait for the
// crawler to read their discovery document. Under other policies nothing is due.
func (c *Catalog) TrialsDue(n int) (due []Peer, next time.Time) {
	now := c.cfg.Now()
	c.judgeStale(now)
	if c.cfg.Admission != AdmitVerified {
		return nil, time.Time{}
	}
	c.peersMu.RLock()
	for _, p := range c.peers {
		switch {
		case p.Status != PeerPending || p.PublicKey == "":
		case !now.Before(p.Trial.Next):
			due = append(due, p.clone())
		case next.IsZero() || p.Trial.Next.Before(next):
			next = p.Trial.Next
		}
	}
	c.peersMu.RUnlock()
	slices.SortFunc(due, func(a, b Peer) int {
		return cmp.Or(waitingSince(&a).Compare(waitingSince(&b)), cmp.Compare(a.URL, b.URL))
	})
	if len(due) > max(0, n) {
		due, next = due[:max(0, n)], now
	}
	return due, next
}

// waitingSince is the last trial, or the first sight of a peer that had none.
func waitingSince(p *Peer) time.Time {
	if p.Trial.At.IsZero() {
		return p.FirstSeen
	}
	return p.Trial.At
}

// NoteTrial records a trial. With t.Passed the peer becomes active (under its claimed
// URL if t.URLConfirmed); otherwise it is due again after a backoff, or when its head
// changes address. Only a pending peer's state changes. At, Failures and Next are
// filled in here.
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
		t.Next = now.Add(trialWait(t.Failures))
	}
	p.Trial = t
	if t.URLConfirmed && p.Status != PeerRejected {
		if err := c.confirmURL(&p); err != nil {
			return p, nil, err
		}
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

// trialWait is the backoff after so many failures in a row.
func trialWait(failures int) time.Duration {
	if failures > 16 {
		return trialMost
	}
	return min(trialMost, trialFirst<<max(0, failures-1))
}

// confirmURL moves a peer to the URL that it claims, which showed its key, unless
// another key is active there.
func (c *Catalog) confirmURL(p *Peer) error {
	claim := p.ClaimedURL
	if claim == "" || claim == p.URL {
		return nil
	}
	if o, there := c.Peer(claim); there {
		if o.PublicKey != "" && o.PublicKey != p.PublicKey && o.Status != PeerPending || o.Status == PeerRejected {
			p.Why = fmt.Sprintf("%s: its address %s is that of another key here; the operator must decide", p.Status, claim)
			return nil
		}
		p.FirstSeen = earlier(p.FirstSeen, o.FirstSeen)
	}
	from := p.URL
	p.URL, p.ClaimedURL, p.WellKnownURL = claim, "", claim+wellKnownPath
	return c.movePeer(from, p.kept(), nil)
}

// kept is a copy that the caller's later changes do not reach.
func (p *Peer) kept() *Peer {
	out := p.clone()
	return &out
}
