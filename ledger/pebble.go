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
	stripes [storageStripes]sync.Mutex
}

// storageStripes is well above the batches in flight times the keys of each, so
// that different channels seldom meet in one.
const storageStripes = 4096

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
		p.stripes[id].Lock()
	}
	return ids
}

func (p *pebbleStorage) Apply(_ context.Context, b Batch) (func() error, error) {
	var buf [16]uint16
	ids := p.lock(&b, buf[:0])
	defer func() {
		for _, id := range ids {
			p.stripes[id].Unlock()
		}
	}()
	for _, e := range b.Expect {
		if e.Value == nil {
			if there, err := p.db.Has(e.Key); err != nil {
				return nil, fmt.Errorf("ledger: read row %q: %w", e.Key, err)
			} else if there {
				return nil, ErrConflict
			}
			continue
		}
		have, err := p.db.Get(e.Key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, ErrConflict
		case err != nil:
			return nil, fmt.Errorf("ledger: read row %q: %w", e.Key, err)
		case !bytes.Equal(have, e.Value):
			return nil, ErrConflict
		}
	}
	batch := p.db.NewBatch()
	for _, r := range b.Put {
		batch.Set(r.Key, r.Value)
	}
	for _, key := range b.Delete {
		batch.Delete(key)
	}
	commit, err := p.db.Apply(batch)
	if err != nil {
		return nil, fmt.Errorf("ledger: write %d rows: %w", len(b.Put)+len(b.Delete), err)
	}
	return commit.Wait, nil
}
