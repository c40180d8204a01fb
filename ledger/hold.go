package ledger

import (
	"context"
	"errors"
	"sync"
)

// Bounds of what callers hand in.
const (
	maxRef     = 128     // bytes of a receipt id, nonce or owner name
	maxReceipt = 1 << 20 // bytes of a signed receipt
	maxAnswer  = 8 << 20 // bytes of an answer kept for its request id
)

// HoldRequest reserves the price of one call.
type HoldRequest struct {
	ChannelID, Secret string
	Amount            Money  // ≥ 0
	ReceiptID         string // unique per channel, 1 to 128 bytes
	Drawn             bool   // ReceiptID is of NewNonce, from this process's randomness: nothing can have used it
}

// Hold is money reserved for one call.
type Hold struct {
	ChannelID, ReceiptID string
	Amount               Money
	Balance              Money // left on the channel after this hold

	ledger *Ledger
	once   sync.Once
	wait   func() error
	err    error
}

// Hold reserves in one step under the channel's lock and returns before the disk:
// a crash that loses the hold loses the call with it, unbilled. Durable waits.
func (l *Ledger) Hold(ctx context.Context, r HoldRequest) (*Hold, error) {
	ch, wait, err := l.spend(ctx, r, moveHold)
	if err != nil {
		return nil, err
	}
	return &Hold{ChannelID: r.ChannelID, ReceiptID: r.ReceiptID, Amount: r.Amount, Balance: ch.Balance, ledger: l, wait: wait}, nil
}

// Durable returns once the hold is on disk.
func (h *Hold) Durable() error {
	h.once.Do(func() {
		if h.ledger == nil {
			h.err = ErrHoldResolved // not made by Hold
			return
		}
		h.err = h.ledger.durable(h.wait)
		h.wait = nil
	})
	return h.err
}

// Debit charges at once what was delivered without a hold; Refund gives back at
// most what was used. Both return when it is on disk.
func (l *Ledger) Debit(ctx context.Context, r HoldRequest) (Channel, error) {
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	ch, wait, err := l.spend(ctx, r, moveDebit)
	if err != nil {
		return ch, err
	}
	return ch, l.durable(wait)
}

// spend is what Hold and Debit share: the checks of payments contract §3, in its
// order.
func (l *Ledger) spend(ctx context.Context, r HoldRequest, m move) (Channel, func() error, error) {
	if l.c.Mode == Off {
		return Channel{}, nil, ErrMoneyOff
	}
	if r.ReceiptID == "" || len(r.ReceiptID) > maxRef {
		return Channel{}, nil, invalid("receipt id must have 1 to %d bytes, has %d", maxRef, len(r.ReceiptID))
	}
	if r.Amount < 0 {
		return Channel{}, nil, invalid("amount %s is negative", r.Amount)
	}
	now := l.now()
	return l.change(ctx, r.ChannelID, func(s *slot, d *draft, _ bool) error {
		// Money of another mode, say demo credit from before a chain was there,
		// buys nothing.
		if !s.acc.payable(now) || s.acc.Mode != l.c.Mode {
			return &Error{Kind: KindChannelNotOpen, Detail: "channel not open", Status: s.acc.Status}
		}
		if !s.acc.secretMatches(r.Secret) {
			l.counters.unauthorized.Add(1)
			return errSecret
		}
		if err := d.apply(event{m, r.Amount, r.ReceiptID, now}); err != nil {
			return err
		}
		if err := l.unseen(ctx, s, d, r); err != nil {
			return err
		}
		if m == moveHold {
			// Its capture follows soon, and asks for the sync that covers both. A sync
			// of its own would only make the capture's wait behind it.
			d.batch.Lazy, d.later = true, r.Drawn
			d.begin(r.ReceiptID, held{amount: r.Amount, at: millis(now), owner: l.c.Owner})
		} else {
			d.spend(r.ReceiptID, spent{move: m, amount: r.Amount, at: millis(now)})
		}
		return nil
	})
}

// unseen refuses a receipt id that the channel knows. The channel row that the
// commit expects changes with every use of an id, so looking is enough. For an id
// of 128 random bits even that is needless, and it would cost a read of the disk.
func (l *Ledger) unseen(ctx context.Context, s *slot, d *draft, r HoldRequest) error {
	if _, live := s.holds[r.ReceiptID]; live {
		return ErrReplay
	}
	if r.Drawn {
		return nil
	}
	mark := len(d.arena)
	d.arena = appendSpentKey(d.arena, s.acc.ID, r.ReceiptID)
	switch _, err := l.c.Storage.Get(ctx, d.cut(mark)); {
	case err == nil:
		return ErrReplay
	case errors.Is(err, ErrNotFound):
		return nil
	default:
		return readFailed(err)
	}
}

// Delivery is what a finished call leaves behind besides its debit.
type Delivery struct {
	Receipt   []byte   // signed receipt as sent
	Nonce     string   // its id: unpredictable and unique on the whole hub
	Drawn     bool     // Nonce is of NewNonce, from this process's randomness: no receipt can have it
	RequestID string   // scoped request id (RequestScope); "" none
	Request   [32]byte // fingerprint of the request
	Answer    []byte   // body to repeat under RequestID
}

func (d *Delivery) check() error {
	switch {
	case len(d.Receipt) > 0 && d.Nonce == "":
		return invalid("a receipt needs its nonce")
	case len(d.Nonce) > maxRef:
		return invalid("receipt nonce has %d bytes, more than %d", len(d.Nonce), maxRef)
	case len(d.Receipt) > maxReceipt:
		return invalid("receipt has %d bytes, more than %d", len(d.Receipt), maxReceipt)
	case len(d.Answer) > maxAnswer:
		return invalid("answer has %d bytes, more than %d", len(d.Answer), maxAnswer)
	case len(d.RequestID) > maxRef:
		return invalid("request id has %d bytes, more than %d: scope it with RequestScope", len(d.RequestID), maxRef)
	}
	return nil
}

// Capture turns the hold into a debit and stores d, in one synced batch. It
// returns after the batch is durable. ErrHoldResolved if there is nothing to
// capture; ErrAnswered or ErrRequestMismatch, with the hold still there to be
// released, if d.RequestID got its answer meanwhile; ErrReplay, likewise, if d.Nonce
// is another receipt's. A channel that expired since
// the hold still pays. The end of ctx does not undo a capture that was begun.
func (l *Ledger) Capture(ctx context.Context, h *Hold, d Delivery) error {
	if h == nil {
		return ErrHoldResolved
	}
	if err := d.check(); err != nil {
		return err
	}
	now := l.now()
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	_, wait, err := l.change(ctx, h.ChannelID, func(s *slot, dr *draft, again bool) error {
		live, ok := s.holds[h.ReceiptID]
		if !ok {
			return ErrHoldResolved
		}
		if err := dr.apply(event{moveCapture, live.amount, h.ReceiptID, now}); err != nil {
			return err
		}
		end := spent{move: moveCapture, amount: live.amount, at: millis(now)}
		if len(d.Receipt) > 0 {
			end.nonce = d.Nonce
		}
		dr.end(h.ReceiptID, end)
		return l.deliver(ctx, dr, &d, h.ChannelID, h.ReceiptID, millis(now), again)
	})
	if err != nil {
		if errors.Is(err, ErrUnknownChannel) || errors.Is(err, ErrChannelNotOpen) {
			return ErrHoldResolved
		}
		return err
	}
	return l.durable(wait)
}

// deliver adds the receipt's and the answer's rows to a batch.
func (l *Ledger) deliver(ctx context.Context, dr *draft, d *Delivery, channel, ref string, ms int64, again bool) error {
	if len(d.Receipt) > 0 {
		mark := len(dr.arena)
		dr.arena = appendPeriodKey(dr.arena, rangeReceipt, receiptPeriodOf(ms), d.Nonce)
		key := dr.cut(mark)
		// A peer's receipt carries a nonce that the peer chose: it must not replace
		// another receipt.
		if again && !d.Drawn {
			if _, err := l.c.Storage.Get(ctx, key); err == nil {
				return &Error{Kind: KindReplay, Detail: "a receipt with this nonce was issued before"}
			} else if !errors.Is(err, ErrNotFound) {
				return readFailed(err)
			}
		}
		if !d.Drawn {
			dr.expect(key, nil)
		}
		mark = len(dr.arena)
		dr.arena = appendIssued(dr.arena, &issued{at: ms, channel: channel, ref: ref, receipt: d.Receipt})
		dr.put(key, dr.cut(mark))
	}
	if d.RequestID == "" {
		return nil
	}
	return l.putAnswer(ctx, dr, d.RequestID, &answer{at: ms, request: d.Request, body: d.Answer}, again)
}

// Release returns the hold to the balance. Releasing a resolved hold changes
// nothing. It does not wait for the disk: a crash that loses the release finds the
// hold at the next Open and releases it then.
func (l *Ledger) Release(ctx context.Context, h *Hold) error {
	if h == nil {
		return nil
	}
	_, err := l.giveBack(ctx, h.ChannelID, h.ReceiptID, moveRelease, nil)
	return err
}

// errKeep ends a step that found nothing to do.
var errKeep = errors.New("nothing to change")

// giveBack ends a hold in the buyer's favour if it is still held and due says so
// (nil: always), and reports whether it did.
func (l *Ledger) giveBack(ctx context.Context, channel, ref string, m move, due func(held) bool) (bool, error) {
	now := l.now()
	_, _, err := l.change(ctx, channel, func(s *slot, d *draft, _ bool) error {
		live, ok := s.holds[ref]
		if !ok || due != nil && !due(live) {
			return errKeep
		}
		if err := d.apply(event{m, live.amount, ref, now}); err != nil {
			return err
		}
		d.end(ref, spent{move: m, amount: live.amount, at: millis(now)})
		d.batch.Lazy = true
		return nil
	})
	if errors.Is(err, errKeep) || errors.Is(err, ErrUnknownChannel) {
		return false, nil
	}
	return err == nil, err
}
