package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestCheckpointAndRestore(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	db := open(t, at("db"), Options{})
	mustPut(t, db, "a=1", "b=2")
	if b := db.NewBatch(); true {
		b.Set([]byte("c"), []byte("not synced"))
		if err := db.WriteNoSync(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"copy", "empty", "new/deep"} {
		if err := db.Checkpoint(at(target)); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	mustPut(t, db, "a=9", "d=4")
	if r, err := Verify(at("copy"), Options{}); err != nil || r != (Report{Schema: SchemaVersion, Keys: 3, Bytes: 15}) {
		t.Errorf("Verify: %+v %v", r, err)
	}
	for _, target := range []string{"copy", "db", "db/inside"} {
		if err := db.Checkpoint(at(target)); err == nil || target == "copy" && !errors.Is(err, ErrExists) {
			t.Errorf("checkpoint over %s: %v", target, err)
		}
	}
	if err := Restore(at("copy"), at("restored"), nil); err != nil {
		t.Fatal(err)
	}
	got := open(t, at("restored"), Options{})
	if s := keys(t, got, false, "", ""); s != "a=1 b=2 c=not synced" {
		t.Errorf("restored: %s", s)
	}
	mustPut(t, got, "e=5")
	if err := Restore(at("copy"), at("restored"), nil); !errors.Is(err, ErrExists) {
		t.Errorf("restore over a database: %v", err)
	}
	if err := Restore(at("nothing"), at("x"), nil); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("restore from nothing: %v", err)
	}
	if err := Restore(at("db"), at("x"), nil); !errors.Is(err, ErrLocked) {
		t.Errorf("restore from a running hub: %v", err)
	}
	left, err := filepath.Glob(at("*" + partialSuffix))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	// The copy and the original live apart.
	if s := keys(t, db, false, "", ""); s != "a=9 b=2 c=not synced d=4" {
		t.Errorf("original: %s", s)
	}
}

// A checkpoint in the middle of writing holds a prefix of the batches.
func TestCheckpointWhileWriting(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, "db", Options{FS: mem})
	const batches = 200
	var wg sync.WaitGroup
	acked := make(chan int, batches)
	wg.Go(func() {
		defer close(acked)
		for n := range batches {
			if err := db.Write(crashBatch(db, n, 50_000)); err != nil {
				t.Error(err)
				return
			}
			acked <- n + 1
		}
	})
	for i, last := 0, 0; i < 3; i++ {
		for last < i*40 {
			n, ok := <-acked
			if !ok {
				t.Fatal("the writer stopped")
			}
			last = n
		}
		if err := db.Checkpoint(fmt.Sprint("copy", i)); err != nil {
			t.Fatal(err)
		}
		defer func(i, last int) {
			if err := Restore(fmt.Sprint("copy", i), "db2", mem); err != nil {
				t.Fatal(err)
			}
			defer mem.RemoveAll("db2")
			other := vfs.NewMem()
			if ok, err := vfs.Clone(mem, other, "db2", "db"); !ok || err != nil {
				t.Fatal(ok, err)
			}
			checkCrashed(t, other, last, batches)
		}(i, last)
	}
	wg.Wait()
}
