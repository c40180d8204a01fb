package catalog

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnknown reports a capability, publisher or hub that the catalogue does not know.
var ErrUnknown = errors.New("catalog: not listed")

// ErrFull reports that a bound of the catalogue is reached; the message names it.
var ErrFull = errors.New("catalog: full")

// ErrCorrupt reports stored bytes that this version cannot read.
var ErrCorrupt = errors.New("catalog: unreadable record")

// UnknownError says what a call named that is not for sale here. Its text is the
// detail that the wire sends with 404.
type UnknownError struct {
	ProductID    string
	CapabilityID string
	SourceHub    string
	NoHub        bool // SourceHub itself is no active peer
}

// Error is the protocol's wording (HTTP API notes §2).
func (e *UnknownError) Error() string {
	if e.NoHub {
		return "Peer hub not found: " + e.SourceHub + " is not an active peer of this hub"
	}
	return "Unknown capability: " + e.CapabilityID
}

// Unwrap makes errors.Is(err, ErrUnknown) hold.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// InvalidError reports one field of a row, stake or peer that breaks a rule of shape.
type InvalidError struct {
	Field  string // the protocol's name of the member, "capability_id"
	Detail string // what is wrong and what would be right
}

// Error names the field first.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Detail }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Gate is the stable name of one publishing gate (HTTP API notes §7).
type Gate string

// The publishing gates, in the order in which they are tried.
const (
	GatePublisher   Gate = "publisher"         // no publisher named, or another than the authenticated one
	GateShape       Gate = "shape"             // the row itself is malformed
	GateProviderKey Gate = "provider_key"      // provider_pubkey is no usable Ed25519 key
	GateURL         Gate = "invoke_url"        // not a public http(s) URL
	GateStake       Gate = "stake"             // less staked than the hub asks
	GateRate        Gate = "rate"              // too many publishes this hour
	GateProduct     Gate = "product_owner"     // the product belongs to another publisher
	GateURLOwner    Gate = "invoke_url_owner"  // the URL belongs to another product
	GateReplay      Gate = "stake_tx_replayed" // the stake's transaction was used before
	GateStakeTx     Gate = "stake_tx_required" // production takes no stake without a transaction
	GateCapacity    Gate = "capacity"          // the catalogue or a publisher's share of it is full
)

// GateError says which publishing gate refused, and what to do about it.
type GateError struct {
	Gate       Gate
	Detail     string
	RetryAfter time.Duration // GateRate only
	Cause      error
}

// Error is the sentence for the publisher.
func (e *GateError) Error() string { return e.Detail }

// Unwrap returns the error behind the gate, if there is one.
func (e *GateError) Unwrap() error { return e.Cause }

func refuse(g Gate, cause error, format string, args ...any) error {
	return &GateError{Gate: g, Detail: fmt.Sprintf(format, args...), Cause: cause}
}

func errf(format string, args ...any) error { return fmt.Errorf(format, args...) }
