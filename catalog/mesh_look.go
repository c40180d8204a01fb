package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// lookFirst is the wait after the first look at a claimed URL that did not show the key. It
// doubles to trialMost. A hub that was tried a moment before it answers at its address gets
// the address soon; a look costs one small document.
const lookFirst = 10 * time.Second

// NoteClaim records a look at the URL that an active peer claims: shown says that the key
// of the peer was shown there, detail what was seen otherwise. Then the URL is the
// peer's, and what was known of it before is one record with the peer's. Else the peer is
// due again after a backoff. A claim that is not the peer's any more changes nothing.
func (c *Catalog) NoteClaim(ctx context.Context, hubURL, claim string, shown bool, detail string) (Peer, error) {
	if err := ctx.Err(); err != nil {
		return Peer{}, fmt.Errorf("catalog: claim of %s: %w", clip(hubURL), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.claimLocked(hubURL, claim, shown, clipTo(detail, maxTrialDetail))
	if err != nil {
		return Peer{}, fmt.Errorf("catalog: claim of %s: %w", clip(hubURL), err)
	}
	return p, nil
}

func (c *Catalog) claimLocked(hubURL, claim string, shown bool, detail string) (Peer, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return p, &UnknownError{SourceHub: hubURL, NoHub: true}
	}
	if p.Status != PeerActive || p.ClaimedURL == "" || p.ClaimedURL != claim {
		return p, nil
	}
	now := c.cfg.Now().UTC().Truncate(time.Second)
	last := p.Look
	p.Look = Look{At: now}
	if shown {
		from := p.URL
		if err := c.confirmURL(&p, claim); err != nil {
			return p, err
		}
		if p.URL == claim {
			c.cfg.Logger.Info("catalog: a hub's address is confirmed", "hub", from, "address", p.URL)
			return p, nil
		}
	}
	p.Look.Failures = last.Failures + 1
	p.Look.Next = now.Add(backoff(lookFirst, p.Look.Failures))
	if err := c.keepPeer(p.kept()); err != nil {
		return p, err
	}
	if o, there := c.Peer(claim); there && o.Status == PeerPending && o.PublicKey == "" {
		o.Why = "pending: only its address is known; the hub " + p.URL + " says that it lives there, which is not confirmed: " + cleanText(detail, maxWhy)
		return p, c.keepPeer(&o)
	}
	return p, nil
}

// confirmURL moves a peer to the URL that it claims if that is the one which showed its
// key, unless another key was admitted there.
func (c *Catalog) confirmURL(p *Peer, shownAt string) error {
	claim := p.ClaimedURL
	if claim == "" || claim == p.URL || claim != shownAt {
		return nil
	}
	if o, there := c.Peer(claim); there {
		if o.PublicKey != "" && o.PublicKey != p.PublicKey && o.Status != PeerPending || o.Status == PeerRejected {
			p.Why = fmt.Sprintf("%s: its address %s is that of another key here; the operator must decide", p.Status, claim)
			return nil
		}
		p.absorb(&o)
	}
	from := p.URL
	p.URL, p.ClaimedURL, p.WellKnownURL = claim, "", claim+wellKnownPath
	p.ManifestURL, p.MCPEndpoint = "", ""
	return c.movePeer(from, p.kept(), nil)
}

// absorb takes over what another record of the same hub knows better: since when the hub
// is known, and how it became known. A record of another key is of another hub.
func (p *Peer) absorb(o *Peer) {
	if o.PublicKey != "" && o.PublicKey != p.PublicKey {
		return
	}
	p.FirstSeen = earlier(p.FirstSeen, o.FirstSeen)
	if wordOf(o.Discoverer) > wordOf(p.Discoverer) {
		p.Discoverer, p.Depth = o.Discoverer, o.Depth
	}
}

// wordOf ranks ways to become known by whose word they are: the operator's, another
// hub's, the hub's own.
func wordOf(discoverer string) int {
	way, _, _ := strings.Cut(discoverer, ":")
	switch way {
	case "operator":
		return 4
	case "seed":
		return 3
	case string(ViaAnnounce), "crawler", "":
		return 1
	}
	return 2
}

// hurryLook has the claim of a URL looked at soon: somebody says that a hub is there. It
// changes memory alone. c.mu is held.
func (c *Catalog) hurryLook(claim string) {
	var hurried []*Peer
	c.peersMu.RLock()
	for _, p := range c.peers {
		if p.Status != PeerActive || p.ClaimedURL != claim {
			continue
		}
		if soon := p.Look.At.Add(lookFirst); soon.Before(p.Look.Next) {
			q := p.kept()
			q.Look.Next = soon
			hurried = append(hurried, q)
		}
	}
	c.peersMu.RUnlock()
	for _, p := range hurried {
		c.setPeer(p.URL, p)
	}
	if len(hurried) > 0 {
		poke(c.mesh.admission)
	}
}
