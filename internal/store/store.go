// Package store keeps the hub's state in one Pebble database.
package store

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNotFound reports a key that is not there.
var ErrNotFound = errors.New("store: not found")

// Options configure Open. The zero value is right for a hub on a real disk.
type Options struct {
	FS         vfs.FS       // nil: the operating system's
	Logger     *slog.Logger // nil: discard
	CacheBytes int64        // 0: 8 MiB
	ReadOnly   bool
}

// DB is one open database. It is safe for concurrent use.
type DB struct{}

// Open opens or makes the database in dir and checks its schema version.
func Open(dir string, o Options) (*DB, error) { panic("skeleton") }

// Close waits for nothing in flight: callers stop first.
func (db *DB) Close() error { panic("skeleton") }

// Get returns a copy of the value of key, or ErrNotFound.
func (db *DB) Get(key []byte) ([]byte, error) { panic("skeleton") }

// Has reports whether key is there.
func (db *DB) Has(key []byte) (bool, error) { panic("skeleton") }

// Scan calls fn for each key with the prefix, ascending, starting at from if it
// is not nil (from includes the prefix), over one consistent snapshot. key and
// value are valid only during the call. fn returns false to stop.
func (db *DB) Scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	panic("skeleton")
}

// ScanReverse is Scan from the last key down; from is exclusive.
func (db *DB) ScanReverse(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	panic("skeleton")
}

// Batch collects writes that become visible and durable together.
type Batch struct{}

// NewBatch returns an empty batch; Close it unless it was applied.
func (db *DB) NewBatch() *Batch        { panic("skeleton") }
func (b *Batch) Set(key, value []byte) { panic("skeleton") }
func (b *Batch) Delete(key []byte)     { panic("skeleton") }
func (b *Batch) Len() int              { panic("skeleton") }
func (b *Batch) Close()                { panic("skeleton") }

// Commit is a batch that was applied, in order, and may not be durable yet.
type Commit struct{}

// Wait returns once the batch, and every batch applied before it, is on disk. It
// may be called once from any goroutine.
func (c *Commit) Wait() error { panic("skeleton") }

// Apply makes b visible after every batch applied earlier and starts its sync.
// It does not wait for the disk, so a caller may hold a lock across it.
func (db *DB) Apply(b *Batch) (*Commit, error) { panic("skeleton") }

// Write applies b and waits until it is durable.
func (db *DB) Write(b *Batch) error { panic("skeleton") }

// WriteNoSync applies b; a crash may lose it. For derived data only.
func (db *DB) WriteNoSync(b *Batch) error { panic("skeleton") }

// Checkpoint writes a consistent copy of the database to dir while it is in use.
func (db *DB) Checkpoint(dir string) error { panic("skeleton") }

// SizeBytes is the disk space the database takes.
func (db *DB) SizeBytes() int64 { panic("skeleton") }
