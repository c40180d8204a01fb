package ledger

import (
	"context"
	"errors"
	"time"
)

// The kinds and states of an Obligation.
const (
	CloseRemainder  = "close_remainder"
	ExpiryRemainder = "expiry_remainder"
	StatusOwed      = "owed"
	StatusPaid      = "paid"
)

// Obligation is a remainder the operator owes, in the money of its Mode: what was
// credited in demo money is owed in demo money only.
type Obligation struct {
	ChannelID, Wallet, Chain, Token, Kind, Status, DepositTxHash, PayoutTxHash string
	Amount                                                                     Money
	Mode                                                                       Mode
	CreatedAt, PaidAt                                                          time.Time
}

// obligationOf is what an ended channel leaves to be paid, nil for nothing.
func obligationOf(c *Channel, kind string) *Obligation {
	if c.Balance == 0 {
		return nil
	}
	return &Obligation{
		ChannelID: c.ID, Wallet: c.Wallet, Chain: c.Chain, Token: c.Token, Kind: kind, Status: StatusOwed,
		DepositTxHash: c.TxHash, Amount: c.Balance, Mode: c.Mode, CreatedAt: c.ClosedAt,
	}
}

func (l *Ledger) obligation(ctx context.Context, channelID string) (Obligation, error) {
	if !validChannelID(channelID) {
		return Obligation{}, ErrUnknownDebt
	}
	row, err := l.c.Storage.Get(ctx, appendObligationKey(nil, channelID))
	if errors.Is(err, ErrNotFound) {
		return Obligation{}, ErrUnknownDebt
	}
	if err != nil {
		return Obligation{}, readFailed(err)
	}
	return decodeObligation(channelID, row)
}

// Obligations lists up to limit obligations with the status ("" any), by channel id.
func (l *Ledger) Obligations(ctx context.Context, status string, limit int) ([]Obligation, error) {
	if status != "" && status != StatusOwed && status != StatusPaid {
		return nil, invalid("obligation status must be %q, %q or empty, is %.20q", StatusOwed, StatusPaid, status)
	}
	var list []Obligation
	err := l.c.Storage.Scan(ctx, []byte(rangeObligation), nil, func(key, value []byte) (bool, error) {
		if len(list) >= limit {
			return false, nil
		}
		o, err := decodeObligation(string(key[len(rangeObligation):]), value)
		if err != nil {
			return false, err
		}
		if status == "" || o.Status == status {
			list = append(list, o)
		}
		return true, nil
	})
	if err != nil {
		return nil, readFailed(err)
	}
	return list, nil
}

// MarkPaid records that an obligation was paid out. The transaction is not looked
// up. Marking again with the same transaction changes nothing; with another it is
// refused.
func (l *Ledger) MarkPaid(ctx context.Context, channelID, payoutTxHash string) (Obligation, error) {
	if payoutTxHash == "" {
		return Obligation{}, invalid("payout_tx_hash is missing")
	}
	if err := checkText("payout_tx_hash", payoutTxHash, maxTx); err != nil {
		return Obligation{}, err
	}
	if l.c.Mode != Demo && l.c.Mode != Off && !isTx(payoutTxHash) {
		return Obligation{}, invalid("payout_tx_hash must be 0x and 64 hex digits")
	}
	now := l.now()
	var o Obligation
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	_, wait, err := l.change(ctx, channelID, func(s *slot, d *draft, _ bool) error {
		var err error
		if o, err = l.obligation(ctx, channelID); err != nil {
			return err
		}
		if o.Status == StatusPaid {
			if canonicalTx(o.PayoutTxHash) == canonicalTx(payoutTxHash) {
				return errKeep
			}
			return ErrAlreadyPaid
		}
		o.Status, o.PayoutTxHash, o.PaidAt = StatusPaid, payoutTxHash, now.Truncate(time.Second)
		d.put(appendObligationKey(nil, channelID), appendObligation(nil, &o))
		return d.apply(event{movePaid, o.Amount, payoutTxHash, now})
	})
	switch {
	case errors.Is(err, errKeep):
		return o, l.settledOnDisk(ctx)
	case errors.Is(err, ErrUnknownChannel):
		return Obligation{}, ErrUnknownDebt
	case err != nil:
		return Obligation{}, err
	}
	l.totals.owed.Add(-int64(o.Amount))
	return o, l.durable(wait)
}
