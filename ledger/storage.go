package ledger

import "context"

// Storage keeps the ledger's rows. It is the only way the ledger reaches disk or
// database. Rows are opaque; a key's range orders them bytewise.
type Storage interface {
	// Get returns a copy of a row; ErrNotFound if absent.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// Scan visits rows with the prefix in ascending order over one snapshot.
	Scan(ctx context.Context, prefix, from []byte, fn func(key, value []byte) (bool, error)) error
	// Apply makes all of b visible or nothing, after every earlier Apply of this
	// process. It fails with ErrConflict, changing nothing, if an expectation of b
	// does not hold. The returned wait reports durability; Apply itself does not
	// wait for the disk.
	Apply(ctx context.Context, b Batch) (wait func() error, err error)
}

// Batch is one transition's writes and what must still be true for them.
type Batch struct {
	Expect []Expectation
	Put    []Row
	Delete [][]byte
}

// Row is one key and its value.
type Row struct{ Key, Value []byte }

// Expectation requires Key to have exactly Value; nil Value requires absence.
type Expectation struct{ Key, Value []byte }
