package catalog

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
)

// judgeClaim checks whether the claimed URL may be called, where that matters now: an
// address written as a number always, a name only where the policy takes claims
// at their word, since a check may have to resolve it.
func (t *taking) judgeClaim(ctx context.Context) (Intake, bool) {
	claim := t.h.HubURL
	if claim == "" {
		return Intake{}, false
	}
	literal := literalHost(claim)
	if p, known := t.c.PeerByKey(t.h.PublicKey); known && (p.URL == claim || p.ClaimedURL == claim) && p.Status == PeerActive {
		t.claimOK = p.URL == claim
		return Intake{}, false
	}
	if !literal && t.c.cfg.Admission != AdmitAll {
		return Intake{}, false
	}
	err := t.c.cfg.URLs.CheckURL(ctx, claim)
	t.claimOK = err == nil
	if err != nil && literal {
		t.c.cfg.Logger.Info("catalog: head with an address that may not be called", "key", t.key, "url", claim, "error", err)
		return t.blame(ReasonUnsafe, claim+" is not a public address that this hub may call"), true
	}
	return Intake{}, false
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
	c, claim := t.c, t.h.HubURL
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
	c, claim := t.c, t.h.HubURL
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
