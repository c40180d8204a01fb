// Package ledger keeps prepaid money: channels, holds, receipts and the journal.
package ledger

import (
	"context"
	"io"
	"time"
)

// Money is an exact amount of micro-USD (10⁻⁶), the escrow token's own unit.
type Money int64

// Mode says what backs the money.
type Mode string

// The money modes. A chain mode joins them with the escrow.
const (
	Demo Mode = "demo" // credit from nothing; everything says so
	Off  Mode = "off"  // every call is free, there are no channels
)

// Signer is the hub's key; *identity.Key satisfies it.
type Signer interface {
	PublicBase64() string
	SignBase64(msg []byte) string
	Derive(purpose string) [32]byte
}

// Config is what Open needs.
type Config struct {
	Storage Storage
	Signer  Signer
	Now     func() time.Time
	Rand    io.Reader
	Mode    Mode
	HubURL  string
	Owner   string // names this process among several fronts; its stale holds are released at Open
	Limits  Limits
}

// Limits are the ledger's named bounds; zero fields take the defaults of DefaultLimits.
type Limits struct {
	MaxDeposit      Money         // 10 000 USD
	MaxOpen         int           // 10 000 open channels
	ChannelLife     time.Duration // 24 h
	ReapAfter       time.Duration // 24 h; <0 off
	ReplayLife      time.Duration // how long a request id answers again, 24 h
	ReceiptLife     time.Duration // how long receipts are kept, 400 days; <0 for ever
	OpensPerWallet  int           // per hour: 20, wallet-less share 200
	ClosesPerWallet int           // per hour: 60, wallet-less share 600
}

// Ledger is safe for concurrent use.
type Ledger struct{}

// Open loads the ledger and releases what a crash left held.
func Open(ctx context.Context, c Config) (*Ledger, error) { panic("skeleton") }

// Status of a channel.
type Status string

// The states of a channel; all but StatusOpen are final.
const (
	StatusOpen    Status = "open"
	StatusSettled Status = "settled"
	StatusExpired Status = "expired"
)

// Channel is a buyer's prepaid account at this hub.
// Deposit + Refunded-free accounting: Deposit = Balance + Used + Held, always.
type Channel struct {
	ID                                     string // ch_ + 16 hex
	Status                                 Status
	Mode                                   Mode
	Deposit, Balance, Used, Held, Refunded Money
	Calls                                  int64 // captured calls
	Token, Chain, Wallet, TxHash           string
	OwnerKey                               string // base64 Ed25519 the opener named for recovery, or ""
	OpenedAt, ExpiresAt, ClosedAt          time.Time
	SettleTxHash                           string
	Seq                                    uint64 // last journal entry; the version for optimistic commits
}

// OpenRequest asks for a channel.
type OpenRequest struct {
	Deposit                      Money
	Token, Chain, Wallet, TxHash string
	PayerSignature               string
	OwnerKey                     string
	RequestID                    string // Idempotency-Key; "" none
}

// OpenChannel credits a deposit. The secret is shown once; an equal RequestID
// shows it again.
func (l *Ledger) OpenChannel(ctx context.Context, r OpenRequest) (ch Channel, secret string, err error) {
	panic("skeleton")
}

func (l *Ledger) Channel(ctx context.Context, id string) (Channel, error) { panic("skeleton") }

// CloseRequest ends a channel. A channel opened with a wallet needs Wallet or Secret.
type CloseRequest struct {
	ChannelID, Secret, Wallet, SettleTxHash string
}

// Settlement is what a close did. Closing again by a proven owner returns it again.
type Settlement struct {
	Channel    Channel
	Refund     Money
	Obligation *Obligation
}

func (l *Ledger) CloseChannel(ctx context.Context, r CloseRequest) (Settlement, error) {
	panic("skeleton")
}

// RecoverRequest proves ownership of a channel whose secret was lost.
type RecoverRequest struct {
	ChannelID string
	Time      time.Time // signed; within 5 minutes of now
	Signature string    // EIP-191 of the wallet, or Ed25519 of OwnerKey, over RecoverMessage
}

// RecoverSecret replaces the secret.
func (l *Ledger) RecoverSecret(ctx context.Context, r RecoverRequest) (secret string, err error) {
	panic("skeleton")
}

// HoldRequest reserves the price of one call.
type HoldRequest struct {
	ChannelID, Secret string
	Amount            Money  // ≥ 0
	ReceiptID         string // unique per channel
}

// Hold is money reserved for one call.
type Hold struct {
	ChannelID, ReceiptID string
	Amount               Money
	Balance              Money // left on the channel after this hold
}

// Hold reserves in one step under the channel's lock and returns before the disk:
// a crash that loses the hold loses the call with it, unbilled. Durable waits.
func (l *Ledger) Hold(ctx context.Context, r HoldRequest) (*Hold, error) { panic("skeleton") }

// Durable returns once the hold is on disk.
func (h *Hold) Durable() error { panic("skeleton") }

// Delivery is what a finished call leaves behind besides its debit.
type Delivery struct {
	Receipt   []byte   // signed receipt as sent
	Nonce     string   // its id
	RequestID string   // scoped request id (RequestScope); "" none
	Request   [32]byte // fingerprint of the request
	Answer    []byte   // body to repeat under RequestID
}

// Capture turns the hold into a debit and stores d, in one synced batch. It
// returns after the batch is durable. ErrHoldResolved if there is nothing to capture.
func (l *Ledger) Capture(ctx context.Context, h *Hold, d Delivery) error { panic("skeleton") }

// Release returns the hold to the balance. Releasing a resolved hold changes nothing.
func (l *Ledger) Release(ctx context.Context, h *Hold) error { panic("skeleton") }

// Deliver stores a delivery that cost nothing (free call, trial, rejection).
// With durable false it may be lost in a crash.
func (l *Ledger) Deliver(ctx context.Context, d Delivery, durable bool) error { panic("skeleton") }

// Debit charges at once what was delivered without a hold; Refund gives back at
// most what was used.
func (l *Ledger) Debit(ctx context.Context, r HoldRequest) (Channel, error) { panic("skeleton") }
func (l *Ledger) Refund(ctx context.Context, channelID, secret string, amount Money) (Channel, error) {
	panic("skeleton")
}

// Authorize checks a channel's secret without moving money, whatever its state.
func (l *Ledger) Authorize(ctx context.Context, channelID, secret string) (Channel, error) {
	panic("skeleton")
}

// RequestScope binds a caller's request id to who sent it, e.g.
// RequestScope("channel", id, key).
func RequestScope(kind, who, key string) string { panic("skeleton") }

// Answered returns the answer stored under a scoped request id. found is false if
// there is none; ErrRequestMismatch if the fingerprint differs.
func (l *Ledger) Answered(ctx context.Context, scope string, fingerprint [32]byte) (answer []byte, found bool, err error) {
	panic("skeleton")
}

// Receipt returns an issued receipt as sent, or ErrUnknownReceipt.
func (l *Ledger) Receipt(ctx context.Context, nonce string) ([]byte, error) { panic("skeleton") }

// Obligation is a remainder the operator owes.
type Obligation struct {
	ChannelID, Wallet, Chain, Token, Kind, Status, DepositTxHash, PayoutTxHash string
	Amount                                                                     Money
	Mode                                                                       Mode
	CreatedAt, PaidAt                                                          time.Time
}

func (l *Ledger) Obligations(ctx context.Context, status string, limit int) ([]Obligation, error) {
	panic("skeleton")
}
func (l *Ledger) MarkPaid(ctx context.Context, channelID, payoutTxHash string) (Obligation, error) {
	panic("skeleton")
}

// Sweep expires channels and reaps stale holds; the node calls it every 300 s.
func (l *Ledger) Sweep(ctx context.Context) (expired, reaped int, err error) { panic("skeleton") }

// Stats are running totals.
type Stats struct {
	OpenChannels int
	Free, Held   Money // on open channels
	Settled      Money // used on settled and expired channels
	Owed         Money // obligations not paid
	Receipts     int64
}

func (l *Ledger) Stats() Stats { panic("skeleton") }

// Check verifies every invariant over the stored rows.
func (l *Ledger) Check(ctx context.Context) (Report, error) { panic("skeleton") }

// Report is the outcome of Check.
type Report struct {
	Channels, Open, Holds, Entries, Receipts, Obligations int64
	Violations                                            []Violation
}

// Violation is one broken invariant.
type Violation struct {
	Invariant int    // 1…13 of the payments contract
	Subject   string // channel, receipt or hold id
	Detail    string
}
