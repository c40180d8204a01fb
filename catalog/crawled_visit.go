package catalog

import (
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// visit is one discovery document on its way in.
type visit struct {
	c          *Catalog
	d          *CrawledDiscovery
	key        identity.PublicKey
	hasKey     bool
	discoverer string
	depth      int
	now        time.Time
	commits    []*store.Commit // to wait for once c.mu is free
}

func (v *visit) ignore(reason, detail string) Sighting {
	return Sighting{Intake: Intake{Verdict: Ignore, Reason: reason, Detail: detail}}
}

func (v *visit) failed(err error) Sighting {
	v.c.cfg.Logger.Warn("catalog: a discovery document was not taken", "hub", v.d.BaseURL, "error", err)
	return v.ignore(failure(err), err.Error())
}

// judge decides and does it. c.mu is held.
func (v *visit) judge() Sighting {
	c, d := v.c, v.d
	p, known := c.Peer(d.BaseURL)
	v.key, v.hasKey = decodeKey(d.PublicKey)
	if known && p.Status == PeerRejected {
		return v.ignore(ReasonRejected, "the operator rejected this hub")
	}
	if v.hasKey && v.key == c.mesh.ownKey {
		return v.ownKey(p, known)
	}
	if v.hasKey {
		if hub, ok := c.retiredAt(v.key); ok {
			return v.foreignKey(p, known, "it was given up for another one by the hub known as "+hub)
		}
		if q, ok := c.PeerByKey(v.key); ok && q.URL != d.BaseURL {
			return v.keyElsewhere(p, known, q)
		}
	}
	switch {
	case !known:
		return v.newcomer()
	case !v.hasKey || p.PublicKey == d.PublicKey:
		return v.update(p, false)
	case p.PublicKey == "":
		return v.update(p, true)
	case p.Status == PeerPending:
		v.forgetKey(&p) // the pin had no effect yet: it moves
		return v.update(p, true)
	}
	return v.keyChanged(p)
}

// ownKey deals with an address that shows this hub's key.
func (v *visit) ownKey(p Peer, known bool) Sighting {
	if known && p.Status != PeerPending && p.PublicKey != "" {
		return v.keyChanged(p)
	}
	if known { // an alias of this hub that somebody named
		if err := v.drop(p); err != nil {
			return v.failed(err)
		}
	}
	return v.ignore(ReasonOwnKey, v.d.BaseURL+" shows this hub's own key: it is another address of this hub")
}

// foreignKey refuses a key that cannot be this address's.
func (v *visit) foreignKey(p Peer, known bool, why string) Sighting {
	if known && p.Status != PeerPending && p.PublicKey != "" {
		return v.keyChanged(p)
	}
	return v.ignore(ReasonKeyChanged, "the key "+v.d.PublicKey+" counts for nothing: "+why)
}

// newcomer makes a peer of an unknown address.
func (v *visit) newcomer() Sighting {
	base := v.d.BaseURL
	p := Peer{
		URL: base, WellKnownURL: base + wellKnownPath, Status: PeerPending,
		Discoverer: v.discoverer, Depth: v.depth, FirstSeen: v.now,
	}
	if isKeyURL(base) {
		p.WellKnownURL = ""
	}
	if err := v.c.roomForPending(base); err != nil && !v.admits(&p) {
		return v.failed(err)
	}
	return v.update(p, true)
}

// admits reports whether the policy trusts the key that this address shows at first
// contact: the operator pinned it, or everybody is let in. A seed that shows another key
// than the pinned one is never let in by itself.
func (v *visit) admits(p *Peer) bool {
	if !v.hasKey {
		return false
	}
	if pinned, isSeed := v.c.mesh.seedURLs[p.URL]; isSeed {
		return pinned == v.key
	}
	return v.c.cfg.Admission == AdmitAll && v.d.OtherBase() == ""
}

// forgetKey clears what a pending peer had under its former key.
func (v *visit) forgetKey(p *Peer) {
	p.PublicKey, p.AdvertisedKey, p.ClaimedURL = "", "", ""
	p.Multiaddrs, p.Sequence, p.Digest = nil, 0, ""
	p.hold("", 0)
	p.HeadTime, p.Expires, p.ManifestTime = time.Time{}, time.Time{}, time.Time{}
	p.Trial, p.Equivocations, p.Equivocated = Trial{}, 0, 0
	p.Why = "pending: its address shows another key than before"
}

// update writes what the document says into a peer whose key it may speak for. first
// is true when the address shows a key for the first time.
func (v *visit) update(p Peer, first bool) Sighting {
	c := v.c
	old, known := c.Peer(p.URL)
	p.LastSeen = v.now
	v.describe(&p)
	if first && v.hasKey {
		p.PublicKey = v.d.PublicKey
	}
	switch answers := strings.Contains(p.Why, unreachable); {
	case p.Status == PeerPending && (answers || p.Why == c.keylessWhy()):
		p.Why = c.waitingWhy(&p)
	case answers:
		p.Why = ""
	}
	if first && v.hasKey {
		v.admitOnSight(&p)
	}
	if p.Status == PeerKeyMismatch && v.hasKey && p.PublicKey == v.d.PublicKey {
		p.Status, p.AdvertisedKey = PeerActive, ""
		p.Why = "active: its address shows the pinned key again since " + stamp(v.now)
	}
	var also []func(*store.Batch)
	if known && (old.PublicKey != "" && old.PublicKey != p.PublicKey || old.Status == PeerPending && p.Status == PeerActive) {
		p.Previewed, also = 0, append(also, c.previewDropper(p.URL))
	}
	if err := c.keepPeer(&p, also...); err != nil {
		return v.failed(err)
	}
	if p.Status == PeerPending && p.PublicKey != "" {
		poke(c.mesh.admission)
	}
	out := Sighting{
		Intake:          Intake{Verdict: Accept, Reason: ReasonApplied, Peer: p.URL, State: p.Status},
		FetchManifest:   p.Status == PeerActive && p.PublicKey != "",
		FetchPreview:    p.Status == PeerPending && p.PublicKey != "",
		FollowNeighbour: p.Status == PeerActive || p.Status == PeerPending && v.d.Signed,
	}
	if !isKeyURL(v.d.BaseURL) && !sameHub(v.d.OtherBase(), p.URL) {
		out.Elsewhere = v.d.OtherBase()
	}
	switch {
	case p.Status == PeerPending:
		out.Reason, out.Detail = ReasonPending, p.Why
	case p.Status == PeerKeyMismatch:
		out.Reason, out.Detail = ReasonKeyChanged, p.Why
	case p.PublicKey == "":
		out.Reason, out.Detail = ReasonNoKey, "it is admitted but shows no key, so that nothing it lists can be verified"
	}
	return out
}

// admitOnSight makes a peer active if the policy trusts the key it shows.
func (v *visit) admitOnSight(p *Peer) {
	if p.Status != PeerPending {
		return
	}
	pinned, isSeed := v.c.mesh.seedURLs[p.URL]
	if !v.admits(p) {
		if isSeed {
			p.Why = "pending: it shows the key " + v.d.PublicKey + ", the operator pinned " + pinned.String()
		}
		return
	}
	if !isSeed {
		if ok, _ := v.c.mesh.newcomers.Allow("newcomers"); !ok {
			p.Why = "pending: too many unknown hubs came within a minute"
			return
		}
	}
	if err := v.c.mayActivate(p); err != nil {
		p.Why = "pending: " + err.Error()
		return
	}
	p.Status = PeerActive
	p.Why = "active: admitted at first contact by the open policy"
	if isSeed {
		p.Why = "active: a seed with the key that the operator pinned"
	}
}

// describe copies what the document says of its hub, within the bounds of
// ParseDiscovery. For a member of the mesh its heads speak: they are newer.
func (v *visit) describe(p *Peer) {
	d := v.d
	p.ManifestURL, p.Description, p.MCPEndpoint = d.ManifestURL, d.Description, d.MCPEndpoint
	if p.Sequence > 0 && v.now.Before(p.Expires) {
		return
	}
	if p.Name = d.Name; p.Name == "" {
		p.Name = hostname(p.URL)
	}
	p.HubVersion, p.Categories, p.Capabilities = d.HubVersion, d.Categories, d.Capabilities
	if d.Signed && d.PublicKey == p.PublicKey {
		p.Multiaddrs = d.Multiaddrs
	}
}

// keyChanged notes that an admitted peer's address shows another key. The pin stays,
// its rows stay but are neither shown nor sold, and the operator decides.
func (v *visit) keyChanged(p Peer) Sighting {
	p.Status, p.AdvertisedKey = PeerKeyMismatch, v.d.PublicKey
	p.Why = "key_mismatch: since " + stamp(v.now) + " its address shows the key " + v.d.PublicKey + " instead of the pinned one; repin it if that is meant, or wait for the old key to come back"
	if old, _ := v.c.Peer(p.URL); old.Status == PeerKeyMismatch && old.AdvertisedKey == p.AdvertisedKey {
		p.Why = old.Why // since it was first seen
	}
	if err := v.c.keepPeer(&p); err != nil {
		return v.failed(err)
	}
	v.c.cfg.Logger.Warn("catalog: a peer's address shows another key; its capabilities are not sold until that is settled", "hub", p.URL, "pinned", p.PublicKey, "shown", p.AdvertisedKey)
	out := v.ignore(ReasonKeyChanged, p.Why)
	out.Peer, out.State = p.URL, p.Status
	return out
}
