package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// Bounds of one sweep pass; what is left waits for the next.
const (
	maxExpirePerPass = 10_000 // channels: the default of MaxOpen
	maxReapPerPass   = 500    // holds (payments contract §3)
	maxDropPerPass   = 50_000 // receipts and answers each
	dropBatch        = 1_000  // rows deleted in one batch
)

// holdRef names a hold.
type holdRef struct{ channel, ref string }

// Sweep expires channels, reaps stale holds, and drops receipts and answers past
// their life; the node calls it every 300 s. A channel with running calls stays
// open until they end: they were promised their money.
func (l *Ledger) Sweep(ctx context.Context) (expired, reaped int, err error) {
	if err := l.usable(); err != nil {
		return 0, 0, err
	}
	if err := l.writeAllBehind(); err != nil {
		return 0, 0, err
	}
	if reaped, err = l.reap(ctx); err != nil {
		return 0, reaped, err
	}
	if expired, err = l.expire(ctx); err != nil {
		return expired, reaped, err
	}
	l.forgetIdle(l.now())
	if err := l.dropReceipts(ctx); err != nil {
		return expired, reaped, err
	}
	if err := l.dropAnswers(ctx); err != nil {
		return expired, reaped, err
	}
	if err := l.storeGratis(ctx); err != nil {
		return expired, reaped, err
	}
	wait, err := l.c.Storage.Apply(ctx, Batch{})
	if err != nil {
		return expired, reaped, l.fail(err)
	}
	return expired, reaped, l.durable(wait)
}

func (l *Ledger) expire(ctx context.Context) (int, error) {
	now := l.now()
	var due []string
	err := l.c.Storage.Scan(ctx, []byte(rangeExpiry), nil, func(key, _ []byte) (bool, error) {
		rest := key[len(rangeExpiry):]
		if len(rest) != 8+channelIDLen {
			return false, corrupt("expiry", string(rest), errShort)
		}
		if int64(binary.BigEndian.Uint64(rest)) > now.Unix() {
			return false, nil
		}
		due = append(due, string(rest[8:]))
		return len(due) < maxExpirePerPass, nil
	})
	if err != nil {
		return 0, readFailed(err)
	}
	n := 0
	for _, id := range due {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		ch, _, err := l.change(ctx, id, func(s *slot, d *draft, _ bool) error {
			if s.acc.Status != StatusOpen || s.acc.payable(now) || len(s.holds) > 0 {
				return errKeep
			}
			return d.finish(moveExpire, ExpiryRemainder, now)
		})
		if errors.Is(err, errKeep) {
			continue
		}
		if err != nil {
			return n, err
		}
		l.totals.owed.Add(int64(ch.Balance))
		l.counters.expired.Add(1)
		n++
	}
	return n, nil
}

func (l *Ledger) reap(ctx context.Context) (int, error) {
	if l.limits.ReapAfter < 0 {
		return 0, nil
	}
	limit := millis(l.now()) - l.limits.ReapAfter.Milliseconds()
	old := func(h held) bool { return h.at < limit }
	stale, err := l.findHeld(ctx, maxReapPerPass, old)
	if err != nil {
		return 0, err
	}
	return l.giveAllBack(ctx, stale, moveReap, old, &l.counters.reaped)
}

// releaseLost gives back what an earlier run of this process held: its calls died
// with it, before their answers.
func (l *Ledger) releaseLost(ctx context.Context) error {
	mine := func(h held) bool { return h.owner == l.c.Owner }
	lost, err := l.findHeld(ctx, -1, mine)
	if err != nil || len(lost) == 0 {
		return err
	}
	if _, err := l.giveAllBack(ctx, lost, moveLost, mine, &l.counters.lost); err != nil {
		return err
	}
	wait, err := l.c.Storage.Apply(ctx, Batch{})
	if err != nil {
		return l.fail(err)
	}
	return l.durable(wait)
}

// findHeld lists up to limit (<0: all) holds that match.
func (l *Ledger) findHeld(ctx context.Context, limit int, match func(held) bool) ([]holdRef, error) {
	var found []holdRef
	err := l.c.Storage.Scan(ctx, []byte(rangeHeld), nil, func(key, value []byte) (bool, error) {
		channel, ref, ok := splitOfChannel(rangeHeld, key)
		if !ok {
			return false, corrupt("hold key", string(key), errRange)
		}
		h, err := decodeHeld(value)
		if err != nil {
			return false, corrupt("hold", channel+"/"+ref, err)
		}
		if match(h) {
			found = append(found, holdRef{channel, ref})
		}
		return limit < 0 || len(found) < limit, nil
	})
	if err != nil {
		return nil, readFailed(err)
	}
	return found, nil
}

func (l *Ledger) giveAllBack(ctx context.Context, holds []holdRef, m move, due func(held) bool, count interface{ Add(uint64) uint64 }) (int, error) {
	n := 0
	for _, h := range holds {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		done, err := l.giveBack(ctx, h.channel, h.ref, m, due)
		if err != nil {
			return n, err
		}
		if done {
			n++
			count.Add(1)
		}
	}
	return n, nil
}

// dropReceipts deletes receipts of the periods that have wholly passed their life,
// and notes up to which period receipts may now be missing.
func (l *Ledger) dropReceipts(ctx context.Context) error {
	if l.limits.ReceiptLife < 0 {
		return nil
	}
	end := receiptPeriodOf(max(millis(l.now())-l.limits.ReceiptLife.Milliseconds(), 0))
	return l.dropPeriods(ctx, rangeReceipt, end, []byte(keyDropped))
}

func (l *Ledger) dropAnswers(ctx context.Context) error {
	end := answerPeriodOf(max(millis(l.now())-l.limits.ReplayLife.Milliseconds(), 0))
	return l.dropPeriods(ctx, rangeAnswer, end, nil)
}

// dropPeriods deletes a bounded number of a range's rows of periods before end.
func (l *Ledger) dropPeriods(ctx context.Context, keyRange string, end uint32, mark []byte) error {
	for dropped := 0; dropped < maxDropPerPass; dropped += dropBatch {
		var b Batch
		err := l.c.Storage.Scan(ctx, []byte(keyRange), nil, func(key, _ []byte) (bool, error) {
			rest := key[len(keyRange):]
			if len(rest) < 4 || binary.BigEndian.Uint32(rest) >= end {
				return false, nil
			}
			b.Delete = append(b.Delete, append([]byte(nil), key...))
			return len(b.Delete) < dropBatch, nil
		})
		if err != nil {
			return readFailed(err)
		}
		if len(b.Delete) == 0 {
			return nil
		}
		if mark != nil {
			b.Put = append(b.Put, Row{mark, appendCount(nil, uint64(end))})
		}
		if _, err := l.c.Storage.Apply(ctx, b); err != nil {
			return l.fail(err)
		}
		l.counters.dropped.Add(uint64(len(b.Delete)))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// SweepEvery is how often the node should call Sweep (payments contract §3).
const SweepEvery = 300 * time.Second
