package ledger

import (
	"context"
	"sync/atomic"
)

// Stats are running totals, rebuilt at Open. When several processes share the
// storage each knows the others' changes only as of its own Open.
type Stats struct {
	OpenChannels int
	Free, Held   Money // on open channels
	Settled      Money // used on settled and expired channels
	Owed         Money // obligations not paid
	Receipts     int64 // issued, free calls included
}

// Counters count what the ledger did and refused since Open.
type Counters struct {
	Lost         uint64 // holds of an earlier run released at Open
	Reaped       uint64 // holds released for their age
	Expired      uint64 // channels ended by their age
	Dropped      uint64 // receipts and answers deleted after their life
	Conflicts    uint64 // transitions tried again because another writer was first
	RefusedFull  uint64 // opens refused at Limits.MaxOpen
	RefusedRate  uint64 // opens and closes refused by an hourly limit
	Unauthorized uint64 // wrong secrets, wallets and proofs
}

type counters struct {
	lost, reaped, expired, dropped, conflicts, full, rate, unauthorized atomic.Uint64
}

// Counters returns the counters.
func (l *Ledger) Counters() Counters {
	c := &l.counters
	return Counters{
		Lost: c.lost.Load(), Reaped: c.reaped.Load(), Expired: c.expired.Load(), Dropped: c.dropped.Load(),
		Conflicts: c.conflicts.Load(), RefusedFull: c.full.Load(), RefusedRate: c.rate.Load(), Unauthorized: c.unauthorized.Load(),
	}
}

type totals struct {
	open, free, held, settled, owed, billed, gratis atomic.Int64
	gratisStored                                    atomic.Int64 // gratis as of the last stored count
	gratisOthers                                    int64        // of other owners, at Open
}

// Stats returns the totals at once, whatever the number of channels.
func (l *Ledger) Stats() Stats {
	t := &l.totals
	return Stats{
		OpenChannels: int(t.open.Load()),
		Free:         Money(t.free.Load()),
		Held:         Money(t.held.Load()),
		Settled:      Money(t.settled.Load()),
		Owed:         Money(t.owed.Load()),
		Receipts:     t.billed.Load() + t.gratis.Load() + t.gratisOthers,
	}
}

// changed accounts for a channel's transition; existed is false when it opens.
func (t *totals) changed(before, after *Channel, existed bool) {
	if existed {
		t.add(before, -1)
	}
	t.add(after, 1)
}

func (t *totals) add(c *Channel, sign int64) {
	if c.Status == StatusOpen {
		t.open.Add(sign)
		t.free.Add(sign * int64(c.Balance))
		t.held.Add(sign * int64(c.Held))
	} else {
		t.settled.Add(sign * int64(c.Used))
	}
	t.billed.Add(sign * c.Calls)
}

// loadTotals rebuilds the totals from the rows.
func (l *Ledger) loadTotals(ctx context.Context) error {
	st := l.c.Storage
	err := st.Scan(ctx, []byte(rangeChannel), nil, func(key, value []byte) (bool, error) {
		acc, err := decodeAccount(string(key[len(rangeChannel):]), value)
		if err != nil {
			return false, err
		}
		l.totals.add(&acc.Channel, 1)
		return true, nil
	})
	if err != nil {
		return err
	}
	err = st.Scan(ctx, []byte(rangeObligation), nil, func(key, value []byte) (bool, error) {
		o, err := decodeObligation(string(key[len(rangeObligation):]), value)
		if err == nil && o.Status == StatusOwed {
			l.totals.owed.Add(int64(o.Amount))
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return st.Scan(ctx, []byte(rangeFree), nil, func(key, value []byte) (bool, error) {
		owner := string(key[len(rangeFree):])
		n, err := decodeCount(value)
		if err != nil {
			return false, corrupt("receipt count", owner, err)
		}
		if owner == l.c.Owner {
			l.totals.gratis.Store(int64(n))
			l.totals.gratisStored.Store(int64(n))
		} else {
			l.totals.gratisOthers += int64(n)
		}
		return true, nil
	})
}

// storeGratis keeps the count of free receipts across restarts. It is a statistic:
// a crash loses what was counted since the last sweep.
func (l *Ledger) storeGratis(ctx context.Context) error {
	n := l.totals.gratis.Load()
	if n == l.totals.gratisStored.Load() {
		return nil
	}
	b := Batch{Put: []Row{{append([]byte(rangeFree), l.c.Owner...), appendCount(nil, uint64(n))}}}
	if _, err := l.c.Storage.Apply(ctx, b); err != nil {
		return l.fail(err)
	}
	l.totals.gratisStored.Store(n)
	return nil
}
