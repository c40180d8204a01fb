package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// Announcement is a hub's claim to exist. It proves nothing (federation notes §4).
type Announcement struct {
	HubURL       string
	WellKnownURL string // "" is the usual path under HubURL
	HubName      string
	Capabilities int
	PublicKey    string
	Operator     bool // sent with the admin token
}

// AnnounceResult is what an announcement led to.
type AnnounceResult struct {
	URL    string
	Added  bool
	Known  bool      // the hub was known before
	Status PeerState // of the hub now
}

// Announce records a hub as pending. Whoever announces it: only Approve admits. An
// open announcement sets no key, since a stranger could pin a wrong one, and changes
// nothing about a hub that is known; the operator's fills in what is still missing
// but never replaces a key.
func (c *Catalog) Announce(ctx context.Context, a Announcement) (AnnounceResult, error) {
	base, err := c.announcedURL(a)
	if err != nil {
		return AnnounceResult{}, fmt.Errorf("catalog: announce: %w", err)
	}
	p, known := c.Peer(base)
	if known && !a.Operator {
		return AnnounceResult{URL: base, Known: true, Status: p.Status}, nil
	}
	if err := c.cfg.URLs.CheckURL(ctx, base); err != nil {
		return AnnounceResult{}, fmt.Errorf("catalog: announce: %w", &InvalidError{Field: "hub_url", Detail: err.Error()})
	}
	c.mu.Lock()
	res, commit, err := c.announceLocked(base, a)
	c.mu.Unlock()
	if err == nil && commit != nil {
		err = commit.Wait()
	}
	if err != nil {
		return AnnounceResult{}, fmt.Errorf("catalog: announce %s: %w", base, err)
	}
	return res, nil
}

// announcedURL checks the shape of an announcement. The discovery document must
// lie under the hub it speaks for, or anybody could speak for it.
func (c *Catalog) announcedURL(a Announcement) (string, error) {
	base, err := NormalizeHubURL(a.HubURL)
	if err != nil {
		return "", invalid("hub_url", "%v", err)
	}
	if base == c.cfg.HubURL {
		return "", invalid("hub_url", "is this hub itself")
	}
	if a.WellKnownURL != "" {
		if _, err := parseHTTPURL(a.WellKnownURL, MaxHubURLLen); err != nil {
			return "", invalid("well_known_url", "%v", err)
		}
		if origin(a.WellKnownURL) != origin(base) {
			return "", invalid("well_known_url", "must have the scheme, host and port of hub_url")
		}
	}
	if len(a.HubName) > MaxHubNameLen || !plainText(a.HubName, "") {
		return "", invalid("hub_name", "must be at most %d bytes of text without control characters", MaxHubNameLen)
	}
	if a.Capabilities < 0 {
		return "", invalid("capabilities_count", "must not be negative")
	}
	if a.PublicKey != "" && a.Operator {
		if _, err := identity.ParsePublicKey(a.PublicKey); err != nil {
			return "", invalid("signer_public_key", "not a usable Ed25519 public key in base64: %v", err)
		}
	}
	return base, nil
}

func (c *Catalog) announceLocked(base string, a Announcement) (AnnounceResult, *store.Commit, error) {
	p, known := c.Peer(base)
	res := AnnounceResult{URL: base, Added: !known, Known: known, Status: p.Status}
	if known && !a.Operator {
		return res, nil, nil // another announcement was faster
	}
	if !known {
		if err := c.roomForPending(base); err != nil {
			return res, nil, err
		}
		p = Peer{
			URL: base, Name: a.HubName, WellKnownURL: a.WellKnownURL, Status: PeerPending, Discoverer: "announce",
			FirstSeen: c.cfg.Now().UTC().Truncate(time.Second),
		}
		if p.Name == "" {
			p.Name = hostname(base)
		}
		if p.WellKnownURL == "" {
			p.WellKnownURL = base + wellKnownPath
		}
	}
	if a.Operator {
		p.Discoverer = "operator"
		if a.HubName != "" {
			p.Name = a.HubName
		}
		if a.Capabilities > 0 {
			p.Capabilities = a.Capabilities
		}
		if p.PublicKey == "" && a.PublicKey != "" {
			pub, err := identity.ParsePublicKey(a.PublicKey)
			if err != nil {
				return res, nil, err
			}
			p.PublicKey = pub.String()
		}
	}
	res.Status = p.Status
	commit, err := c.storePeer(&p)
	return res, commit, err
}

// roomForPending counts pending peers by host name, so that one host with many
// ports or paths neither fills the list nor escapes the bound.
func (c *Catalog) roomForPending(base string) error {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	host, same := hostname(base), 0
	hosts := map[string]struct{}{}
	for u, p := range c.peers {
		if p.Status != PeerPending {
			continue
		}
		h := hostname(u)
		hosts[h] = struct{}{}
		if h == host {
			same++
		}
	}
	if same >= MaxPendingPerHost {
		return fmt.Errorf("%w: %d addresses of %s already wait for the operator", ErrFull, same, host)
	}
	if same == 0 && len(hosts) >= c.cfg.MaxPending {
		return fmt.Errorf("%w: %d hubs already wait for the operator; approve or remove some", ErrFull, len(hosts))
	}
	return nil
}

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
	c.setPeer(p.URL, p)
	c.syncHubFlags(c.cfg.Now())
	c.touch()
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
	c.idx.SetHub(p.URL, 0)
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

// clipName cuts a name to what a row may hold.
func clipName(s string) string {
	if len(s) > MaxHubNameLen {
		return strings.ToValidUTF8(s[:MaxHubNameLen], "")
	}
	return s
}
