package catalog

import (
	"context"
	"fmt"
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
// nothing about a hub that is known, a rejected one included; the operator's fills in
// what is still missing but never replaces a key and reopens nothing.
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
		c.cfg.Logger.Info("catalog: announced URL refused", "url", base, "error", err)
		return AnnounceResult{}, fmt.Errorf("catalog: announce: %w", invalid("hub_url", "%s is not a public address that this hub may call", clip(base)))
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
	if isKeyURL(base) {
		return "", invalid("hub_url", "must begin with http:// or https://; a hub without such an address joins by its signed head")
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
			URL: base, Name: a.HubName, WellKnownURL: a.WellKnownURL, Status: PeerPending, Discoverer: "announce", Why: c.keylessWhy(),
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
	host := hostname(base)
	same := c.waiting[host]
	if same >= MaxPendingPerHost {
		return fmt.Errorf("%w: %d addresses of %s already wait for the operator", ErrFull, same, host)
	}
	if same == 0 && len(c.waiting) >= c.cfg.MaxPending {
		return fmt.Errorf("%w: %d hubs already wait for the operator; approve or remove some", ErrFull, len(c.waiting))
	}
	return nil
}

// clipName cuts a name to what a row may hold.
func clipName(s string) string {
	if len(s) > MaxHubNameLen {
		return strings.ToValidUTF8(s[:MaxHubNameLen], "")
	}
	return s
}
