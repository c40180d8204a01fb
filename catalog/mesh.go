package catalog

import (
	"github.com/aimarket/aimarket/internal/identity"
)

// Admission is what makes a pending peer active without the operator.
type Admission string

// The admission policies.
const (
	AdmitNone     Admission = "closed"   // nothing; the operator alone
	AdmitVerified Admission = "verified" // signatures, schema, reachable, and a trial call with a receipt that verifies
	AdmitAll      Admission = "open"     // a valid signed head; for local test networks
)

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
	ReasonBase         = "unknown_base" // changes to a listing that is not held: see Want
	ReasonStorage      = "storage"      // this hub could not store it

	// Of the crawler's doors alone.
	ReasonAlias   = "alias"   // another address of a hub that is known already
	ReasonUnknown = "unknown" // of no peer
	ReasonNoKey   = "no_key"  // the hub showed no key to verify anything with
	ReasonAbsent  = "absent"  // unchanged, but what it is unchanged from is not held: fetch the whole
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
	Taken   int  // of TakeManifest: rows that the manifest put into effect, changed or not
	Want    *Want
	Dropped []Dropped
}

// HeadRef is one hub's state for comparing two catalogues.
type HeadRef struct {
	Key      identity.PublicKey
	Sequence uint64
	Digest   string // of the newest head
	Held     string // of the listing that is in effect
	Own      bool
}
