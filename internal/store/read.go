package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Get returns a copy of the value of key, or ErrNotFound.
func (db *DB) Get(key []byte) ([]byte, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	return db.get(db.p, key)
}

// Has reports whether key is there.
func (db *DB) Has(key []byte) (bool, error) {
	if err := db.enter(); err != nil {
		return false, err
	}
	defer db.leave()
	return db.has(db.p, key)
}

// Scan calls fn for each key with the prefix, ascending, starting at from if it
// is not nil (from includes the prefix), over one consistent snapshot. key and
// value are valid only during the call. fn returns false to stop. fn may read and
// write the database; it does not see its own writes.
func (db *DB) Scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return db.scan(nil, prefix, from, false, fn)
}

// ScanReverse is Scan from the last key down; from is exclusive.
func (db *DB) ScanReverse(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return db.scan(nil, prefix, from, true, fn)
}

// Snapshot is the database as it was at one moment. Close it soon: while it is
// open nothing that was deleted or overwritten since gives its space back.
type Snapshot struct {
	db *DB
	s  *pebble.Snapshot
}

// Snapshot fixes the present state for several reads that must agree.
func (db *DB) Snapshot() (*Snapshot, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	return &Snapshot{db, db.p.NewSnapshot()}, nil
}

// Get is DB.Get as of the snapshot.
func (s *Snapshot) Get(key []byte) ([]byte, error) {
	if err := s.db.enter(); err != nil {
		return nil, err
	}
	defer s.db.leave()
	return s.db.get(s.s, key)
}

// Has is DB.Has as of the snapshot.
func (s *Snapshot) Has(key []byte) (bool, error) {
	if err := s.db.enter(); err != nil {
		return false, err
	}
	defer s.db.leave()
	return s.db.has(s.s, key)
}

// Scan is DB.Scan as of the snapshot.
func (s *Snapshot) Scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return s.db.scan(s.s, prefix, from, false, fn)
}

// ScanReverse is DB.ScanReverse as of the snapshot.
func (s *Snapshot) ScanReverse(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return s.db.scan(s.s, prefix, from, true, fn)
}

// Close gives the snapshot up. It is called once, before the database's Close.
func (s *Snapshot) Close() error {
	if err := s.db.enter(); err != nil {
		return err
	}
	defer s.db.leave()
	return s.s.Close()
}

func (db *DB) get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, db.readError("get", err)
	}
	out := append(make([]byte, 0, len(v)), v...)
	if err := closer.Close(); err != nil {
		return nil, db.readError("get", err)
	}
	return out, nil
}

func (db *DB) has(r pebble.Reader, key []byte) (bool, error) {
	_, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, db.readError("get", err)
	}
	if err := closer.Close(); err != nil {
		return false, db.readError("get", err)
	}
	return true, nil
}

func (db *DB) scan(snap *pebble.Snapshot, prefix, from []byte, reverse bool, fn func(k, v []byte) (bool, error)) (err error) {
	o := &pebble.IterOptions{UpperBound: prefixEnd(prefix)}
	if len(prefix) > 0 { // Pebble takes an empty bound for a mistake
		o.LowerBound = prefix
	}
	if !reverse && len(from) > 0 && bytes.Compare(from, prefix) > 0 {
		o.LowerBound = from
	}
	if reverse && from != nil && (o.UpperBound == nil || bytes.Compare(from, o.UpperBound) < 0) {
		o.UpperBound = from
	}
	if o.UpperBound != nil && bytes.Compare(o.LowerBound, o.UpperBound) >= 0 {
		return nil
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	var r pebble.Reader = db.p
	if snap != nil {
		r = snap
	}
	it, err := r.NewIter(o)
	if err != nil {
		return db.readError("scan", err)
	}
	defer func() {
		// Close also reports the error that ended the iteration early.
		if cerr := it.Close(); err == nil && cerr != nil {
			err = db.readError("scan", cerr)
		}
	}()
	first, next := it.First, it.Next
	if reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		if bytes.HasPrefix(it.Key(), []byte(ReservedPrefix)) {
			continue
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return db.readError("scan", err)
		}
		more, err := fn(it.Key(), v)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// prefixEnd is the first key after all that have the prefix; nil if there is none.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

func (db *DB) readError(op string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %s in %s: %v; restore the last backup", ErrCorrupt, op, db.dir, err)
	}
	return fmt.Errorf("store: %s in %s: %w", op, db.dir, err)
}
