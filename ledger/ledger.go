// Package ledger keeps prepaid money: channels, holds, receipts and the journal.
//
// It promises that money is exact and survives: amounts are whole micro-USD, every
// movement is a line of an append-only double-entry journal from which each balance
// can be rebuilt, a capture returns only after its debit and its receipt are on
// disk in one batch, and no crash, race, replay or second process makes a cent
// appear or vanish (Check verifies the invariants of the payments contract over
// the stored rows). A channel's rows are the truth; what memory keeps of them is an
// expectation that each write states and storage verifies, so several processes
// may share one storage. A ledger told that its storage is its own (Exclusive) keeps
// a hold in memory until what ends it is written.
//
// Its limits: it knows nothing of what was bought, of HTTP and of peers. It moves
// no money outside: a remainder becomes an Obligation that the operator pays and
// marks as paid. Money comes in through demo credit, or through the DepositSource
// of a chain. If storage fails under a write, the ledger cannot know what reached
// the disk: it refuses all further work until it is opened again.
//
// No lock is held while waiting for the disk. Lock order: a channel's lock or that of
// the gathered free receipts, then a storage stripe; shard locks are leaves and guard
// only the map of channel locks.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/internal/limit"
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

	// Exclusive says that nothing else writes to Storage while this Ledger is open:
	// no other process and no other Ledger. Then a hold is written together with
	// what ends it, or when Durable asks; nobody else could miss it before.
	Exclusive bool

	Limits   Limits
	Deposits DepositSource // verifies deposits in a chain mode; not used in Demo and Off
}

// Limits are the ledger's named bounds; zero fields take the defaults of DefaultLimits.
type Limits struct {
	MaxDeposit      Money         // 10 000 USD
	MaxOpen         int           // 10 000 open channels
	ChannelLife     time.Duration // 24 h
	ReapAfter       time.Duration // 24 h; <0 off
	ReplayLife      time.Duration // how long a request id answers again, 24 h
	ReceiptLife     time.Duration // how long receipts are kept, 400 days; <0 for ever
	OpensPerWallet  int           // per hour: 20, wallet-less share 200; <0 off
	ClosesPerWallet int           // per hour: 60, wallet-less share 600; <0 off
}

// walletlessShare is how many times a wallet's hourly limit the callers without a
// proven wallet may use together (payments contract §4: 20 and 200, 60 and 600).
const walletlessShare = 10

// DefaultLimits are the contract's (payments §3 and §4).
func DefaultLimits() Limits {
	return Limits{
		MaxDeposit:      10_000 * USD,
		MaxOpen:         10_000,
		ChannelLife:     24 * time.Hour,
		ReapAfter:       24 * time.Hour,
		ReplayLife:      24 * time.Hour,
		ReceiptLife:     400 * 24 * time.Hour,
		OpensPerWallet:  20,
		ClosesPerWallet: 60,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		MaxDeposit:      or(l.MaxDeposit, d.MaxDeposit),
		MaxOpen:         or(l.MaxOpen, d.MaxOpen),
		ChannelLife:     or(l.ChannelLife, d.ChannelLife),
		ReapAfter:       or(l.ReapAfter, d.ReapAfter),
		ReplayLife:      or(l.ReplayLife, d.ReplayLife),
		ReceiptLife:     or(l.ReceiptLife, d.ReceiptLife),
		OpensPerWallet:  or(l.OpensPerWallet, d.OpensPerWallet),
		ClosesPerWallet: or(l.ClosesPerWallet, d.ClosesPerWallet),
	}
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Ledger is safe for concurrent use.
type Ledger struct {
	c      Config
	limits Limits

	slots    [slotShards]slotShard
	gratis   gratis
	drafts   sync.Pool
	totals   totals
	counters counters
	failed   atomic.Pointer[Error]
	inFlight atomic.Int64 // batches whose waiters want durability and do not have it yet
	rand     sync.Mutex   // Config.Rand need not be safe for concurrent use

	opensWallet, opensShare   *limit.Limiter
	closesWallet, closesShare *limit.Limiter
}

// Open loads the ledger and releases what a crash left held.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	switch {
	case c.Storage == nil || c.Signer == nil || c.Now == nil || c.Rand == nil:
		return nil, invalid("ledger: Config needs Storage, Signer, Now and Rand")
	case c.Mode == "":
		return nil, invalid("ledger: Config needs a Mode: demo, off, or a chain's")
	case c.Mode != Demo && c.Mode != Off && c.Deposits == nil:
		return nil, invalid("ledger: money mode %q needs a way to verify deposits", c.Mode)
	case len(c.Owner) > maxRef:
		return nil, invalid("ledger: owner name is longer than %d bytes", maxRef)
	}
	l := &Ledger{c: c, limits: c.Limits.withDefaults()}
	l.drafts.New = func() any { return new(draft) }
	for i := range l.slots {
		l.slots[i].m = make(map[string]*slot)
	}
	hourly := func(n int) *limit.Limiter {
		return limit.New(limit.Config{Max: n, Window: time.Hour, Now: c.Now})
	}
	l.opensWallet, l.opensShare = hourly(l.limits.OpensPerWallet), hourly(l.limits.OpensPerWallet*walletlessShare)
	l.closesWallet, l.closesShare = hourly(l.limits.ClosesPerWallet), hourly(l.limits.ClosesPerWallet*walletlessShare)

	if err := l.loadTotals(ctx); err != nil {
		return nil, fmt.Errorf("ledger: load totals: %w", err)
	}
	if err := l.releaseLost(ctx); err != nil {
		return nil, fmt.Errorf("ledger: release the holds of an earlier run: %w", err)
	}
	return l, nil
}

// now is the ledger's time at the precision that rows keep.
func (l *Ledger) now() time.Time { return l.c.Now().UTC().Truncate(time.Millisecond) }

// usable refuses work after a storage failure.
func (l *Ledger) usable() error {
	if f := l.failed.Load(); f != nil {
		return f
	}
	return nil
}

// fail stops the ledger: after a failed write nobody knows what is on disk, and
// only reading it again can tell.
func (l *Ledger) fail(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f := &Error{Kind: KindStorage, Detail: "the ledger's storage failed and the ledger has stopped; restart the hub once the disk is well", Err: err}
	l.failed.CompareAndSwap(nil, f)
	return l.failed.Load()
}

// readFailed reports a read that failed. Reading changes nothing, so the ledger
// goes on.
func readFailed(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrCorrupt) {
		return err
	}
	return &Error{Kind: KindStorage, Detail: "the ledger's storage could not be read", Err: err}
}

// durable waits for a batch of this ledger.
func (l *Ledger) durable(wait func() error) error {
	if err := wait(); err != nil {
		return l.fail(err)
	}
	return nil
}

// settledOnDisk returns once what the caller has just read cannot be lost any
// more. Without writes in flight that is at once.
func (l *Ledger) settledOnDisk(ctx context.Context) error {
	if l.inFlight.Load() == 0 {
		return l.usable()
	}
	wait, err := l.c.Storage.Apply(ctx, Batch{})
	if err != nil {
		return l.fail(err)
	}
	return l.durable(wait)
}

// random fills b from Config.Rand.
func (l *Ledger) random(b []byte) error {
	l.rand.Lock()
	defer l.rand.Unlock()
	if _, err := io.ReadFull(l.c.Rand, b); err != nil {
		return fmt.Errorf("ledger: read random bytes: %w", err)
	}
	return nil
}
