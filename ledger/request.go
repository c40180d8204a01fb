package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// RequestScope binds a caller's request id to who sent it, e.g.
// RequestScope("channel", id, key): two callers who choose the same id do not meet.
func RequestScope(kind, who, key string) string {
	h := sha256.New()
	for _, s := range []string{kind, who, key} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Answered returns the answer stored under a scoped request id. found is false if
// there is none; ErrRequestMismatch if the fingerprint differs. What it returns is
// on disk.
func (l *Ledger) Answered(ctx context.Context, scope string, fingerprint [32]byte) ([]byte, bool, error) {
	a, found, err := l.lookUp(ctx, scope, fingerprint)
	if err != nil || !found {
		return nil, false, err
	}
	if a.channel != "" {
		return nil, false, ErrRequestMismatch
	}
	return a.body, true, l.settledOnDisk(ctx)
}

func (l *Ledger) lookUp(ctx context.Context, scope string, fingerprint [32]byte) (answer, bool, error) {
	if err := l.usable(); err != nil {
		return answer{}, false, err
	}
	ms := millis(l.now())
	for _, period := range l.answerPeriods(ms) {
		a, _, err := l.answerIn(ctx, period, scope)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return answer{}, false, err
		}
		if l.forgotten(&a, ms) {
			continue
		}
		if a.request != fingerprint {
			return answer{}, false, ErrRequestMismatch
		}
		return a, true, nil
	}
	return answer{}, false, nil
}

// answerIn reads the answer of a scope stored in one period, and its raw row.
func (l *Ledger) answerIn(ctx context.Context, period uint32, scope string) (answer, []byte, error) {
	row, err := l.c.Storage.Get(ctx, appendPeriodKey(nil, rangeAnswer, period, scope))
	if errors.Is(err, ErrNotFound) {
		return answer{}, nil, err
	}
	if err != nil {
		return answer{}, nil, readFailed(err)
	}
	a, err := decodeAnswer(row)
	if err != nil {
		return answer{}, nil, corrupt("answer", scope, err)
	}
	return a, row, nil
}

func (l *Ledger) forgotten(a *answer, ms int64) bool {
	return ms-a.at >= l.limits.ReplayLife.Milliseconds()
}

// answerPeriods lists the periods that may hold a living answer, newest first. One
// period ahead is among them, for an answer that a process with a faster clock
// stored.
func (l *Ledger) answerPeriods(ms int64) []uint32 {
	last := answerPeriodOf(ms + time.Hour.Milliseconds())
	first := answerPeriodOf(max(ms-l.limits.ReplayLife.Milliseconds(), 0))
	periods := make([]uint32, 0, last-first+1)
	for p := last; ; p-- {
		periods = append(periods, p)
		if p == first {
			return periods
		}
	}
}

// putAnswer adds an answer to a batch that then expects that the scope has none in
// any living period. again means that an earlier try of the batch met a conflict:
// then each is looked at, to tell an answered request from a changed channel, and
// an answer past its life is replaced.
func (l *Ledger) putAnswer(ctx context.Context, d *draft, scope string, a *answer, again bool) error {
	own := answerPeriodOf(a.at)
	var ownKey []byte
	for _, period := range l.answerPeriods(a.at) {
		mark := len(d.arena)
		d.arena = appendPeriodKey(d.arena, rangeAnswer, period, scope)
		key := d.cut(mark)
		if period == own {
			ownKey = key
		}
		var expected []byte
		if again {
			old, row, err := l.answerIn(ctx, period, scope)
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return err
			case l.forgotten(&old, a.at):
				expected = row
			case old.request != a.request:
				return ErrRequestMismatch
			default:
				return ErrAnswered
			}
		}
		d.expect(key, expected)
	}
	mark := len(d.arena)
	d.arena = appendAnswer(d.arena, a)
	d.put(ownKey, d.cut(mark))
	return nil
}

// Deliver stores a delivery that cost nothing (free call, trial, rejection). With
// durable false it may be lost in a crash. ErrAnswered or ErrRequestMismatch if
// d.RequestID got its answer meanwhile.
func (l *Ledger) Deliver(ctx context.Context, d Delivery, durable bool) error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	if durable {
		l.inFlight.Add(1)
		defer l.inFlight.Add(-1)
	}
	ms := millis(l.now())
	if !durable && d.Drawn && d.RequestID == "" {
		return l.gather(&d, ms)
	}
	dr := l.drafts.Get().(*draft)
	defer l.putDraft(dr)
	for attempt := range changeAttempts {
		dr.reset(&account{})
		dr.batch.Lazy = !durable
		if err := l.deliver(ctx, dr, &d, "", "", ms, attempt > 0); err != nil {
			return err
		}
		if len(dr.batch.Put) == 0 {
			return nil
		}
		wait, err := l.c.Storage.Apply(context.WithoutCancel(ctx), dr.batch)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return l.fail(err)
		}
		if len(d.Receipt) > 0 {
			l.totals.gratis.Add(1)
		}
		if !durable {
			return nil
		}
		return l.durable(wait)
	}
	return ErrBusy
}

// Receipt returns an issued receipt as sent, or ErrUnknownReceipt.
func (l *Ledger) Receipt(ctx context.Context, nonce string) ([]byte, error) {
	if nonce == "" || len(nonce) > maxRef {
		return nil, ErrUnknownReceipt
	}
	if receipt, ok := l.gathered(nonce); ok {
		return receipt, nil
	}
	oldest, found, err := firstPeriod(ctx, l.c.Storage, rangeReceipt)
	if err != nil {
		return nil, readFailed(err)
	}
	if !found {
		return nil, ErrUnknownReceipt
	}
	// The oldest wins: a nonce that comes again later cannot hide the first.
	for period := oldest; period <= receiptPeriodOf(millis(l.now()))+1; period++ {
		row, err := l.c.Storage.Get(ctx, appendPeriodKey(nil, rangeReceipt, period, nonce))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, readFailed(err)
		}
		i, err := decodeIssued(row)
		if err != nil {
			return nil, corrupt("receipt", nonce, err)
		}
		return i.receipt, l.settledOnDisk(ctx)
	}
	return nil, ErrUnknownReceipt
}

// firstPeriod is the oldest period that a range has a row of.
func firstPeriod(ctx context.Context, st Storage, keyRange string) (period uint32, found bool, err error) {
	err = st.Scan(ctx, []byte(keyRange), nil, func(key, _ []byte) (bool, error) {
		if rest := key[len(keyRange):]; len(rest) >= 4 {
			period, found = binary.BigEndian.Uint32(rest), true
		}
		return false, nil
	})
	return period, found, err
}
