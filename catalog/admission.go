package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/aimarket/aimarket/internal/store"
)

// storePeer writes a peer and adopts it.
func (c *Catalog) storePeer(p *Peer) (*store.Commit, error) {
	value, err := encodePeer(p)
	if err != nil {
		return nil, err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	b.Set(joinKey(rangePeer, p.URL), value)
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return nil, err
	}
	old, known := c.Peer(p.URL)
	c.setPeer(p.URL, p)
	if p.Status == PeerActive || known && old.Status == PeerActive {
		c.syncHubFlags(c.cfg.Now())
		c.touch() // documents say nothing about pending peers
	}
	return commit, nil
}

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
	want := PeerPending
	if trusted {
		want = PeerActive
	}
	if p.Status == want {
		return p, nil, nil
	}
	var commits []*store.Commit
	if trusted {
		if err := c.mayActivate(&p); err != nil {
			return p, nil, err
		}
	} else {
		dropped, err := c.dropRows(p.URL)
		if err != nil {
			return p, dropped, err
		}
		commits = dropped
	}
	p.Status = want
	commit, err := c.storePeer(&p)
	return p, append(commits, commit), err
}

func (c *Catalog) mayActivate(p *Peer) error {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	active := 0
	for _, o := range c.peers {
		if o.Status != PeerActive {
			continue
		}
		active++
		if p.PublicKey != "" && o.PublicKey == p.PublicKey {
			return fmt.Errorf("%w: %s; remove that one first if the hub has moved", ErrDuplicateIdentity, o.URL)
		}
	}
	if active >= MaxActivePeers {
		return fmt.Errorf("%w: %d hubs are active", ErrFull, active)
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
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return commits, err
	}
	c.setPeer(p.URL, nil)
	c.syncHubFlags(c.cfg.Now())
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
