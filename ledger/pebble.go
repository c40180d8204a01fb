package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/aimarket/aimarket/internal/store"
)

// pebbleStorage keeps the ledger's rows in the hub's database. Pebble has one
// process, so an expectation needs only to be atomic against this process's
// writes: every key of a batch locks its stripe.
type pebbleStorage struct {
	db      *store.DB
	stripes [storageStripes]stripe
}

// storageStripes is well above the batches in flight times the keys of each, so
// that different channels seldom meet in one.
const storageStripes = 4096

// stripe is the lock of the keys that hash to it, and remembers the last row among
// them that was expected and written: the same channel's next write expects it
// again, and need not look it up.
type stripe struct {
	mu         sync.Mutex
	key, value []byte // key is empty when nothing is remembered
}

// remember notes that the row now has this value.
func (s *stripe) remember(key, value []byte) {
	s.key, s.value = append(s.key[:0], key...), append(s.value[:0], value...)
}

// forget drops the memory of a row that may have changed.
func (s *stripe) forget(key []byte) {
	if bytes.Equal(s.key, key) {
		s.key = s.key[:0]
	}
}

// maxRemembered keeps large rows out of the stripes' memory.
const maxRemembered = 512

// NewPebbleStorage returns the Storage in db. All ledgers of one database must
// share one: its locks make expectations atomic.
func NewPebbleStorage(db *store.DB) Storage { return &pebbleStorage{db: db} }

func (p *pebbleStorage) Get(_ context.Context, key []byte) ([]byte, error) {
	v, err := p.db.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	return v, err
}

func (p *pebbleStorage) Scan(_ context.Context, prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return p.db.Scan(prefix, from, fn)
}

var stripeSeed = maphash.MakeSeed()

func stripeOf(key []byte) uint16 {
	return uint16(maphash.Bytes(stripeSeed, key) % storageStripes)
}

// lock takes the stripes of all keys of b in ascending order, so that two batches
// never wait for each other.
func (p *pebbleStorage) lock(b *Batch, ids []uint16) []uint16 {
	for i := range b.Expect {
		ids = append(ids, stripeOf(b.Expect[i].Key))
	}
	for i := range b.Put {
		ids = append(ids, stripeOf(b.Put[i].Key))
	}
	for i := range b.Delete {
		ids = append(ids, stripeOf(b.Delete[i]))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		p.stripes[id].mu.Lock()
	}
	return ids
}

func (p *pebbleStorage) Apply(_ context.Context, b Batch) (func() error, error) {
	var buf [16]uint16
	ids := p.lock(&b, buf[:0])
	defer func() {
		for _, id := range ids {
			p.stripes[id].mu.Unlock()
		}
	}()
	for i := range b.Expect {
		if err := p.expect(&b.Expect[i]); err != nil {
			return nil, err
		}
	}
	batch := p.db.NewBatch()
	for _, r := range b.Put {
		batch.Set(r.Key, r.Value)
	}
	for _, key := range b.Delete {
		batch.Delete(key)
	}
	// Whatever happens below, what a stripe remembered of these rows is over.
	for i := range b.Put {
		p.stripe(b.Put[i].Key).forget(b.Put[i].Key)
	}
	for _, key := range b.Delete {
		p.stripe(key).forget(key)
	}
	wait, err := p.write(batch, b.Lazy)
	if err != nil {
		return nil, fmt.Errorf("ledger: write %d rows: %w", len(b.Put)+len(b.Delete), err)
	}
	p.rememberExpected(&b)
	return wait, nil
}

func (p *pebbleStorage) write(batch *store.Batch, lazy bool) (wait func() error, err error) {
	if lazy {
		// An empty synced batch is a barrier for all before it.
		return p.barrier, p.db.WriteNoSync(batch)
	}
	commit, err := p.db.Apply(batch)
	if err != nil {
		return nil, err
	}
	return commit.Wait, nil
}

func (p *pebbleStorage) barrier() error { return p.db.Write(p.db.NewBatch()) }

func (p *pebbleStorage) stripe(key []byte) *stripe { return &p.stripes[stripeOf(key)] }

// expect checks one expectation; its stripe is locked.
func (p *pebbleStorage) expect(e *Expectation) error {
	if e.Value == nil {
		if there, err := p.db.Has(e.Key); err != nil {
			return fmt.Errorf("ledger: read row %q: %w", e.Key, err)
		} else if there {
			return ErrConflict
		}
		return nil
	}
	have := []byte(nil)
	if s := p.stripe(e.Key); len(s.key) > 0 && bytes.Equal(s.key, e.Key) {
		have = s.value
	} else {
		var err error
		if have, err = p.db.Get(e.Key); errors.Is(err, store.ErrNotFound) {
			return ErrConflict
		} else if err != nil {
			return fmt.Errorf("ledger: read row %q: %w", e.Key, err)
		}
	}
	if !bytes.Equal(have, e.Value) {
		return ErrConflict
	}
	return nil
}

// rememberExpected notes the new values of the rows that b expected: those are the
// ones that the next batch will expect.
func (p *pebbleStorage) rememberExpected(b *Batch) {
	for i := range b.Expect {
		if b.Expect[i].Value == nil {
			continue
		}
		key := b.Expect[i].Key
		for j := range b.Put {
			if len(b.Put[j].Value) <= maxRemembered && bytes.Equal(b.Put[j].Key, key) {
				p.stripe(key).remember(key, b.Put[j].Value)
			}
		}
	}
}
