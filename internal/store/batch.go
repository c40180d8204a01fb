package store

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// MaxBatchBytes bounds one batch. A batch is held in memory several times while
// it is applied; what is larger belongs in several.
const MaxBatchBytes = 64 << 20

const (
	batchHeaderBytes = 12 // Pebble's sequence number and count
	// perWriteBytes bounds what Pebble adds to a key and a value in a batch.
	perWriteBytes = 16
	// backlogEvery is how many bytes pass between two looks at the backlog.
	backlogEvery = 1 << 20
	// backlogPause is the time between two looks while writers wait.
	backlogPause = 2 * time.Millisecond
)

// Batch collects writes that become visible and durable together. Later writes
// of a key win over earlier ones. A batch is for one goroutine.
type Batch struct {
	b    *pebble.Batch // nil once it was applied or closed
	size int
	err  error // the first write that could not be taken
}

// NewBatch returns an empty batch; Close it unless it was applied.
func (db *DB) NewBatch() *Batch { return &Batch{b: db.newPebbleBatch(), size: batchHeaderBytes} }

// newPebbleBatch takes no batch from a closed database, which would panic.
func (db *DB) newPebbleBatch() *pebble.Batch {
	if db.enter() != nil {
		return new(pebble.Batch)
	}
	defer db.leave()
	return db.p.NewBatch()
}

// Set sets key to value; both are copied. A write that cannot be taken (reserved
// or empty key, batch too large or already applied) is reported by Apply.
func (b *Batch) Set(key, value []byte) {
	if b.take(key, len(key)+len(value)) {
		_ = b.b.Set(key, value, nil) // fails only for indexed batches
	}
}

// Delete removes key if it is there.
func (b *Batch) Delete(key []byte) {
	if b.take(key, len(key)) {
		_ = b.b.Delete(key, nil) // fails only for indexed batches
	}
}

func (b *Batch) take(key []byte, n int) bool {
	switch {
	case b.err != nil:
	case b.b == nil:
		b.err = fmt.Errorf("%w: written to after it was applied or closed", ErrBatch)
	case len(key) == 0:
		b.err = fmt.Errorf("%w: empty key", ErrBatch)
	case bytes.HasPrefix(key, []byte(ReservedPrefix)):
		b.err = fmt.Errorf("%w: key %q begins with the reserved %q", ErrBatch, key, ReservedPrefix)
	case n > MaxBatchBytes || b.size+n+perWriteBytes > MaxBatchBytes:
		b.err = fmt.Errorf("%w: more than %d bytes; split it", ErrBatch, MaxBatchBytes)
	default:
		b.size += n + perWriteBytes
		return true
	}
	return false
}

// Len is the number of writes in the batch.
func (b *Batch) Len() int {
	if b.b == nil {
		return 0
	}
	return int(b.b.Count())
}

// Close gives up a batch that was not applied; afterwards it does nothing.
func (b *Batch) Close() {
	if p := b.release(); p != nil {
		_ = p.Close() // returns memory only
	}
}

func (b *Batch) release() *pebble.Batch {
	p := b.b
	b.b = nil
	return p
}

// Commit is a batch that was applied, in order, and may not be durable yet.
type Commit struct {
	db   *DB
	b    *pebble.Batch
	once sync.Once
	err  error
}

// Wait returns once the batch, and every batch applied before it, is on disk. It
// may be called from any goroutine, again too. An error is of the kind ErrFailed:
// the batch may or may not be there after a restart, but never in part.
func (c *Commit) Wait() error {
	c.once.Do(func() {
		c.err = c.b.SyncWait()
		if c.err != nil {
			c.db.fail("sync", c.err)
		}
		if err := c.db.Failed(); err != nil {
			c.err = err // the sync may have pretended: see failFS
			return
		}
		_ = c.b.Close() // returns memory only
	})
	return c.err
}

// Apply makes b visible after every batch applied earlier and starts its sync.
// It does not wait for the disk, so a caller may hold a lock across it; only when
// flushes lag so far behind that memory would run out, it waits for them. The
// batch belongs to the database from here on, also when an error is returned. After
// one, nothing of it is visible, except that a batch which the disk failed under
// (ErrFailed) may be there after a restart. Batches applied at the same time by several
// goroutines are ordered one way or the other.
func (db *DB) Apply(b *Batch) (*Commit, error) {
	p, err := db.apply(b, pebble.Sync)
	if err != nil {
		return nil, err
	}
	return &Commit{db: db, b: p}, nil
}

// Write applies b and waits until it is durable.
func (db *DB) Write(b *Batch) error {
	c, err := db.Apply(b)
	if err != nil {
		return err
	}
	return c.Wait()
}

// WriteNoSync applies b; a crash may lose it. For derived data only. A later
// synced batch makes it durable too.
func (db *DB) WriteNoSync(b *Batch) error {
	p, err := db.apply(b, pebble.NoSync)
	if err != nil {
		return err
	}
	_ = p.Close() // returns memory only
	return nil
}

func (db *DB) apply(b *Batch, o *pebble.WriteOptions) (*pebble.Batch, error) {
	p, err := b.release(), b.err
	if err == nil && p == nil {
		err = fmt.Errorf("%w: applied or closed already", ErrBatch)
	}
	if err == nil {
		err = db.admit(b.size)
	}
	if err != nil {
		if p != nil {
			_ = p.Close() // returns memory only
		}
		return nil, err
	}
	defer db.leave()
	defer db.gate.RUnlock()
	if p.Empty() {
		// Pebble skips an empty batch, but its Wait stands for all before it.
		_ = p.LogData(nil, nil) // fails never
	}
	if o.Sync {
		err = db.p.ApplyNoSyncWait(p, o)
	} else {
		err = db.p.Apply(p, o)
	}
	if err != nil {
		db.fail("apply", err)
	}
	if err := db.Failed(); err != nil {
		return nil, err
	}
	db.commits.Add(1)
	return p, nil
}

// admit lets a batch of n bytes pass, after the backlog is small enough. After a
// nil return the caller holds gate shared and must leave.
func (db *DB) admit(n int) error {
	if err := db.enter(); err != nil {
		return err
	}
	err := db.Failed()
	if db.readOnly {
		err = ErrReadOnly
	}
	if err == nil && db.unsized.Add(int64(n)) >= backlogEvery {
		db.unsized.Store(0)
		err = db.awaitBacklog()
	}
	if err != nil {
		db.leave()
		return err
	}
	db.gate.RLock()
	return nil
}

// awaitBacklog holds all writers until flushes and compactions caught up. It does
// here what Pebble would do inside its commit lock, where a failed disk would
// leave the writer waiting for ever.
func (db *DB) awaitBacklog() error {
	if !db.backlogged() {
		return nil
	}
	db.gate.Lock()
	defer db.gate.Unlock()
	start, waited := time.Now(), false
	for db.backlogged() {
		if err := db.Failed(); err != nil {
			return err
		}
		if db.closed.Load() {
			return ErrClosed
		}
		if !waited {
			waited = true
			db.stalls.Add(1)
		}
		time.Sleep(backlogPause)
	}
	if waited {
		db.log.Warn("store: writers waited for the disk to catch up", "dir", db.dir, "took", time.Since(start))
	}
	return nil
}

func (db *DB) backlogged() bool {
	m := db.p.Metrics()
	// By size, not by number: Pebble lets small memtables wait without a flush.
	return m.MemTable.Size > writeBacklogTables*db.memTable || m.Levels[0].Sublevels > writeBacklogLevels
}
