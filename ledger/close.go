package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/internal/limit"
)

// CloseRequest ends a channel. A channel opened with a wallet needs Wallet or
// Secret; one without needs neither, for its id is known to nobody but the opener
// and published clients send nothing else. A wrong Secret or Wallet is refused.
type CloseRequest struct {
	ChannelID, Secret, Wallet, SettleTxHash string
	Client                                  string // limit.AddressKey of the caller, as in OpenRequest
}

// Settlement is what a close did. Closing again by a proven owner returns it again.
type Settlement struct {
	Channel    Channel
	Refund     Money
	Obligation *Obligation // nil if nothing was left over
}

// CloseChannel settles a channel without running calls. Its remainder becomes an
// obligation. A settled channel's owner, proven by secret or wallet, gets the
// settlement again; everybody else learns that it is closed.
func (l *Ledger) CloseChannel(ctx context.Context, r CloseRequest) (Settlement, error) {
	if l.c.Mode == Off {
		return Settlement{}, ErrMoneyOff
	}
	if err := checkText("settle_tx_hash", r.SettleTxHash, maxTx); err != nil {
		return Settlement{}, err
	}
	if err := checkText("wallet", r.Wallet, maxWallet); err != nil {
		return Settlement{}, err
	}
	now := l.now()
	charged := false
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	ch, wait, err := l.change(ctx, r.ChannelID, func(s *slot, d *draft, _ bool) error {
		if s.acc.Status != StatusOpen {
			if proven, err := authorizeClose(&s.acc, &r); proven && err == nil {
				return errKeep
			}
			return &Error{Kind: KindChannelClosed, Detail: "channel is " + string(s.acc.Status), Status: s.acc.Status}
		}
		if _, err := authorizeClose(&s.acc, &r); err != nil {
			l.counters.unauthorized.Add(1)
			return err
		}
		// The hourly share is charged only now, so that strangers cannot use up
		// anybody's, and once, however often the batch is tried.
		if !charged {
			if err := l.chargeClose(&s.acc, &r); err != nil {
				return err
			}
			charged = true
		}
		if n := len(s.holds); n > 0 {
			return &Error{Kind: KindPending, Pending: n, Detail: fmt.Sprintf("channel has %d pending verified settlement(s) — retry close after they resolve", n)}
		}
		d.acc.SettleTxHash = r.SettleTxHash
		return d.finish(moveSettle, CloseRemainder, now)
	})
	if errors.Is(err, errKeep) {
		if err := l.settledOnDisk(ctx); err != nil {
			return Settlement{}, err
		}
		return l.settlement(ctx, ch)
	}
	if err != nil {
		return Settlement{}, err
	}
	l.totals.owed.Add(int64(ch.Balance))
	if err := l.durable(wait); err != nil {
		return Settlement{}, err
	}
	return l.settlement(ctx, ch)
}

// authorizeClose reports whether the request proves its right by more than knowing
// the id, or why it is refused.
func authorizeClose(a *account, r *CloseRequest) (proven bool, err error) {
	if r.Secret != "" && !a.secretMatches(r.Secret) {
		return false, errSecret
	}
	if r.Wallet != "" && !sameWallet(a.Wallet, r.Wallet) {
		return false, errWallet
	}
	if r.Secret == "" && r.Wallet == "" && a.Wallet != "" {
		return false, &Error{Kind: KindUnauthorized, Detail: "unauthorized: this channel was opened with a wallet; send the wallet or the channel secret"}
	}
	return r.Secret != "" || r.Wallet != "", nil
}

func (l *Ledger) chargeClose(a *account, r *CloseRequest) error {
	var bucket *limit.Limiter
	var key string
	if a.Wallet != "" {
		bucket, key = l.closesWallet, canonicalWallet(a.Wallet)
	} else {
		bucket, key = l.closesShare, r.Client
	}
	if ok, after := bucket.Allow(key); !ok {
		l.counters.rate.Add(1)
		return &Error{Kind: KindRateLimited, Detail: fmt.Sprintf("too many channels closed in the last hour; try again in %s", after.Round(time.Second)), RetryAfter: after}
	}
	return nil
}

// finish ends a channel: its remainder becomes an obligation.
func (d *draft) finish(m move, kind string, now time.Time) error {
	if err := d.apply(event{m, d.acc.Balance, "", now}); err != nil {
		return err
	}
	d.batch.Delete = append(d.batch.Delete, appendExpiryKey(nil, d.acc.ExpiresAt, d.acc.ID))
	if o := obligationOf(&d.acc.Channel, kind); o != nil {
		d.put(appendObligationKey(nil, d.acc.ID), appendObligation(nil, o))
	}
	return nil
}

// settlement describes an ended channel.
func (l *Ledger) settlement(ctx context.Context, ch Channel) (Settlement, error) {
	s := Settlement{Channel: ch, Refund: ch.Balance}
	o, err := l.obligation(ctx, ch.ID)
	if errors.Is(err, ErrUnknownDebt) {
		return s, nil
	}
	s.Obligation = &o
	return s, err
}
