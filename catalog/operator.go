package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// keylessWhy says what a peer waits for of which only an address is known.
func (c *Catalog) keylessWhy() string {
	if c.cfg.Admission == AdmitVerified || c.cfg.Admission == AdmitAll {
		return "pending: only its address is known; waits until its discovery document was read there"
	}
	return c.pendingWhy()
}

// Sight records an address that somebody named as a pending peer: a neighbour, a
// crawler's header. It fetches nothing. added is false if the address is known or this
// hub's own; ErrFull if a bound keeps it out, *InvalidError if it may not be called.
func (c *Catalog) Sight(ctx context.Context, hubURL, discoverer string, depth int) (added bool, err error) {
	base, err := NormalizeHubURL(hubURL)
	if err == nil && isKeyURL(base) {
		err = errf("must begin with http:// or https://")
	}
	if err != nil {
		return false, fmt.Errorf("catalog: note the hub %q: %w", clip(hubURL), invalid("hub_url", "%v", err))
	}
	if c.isSelf(base) || c.knows(base) {
		return false, nil
	}
	if err := c.roomForPending(base); err != nil {
		return false, fmt.Errorf("catalog: note the hub %s: %w", base, err)
	}
	if err := c.cfg.URLs.CheckURL(ctx, base); err != nil {
		c.cfg.Logger.Debug("catalog: sighted URL refused", "url", base, "error", err)
		return false, fmt.Errorf("catalog: note the hub %s: %w", base, invalid("hub_url", "is not a public address that this hub may call"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knows(base) { // another sight was faster
		return false, nil
	}
	if err := c.roomForPending(base); err != nil {
		return false, fmt.Errorf("catalog: note the hub %s: %w", base, err)
	}
	p := &Peer{
		URL: base, Name: hostname(base), WellKnownURL: base + wellKnownPath, Status: PeerPending, Why: c.keylessWhy(),
		Discoverer: clipTo(discoverer, maxDiscoverer), Depth: depth, FirstSeen: c.cfg.Now().UTC().Truncate(time.Second),
	}
	if err := c.keepPeer(p); err != nil {
		return false, fmt.Errorf("catalog: note the hub %s: %w", base, err)
	}
	c.hurryLook(base)
	return true, nil
}

// MaxPreview bounds the rows that Preview returns.
const MaxPreview = 500

// Preview lists what a pending peer offers, at most limit rows. Nothing else reads it.
func (c *Catalog) Preview(ctx context.Context, hubURL string, limit int) ([]Capability, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return nil, fmt.Errorf("catalog: preview: %w", &UnknownError{SourceHub: hubURL, NoHub: true})
	}
	if limit <= 0 || limit > MaxPreview {
		limit = MaxPreview
	}
	var rows []Capability
	err := c.scanRows(rangePreview, p.URL, func(r *Capability) (bool, error) {
		rows = append(rows, *r)
		return len(rows) < limit, ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: preview of %s: %w", p.URL, err)
	}
	return rows, nil
}

// Reject is the operator's no to a peer, pending or not: its rows and preview go, and
// nothing that it or others say reopens it; Approve does.
func (c *Catalog) Reject(ctx context.Context, hubURL string) (Peer, error) {
	if err := ctx.Err(); err != nil {
		return Peer{}, fmt.Errorf("catalog: reject %s: %w", clip(hubURL), err)
	}
	c.mu.Lock()
	p, commits, err := c.rejectLocked(hubURL)
	c.mu.Unlock()
	if err = waitAll(commits, err); err != nil {
		return Peer{}, fmt.Errorf("catalog: reject %s: %w", clip(hubURL), err)
	}
	return p, nil
}

func (c *Catalog) rejectLocked(hubURL string) (Peer, []*store.Commit, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return p, nil, &UnknownError{SourceHub: hubURL, NoHub: true}
	}
	if p.Status == PeerRejected {
		return p, nil, nil
	}
	c.peersMu.RLock()
	rejected := c.mesh.rejected
	c.peersMu.RUnlock()
	if rejected >= MaxRejected {
		return p, nil, fmt.Errorf("%w: %d rejected hubs are remembered; remove some", ErrFull, rejected)
	}
	commits, err := c.demote(&p, PeerRejected, "rejected by the operator at "+stamp(c.cfg.Now())+"; only approving it reopens it")
	return p, commits, err
}

// RepinRequest changes a peer's pinned key by the operator's hand (federation notes §4).
type RepinRequest struct {
	URL         string
	PublicKey   string // "" takes the key that the peer advertises
	PreviousKey string // must be the present pin if given
	Trusted     *bool  // also approve (true) or send back to pending (false)
}

// Repin sets a peer's key. ErrUnknown for unknown peers, *InvalidError for a key that is
// none or a PreviousKey that is not the pin, ErrDuplicateIdentity if the key is active
// elsewhere. A pending or rejected record that has the key is forgotten: it was this hub.
func (c *Catalog) Repin(ctx context.Context, r RepinRequest) (Peer, error) {
	if err := ctx.Err(); err != nil {
		return Peer{}, fmt.Errorf("catalog: pin the key of %s: %w", clip(r.URL), err)
	}
	c.mu.Lock()
	p, commits, err := c.repinLocked(r)
	c.mu.Unlock()
	if err = waitAll(commits, err); err != nil {
		return Peer{}, fmt.Errorf("catalog: pin the key of %s: %w", clip(r.URL), err)
	}
	return p, nil
}

func (c *Catalog) repinLocked(r RepinRequest) (Peer, []*store.Commit, error) {
	p, ok := c.Peer(r.URL)
	if !ok {
		return p, nil, &UnknownError{SourceHub: r.URL, NoHub: true}
	}
	key, err := c.keyToPin(&p, r)
	if err != nil {
		return p, nil, err
	}
	var commits []*store.Commit
	from := p
	if key.String() != p.PublicKey {
		if o, known := c.PeerByKey(key); known && o.URL != p.URL {
			if o.Status == PeerActive || o.Status == PeerKeyMismatch {
				return p, nil, fmt.Errorf("%w: %s; remove that one first if the hub has moved", ErrDuplicateIdentity, o.URL)
			}
			if commits, err = c.removePeerLocked(o.URL); err != nil {
				return p, commits, err
			}
		}
		also, done, err := c.listingDropper(&p)
		if err != nil {
			return p, commits, err
		}
		c.repinned(&p, key.String())
		p.Why = fmt.Sprintf("%s: the operator pinned its key at %s", p.Status, stamp(c.cfg.Now()))
		if err := c.movePeer(from.URL, &p, also); err != nil {
			return p, commits, err
		}
		done()
	}
	p.AdvertisedKey = ""
	switch {
	case r.Trusted != nil && !*r.Trusted && p.Status != PeerPending:
		dropped, err := c.demote(&p, PeerPending, "pending: the operator sent it back; aimarket peers approve admits it")
		return p, append(commits, dropped...), err
	case r.Trusted != nil && *r.Trusted && p.Status != PeerActive, p.Status == PeerKeyMismatch:
		commit, err := c.activate(&p, "active: the operator pinned its key at "+stamp(c.cfg.Now()))
		return p, append(commits, commit), err
	}
	commit, err := c.storePeer(&p) // synced: the move before it was not
	return p, append(commits, commit), err
}

// keyToPin is the key that a request means, after its checks.
func (c *Catalog) keyToPin(p *Peer, r RepinRequest) (identity.PublicKey, error) {
	if r.PreviousKey != "" {
		former, err := identity.ParsePublicKey(r.PreviousKey)
		if err != nil || former.String() != p.PublicKey {
			return former, invalid("previous_public_key", "is not the key that is pinned now")
		}
	}
	text := r.PublicKey
	if text == "" {
		text = p.AdvertisedKey
	}
	if text == "" {
		text = p.PublicKey // a repin that only decides about trust
	}
	if text == "" {
		return identity.PublicKey{}, invalid("public_key", "is required: no key of this hub is known yet")
	}
	key, err := identity.ParsePublicKey(text)
	if err != nil {
		return key, invalid("public_key", "not a usable Ed25519 public key in base64: %v", err)
	}
	if key == c.mesh.ownKey {
		return key, invalid("public_key", "is this hub's own")
	}
	return key, nil
}

// Unpublish takes an own row off for its publisher (DELETE supply); an empty publisher
// is the operator. *GateError if it belongs to another publisher, ErrUnknown if it is
// not listed.
func (c *Catalog) Unpublish(ctx context.Context, productID, capabilityID, publisher string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("catalog: unpublish %q: %w", clip(capabilityID), err)
	}
	k := Key{ProductID: productID, CapabilityID: capabilityID, SourceHub: Local}
	if !ValidID(productID) || !ValidID(capabilityID) {
		return &UnknownError{ProductID: productID, CapabilityID: capabilityID, SourceHub: Local}
	}
	c.mu.Lock()
	commit, err := c.unpublishLocked(k, publisher)
	c.mu.Unlock()
	var gate *GateError
	if errors.As(err, &gate) {
		return err
	}
	return durable(commit, err, "unpublish", 1)
}

func (c *Catalog) unpublishLocked(k Key, publisher string) (*store.Commit, error) {
	r, err := c.read(k)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &UnknownError{ProductID: k.ProductID, CapabilityID: k.CapabilityID, SourceHub: Local}
	}
	switch {
	case r.Builtin:
		return nil, refuse(GateProduct, nil, "%s of product %s is built into this hub; it can only be turned off in the hub's settings", k.CapabilityID, k.ProductID)
	case publisher != "" && r.PublisherID != publisher:
		return nil, refuse(GateProduct, nil, "%s of product %s belongs to another publisher", k.CapabilityID, k.ProductID)
	}
	return c.removeLocked(k)
}
