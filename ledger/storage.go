package ledger

import "context"

// Storage keeps the ledger's rows. It is the only way the ledger reaches disk or
// database. Rows are opaque; a key's range orders them bytewise. Every method may
// be called from many goroutines, and other processes may write to the same
// storage: what the ledger read earlier is only ever an expectation. No method
// keeps an argument's slices after it returned. Package storagetest holds the
// suite that every implementation must pass.
type Storage interface {
	// Get returns a copy of a row; ErrNotFound if absent.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// Scan visits rows with the prefix in ascending order over one snapshot,
	// starting at from if it is not nil. key and value are valid only during the
	// call; fn returns false to stop.
	Scan(ctx context.Context, prefix, from []byte, fn func(key, value []byte) (bool, error)) error
	// Apply makes all of b visible or nothing, after every earlier Apply of this
	// process. It fails with ErrConflict, changing nothing, if an expectation of b
	// does not hold; expectations are checked against the rows before b and no
	// other write to a key of b comes between check and write. The returned wait
	// reports durability of b and of everything applied before it; Apply itself
	// does not wait for the disk. wait may be called at most once, from any
	// goroutine, or never. An empty b is a barrier: it changes nothing and its wait
	// covers what came before.
	Apply(ctx context.Context, b Batch) (wait func() error, err error)
}

// Batch is one transition's writes and what must still be true for them. A key
// stands at most once in Put and Delete together.
type Batch struct {
	Expect []Expectation
	Put    []Row
	Delete [][]byte

	// Lazy says that hardly anybody will wait for this batch: no sync need begin
	// before wait is called, or before a later batch asks for one.
	Lazy bool
}

// Row is one key and its value.
type Row struct{ Key, Value []byte }

// Expectation requires Key to have exactly Value; nil Value requires absence.
type Expectation struct{ Key, Value []byte }
