package catalog

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on peers.
const (
	DefaultMaxPending = 2000  // distinct host names of pending peers (federation notes §4)
	MaxPendingPerHost = 4     // pending addresses under one host name
	MaxActivePeers    = 10000 // peers that were admitted
	MaxRejected       = 1000  // peers that the operator rejected, to be remembered

	DefaultMaxHeldBytes = 4 << 30 // listings of all peers together, kept verbatim beside their rows

	maxRetired     = 16 // former keys of one peer
	maxCategories  = 32
	maxCategoryLen = 64
	peerVersion    = 1
	wellKnownPath  = "/.well-known/ai-market.json"
)

// PeerState says whether anything a peer says has effect.
type PeerState string

// The states of a peer (federation notes §4). Only an active one has any effect.
const (
	PeerPending     PeerState = "pending"      // known, without any effect
	PeerActive      PeerState = "active"       // admitted by the operator or by policy
	PeerKeyMismatch PeerState = "key_mismatch" // was active and then showed another key at its own address; rows stay but are not sold
	PeerRejected    PeerState = "rejected"     // the operator said no; nothing it or others say reopens it
)

// Peer is another hub, as far as this one knows it. Its key is who it is, its URL
// where it was last: KeyURL of its key until an address was confirmed to be its own.
type Peer struct {
	URL          string    `json:"url"` // normal form of NormalizeHubURL; source_hub of its rows
	Name         string    `json:"name"`
	WellKnownURL string    `json:"well_known_url"`
	ManifestURL  string    `json:"manifest_url,omitempty"` // as its discovery document names it
	PublicKey    string    `json:"public_key,omitempty"`   // pinned, standard base64; "" until known
	Capabilities int       `json:"capabilities"`           // its own claim
	Categories   []string  `json:"categories,omitempty"`
	Status       PeerState `json:"status"`
	Why          string    `json:"why,omitempty"` // one sentence for people: why it has this status, and what would change it
	Discoverer   string    `json:"discoverer"`    // how it became known: "announce", "operator", "seed", "gossip:<teller>", "mdns", "crawler", "dht"
	Depth        int       `json:"depth"`
	FirstSeen    time.Time `json:"first_seen"`
	LastCrawl    time.Time `json:"last_crawl,omitzero"`    // when its catalogue was last confirmed as current, by whatever door
	LastSeen     time.Time `json:"last_seen,omitzero"`     // last signed sign of life, or answered fetch
	Previewed    int       `json:"previewed,omitempty"`    // rows that Preview has of it while it is pending
	ManifestTime time.Time `json:"manifest_time,omitzero"` // generated_at of the newest crawled manifest that took effect
	HubVersion   string    `json:"hub_version,omitempty"`
	Description  string    `json:"description,omitempty"`
	MCPEndpoint  string    `json:"mcp_endpoint,omitempty"` // same origin only

	AdvertisedKey string `json:"advertised_public_key,omitempty"` // another key that its own address showed
	ClaimedURL    string `json:"claimed_url,omitempty"`           // from its head, not confirmed to be its own

	// What its newest accepted head said (mesh members only).
	Multiaddrs []string  `json:"multiaddrs,omitempty"`
	Sequence   uint64    `json:"sequence,omitempty"`
	Digest     string    `json:"digest,omitempty"`      // of the listing that head announces
	Held       string    `json:"held,omitempty"`        // digest of the listing that is in effect; "" if none came by a head
	HeadTime   time.Time `json:"head_time,omitzero"`    // generated_at
	HeldBytes  int64     `json:"held_bytes,omitempty"`  // of the tools of that listing, kept verbatim
	Expires    time.Time `json:"head_expires,omitzero"` // expires_at

	Trial         Trial `json:"trial,omitzero"`          // the newest attempt to admit it by the verified policy
	Look          Look  `json:"look,omitzero"`           // of an active peer: the newest look at ClaimedURL
	Equivocations int   `json:"equivocations,omitempty"` // times it signed two listings under one sequence

	Equivocated uint64   `json:"equivocated_at,omitempty"` // newest sequence that Equivocations counts
	Away        bool     `json:"away,omitempty"`           // silent for AwayAfter: its rows are off until it is heard of again
	Retired     []string `json:"retired_keys,omitempty"`   // keys that it had before, by its own signed word; refused since
}

// Trial is the outcome of the checks by which the verified policy admits a peer.
type Trial struct {
	At           time.Time     `json:"at,omitzero"`
	Passed       bool          `json:"passed,omitempty"`
	Detail       string        `json:"detail,omitempty"`        // what was tried and what came of it
	Unreached    bool          `json:"unreached,omitempty"`     // it failed because nobody answered at any address
	URLConfirmed bool          `json:"url_confirmed,omitempty"` // the claimed URL showed the peer's key
	Address      string        `json:"address,omitempty"`       // the URL that did: the claim may be another one by now
	Failures     int           `json:"failures,omitempty"`      // in a row
	Next         time.Time     `json:"next,omitzero"`           // not before this time again
	Latency      time.Duration `json:"latency,omitempty"`       // of the trial call
	Capability   Key           `json:"capability,omitzero"`     // what was called
}

// Look is the newest look at whether the URL that an active peer claims shows its key.
type Look struct {
	At       time.Time `json:"at,omitzero"`
	Failures int       `json:"failures,omitempty"` // in a row
	Next     time.Time `json:"next,omitzero"`      // not before this time again
}

// ErrDuplicateIdentity says that a hub's key is already active at another URL.
var ErrDuplicateIdentity = errors.New("catalog: this key is active at another URL")

func (s PeerState) valid() bool {
	switch s {
	case PeerPending, PeerActive, PeerKeyMismatch, PeerRejected:
		return true
	}
	return false
}

func (c *Catalog) isActive(hub string) bool {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	p := c.peers[hub]
	return p != nil && p.Status == PeerActive
}

// peerCounts is kept beside the map, because every search prints it.
func (c *Catalog) peerCounts() (active, pending int) {
	return int(c.active.Load()), int(c.pending.Load())
}

// decodeKey reads a key that ParsePublicKey passed before.
func decodeKey(s string) (k identity.PublicKey, ok bool) {
	if len(s) != base64.StdEncoding.EncodedLen(len(k)) {
		return k, false
	}
	var buf [36]byte
	n, err := base64.StdEncoding.Decode(buf[:], []byte(s))
	return identity.PublicKey(buf[:len(k)]), err == nil && n == len(k)
}

// PeerByKey returns the peer with a pinned key.
func (c *Catalog) PeerByKey(key identity.PublicKey) (Peer, bool) {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	p := c.peers[c.mesh.byKey[key]]
	if p == nil {
		return Peer{}, false
	}
	return p.clone(), true
}

// Peer returns what is known of a hub; false if nothing is.
func (c *Catalog) Peer(hubURL string) (Peer, bool) {
	base, err := NormalizeHubURL(hubURL)
	if err != nil {
		return Peer{}, false
	}
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	p := c.peers[base]
	if p == nil {
		return Peer{}, false
	}
	return p.clone(), true
}

func (p *Peer) clone() Peer {
	out := *p
	out.Categories = slices.Clone(p.Categories)
	out.Multiaddrs = slices.Clone(p.Multiaddrs)
	out.Retired = slices.Clone(p.Retired)
	return out
}

// PeerInfo is a peer with its present trust and the way to it.
type PeerInfo struct {
	Peer
	Reputation Reputation
	Route      Route
}

// Peers lists peers in one state, the most trusted first, then by URL.
func (c *Catalog) Peers(state PeerState) []PeerInfo {
	now := c.cfg.Now()
	c.peersMu.RLock()
	list := make([]PeerInfo, 0, len(c.peers))
	for _, p := range c.peers {
		if p.Status == state {
			list = append(list, PeerInfo{Peer: p.clone(), Route: c.routeTo(p, now)})
		}
	}
	c.peersMu.RUnlock()
	records := c.table.byHub()
	for i := range list {
		list[i].Reputation = reputationOf(&list[i].Peer, records[list[i].URL], now)
	}
	slices.SortFunc(list, func(a, b PeerInfo) int {
		if a.Reputation.TrustScore != b.Reputation.TrustScore {
			if a.Reputation.TrustScore > b.Reputation.TrustScore {
				return -1
			}
			return 1
		}
		return strings.Compare(a.URL, b.URL)
	})
	return list
}
