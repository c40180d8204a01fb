package ledger

import (
	"context"
	"errors"
)

// Refund gives back at most what was used; it fails when nothing was.
func (l *Ledger) Refund(ctx context.Context, channelID, secret string, amount Money) (Channel, error) {
	if l.c.Mode == Off {
		return Channel{}, ErrMoneyOff
	}
	now := l.now()
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	ch, wait, err := l.change(ctx, channelID, func(s *slot, d *draft, _ bool) error {
		if s.acc.Status != StatusOpen {
			return &Error{Kind: KindChannelNotOpen, Detail: "channel not open", Status: s.acc.Status}
		}
		if !s.acc.secretMatches(secret) {
			l.counters.unauthorized.Add(1)
			return errSecret
		}
		n := min(amount, s.acc.Used)
		if n <= 0 {
			return invalid("nothing to refund: asked for %s, used is %s", amount, s.acc.Used)
		}
		return d.apply(event{moveRefund, n, "", now})
	})
	if err != nil {
		return ch, err
	}
	return ch, l.durable(wait)
}

// Channel returns a channel as it is now. It needs no secret: ids are 64 random
// bits that only the opener learns.
func (l *Ledger) Channel(ctx context.Context, id string) (Channel, error) {
	acc, err := l.account(ctx, id)
	return acc.Channel, err
}

// Authorize checks a channel's secret without moving money, whatever its state.
func (l *Ledger) Authorize(ctx context.Context, channelID, secret string) (Channel, error) {
	acc, err := l.account(ctx, channelID)
	if err != nil {
		return Channel{}, err
	}
	if !acc.secretMatches(secret) {
		l.counters.unauthorized.Add(1)
		return Channel{}, errSecret
	}
	return acc.Channel, nil
}

// account reads a channel's row: the storage's, as another process may have
// changed it since this one last wrote.
func (l *Ledger) account(ctx context.Context, id string) (account, error) {
	if !validChannelID(id) {
		return account{}, ErrUnknownChannel
	}
	if l.c.Exclusive { // the slot knows holds that no row has yet
		s := l.lock(id)
		defer l.unlock(id, s)
		err := l.load(ctx, id, s)
		return s.acc, err
	}
	row, err := l.c.Storage.Get(ctx, appendChannelKey(nil, id))
	if errors.Is(err, ErrNotFound) {
		return account{}, ErrUnknownChannel
	}
	if err != nil {
		return account{}, readFailed(err)
	}
	return decodeAccount(id, row)
}
