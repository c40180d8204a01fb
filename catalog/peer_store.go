package catalog

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/internal/store"
)

// encodePeer writes a format version and JSON: peers are few and grow fields.
func encodePeer(p *Peer) ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode peer %s: %w", p.URL, err)
	}
	return append([]byte{peerVersion}, b...), nil
}

func decodePeer(baseURL string, value []byte) (*Peer, error) {
	if len(value) == 0 || value[0] != peerVersion {
		return nil, fmt.Errorf("%w: peer %q has an unknown format version", ErrCorrupt, baseURL)
	}
	p := &Peer{}
	if err := json.Unmarshal(value[1:], p); err != nil {
		return nil, fmt.Errorf("%w: peer %q: %v", ErrCorrupt, baseURL, err)
	}
	if p.URL != baseURL || !p.Status.valid() {
		return nil, fmt.Errorf("%w: peer %q is stored under another name or state", ErrCorrupt, baseURL)
	}
	return p, nil
}

func (c *Catalog) loadPeers() error {
	return c.cfg.Store.Scan([]byte(rangePeer), nil, func(key, value []byte) (bool, error) {
		p, err := decodePeer(strings.TrimPrefix(string(key), rangePeer), value)
		if err != nil {
			return false, err
		}
		c.setPeer(p.URL, p)
		return true, nil
	})
}

// storePeer writes a peer, with further writes of the same batch, and adopts it. c.mu is
// held.
func (c *Catalog) storePeer(p *Peer, also ...func(*store.Batch)) (*store.Commit, error) {
	b, err := c.peerBatch(p, also)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return nil, err
	}
	c.adoptPeer(p.kept())
	return commit, nil
}

// keepPeer is storePeer where no sync need be awaited: what a crash takes, the hub's next
// sign of life or the next crawl brings back. c.mu is held; p is not changed afterwards.
func (c *Catalog) keepPeer(p *Peer, also ...func(*store.Batch)) error {
	b, err := c.peerBatch(p, also)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		return err
	}
	c.adoptPeer(p)
	return nil
}

func (c *Catalog) peerBatch(p *Peer, also []func(*store.Batch)) (*store.Batch, error) {
	value, err := encodePeer(p)
	if err != nil {
		return nil, err
	}
	b := c.cfg.Store.NewBatch()
	b.Set(joinKey(rangePeer, p.URL), value)
	for _, f := range also {
		f(b)
	}
	return b, nil
}

// adoptPeer brings memory, index and documents in line with a stored peer.
func (c *Catalog) adoptPeer(p *Peer) {
	old, _ := c.Peer(p.URL)
	c.setPeer(p.URL, p)
	sold := func(s PeerState) bool { return s == PeerActive || s == PeerKeyMismatch }
	if sold(old.Status) || sold(p.Status) {
		c.syncHubFlag(p.URL, c.cfg.Now())
	}
	if !shownAlike(&old, p) {
		c.touch() // documents say nothing about pending peers
	}
}

// kept is a copy that the caller's later changes do not reach.
func (p *Peer) kept() *Peer {
	out := p.clone()
	return &out
}

// setPeer puts a peer into memory, or takes it out if p is nil.
func (c *Catalog) setPeer(baseURL string, p *Peer) {
	c.peersMu.Lock()
	defer c.peersMu.Unlock()
	old := c.peers[baseURL]
	c.countPeer(old, -1)
	c.countPeer(p, 1)
	if p == nil {
		delete(c.peers, baseURL)
	} else {
		c.peers[baseURL] = p
	}
	c.linkKey(old, p)
}

// countPeer keeps the sums beside the map. peersMu is held.
func (c *Catalog) countPeer(p *Peer, n int) {
	if p == nil {
		return
	}
	c.mesh.heldBytes += int64(n) * p.HeldBytes
	switch p.Status {
	case PeerActive, PeerKeyMismatch: // who was admitted keeps its place
		if p.Status == PeerActive {
			c.active.Add(int64(n))
		}
		c.mesh.admitted += n
	case PeerRejected:
		c.mesh.rejected += n
	default:
		c.pending.Add(int64(n))
		host := hostname(p.URL)
		if c.waiting[host] += n; c.waiting[host] == 0 {
			delete(c.waiting, host)
		}
	}
}

// linkKey keeps the ways from keys to peers in line with a peer that comes, changes or
// goes. Of several with one key an active one is found. peersMu is held.
func (c *Catalog) linkKey(old, p *Peer) {
	if old != nil && old.PublicKey != "" {
		if k, ok := decodeKey(old.PublicKey); ok && c.mesh.byKey[k] == old.URL && (p == nil || p.PublicKey != old.PublicKey || p.Status != old.Status) {
			delete(c.mesh.byKey, k)
			for hub, o := range c.peers {
				if o.PublicKey == old.PublicKey && (c.mesh.byKey[k] == "" || o.Status == PeerActive) {
					c.mesh.byKey[k] = hub
				}
			}
		}
	}
	if old != nil {
		for _, s := range old.Retired {
			if k, ok := decodeKey(s); ok {
				delete(c.mesh.retired, k)
			}
		}
	}
	if p == nil {
		return
	}
	if k, ok := decodeKey(p.PublicKey); ok {
		if other := c.peers[c.mesh.byKey[k]]; other == nil || p.Status == PeerActive {
			c.mesh.byKey[k] = p.URL
		}
	}
	for _, s := range p.Retired {
		if k, ok := decodeKey(s); ok {
			c.mesh.retired[k] = p.URL
		}
	}
}
