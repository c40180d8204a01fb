// Package store keeps the hub's state in one Pebble database.
//
// It promises: a batch is visible and durable as a whole or not at all; batches
// become visible and reach the disk in the order in which Apply returned, so
// what a crash leaves is always a prefix of that order; [Commit.Wait] returns
// nil only for a batch that a power cut cannot take back. It knows nothing of
// what it stores.
//
// It fails by stopping. After the first write that the disk refuses, nothing in
// the database's folder is changed any more (see failFS), every later write
// returns an error of the kind [ErrFailed], and [DB.Failed] reports the cause.
// What is then on disk is what a crash at that moment would have left, and a
// restart recovers it. Reads go on, and may show batches whose Wait failed.
//
// Limits: one process per folder; one batch holds at most [MaxBatchBytes]; keys
// that begin with [ReservedPrefix] belong to the package.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Error kinds. Test with errors.Is; the text around them says more.
var (
	// ErrNotFound reports a key that is not there.
	ErrNotFound = errors.New("store: not found")
	// ErrFailed reports that an earlier write or sync failed, so that nothing is
	// written any more until the process restarts.
	ErrFailed = errors.New("store: stopped after a failed write")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("store: closed")
	// ErrReadOnly reports a write to a database opened read-only.
	ErrReadOnly = errors.New("store: opened read-only")
	// ErrLocked reports a folder that another process uses.
	ErrLocked = errors.New("store: folder in use")
	// ErrNoDatabase reports a folder without a database, where one must exist.
	ErrNoDatabase = errors.New("store: no database")
	// ErrSchema reports a database that this program does not know how to read.
	ErrSchema = errors.New("store: unknown schema")
	// ErrBatch reports a batch that cannot be applied as it is.
	ErrBatch = errors.New("store: invalid batch")
	// ErrExists reports a backup or restore target that is not empty.
	ErrExists = errors.New("store: target is not empty")
	// ErrCorrupt reports stored bytes that fail their checksum or their form.
	ErrCorrupt = errors.New("store: corrupt data")
)

// Sizes. An idle hub must stay within 90 MiB resident, so memory is given out
// sparingly: at worst memtables (writeBacklogTables × Options.MemTableBytes) plus cache.
const (
	memTableBytes      = 8 << 20
	defaultCacheBytes  = 8 << 20
	maxOpenFiles       = 1000
	bloomBitsPerKey    = 10 // about 1 % false positives
	writeBacklogTables = 4  // memtables waiting for their flush before writers wait
	writeBacklogLevels = 16 // read amplification of level 0 before writers wait
	// Pebble's own brakes sit far above ours: a writer that Pebble holds cannot
	// be released when the disk fails, one that we hold can.
	pebbleStopTables = 64
	pebbleStopLevels = 1000
)

// Options configure Open. The zero value is right for a hub on a real disk.
type Options struct {
	FS         vfs.FS       // nil: the operating system's
	Logger     *slog.Logger // nil: discard
	CacheBytes int64        // block cache; 0: 8 MiB
	// MemTableBytes is what is written before it moves from memory and the write-ahead log
	// into tables; 0: 8 MiB. Less than that costs a busy hub more writing.
	MemTableBytes uint64
	ReadOnly      bool // the folder must hold a database; it is not changed
	// OnSync, if set, is told how long each sync of the write-ahead log took. It
	// is called from one goroutine at a time and must not block.
	OnSync func(time.Duration)
}

// DB is one open database. It is safe for concurrent use.
type DB struct {
	dir      string
	fs       *failFS
	p        *pebble.DB
	log      *slog.Logger
	readOnly bool
	memTable uint64 // Options.MemTableBytes

	inFlight atomic.Int64 // operations that use p
	closed   atomic.Bool
	idle     chan struct{} // wakes Close when inFlight may have reached zero

	// gate is held shared by writers, exclusively by the one that waits for a
	// backlog of flushes and compactions to shrink.
	gate sync.RWMutex

	failed  atomic.Pointer[failure]
	commits atomic.Uint64
	stalls  atomic.Uint64
	unsized atomic.Int64 // bytes applied since the backlog was last measured
}

// failure is the first failed write: why everything stopped.
type failure struct{ err error }

// Open opens or makes the database in dir and checks its schema version. Every
// error says what to do; kinds: ErrLocked, ErrNoDatabase, ErrSchema, ErrCorrupt.
func Open(dir string, o Options) (db *DB, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = discardLog
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = memTableBytes
	}
	db = &DB{dir: dir, log: o.Logger, readOnly: o.ReadOnly, memTable: o.MemTableBytes, idle: make(chan struct{}, 1)}
	db.fs = newFailFS(o.FS, dir, db.fail, o.OnSync)
	if !o.ReadOnly {
		if err := o.FS.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("store: make folder %s: %w", dir, err)
		}
	}
	// Pebble panics on some errors while it opens, such as a log it cannot make.
	defer func() {
		if r := recover(); r != nil {
			db.log.Error("store: panic while opening", "dir", dir, "panic", r, "stack", string(debug.Stack()))
			db, err = nil, fmt.Errorf("store: open %s: %v; check the disk and the folder's permissions", dir, r)
		}
	}()
	p, err := pebble.Open(dir, db.pebbleOptions(o))
	if f := db.Failed(); f != nil && err == nil {
		_ = p.Close() // what it says is noise: the failure came first
		err = f
	}
	if err != nil {
		return nil, db.openError(err)
	}
	db.fs.pretend.Store(false)
	db.p = p
	if err := db.checkSchema(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) pebbleOptions(o Options) *pebble.Options {
	po := &pebble.Options{
		FS:                          db.fs,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: pebbleStopTables,
		L0StopWritesThreshold:       pebbleStopLevels,
		MaxOpenFiles:                maxOpenFiles,
		Logger:                      pebbleLogger{db},
		EventListener: &pebble.EventListener{
			BackgroundError: db.backgroundError,
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				db.fail("read", fmt.Errorf("%w: %s", ErrCorrupt, i.String()))
			},
		},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	if o.ReadOnly {
		// A file system or a schema of an older format stays as it is.
		po.FormatMajorVersion = pebble.FormatMinSupported
	}
	return po
}

// openError turns Pebble's reasons not to open into advice.
func (db *DB) openError(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist), db.readOnly && strings.Contains(text, "does not exist"):
		return fmt.Errorf("%w in %s: give the hub's own --data folder", ErrNoDatabase, db.dir)
	case strings.Contains(text, "lock held by current process"),
		strings.Contains(text, "resource temporarily unavailable"):
		return fmt.Errorf("%w: another hub uses %s; stop it or give another --data", ErrLocked, db.dir)
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w in %s: %v; restore the last backup", ErrCorrupt, db.dir, err)
	}
	return fmt.Errorf("store: open %s: %w; check the disk and the folder's permissions", db.dir, err)
}

// enter admits one operation; every nil return is paired with a leave. It does
// not block, so operations may nest.
func (db *DB) enter() error {
	db.inFlight.Add(1)
	if db.closed.Load() {
		db.leave()
		return ErrClosed
	}
	return nil
}

func (db *DB) leave() {
	if db.inFlight.Add(-1) == 0 && db.closed.Load() {
		select {
		case db.idle <- struct{}{}:
		default:
		}
	}
}

// Close refuses new operations, waits for those in flight and closes the
// database. It must not be called from within a Scan. Closing again does nothing.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	for db.inFlight.Load() != 0 {
		<-db.idle
	}
	err := db.p.Close()
	if db.failed.Load() != nil {
		return nil // reported already; what Close says of its own writes is noise
	}
	if err != nil {
		return fmt.Errorf("store: close %s: %w", db.dir, err)
	}
	return nil
}

// fail records the first failed write. From then on failFS changes nothing.
func (db *DB) fail(op string, cause error) {
	f := &failure{fmt.Errorf("%w: %s in %s: %w; free space or repair the disk, then restart the hub",
		ErrFailed, op, db.dir, cause)}
	if db.failed.CompareAndSwap(nil, f) {
		db.log.Error("store: a write failed; nothing is written any more until a restart",
			"dir", db.dir, "op", op, "err", cause)
	}
}

// Failed returns nil while the database accepts writes, and afterwards the error
// that stopped it, of the kind ErrFailed: for readiness.
func (db *DB) Failed() error {
	if f := db.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

func (db *DB) backgroundError(err error) {
	if db.failed.Load() == nil { // afterwards they only repeat the first
		db.log.Error("store: background work failed", "dir", db.dir, "err", err)
	}
}

// pebbleLogger sends Pebble's messages to slog. Pebble calls Fatalf where it
// means to exit; here the database stops instead and the process lives on.
type pebbleLogger struct{ db *DB }

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.db.log.Enabled(noContext, slog.LevelDebug) {
		l.db.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	if l.db.failed.Load() == nil {
		l.db.log.Error("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.db.fail("storage engine", fmt.Errorf(format, args...))
}
