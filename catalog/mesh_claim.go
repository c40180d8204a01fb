package catalog

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
)

// judgeClaim decides what the head's claim of a URL is worth here. An address that needs
// no resolver, a number or localhost, and that this hub may not call is left out as if
// the head claimed none: its author may be fine for others, and here it is known by its
// key. A name is checked only where the policy takes claims at their word, since that
// may have to resolve it.
func (t *taking) judgeClaim(ctx context.Context) {
	claim := t.h.HubURL
	if claim == "" {
		return
	}
	p, known := t.c.PeerByKey(t.h.PublicKey)
	active := known && p.Status == PeerActive
	if active && p.URL == claim {
		t.claim, t.claimOK = claim, true
		return
	}
	literal := literalHost(claim)
	if !literal && (t.c.cfg.Admission != AdmitAll || active && p.ClaimedURL == claim) {
		t.claim = claim
		return
	}
	err := t.c.cfg.URLs.CheckURL(ctx, claim)
	t.claimOK = err == nil
	if err == nil || !literal {
		t.claim = claim
		return
	}
	t.c.cfg.Logger.Debug("catalog: head with an address that may not be called", "key", t.key, "url", claim, "error", err)
}

// literalHost is true for a URL whose host needs no resolver.
func literalHost(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
}

// checkClaim refuses a head that claims the URL of somebody else. What is merely pending
// there, seen by somebody or under another key, is nobody's yet.
func (t *taking) checkClaim() (Intake, bool) {
	c, claim := t.c, t.claim
	if claim == "" {
		return Intake{}, false
	}
	if c.isSelf(claim) {
		return t.blame(ReasonURLTaken, claim+" is this hub's own address"), true
	}
	for _, base := range []string{claim, otherScheme(claim)} { // a source_hub does not tell them apart
		if key, ok := c.mesh.seedURLs[base]; ok && key != t.h.PublicKey {
			return t.blame(ReasonURLTaken, base+" is pinned to another key by the operator"), true
		}
		o, ok := c.Peer(base)
		switch {
		case !ok || o.PublicKey == t.key:
		case o.PublicKey != "" && o.Status != PeerPending && (t.h.Succeeds == nil || t.h.Succeeds.PublicKey != o.PublicKey):
			return t.blame(ReasonURLTaken, base+" belongs to another key"), true
		case o.Status == PeerRejected:
			return t.ignore(ReasonRejected, "the operator rejected the hub at "+base), true
		}
	}
	return Intake{}, false
}

// otherScheme is the same address over https instead of http, or the other way round.
func otherScheme(base string) string {
	if rest, ok := strings.CutPrefix(base, "http://"); ok {
		return "https://" + rest
	}
	if rest, ok := strings.CutPrefix(base, "https://"); ok {
		return "http://" + rest
	}
	return base
}

// mayTakeURL reports whether the claimed URL counts without a trial: the operator
// pinned it to this key, or the policy is open and nobody else has it.
func (t *taking) mayTakeURL() bool {
	c, claim := t.c, t.claim
	if claim == "" {
		return false
	}
	if c.mesh.seedURLs[claim] == t.h.PublicKey {
		return true
	}
	o, taken := c.Peer(claim)
	return c.cfg.Admission == AdmitAll && t.claimOK && (!taken || o.Status == PeerPending)
}

// isAuthor reports whether a source_hub names the author of the head.
func (t *taking) isAuthor(sourceHub string) bool {
	base, err := NormalizeHubURL(sourceHub)
	return err == nil && (sameHub(base, t.h.HubURL) || base == KeyURL(t.h.PublicKey))
}

// sameHub compares base URLs without their schemes (federation notes §2, "Per tool").
func sameHub(a, b string) bool {
	_, x, _ := strings.Cut(a, "://")
	_, y, _ := strings.Cut(b, "://")
	return x == y
}
