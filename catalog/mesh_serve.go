package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// Heads lists this hub and its active peers that speak by heads, ordered by key. Peers
// that were silent for too long are left out: nobody is offered what has expired.
func (c *Catalog) Heads() []HeadRef {
	now := c.cfg.Now()
	c.judgeStale(now)
	var out []HeadRef
	c.mu.Lock()
	if o := &c.mesh.own; o.head != nil {
		out = append(out, HeadRef{Key: c.mesh.ownKey, Sequence: o.head.Sequence, Digest: o.head.Digest, Held: o.head.Digest, Own: true})
	}
	c.mu.Unlock()
	c.peersMu.RLock()
	for key, hub := range c.mesh.byKey {
		p := c.peers[hub]
		if p != nil && p.Status == PeerActive && p.Sequence > 0 && !p.Away && now.Before(p.Expires) {
			out = append(out, HeadRef{Key: key, Sequence: p.Sequence, Digest: p.Digest, Held: p.Held})
		}
	}
	c.peersMu.RUnlock()
	slices.SortFunc(out, func(a, b HeadRef) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return out
}

// HeadOf is the newest head of this hub or an active peer.
func (c *Catalog) HeadOf(key identity.PublicKey) (*Head, bool) {
	if key == c.mesh.ownKey {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.mesh.own.head, c.mesh.own.head != nil
	}
	if p, ok := c.PeerByKey(key); !ok || p.Status != PeerActive {
		return nil, false
	}
	h, err := readStoredHead(c.cfg.Store, key)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			c.cfg.Logger.Warn("catalog: a stored head cannot be read", "key", key, "error", err)
		}
		return nil, false
	}
	return h, true
}

// RefOf is what Heads would say of a hub, whether or not it has fallen silent.
func (c *Catalog) RefOf(key identity.PublicKey) (HeadRef, bool) {
	if key == c.mesh.ownKey {
		h, ok := c.HeadOf(key)
		if !ok {
			return HeadRef{}, false
		}
		return HeadRef{Key: key, Sequence: h.Sequence, Digest: h.Digest, Held: h.Digest, Own: true}, true
	}
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	p := c.peers[c.mesh.byKey[key]]
	if p == nil || p.Status != PeerActive || p.Sequence == 0 {
		return HeadRef{}, false
	}
	return HeadRef{Key: key, Sequence: p.Sequence, Digest: p.Digest, Held: p.Held}, true
}

// RawHead is the newest head of this hub or an active peer as its author printed it.
func (c *Catalog) RawHead(key identity.PublicKey) ([]byte, bool) {
	ref, ok := c.RefOf(key)
	switch {
	case !ok:
		return nil, false
	case ref.Own:
		h, ok := c.HeadOf(key)
		return h.Raw(), ok
	}
	raw, err := storedHead(c.cfg.Store, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		c.cfg.Logger.Warn("catalog: a stored head cannot be read", "key", key, "error", err)
	}
	return raw, err == nil
}

// getter is the store or a snapshot of it.
type getter interface {
	scanner
	Get(key []byte) ([]byte, error)
}

// storedHead reads the bytes of a head that was verified when it was stored.
func storedHead(g getter, key identity.PublicKey) ([]byte, error) {
	value, err := g.Get(headKey(key))
	if err != nil {
		return nil, err
	}
	version, raw, err := store.SplitValue(value)
	if err != nil || version != listingVersion {
		return nil, fmt.Errorf("%w: head of %s", ErrCorrupt, key)
	}
	return raw, nil
}

func readStoredHead(g getter, key identity.PublicKey) (*Head, error) {
	raw, err := storedHead(g, key)
	if err != nil {
		return nil, err
	}
	v, err := canon.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: head of %s: %v", ErrCorrupt, key, err)
	}
	return readHead(v)
}

// UpdateFor prints the newest listing of this hub or an active peer for somebody who
// has the listing with digest have: changes if they are known and smaller, else the
// whole. ErrUnknown for hubs that are not active or whose newest listing is not held.
func (c *Catalog) UpdateFor(ctx context.Context, key identity.PublicKey, have string) ([]byte, error) {
	u, err := c.updateFor(key, have)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: listing of %s: %w", key, err)
	}
	return u.raw, nil
}

func (c *Catalog) updateFor(key identity.PublicKey, have string) (*Update, error) {
	if key == c.mesh.ownKey { // what is not on disk yet must not leave
		c.mesh.nextMu.Lock()
		defer c.mesh.nextMu.Unlock()
	}
	c.mu.Lock()
	snap, err := c.cfg.Store.Snapshot()
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	defer snap.Close()
	p, known := c.PeerByKey(key)
	changed, held := c.mesh.history.since(key, have)
	c.mu.Unlock()
	h, err := readStoredHead(snap, key)
	switch {
	case key != c.mesh.ownKey && (!known || p.Status != PeerActive || p.Held != p.Digest || p.Held == ""):
		return nil, fmt.Errorf("%w: its newest listing is not held here", ErrUnknown)
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%w: it sent no head", ErrUnknown)
	case err != nil:
		return nil, err
	case have == h.Digest:
		return newUpdate(h, h.Digest, nil, nil), nil
	case !held:
		return wholeUpdate(snap, h)
	}
	var tools []Tool
	var removed []RowID
	size := 0
	for _, id := range changed {
		value, err := snap.Get(toolKey(key, id))
		if errors.Is(err, store.ErrNotFound) {
			removed = append(removed, id)
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := storedTool(id, value)
		if err != nil {
			return nil, err
		}
		tools = append(tools, t)
		size += len(t.Raw)
	}
	if size >= h.Size && h.Size > 0 {
		return wholeUpdate(snap, h)
	}
	return newUpdate(h, have, tools, removed), nil
}

func wholeUpdate(s scanner, h *Head) (*Update, error) {
	tools, err := readTools(s, h.PublicKey)
	if err != nil {
		return nil, err
	}
	return newUpdate(h, "", tools, nil), nil
}
