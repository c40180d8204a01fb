package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faults makes the operations that match fail once it is on.
type faults struct {
	on    atomic.Bool
	match func(errorfs.Op) bool
	err   error
	hits  atomic.Int64
	max   int64 // fail only so often; 0: always
}

func (f *faults) String() string { return "faults" }

func (f *faults) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !f.match(op) {
		return nil
	}
	if n := f.hits.Add(1); f.max > 0 && n > f.max {
		return nil
	}
	return f.err
}

func isKind(suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		for _, k := range kinds {
			if op.Kind == k && strings.Contains(op.Path, suffix) {
				return true
			}
		}
		return false
	}
}

var faultPoints = []struct {
	name  string
	match func(errorfs.Op) bool
}{
	{"log write", isKind(".log", errorfs.OpFileWrite)},
	{"log sync", isKind(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo)},
	{"new log", isKind(".log", errorfs.OpCreate, errorfs.OpReuseForWrite)},
	{"table write", isKind(".sst", errorfs.OpFileWrite)},
	{"table sync", isKind(".sst", errorfs.OpFileSync, errorfs.OpFileSyncData)},
	{"new table", isKind(".sst", errorfs.OpCreate)},
	{"manifest write", isKind("MANIFEST", errorfs.OpFileWrite)},
	{"manifest sync", isKind("MANIFEST", errorfs.OpFileSync)},
	{"any write", func(op errorfs.Op) bool {
		return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && op.Kind != errorfs.OpRemove && op.Kind != errorfs.OpFilePreallocate
	}},
}

// Wherever the disk fails, for good or once only: writers get ErrFailed and
// nothing hangs, reads go on, Close returns, and after a restart on a sound disk
// every acknowledged batch is there and none is there in part.
func TestFaults(t *testing.T) {
	for _, point := range faultPoints {
		for _, once := range []int64{0, 1} {
			t.Run(fmt.Sprintf("%s/%d", point.name, once), func(t *testing.T) {
				mem := vfs.NewMem()
				f := &faults{match: point.match, err: syscall.ENOSPC, max: once}
				db, err := Open("db", Options{FS: errorfs.Wrap(mem, f)})
				if err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var wg sync.WaitGroup
				applied, acked := 0, 0
				var once sync.Once
				for range 4 {
					wg.Go(func() {
						for {
							mu.Lock()
							n := applied
							c, err := db.Apply(crashBatch(db, n, 100_000))
							applied++
							mu.Unlock()
							if err == nil {
								err = c.Wait()
							}
							if n == 20 {
								once.Do(func() { f.on.Store(true) })
							}
							if errors.Is(err, ErrFailed) {
								return
							}
							if err != nil || n > 3000 {
								t.Errorf("batch %d: %v", n, err)
								return
							}
							mu.Lock()
							acked = max(acked, n+1)
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				if !errors.Is(db.Failed(), ErrFailed) || !errors.Is(db.Failed(), syscall.ENOSPC) || !db.Metrics().Failed {
					t.Errorf("Failed() = %v", db.Failed())
				}
				if err := put(db, "late=1"); !errors.Is(err, ErrFailed) {
					t.Errorf("a later write: %v", err)
				}
				if err := db.WriteNoSync(db.NewBatch()); !errors.Is(err, ErrFailed) {
					t.Errorf("a later unsynced write: %v", err)
				}
				if err := db.Checkpoint("copy"); !errors.Is(err, ErrFailed) {
					t.Errorf("a later checkpoint: %v", err)
				}
				if has, err := db.Has([]byte("own/00000000/0")); !has || err != nil {
					t.Errorf("read: %v %v", has, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				checkCrashed(t, mem, acked, applied)
			})
		}
	}
}

func TestFaultsWhileOpening(t *testing.T) {
	for i := range int64(200) {
		var n atomic.Int64
		f := &faults{err: syscall.EIO, match: func(op errorfs.Op) bool {
			return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove && n.Add(1) == i+1
		}}
		f.on.Store(true)
		db, err := Open("db", Options{FS: errorfs.Wrap(vfs.NewMem(), f)})
		if err == nil {
			_ = put(db, "a=1")
			err = errors.Join(db.Failed(), db.Close())
		}
		if n.Load() <= i {
			if i < 20 {
				t.Fatalf("only %d steps", i)
			}
			return
		}
		_ = err // some steps are advice only; that nothing panics or hangs is the point
	}
	t.Error("more steps than the test tries")
}

// A database whose log must be replayed flushes while it opens; a disk that fails
// then must not make it wait for ever, nor cost what was durable.
func TestFaultsWhileRecovering(t *testing.T) {
	for _, point := range faultPoints[2:] {
		mem := vfs.NewMem()
		db := open(t, "db", Options{FS: mem})
		const batches = 14
		for n := range batches {
			if err := db.Write(crashBatch(db, n, 200_000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		f := &faults{match: point.match, err: syscall.ENOSPC}
		f.on.Store(true)
		if db, err := Open("db", Options{FS: errorfs.Wrap(mem, f)}); err == nil || f.hits.Load() == 0 {
			t.Errorf("%s: %v after %d faults", point.name, err, f.hits.Load())
			if db != nil {
				_ = db.Close()
			}
		}
		f.on.Store(false)
		checkCrashed(t, mem, batches, batches)
	}
}

// A full backup disk does not stop the database.
func TestCheckpointFaultIsNotOurs(t *testing.T) {
	f := &faults{err: syscall.ENOSPC, match: func(op errorfs.Op) bool {
		return strings.Contains(op.Path, "copy") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemoveAll
	}}
	mem := vfs.NewMem()
	db := open(t, "db", Options{FS: errorfs.Wrap(mem, f)})
	mustPut(t, db, "a=1")
	f.on.Store(true)
	if err := db.Checkpoint("copy"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("checkpoint: %v", err)
	}
	mustPut(t, db, "b=2")
	if err := db.Failed(); err != nil {
		t.Error(err)
	}
	f.on.Store(false)
	if err := db.Checkpoint("copy"); err != nil {
		t.Errorf("second checkpoint: %v", err)
	}
}

// A process out of file descriptors waits for some to come back.
func TestOutOfFilesIsRetried(t *testing.T) {
	var tries atomic.Int64
	f := newFailFS(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && tries.Add(1) <= 2 {
			return syscall.EMFILE
		}
		return nil
	})), "/", func(op string, err error) { t.Errorf("%s: %v", op, err) }, nil)
	file, err := f.Create("/x.log", vfs.WriteCategoryUnspecified)
	if err != nil || tries.Load() != 3 {
		t.Fatalf("%d tries: %v", tries.Load(), err)
	}
	file.Close()
}

func TestInside(t *testing.T) {
	for _, c := range []struct {
		dir, name string
		want      bool
	}{
		{"/d/db", "/d/db", true}, {"/d/db", "/d/db/x", true}, {"/d/db/", "/d/db/x", true}, {"/d/db", "/d/db2/x", false},
		{"/d/db", "/d", false}, {"/d/db", "/d/db/../x", false}, {"db", "db/x", true}, {"./db", "db/x", true}, {"db", "copy", false},
		{"/", "/x", true},
	} {
		if got := newFailFS(vfs.Default, c.dir, nil, nil).inside(c.name); got != c.want {
			t.Errorf("%s in %s: %v", c.name, c.dir, got)
		}
	}
}

func TestFailureIsLoggedOnce(t *testing.T) {
	var buf bytes.Buffer
	f := &faults{match: faultPoints[1].match, err: syscall.EIO}
	db := open(t, "db", Options{FS: errorfs.Wrap(vfs.NewMem(), f), Logger: slog.New(slog.NewTextHandler(&buf, nil))})
	f.on.Store(true)
	for range 3 {
		if err := put(db, "a=1"); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "restart the hub") {
			t.Error(err)
		}
	}
	_ = db.Close() // ends the goroutine that noticed and logs
	if n := strings.Count(buf.String(), "a write failed"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, buf.String())
	}
}

func TestOnSync(t *testing.T) {
	var n atomic.Int64
	db := open(t, t.TempDir(), Options{OnSync: func(d time.Duration) {
		if d < 0 {
			t.Error(d)
		}
		n.Add(1)
	}})
	before := n.Load()
	mustPut(t, db, "a=1")
	if n.Load() <= before {
		t.Error("a synced write was not reported")
	}
}

func TestCorruptionStops(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, "db", Options{FS: mem})
	mustPut(t, db, "a="+strings.Repeat("v", 1000))
	if err := errors.Join(db.p.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			flip(t, mem, mem.PathJoin("db", name))
		}
	}
	if _, err := Verify("db", Options{FS: mem}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Verify: %v", err)
	}
	if _, err := Open("db", Options{FS: mem}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open: %v", err)
	}
}

// flip changes a byte of the first data block.
func flip(t *testing.T, mem *vfs.MemFS, name string) {
	t.Helper()
	in, err := mem.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	data[5] ^= 0x40
	out, err := mem.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		t.Fatal(err)
	}
}
