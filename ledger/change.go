package ledger

import (
	"bytes"
	"context"
	"errors"
	"slices"
)

// draft is one transition in the making: the state after it and its rows.
type draft struct {
	acc   account
	batch Batch
	arena []byte // backs the batch's keys and values
	row   []byte // the channel row after it
	entry entry  // its journal entry, whose row is batch.Put[at]
	at    int

	addHold string // hold that begins
	hold    held
	endHold string // hold that ends
	later   bool   // the hold may be written with what ends it
}

// deferred is a hold that is not written yet and its journal entry.
type deferred struct {
	made entry // its ref is the hold's
	hold held
}

func (d *draft) reset(acc *account) {
	d.acc = *acc
	d.batch.Expect = d.batch.Expect[:0]
	d.batch.Put = d.batch.Put[:0]
	d.batch.Delete = d.batch.Delete[:0]
	d.batch.Lazy = false
	d.arena = d.arena[:0]
	d.addHold, d.endHold, d.later = "", "", false
	d.entry, d.at = entry{}, 0
}

// takeBehind adds the slot's deferred holds to the batch. A hold that this very
// batch ends never gets a row of its own, and in the journal it shares its end's.
func (d *draft) takeBehind(s *slot) {
	for i := range s.behind {
		b := &s.behind[i]
		if b.made.ref != d.endHold {
			d.writeEntry(&b.made)
			d.writeHeld(b.made.ref, &b.hold)
			continue
		}
		mark := len(d.arena)
		d.arena = appendHeldKey(d.arena, d.acc.ID, b.made.ref)
		key := d.cut(mark)
		d.batch.Delete = slices.DeleteFunc(d.batch.Delete, func(k []byte) bool { return bytes.Equal(k, key) })
		if d.entry.seq != b.made.seq+1 { // another call of the channel came between
			d.writeEntry(&b.made)
			continue
		}
		mark = len(d.arena)
		d.arena = appendJournalKey(d.arena, d.acc.ID, b.made.seq)
		key = d.cut(mark)
		mark = len(d.arena)
		d.arena = appendWhole(d.arena, &b.made, &d.entry)
		d.batch.Put[d.at] = Row{key, d.cut(mark)}
	}
}

// deferHold notes the draft's hold in the slot instead of writing it.
func (l *Ledger) deferHold(id string, s *slot, d *draft) func() error {
	s.behind = append(s.behind, deferred{d.entry, d.hold})
	l.advance(s, d)
	return func() error { return l.writeBehind(id) }
}

// writeBehind writes a channel's deferred holds and waits for the disk. Those that
// ended meanwhile are written already.
func (l *Ledger) writeBehind(id string) error {
	_, wait, err := l.change(context.Background(), id, func(*slot, *draft, bool) error { return nil })
	if err != nil {
		return err
	}
	return wait()
}

// writeAllBehind writes every deferred hold that nobody is at work on, so that the
// call of a long while, or one that was forgotten, is not known to memory alone.
func (l *Ledger) writeAllBehind() error {
	var ids []string
	for i := range l.slots {
		sh := &l.slots[i]
		sh.mu.Lock()
		for id, s := range sh.m {
			// Without users nobody can be inside the slot, so it may be read here.
			if s.users == 0 && len(s.behind) > 0 {
				ids = append(ids, id)
			}
		}
		sh.mu.Unlock()
	}
	for _, id := range ids {
		if err := l.writeBehind(id); err != nil {
			return err
		}
	}
	return nil
}

// maxPooledArena keeps the rare large answer from pinning memory in the pool.
const maxPooledArena = 64 << 10

func (l *Ledger) putDraft(d *draft) {
	if cap(d.arena) <= maxPooledArena {
		l.drafts.Put(d)
	}
}

// cut returns what was appended to the arena since mark. Earlier cuts stay valid
// when the arena grows: they keep the old array.
func (d *draft) cut(mark int) []byte { return d.arena[mark:len(d.arena):len(d.arena)] }

// apply runs the pure transition and adds its journal entry to the batch.
func (d *draft) apply(e event) error {
	next, ent, err := transition(d.acc.Channel, e)
	if err != nil {
		return err
	}
	d.acc.Channel, d.entry, d.at = next, ent, len(d.batch.Put)
	d.writeEntry(&ent)
	return nil
}

func (d *draft) writeEntry(e *entry) {
	mark := len(d.arena)
	d.arena = appendJournalKey(d.arena, d.acc.ID, e.seq)
	key := d.cut(mark)
	mark = len(d.arena)
	d.arena = appendEntry(d.arena, e)
	d.batch.Put = append(d.batch.Put, Row{key, d.cut(mark)})
}

// begin records a hold that starts with this transition.
func (d *draft) begin(ref string, h held) {
	d.addHold, d.hold = ref, h
	d.writeHeld(ref, &h)
}

func (d *draft) writeHeld(ref string, h *held) {
	mark := len(d.arena)
	d.arena = appendHeldKey(d.arena, d.acc.ID, ref)
	key := d.cut(mark)
	mark = len(d.arena)
	d.arena = appendHeld(d.arena, h)
	d.batch.Put = append(d.batch.Put, Row{key, d.cut(mark)})
}

// end records that a hold ends and how.
func (d *draft) end(ref string, s spent) {
	d.endHold = ref
	mark := len(d.arena)
	d.arena = appendHeldKey(d.arena, d.acc.ID, ref)
	d.batch.Delete = append(d.batch.Delete, d.cut(mark))
	d.spend(ref, s)
}

// spend uses a receipt id up.
func (d *draft) spend(ref string, s spent) {
	mark := len(d.arena)
	d.arena = appendSpentKey(d.arena, d.acc.ID, ref)
	key := d.cut(mark)
	mark = len(d.arena)
	d.arena = appendSpent(d.arena, &s)
	d.batch.Put = append(d.batch.Put, Row{key, d.cut(mark)})
}

func (d *draft) put(key, value []byte) {
	d.batch.Put = append(d.batch.Put, Row{key, value})
}

func (d *draft) expect(key, value []byte) {
	d.batch.Expect = append(d.batch.Expect, Expectation{key, value})
}

// changeAttempts bounds how often a transition is tried again when other
// processes change the same channel.
const changeAttempts = 16

// step makes one transition. It sees the slot as loaded and completes the draft;
// again is true when an earlier try met a conflict, so that the rows it expects
// besides the channel's must be looked at one by one.
type step func(s *slot, d *draft, again bool) error

// change runs one transition of a channel under its lock and applies it without
// waiting for the disk. On a conflict it loads the channel again and retries.
func (l *Ledger) change(ctx context.Context, id string, fn step) (Channel, func() error, error) {
	if err := l.usable(); err != nil {
		return Channel{}, nil, err
	}
	if !validChannelID(id) {
		return Channel{}, nil, ErrUnknownChannel
	}
	s := l.lock(id)
	defer l.unlock(id, s)
	d := l.drafts.Get().(*draft)
	defer l.putDraft(d)
	for attempt := range changeAttempts {
		fresh := !s.loaded
		if err := l.load(ctx, id, s); err != nil {
			return Channel{}, nil, err
		}
		d.reset(&s.acc)
		if err := fn(s, d, attempt > 0); err != nil {
			// A change is verified by its commit; a refusal must be by itself: what
			// memory knows may be older than what another process has done.
			if !fresh && l.stale(ctx, id, s) {
				s.loaded = false
				continue
			}
			return s.acc.Channel, nil, err
		}
		wait, err := l.commit(ctx, id, s, d)
		if errors.Is(err, ErrConflict) {
			l.counters.conflicts.Add(1)
			// Deferred holds are known to memory alone, and only where nothing else writes:
			// then it was another row than the channel's that was not as expected.
			s.loaded = len(s.behind) > 0
			continue
		}
		return s.acc.Channel, wait, err
	}
	return Channel{}, nil, ErrBusy
}

// stale reports whether the channel's row is no longer the one that the slot knows.
func (l *Ledger) stale(ctx context.Context, id string, s *slot) bool {
	row, err := l.c.Storage.Get(context.WithoutCancel(ctx), appendChannelKey(nil, id))
	return err == nil && string(row) != string(s.row)
}

// commit applies a draft whose slot is locked and updates the slot.
func (l *Ledger) commit(ctx context.Context, id string, s *slot, d *draft) (func() error, error) {
	if d.later && l.c.Exclusive && s.loaded {
		return l.deferHold(id, s, d), nil
	}
	d.takeBehind(s)
	mark := len(d.arena)
	d.arena = appendChannelKey(d.arena, id)
	key := d.cut(mark)
	mark = len(d.arena)
	d.arena = appendAccount(d.arena, &d.acc)
	row := d.cut(mark)
	var expected []byte
	if s.loaded {
		expected = s.row
	}
	d.batch.Expect = append(d.batch.Expect, Expectation{key, expected})
	d.batch.Put = append(d.batch.Put, Row{key, row})
	// A caller that has gone must not leave a transition half known: from here on
	// its context no longer matters.
	wait, err := l.c.Storage.Apply(context.WithoutCancel(ctx), d.batch)
	if err != nil {
		if errors.Is(err, ErrConflict) {
			return nil, err
		}
		return nil, l.fail(err)
	}
	l.advance(s, d)
	s.row, s.behind, s.loaded = append(s.row[:0], row...), s.behind[:0], true
	return wait, nil
}

// advance makes the draft what the slot knows.
func (l *Ledger) advance(s *slot, d *draft) {
	l.totals.changed(&s.acc.Channel, &d.acc.Channel, s.loaded)
	s.acc = d.acc
	if d.addHold != "" {
		if s.holds == nil {
			s.holds = make(map[string]held)
		}
		s.holds[d.addHold] = d.hold
	}
	if d.endHold != "" {
		delete(s.holds, d.endHold)
	}
}
