package ledger

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// slot is one channel's lock and what memory knows of it. Slots of open channels
// stay, and are as many as open channels; others are forgotten with their last user.
type slot struct {
	mu     sync.Mutex
	users  int // holders and waiters, under the shard's lock
	loaded bool
	acc    account
	row    []byte          // the channel row that acc came from: the next write's expectation
	holds  map[string]held // unresolved holds by receipt id
	behind []deferred      // holds that acc and holds have and row has not, in their order
}

// slotShards spreads the map of locks; more than any sensible number of cores.
const slotShards = 64

type slotShard struct {
	mu sync.Mutex
	m  map[string]*slot
	_  [40]byte // shards on separate cache lines
}

var slotSeed = maphash.MakeSeed()

func (l *Ledger) shard(id string) *slotShard {
	return &l.slots[maphash.String(slotSeed, id)%slotShards]
}

// lock returns the channel's slot, locked.
func (l *Ledger) lock(id string) *slot {
	sh := l.shard(id)
	sh.mu.Lock()
	s := sh.m[id]
	if s == nil {
		s = new(slot)
		sh.m[id] = s
	}
	s.users++
	sh.mu.Unlock()
	s.mu.Lock()
	return s
}

// unlock forgets the slot unless its channel is open or somebody waits for it.
func (l *Ledger) unlock(id string, s *slot) {
	s.mu.Unlock()
	sh := l.shard(id)
	sh.mu.Lock()
	// Without users nobody can be inside the slot, so it may be read here.
	if s.users--; s.users == 0 && !(s.loaded && s.acc.Status == StatusOpen) {
		delete(sh.m, id)
	}
	sh.mu.Unlock()
}

// forgetIdle drops slots of channels that must have ended by now: when another
// process ended them, nothing here would. A slot is only a copy, so dropping one
// too many costs one read.
func (l *Ledger) forgetIdle(now time.Time) {
	for i := range l.slots {
		sh := &l.slots[i]
		sh.mu.Lock()
		for id, s := range sh.m {
			if s.users == 0 && len(s.behind) == 0 && !s.acc.payable(now) {
				delete(sh.m, id)
			}
		}
		sh.mu.Unlock()
	}
}

// loadAttempts bounds how often a channel that another process keeps changing is
// read again before the caller is told that it is busy.
const loadAttempts = 16

// load reads the channel and its holds into the slot as of one channel row. Every
// change of a channel's holds changes its row, so an equal row before and after
// the scan means that nothing came between.
func (l *Ledger) load(ctx context.Context, id string, s *slot) error {
	if s.loaded {
		return nil
	}
	for range loadAttempts {
		row, err := l.c.Storage.Get(ctx, appendChannelKey(nil, id))
		if errors.Is(err, ErrNotFound) {
			return ErrUnknownChannel
		}
		if err != nil {
			return readFailed(err)
		}
		acc, err := decodeAccount(id, row)
		if err != nil {
			return err
		}
		holds, err := scanHeld(ctx, l.c.Storage, id)
		if err != nil {
			return err
		}
		again, err := l.c.Storage.Get(ctx, appendChannelKey(nil, id))
		if err != nil {
			return readFailed(err)
		}
		if string(again) != string(row) {
			continue
		}
		s.acc, s.row, s.holds, s.behind, s.loaded = acc, row, holds, nil, true
		return nil
	}
	return ErrBusy
}

func scanHeld(ctx context.Context, st Storage, id string) (map[string]held, error) {
	holds := make(map[string]held)
	prefix := appendOfChannel(nil, rangeHeld, id)
	err := st.Scan(ctx, prefix, nil, func(key, value []byte) (bool, error) {
		ref := string(key[len(prefix):])
		h, err := decodeHeld(value)
		if err != nil {
			return false, corrupt("hold", id+"/"+ref, err)
		}
		holds[ref] = h
		return true, nil
	})
	return holds, err
}
