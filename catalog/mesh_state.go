package catalog

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/limit"
)

// MaxNewcomersPerMin bounds how many unknown keys the open policy admits in a minute.
const MaxNewcomersPerMin = 3000

// meshState is what the catalogue keeps of the mesh beside its peers.
type meshState struct {
	ownKey    identity.PublicKey
	ownURL    string                        // KeyURL of ownKey
	formerKey identity.PublicKey            // that ownKey succeeds; zero for none
	seedURLs  map[string]identity.PublicKey // base URL of a seed → its pinned key
	seedKeys  map[identity.PublicKey]string // the inverse
	newcomers *limit.Limiter

	// Guarded by peersMu.
	byKey    map[identity.PublicKey]string // pinned key → URL of its peer
	retired  map[identity.PublicKey]string // former key → URL of the peer that gave it up
	admitted int                           // peers that were admitted: active or key_mismatch
	rejected int

	heldBytes int64 // of peers' listings

	// Guarded by mu.
	listings listings
	history  history
	own      ownState

	ownChanges chan struct{}
	ownDirty   atomic.Bool // something is to be told with ownChanges
	admission  chan struct{}

	noRoom atomic.Int64 // catalogues that were not taken for MaxHeldBytes or MaxRows

	nextMu sync.Mutex // taken before mu, held across the sync of an own head
}

func (c *Catalog) openMesh() error {
	m := &c.mesh
	var err error
	if m.ownKey, err = identity.ParsePublicKey(c.cfg.Signer.PublicBase64()); err != nil {
		return fmt.Errorf("the signer's public key: %w", err)
	}
	m.ownURL = KeyURL(m.ownKey)
	if s := c.cfg.Succeeds; s != nil {
		if m.formerKey, err = identity.ParsePublicKey(s.PublicKey); err != nil {
			return fmt.Errorf("the key that this hub's succeeds: %w", err)
		}
	}
	m.byKey = map[identity.PublicKey]string{}
	m.retired = map[identity.PublicKey]string{}
	m.seedURLs = map[string]identity.PublicKey{}
	m.seedKeys = map[identity.PublicKey]string{}
	m.listings.byKey = map[identity.PublicKey]*digests{}
	m.history.byKey = map[identity.PublicKey]*steps{}
	m.ownChanges, m.admission = make(chan struct{}, 1), make(chan struct{}, 1)
	m.newcomers = limit.New(limit.Config{Max: MaxNewcomersPerMin, Window: time.Minute, Now: c.cfg.Now})
	for raw, k := range c.cfg.SeedKeys {
		base, err := NormalizeHubURL(trimWellKnown(raw))
		if err != nil {
			return fmt.Errorf("pinned seed %q: %v", clip(raw), err)
		}
		key, err := identity.ParsePublicKey(k)
		if err != nil {
			return fmt.Errorf("pinned key of seed %s: %w", base, err)
		}
		m.seedURLs[base], m.seedKeys[key] = key, base
	}
	return nil
}

// poke puts an element into a channel of one place if there is none.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
