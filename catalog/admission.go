package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// Approve admits a pending hub, or with trusted false sends an active one back to
// pending and takes its rows off. It fails with ErrUnknown for a hub that was never
// heard of and with ErrDuplicateIdentity if its key is active elsewhere.
func (c *Catalog) Approve(ctx context.Context, hubURL string, trusted bool) (Peer, error) {
	if err := ctx.Err(); err != nil {
		return Peer{}, fmt.Errorf("catalog: approve %s: %w", clip(hubURL), err)
	}
	c.mu.Lock()
	p, commits, err := c.approveLocked(hubURL, trusted)
	c.mu.Unlock()
	if err = waitAll(commits, err); err != nil {
		return Peer{}, fmt.Errorf("catalog: approve %s: %w", clip(hubURL), err)
	}
	return p, nil
}

func (c *Catalog) approveLocked(hubURL string, trusted bool) (Peer, []*store.Commit, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return p, nil, &UnknownError{SourceHub: hubURL, NoHub: true}
	}
	if trusted {
		if p.Status == PeerActive {
			return p, nil, nil
		}
		commit, err := c.activate(&p, "active: approved by the operator")
		return p, []*store.Commit{commit}, err
	}
	if p.Status == PeerPending {
		return p, nil, nil
	}
	commits, err := c.demote(&p, PeerPending, "pending: the operator sent it back; aimarket peers approve admits it")
	return p, commits, err
}

// activate admits a peer. What its preview held goes; its catalogue is still to come.
func (c *Catalog) activate(p *Peer, why string) (*store.Commit, error) {
	if err := c.mayActivate(p); err != nil {
		return nil, err
	}
	p.Status, p.Why, p.Away, p.Previewed, p.Trial.Next = PeerActive, why, false, 0, time.Time{}
	if p.ClaimedURL != "" {
		defer poke(c.mesh.admission)
	}
	return c.storePeer(p, c.previewDropper(p.URL))
}

// demote takes a peer's rows and listing off and stores it in a state without effect.
func (c *Catalog) demote(p *Peer, state PeerState, why string) ([]*store.Commit, error) {
	commits, err := c.dropRows(p.URL)
	if err != nil {
		return commits, err
	}
	also, done, err := c.listingDropper(p)
	if err != nil {
		return commits, err
	}
	p.Status, p.Why, p.Away, p.Previewed = state, why, false, 0
	p.hold("", 0)
	commit, err := c.storePeer(p, also)
	if err == nil {
		done()
	}
	return append(commits, commit), err
}

// listingDropper deletes with a batch what is kept verbatim of a peer's catalogue and
// its preview; done then brings memory in line.
func (c *Catalog) listingDropper(p *Peer) (also func(*store.Batch), done func(), err error) {
	key, ok := decodeKey(p.PublicKey)
	l := &digests{}
	if ok {
		if l, err = c.listingFor(key); err != nil {
			return nil, nil, err
		}
	}
	preview := c.previewDropper(p.URL)
	also = func(b *store.Batch) {
		preview(b)
		if ok {
			dropListing(b, key, l)
		}
	}
	done = func() {
		if ok {
			c.forgetListing(key)
		}
	}
	return also, done, nil
}

func (c *Catalog) mayActivate(p *Peer) error {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	if key, ok := decodeKey(p.PublicKey); ok {
		if o := c.peers[c.mesh.byKey[key]]; o != nil && o.URL != p.URL && o.Status == PeerActive {
			return fmt.Errorf("%w: %s; remove that one first if the hub has moved", ErrDuplicateIdentity, o.URL)
		}
	}
	if p.Status != PeerKeyMismatch && c.mesh.admitted >= MaxActivePeers {
		return fmt.Errorf("%w: %d hubs are admitted; remove some", ErrFull, c.mesh.admitted)
	}
	return nil
}

// RemovePeer forgets a hub and takes its rows off; ErrUnknown if it is not known.
func (c *Catalog) RemovePeer(ctx context.Context, hubURL string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("catalog: remove hub %s: %w", clip(hubURL), err)
	}
	c.mu.Lock()
	commits, err := c.removePeerLocked(hubURL)
	c.mu.Unlock()
	if err = waitAll(commits, err); err != nil {
		return fmt.Errorf("catalog: remove hub %s: %w", clip(hubURL), err)
	}
	return nil
}

func (c *Catalog) removePeerLocked(hubURL string) ([]*store.Commit, error) {
	p, ok := c.Peer(hubURL)
	if !ok {
		return nil, &UnknownError{SourceHub: hubURL, NoHub: true}
	}
	commits, err := c.dropRows(p.URL)
	if err != nil {
		return commits, err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	b.Delete(joinKey(rangePeer, p.URL))
	also, done, err := c.listingDropper(&p)
	if err != nil {
		return commits, err
	}
	also(b)
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return commits, err
	}
	done()
	c.setPeer(p.URL, nil)
	c.syncHubFlag(p.URL, c.cfg.Now())
	c.touch()
	return append(commits, commit), nil
}

// dropChunk is how many rows of a leaving hub go in one batch.
const dropChunk = 1024

// dropRows removes every row of a hub.
func (c *Catalog) dropRows(hub string) ([]*store.Commit, error) {
	var keys []Key
	err := c.cfg.Store.Scan(prefixKey(rangeRow, hub), nil, func(key, _ []byte) (bool, error) {
		if k, ok := parseRowKey(key); ok {
			keys = append(keys, k)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	var commits []*store.Commit
	for part := range slices.Chunk(keys, dropChunk) {
		commit, err := c.removeLocked(part...)
		if err != nil {
			return commits, err
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

// waitAll waits for changes to reach the disk; a later one implies the earlier,
// but each must be waited for once.
func waitAll(commits []*store.Commit, err error) error {
	for _, commit := range commits {
		if commit == nil {
			continue
		}
		if werr := commit.Wait(); err == nil {
			err = werr
		}
	}
	return err
}
