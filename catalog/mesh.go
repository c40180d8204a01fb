package catalog

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on what the mesh carries.
const (
	MaxHeadBytes   = 2 << 10   // a signed head, as printed
	MaxUpdateBytes = 2_200_000 // a head with a whole listing
	MaxMultiaddrs  = 16        // in a head
	MaxHeadAge     = time.Hour // how far in the future generated_at may lie
)

// Admission is what makes a pending peer active without the operator.
type Admission string

// The admission policies.
const (
	AdmitNone     Admission = "closed"   // nothing; the operator alone
	AdmitVerified Admission = "verified" // signatures, schema, reachable, and a trial call with a receipt that verifies
	AdmitAll      Admission = "open"     // a valid signed head; for local test networks
)

// Head is a hub's signed announcement as the mesh carries it: who the hub is, where,
// and which listing of its own capabilities is current. It is one JSON object of at
// most MaxHeadBytes, signed over the object canonical (federation notes §8) by the
// key it names.
type Head struct {
	PublicKey    identity.PublicKey
	HubURL       string // "" for a hub that has no public address
	Name         string
	HubVersion   string
	Multiaddrs   []string
	Sequence     uint64 // grows with every head of this key
	GeneratedAt  time.Time
	ExpiresAt    time.Time
	Digest       string // Listing digest, lower-case hex of a SHA-256
	UpdateDigest string // of the changes that an Update with this head carries, likewise; "" for none
	Size         int    // bytes of the listing's tools
	Capabilities int    // tools of the listing
	Categories   []string

	raw []byte
}

// Raw is the head as signed. Callers must not change it.
func (h *Head) Raw() []byte { return h.raw }

// ParseHead decodes a head and verifies its signature under the key that it names.
// It judges neither time nor sequence: that is the intake's business.
func ParseHead(raw []byte) (*Head, error) { panic("skeleton") }

// RowID names one tool within a listing.
type RowID struct{ ProductID, CapabilityID string }

// Tool is one capability as its owner printed it.
type Tool struct {
	RowID
	Raw    []byte   // the JSON object, byte for byte
	Digest [32]byte // SHA-256 of Raw
}

// Update is a head with the listing it announces: whole, or as changes to an earlier
// one. On the wire it is {"announcement":{…},"base":"<digest or empty>","tools":[…],
// "removed":[{"product_id":…,"capability_id":…}]}.
type Update struct {
	Head    *Head
	Base    string // digest of the listing that the changes apply to; "" for a whole listing
	Tools   []Tool // new or changed, all of them in a whole listing
	Removed []RowID

	raw []byte
}

// Raw is the update as received or printed. Callers must not change it.
func (u *Update) Raw() []byte { return u.raw }

// ParseUpdate decodes an update of at most MaxUpdateBytes and verifies the head's
// signature and that the changes are those the head binds (UpdateDigest for changes,
// Digest for a whole listing), so that a relay can vouch for it without the base.
func ParseUpdate(raw []byte) (*Update, error) { panic("skeleton") }

// Via is the door by which something came in.
type Via string

// The doors of the intake.
const (
	ViaGossip   Via = "gossip"
	ViaSync     Via = "sync"
	ViaStream   Via = "stream"
	ViaCrawl    Via = "crawl"
	ViaAnnounce Via = "announce"
	ViaOperator Via = "operator"
)

// Source says who handed something over.
type Source struct {
	Via    Via
	Peer   string // peer ID or URL of who handed it over, for Discoverer and the log
	Author bool   // it came from its author's own connection or address
}

// Verdict is what a relay does with a message.
type Verdict uint8

// The verdicts: forward; drop; drop and blame who sent it.
const (
	Accept Verdict = iota
	Ignore
	Reject
)

// The stable reasons of an Intake.
const (
	ReasonApplied      = "applied"      // in effect, or a newer head of an unchanged listing
	ReasonWanted       = "wanted"       // the head is good, the listing must be fetched: see Want
	ReasonPending      = "pending"      // noted, without effect until the peer is admitted
	ReasonDuplicate    = "duplicate"    // known already
	ReasonStale        = "stale"        // an older sequence than is known
	ReasonExpired      = "expired"      // past its expiry
	ReasonFuture       = "future"       // generated too far in the future
	ReasonSelf         = "self"         // this hub's own
	ReasonOwnKey       = "own_key"      // signed with this hub's key, but not by it
	ReasonURLTaken     = "url_taken"    // claims the URL of another key
	ReasonKeyChanged   = "key_changed"  // the address shows another key than the pinned one
	ReasonEquivocation = "equivocation" // another listing under the same sequence
	ReasonMismatch     = "mismatch"     // the listing is not the one the head announces
	ReasonMalformed    = "malformed"    // breaks a rule of shape or size
	ReasonSignature    = "signature"    // does not verify
	ReasonFull         = "full"         // a bound is reached
	ReasonRejected     = "rejected"     // the operator rejected this peer
	ReasonUnsafe       = "unsafe_url"   // its address is none that this hub may call
	ReasonBase         = "unknown_base" // changes to a listing that is not held: see Want
	ReasonStorage      = "storage"      // this hub could not store it
)

// Dropped is one tool that was left out of a listing, and why.
type Dropped struct {
	RowID
	Reason string
}

// Want is a listing to fetch: by Digest, from anybody who has it.
type Want struct {
	Key    identity.PublicKey
	Digest string
	Have   string // digest of the listing held now, "" for none: changes to it suffice
}

// Intake is what became of something that came in.
type Intake struct {
	Verdict Verdict
	Reason  string // a Reason constant
	Detail  string // for people
	Peer    string // URL under which the peer is known; "" if it is not
	State   PeerState
	Changed bool // rows were added, changed or removed
	Want    *Want
	Dropped []Dropped
}

// TakeHead is the intake's door for a head alone. A newer head of an active peer
// whose listing is unchanged takes effect at once; of a changed one it is noted and
// Want says what to fetch. A head of an unknown key makes a pending peer, or with
// AdmitAll an active one.
func (c *Catalog) TakeHead(ctx context.Context, h *Head, s Source) Intake { panic("skeleton") }

// TakeUpdate is the intake's door for a head with its listing: verified, stored and
// searchable when it returns with Changed.
func (c *Catalog) TakeUpdate(ctx context.Context, u *Update, s Source) Intake { panic("skeleton") }

// HeadRef is one hub's state for comparing two catalogues.
type HeadRef struct {
	Key      identity.PublicKey
	Sequence uint64
	Digest   string // of the newest head
	Held     string // of the listing that is in effect
	Own      bool
}

// Heads lists this hub and its active peers that speak by heads, ordered by key.
func (c *Catalog) Heads() []HeadRef { panic("skeleton") }

// HeadOf is the newest head of this hub or an active peer.
func (c *Catalog) HeadOf(key identity.PublicKey) (*Head, bool) { panic("skeleton") }

// UpdateFor prints the newest listing of this hub or an active peer for somebody who
// has the listing with digest have: changes if they are known and smaller, else the
// whole. ErrUnknown for hubs that are not active.
func (c *Catalog) UpdateFor(ctx context.Context, key identity.PublicKey, have string) ([]byte, error) {
	panic("skeleton")
}

// SetAddresses says where this hub is reached: its multiaddrs, and the public URL if
// it has one. A change makes a new head due.
func (c *Catalog) SetAddresses(peerID string, multiaddrs []string, publicURL string) {
	panic("skeleton")
}

// OwnChanges has an element whenever a new head of this hub is due.
func (c *Catalog) OwnChanges() <-chan struct{} { panic("skeleton") }

// NextUpdate signs this hub's next head if its listing, addresses or name changed since
// the last one, or if refresh is set, and returns it with the changes since then; nil if
// nothing is due. The head's sequence is on disk before it returns.
func (c *Catalog) NextUpdate(ctx context.Context, refresh bool) (*Update, error) { panic("skeleton") }

// AdmissionDue has an element whenever a pending peer may be worth a trial.
func (c *Catalog) AdmissionDue() <-chan struct{} { panic("skeleton") }

// TrialsDue lists the pending peers that the verified policy should try now, the
// longest waiting first, at most n, and when to ask again.
func (c *Catalog) TrialsDue(n int) (due []Peer, next time.Time) { panic("skeleton") }

// NoteTrial records a trial. With t.Passed the peer becomes active (under its claimed
// URL if t.URLConfirmed); otherwise it is due again after a backoff, or when its head
// changes address.
func (c *Catalog) NoteTrial(ctx context.Context, hubURL string, t Trial) (Peer, error) {
	panic("skeleton")
}

// PeerByKey returns the peer with a pinned key.
func (c *Catalog) PeerByKey(key identity.PublicKey) (Peer, bool) { panic("skeleton") }

// KeyURL is the base URL of a hub that is known by its key alone: "libp2p://" and the
// key in lower-case hex.
func KeyURL(key identity.PublicKey) string { return "libp2p://" + hex.EncodeToString(key[:]) }
