package store

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var crashSeed = flag.Uint64("seed", 0, "seed of the crash tests; 0: a new one")

func seeded(t *testing.T) *rand.Rand {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Batch n of a crash test writes every key of its own and the one shared key, all
// with n as value, so that a half-written batch and a lost order both show.
const keysPerBatch = 4

func crashBatch(db *DB, n, padding int) *Batch {
	v := append(binary.BigEndian.AppendUint64(nil, uint64(n)), make([]byte, padding)...)
	b := db.NewBatch()
	for i := range keysPerBatch {
		b.Set(fmt.Appendf(nil, "own/%08d/%d", n, i), v)
	}
	b.Set([]byte("shared"), v)
	return b
}

// checkCrashed opens what a crash left and says which batches are in it: it must
// be exactly the first n of the order in which they were applied, with n at
// least the number of those acknowledged.
func checkCrashed(t *testing.T, mem vfs.FS, acked, applied int) {
	t.Helper()
	db, err := Open("db", Options{FS: mem})
	if err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	defer db.Close()
	perBatch := map[int]int{}
	if err := db.Scan([]byte("own/"), nil, func(k, v []byte) (bool, error) {
		n := int(binary.BigEndian.Uint64(v))
		var inKey, i int
		if _, err := fmt.Sscanf(string(k), "own/%08d/%d", &inKey, &i); err != nil || inKey != n {
			return false, fmt.Errorf("key %q holds %d", k, n)
		}
		perBatch[n]++
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	n := len(perBatch)
	if n < acked || n > applied {
		t.Errorf("%d batches survived of %d acknowledged and %d applied", n, acked, applied)
	}
	for i := range n {
		if perBatch[i] != keysPerBatch {
			t.Errorf("batch %d of a prefix of %d: %d of %d keys", i, n, perBatch[i], keysPerBatch)
		}
	}
	shared, err := db.Get([]byte("shared"))
	if n == 0 && errors.Is(err, ErrNotFound) {
		return
	}
	if err != nil || int(binary.BigEndian.Uint64(shared)) != n-1 {
		t.Errorf("the last of %d batches is not the last: %x %v", n, shared[:min(len(shared), 8)], err)
	}
}

func TestCrash(t *testing.T) {
	rng := seeded(t)
	for round := range 40 {
		mem := vfs.NewCrashableMem()
		db, err := Open("db", Options{FS: mem})
		if err != nil {
			t.Fatal(err)
		}
		padding := []int{0, 100, 40_000}[round%3] // the last rotates logs and flushes
		var mu sync.Mutex                         // order of numbers is order of Apply
		applied, crashAt := 0, 1+rng.IntN(150)
		var acked atomic.Int64 // batches 0…acked-1 are acknowledged
		var clone *vfs.MemFS
		var ackedThen, appliedThen int
		var wg sync.WaitGroup
		survives := vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rng.IntN(3)], RNG: rand.New(rand.NewPCG(rng.Uint64(), 0))}
		for range 1 + rng.IntN(4) {
			noSync := rng.IntN(4) == 0
			wg.Go(func() {
				for {
					mu.Lock()
					if applied > crashAt {
						mu.Unlock()
						return
					}
					n := applied
					var c *Commit
					var err error
					if noSync && n%5 == 0 {
						err = db.WriteNoSync(crashBatch(db, n, padding))
					} else {
						c, err = db.Apply(crashBatch(db, n, padding))
					}
					applied++
					if n == crashAt {
						ackedThen = int(acked.Load())
						clone = mem.CrashClone(survives)
						appliedThen = applied
					}
					mu.Unlock()
					if err == nil && c != nil {
						err = c.Wait()
					}
					if err != nil {
						t.Error(err)
						return
					}
					if c == nil {
						continue
					}
					for { // a Wait stands for all batches before it
						was := acked.Load()
						if was > int64(n) || acked.CompareAndSwap(was, int64(n+1)) {
							break
						}
					}
				}
			})
		}
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		checkCrashed(t, clone, ackedThen, appliedThen)
		checkCrashed(t, mem, applied, applied) // an orderly Close loses nothing
		if t.Failed() {
			t.Fatalf("round %d: crash at batch %d", round, crashAt)
		}
	}
}

// A database that was being made when the power failed is made again.
func TestCrashWhileMaking(t *testing.T) {
	rng := seeded(t)
	tried := 0
	defer func() { t.Logf("%d crash points", tried) }()
	for at := range 100 {
		mem := vfs.NewCrashableMem()
		tried++
		fs := &crashingFS{FS: mem, left: at, crash: func() *vfs.MemFS {
			return mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		}}
		db, err := Open("db", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if fs.clone == nil {
			if at < 10 {
				t.Fatalf("making a database took only %d steps", at)
			}
			return
		}
		db, err = Open("db", Options{FS: fs.clone})
		if err != nil {
			t.Fatalf("crash at step %d of making: %v", at, err)
		}
		if err := errors.Join(put(db, "a=1"), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("making a database takes more steps than the test tries")
}

// crashingFS takes a crash clone before the file is created or renamed that is
// left steps ahead.
type crashingFS struct {
	vfs.FS
	left  int
	crash func() *vfs.MemFS
	clone *vfs.MemFS
}

func (f *crashingFS) step() {
	if f.left--; f.left == -1 {
		f.clone = f.crash()
	}
}

func (f *crashingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.step()
	file, err := f.FS.Create(name, c)
	f.step()
	return file, err
}

func (f *crashingFS) Rename(from, to string) error {
	f.step()
	return f.FS.Rename(from, to)
}

func (f *crashingFS) Remove(name string) error {
	f.step()
	return f.FS.Remove(name)
}
