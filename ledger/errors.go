package ledger

import (
	"fmt"
	"time"
)

// Kind is the stable reason of a refusal. Kinds are only ever added; the wire
// chooses status and body by them.
type Kind string

// The kinds of refusal.
const (
	KindNotFound        Kind = "not_found"        // a storage row is absent
	KindConflict        Kind = "conflict"         // another writer was first
	KindBusy            Kind = "busy"             // conflicts did not end; repeat the request
	KindStorage         Kind = "storage_failed"   // the disk or database failed; the ledger has stopped
	KindCorrupt         Kind = "corrupt"          // a stored row cannot be right
	KindInvalid         Kind = "invalid"          // the request makes no sense
	KindOverflow        Kind = "overflow"         // an amount left the range of Money
	KindMoneyOff        Kind = "crypto_disabled"  // the hub takes no money
	KindUnknownChannel  Kind = "unknown_channel"  //
	KindChannelNotOpen  Kind = "channel_not_open" // for paying
	KindChannelClosed   Kind = "channel_closed"   // closing what is settled or expired
	KindUnauthorized    Kind = "unauthorized"     // secret, wallet or proof
	KindInsufficient    Kind = "insufficient"     // balance below the price
	KindReplay          Kind = "replay"           // receipt id seen before
	KindHoldResolved    Kind = "hold_resolved"    // nothing to capture
	KindPending         Kind = "pending"          // holds keep the channel open
	KindRateLimited     Kind = "rate_limited"     // hourly share of opens or closes
	KindFull            Kind = "full"             // too many open channels
	KindDepositUsed     Kind = "deposit_used"     // transaction already credited
	KindProof           Kind = "proof"            // payer proof missing or bad
	KindDeposit         Kind = "deposit"          // deposit not verified
	KindUnknownReceipt  Kind = "unknown_receipt"  //
	KindUnknownDebt     Kind = "unknown_debt"     // no obligation of that channel
	KindAlreadyPaid     Kind = "already_paid"     // by another transaction
	KindRequestMismatch Kind = "request_mismatch" // request id reused for another request
	KindAnswered        Kind = "already_answered" // request id has its answer already
	KindSecretReplaced  Kind = "secret_replaced"  // by a recovery since
)

// Error is every refusal of the ledger. Error() is the protocol's text where the
// payments contract (§3, §4) fixes one.
type Error struct {
	Kind            Kind
	Detail          string
	Needed, Balance Money         // KindInsufficient
	Status          Status        // KindChannelClosed, KindChannelNotOpen
	Pending         int           // KindPending
	Challenge       string        // KindProof: the text to sign
	RetryAfter      time.Duration // KindRateLimited
	Err             error         // cause
}

func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = string(e.Kind)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is a refusal of the same kind, so that errors.Is works
// with the sentinels below.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind
}

// The sentinels, to be compared with errors.Is.
var (
	ErrNotFound        error = &Error{Kind: KindNotFound, Detail: "row not found"}
	ErrConflict        error = &Error{Kind: KindConflict, Detail: "another writer changed the row first"}
	ErrBusy            error = &Error{Kind: KindBusy, Detail: "the channel is busy; repeat the request"}
	ErrStorage         error = &Error{Kind: KindStorage, Detail: "the ledger's storage failed"}
	ErrCorrupt         error = &Error{Kind: KindCorrupt, Detail: "stored row is damaged"}
	ErrInvalid         error = &Error{Kind: KindInvalid, Detail: "invalid request"}
	ErrOverflow        error = &Error{Kind: KindOverflow, Detail: "amount overflow"}
	ErrMoneyOff        error = &Error{Kind: KindMoneyOff, Detail: "this hub takes no money: every call is free and there are no channels"}
	ErrUnknownChannel  error = &Error{Kind: KindUnknownChannel, Detail: "channel not found"}
	ErrChannelNotOpen  error = &Error{Kind: KindChannelNotOpen, Detail: "channel not open"}
	ErrChannelClosed   error = &Error{Kind: KindChannelClosed, Detail: "channel is closed"}
	ErrUnauthorized    error = &Error{Kind: KindUnauthorized, Detail: "unauthorized"}
	ErrInsufficient    error = &Error{Kind: KindInsufficient, Detail: "insufficient balance"}
	ErrReplay          error = &Error{Kind: KindReplay, Detail: "receipt already processed (replay rejected)"}
	ErrHoldResolved    error = &Error{Kind: KindHoldResolved, Detail: "hold not found or already resolved"}
	ErrPending         error = &Error{Kind: KindPending, Detail: "channel has pending settlements"}
	ErrRateLimited     error = &Error{Kind: KindRateLimited, Detail: "too many requests"}
	ErrFull            error = &Error{Kind: KindFull, Detail: "too many open channels"}
	ErrDepositUsed     error = &Error{Kind: KindDepositUsed, Detail: "deposit transaction already used"}
	ErrProof           error = &Error{Kind: KindProof, Detail: "payer proof missing or invalid"}
	ErrDeposit         error = &Error{Kind: KindDeposit, Detail: "deposit not verified"}
	ErrUnknownReceipt  error = &Error{Kind: KindUnknownReceipt, Detail: "receipt not found"}
	ErrUnknownDebt     error = &Error{Kind: KindUnknownDebt, Detail: "obligation not found"}
	ErrAlreadyPaid     error = &Error{Kind: KindAlreadyPaid, Detail: "obligation already paid by another transaction"}
	ErrRequestMismatch error = &Error{Kind: KindRequestMismatch, Detail: "this request id was used for a different request"}
	ErrAnswered        error = &Error{Kind: KindAnswered, Detail: "this request id already has its answer"}
	ErrSecretReplaced  error = &Error{Kind: KindSecretReplaced, Detail: "the channel's secret was replaced since; use the one the recovery returned"}
)

var (
	errSecret = &Error{Kind: KindUnauthorized, Detail: "unauthorized: invalid or missing channel secret"}
	errWallet = &Error{Kind: KindUnauthorized, Detail: "unauthorized: wallet does not match channel owner"}
)

func invalid(format string, args ...any) error {
	return &Error{Kind: KindInvalid, Detail: fmt.Sprintf(format, args...)}
}

func corrupt(what, subject string, err error) error {
	return &Error{Kind: KindCorrupt, Detail: fmt.Sprintf("stored %s of %s is damaged; stop the hub and run `aimarket check`, then restore a backup", what, subject), Err: err}
}
