package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openMem(t testing.TB) *DB { return open(t, "db", Options{FS: vfs.NewMem()}) }

// put writes key=value pairs given as "k=v", or deletes "k".
func put(db *DB, pairs ...string) error {
	b := db.NewBatch()
	for _, p := range pairs {
		if k, v, ok := strings.Cut(p, "="); ok {
			b.Set([]byte(k), []byte(v))
		} else {
			b.Delete([]byte(p))
		}
	}
	return db.Write(b)
}

func mustPut(t testing.TB, db *DB, pairs ...string) {
	t.Helper()
	if err := put(db, pairs...); err != nil {
		t.Fatal(err)
	}
}

type scanner interface {
	Scan(prefix, from []byte, fn func(k, v []byte) (bool, error)) error
	ScanReverse(prefix, from []byte, fn func(k, v []byte) (bool, error)) error
}

func keys(t testing.TB, s scanner, reverse bool, prefix, from string) string {
	t.Helper()
	scan, start := s.Scan, []byte(from)
	if reverse {
		scan = s.ScanReverse
	}
	if from == "" {
		start = nil
	}
	var got []string
	if err := scan([]byte(prefix), start, func(k, v []byte) (bool, error) {
		got = append(got, string(k)+"="+string(v))
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

func TestScan(t *testing.T) {
	db := openMem(t)
	mustPut(t, db, "a/1=x", "a/2=y", "a/3=z", "b/1=w", "b=v", "\xff\xff=end")
	for _, c := range []struct {
		prefix, from, up, down string
	}{
		{"a/", "", "a/1=x a/2=y a/3=z", "a/3=z a/2=y a/1=x"},
		{"a/", "a/2", "a/2=y a/3=z", "a/1=x"},
		{"a/", "a/1\x00", "a/2=y a/3=z", "a/1=x"},
		{"a/", "a/9", "", "a/3=z a/2=y a/1=x"},
		{"a/", "a", "a/1=x a/2=y a/3=z", ""},
		{"a/", "z", "", "a/3=z a/2=y a/1=x"},
		{"a/", "a/", "a/1=x a/2=y a/3=z", ""},
		{"b", "", "b=v b/1=w", "b/1=w b=v"},
		{"\xff", "", "\xff\xff=end", "\xff\xff=end"},
		{"\xff\xff", "\xff\xff", "\xff\xff=end", ""},
		{"c", "", "", ""},
		{"", "b", "b=v b/1=w \xff\xff=end", "a/3=z a/2=y a/1=x"},
		{"", "", "a/1=x a/2=y a/3=z b=v b/1=w \xff\xff=end", "\xff\xff=end b/1=w b=v a/3=z a/2=y a/1=x"},
	} {
		if got := keys(t, db, false, c.prefix, c.from); got != c.up {
			t.Errorf("Scan(%q, %q) = %q, want %q", c.prefix, c.from, got, c.up)
		}
		if got := keys(t, db, true, c.prefix, c.from); got != c.down {
			t.Errorf("ScanReverse(%q, %q) = %q, want %q", c.prefix, c.from, got, c.down)
		}
	}
}

func TestScanStopsAndPassesErrors(t *testing.T) {
	db := openMem(t)
	mustPut(t, db, "a=1", "b=2")
	boom := errors.New("boom")
	n := 0
	err := db.Scan(nil, nil, func(_, _ []byte) (bool, error) { n++; return true, boom })
	if !errors.Is(err, boom) || n != 1 {
		t.Errorf("error after %d calls: %v", n, err)
	}
	n = 0
	if err := db.Scan(nil, nil, func(_, _ []byte) (bool, error) { n++; return false, nil }); err != nil || n != 1 {
		t.Errorf("stop after %d calls: %v", n, err)
	}
	// A scan does not see what its own callback writes, and may read meanwhile.
	n = 0
	if err := db.Scan(nil, nil, func(k, _ []byte) (bool, error) {
		n++
		if _, err := db.Get(k); err != nil {
			return false, err
		}
		return true, put(db, "c=3")
	}); err != nil || n != 2 {
		t.Errorf("scan that writes: %d keys, %v", n, err)
	}
}

func TestGetHasDelete(t *testing.T) {
	db := openMem(t)
	mustPut(t, db, "k=v", "gone=1", "gone", "empty=")
	if v, err := db.Get([]byte("k")); err != nil || string(v) != "v" {
		t.Errorf("Get = %q, %v", v, err)
	}
	if v, err := db.Get([]byte("empty")); err != nil || v == nil || len(v) != 0 {
		t.Errorf("Get of an empty value = %v, %v", v, err)
	}
	for key, want := range map[string]bool{"k": true, "gone": false, "empty": true, "never": false} {
		if has, err := db.Has([]byte(key)); err != nil || has != want {
			t.Errorf("Has(%s) = %v, %v", key, has, err)
		}
		if _, err := db.Get([]byte(key)); errors.Is(err, ErrNotFound) == want {
			t.Errorf("Get(%s): %v", key, err)
		}
	}
}

func TestSnapshotKeepsItsMoment(t *testing.T) {
	db := openMem(t)
	mustPut(t, db, "a=1", "b=1")
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, "a=2", "b", "c=2")
	if got := keys(t, s, false, "", ""); got != "a=1 b=1" {
		t.Errorf("snapshot: %s", got)
	}
	if got := keys(t, s, true, "", "b"); got != "a=1" {
		t.Errorf("snapshot reverse: %s", got)
	}
	if v, err := s.Get([]byte("a")); err != nil || string(v) != "1" {
		t.Errorf("snapshot Get: %q, %v", v, err)
	}
	if has, err := s.Has([]byte("c")); err != nil || has {
		t.Errorf("snapshot Has: %v, %v", has, err)
	}
	if got := keys(t, db, false, "", ""); got != "a=2 c=2" {
		t.Errorf("database: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestBatchRefusals(t *testing.T) {
	db := openMem(t)
	for name, fill := range map[string]func(b *Batch){
		"reserved key":    func(b *Batch) { b.Set([]byte("store/schema"), nil) },
		"reserved delete": func(b *Batch) { b.Delete([]byte("store/x")) },
		"empty key":       func(b *Batch) { b.Set(nil, []byte("v")) },
		"too large":       func(b *Batch) { b.Set([]byte("k"), make([]byte, MaxBatchBytes)) },
		"closed":          func(b *Batch) { b.Close() },
		"used": func(b *Batch) {
			if err := db.Write(b); err != nil {
				t.Error(err)
			}
			b.Set([]byte("k"), nil)
		},
	} {
		b := db.NewBatch()
		b.Set([]byte("good"), nil)
		if name != "used" {
			defer func() {
				if has, _ := db.Has([]byte("k")); has {
					t.Errorf("%s: written in part", name)
				}
			}()
		}
		fill(b)
		if err := db.Write(b); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A batch above half a memtable takes another way through Pebble.
func TestLargeBatch(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, "db", Options{FS: mem})
	big := bytes.Repeat([]byte("0123456789abcdef"), (2*memTableBytes)/16)
	b := db.NewBatch()
	b.Set([]byte("big"), big)
	b.Set([]byte("small"), []byte("x"))
	if b.Len() != 2 {
		t.Errorf("Len = %d", b.Len())
	}
	if err := db.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, "db", Options{FS: mem})
	if v, err := db.Get([]byte("big")); err != nil || !bytes.Equal(v, big) {
		t.Errorf("big value: %d bytes, %v", len(v), err)
	}
}

func TestAfterClose(t *testing.T) {
	db := openMem(t)
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	unused, commit := db.NewBatch(), func() *Commit {
		b := db.NewBatch()
		b.Set([]byte("k"), []byte("v"))
		c, err := db.Apply(b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(); err != nil {
		t.Errorf("Wait after Close: %v", err)
	}
	late := db.NewBatch()
	late.Set([]byte("k"), nil)
	_, err = db.Apply(late)
	_, getErr := db.Get([]byte("k"))
	_, hasErr := db.Has([]byte("k"))
	_, snapErr := db.Snapshot()
	for what, err := range map[string]error{
		"Apply":       err,
		"Write":       db.Write(unused),
		"WriteNoSync": db.WriteNoSync(db.NewBatch()),
		"Get":         getErr,
		"Has":         hasErr,
		"Snapshot":    snapErr,
		"Scan":        db.Scan(nil, nil, nil),
		"Checkpoint":  db.Checkpoint("copy"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	if db.SizeBytes() != 0 || db.Close() != nil {
		t.Error("Close is not idempotent")
	}
}

func TestCloseWaitsForScans(t *testing.T) {
	db := openMem(t)
	mustPut(t, db, "a=1", "b=2")
	inside, closed := make(chan struct{}), make(chan error, 1)
	go func() { <-inside; closed <- db.Close() }()
	n := 0
	err := db.Scan(nil, nil, func(_, _ []byte) (bool, error) {
		if n++; n == 1 {
			close(inside)
			for !db.closed.Load() {
			}
			if _, err := db.Get([]byte("a")); !errors.Is(err, ErrClosed) {
				t.Errorf("Get while closing: %v", err)
			}
		}
		return true, nil
	})
	if err != nil || n != 2 {
		t.Errorf("scan across Close: %d keys, %v", n, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Whatever order Apply returns in is the order of visibility: each writer
// overwrites one key under a lock and must then read its own value, and the last
// one wins after a restart too.
func TestApplyOrder(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, "db", Options{FS: mem})
	var mu sync.Mutex
	var wg sync.WaitGroup
	var last string
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				b := db.NewBatch()
				v := fmt.Sprintf("%d/%d", w, i)
				b.Set([]byte("k"), []byte(v))
				mu.Lock()
				c, err := db.Apply(b)
				got, gerr := db.Get([]byte("k"))
				last = v
				mu.Unlock()
				if err != nil || gerr != nil || string(got) != v {
					t.Errorf("wrote %s, read %s: %v %v", v, got, err, gerr)
					return
				}
				if err := c.Wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, "db", Options{FS: mem})
	if v, _ := db.Get([]byte("k")); string(v) != last {
		t.Errorf("after restart %q, want %q", v, last)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	for _, ro := range []bool{false, true} {
		_, err := Open(dir, Options{ReadOnly: ro})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "another hub uses "+dir+"; stop it or give another --data") {
			t.Errorf("read-only %v: %v", ro, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	if _, err := Open(dir, Options{ReadOnly: true}); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{ReadOnly: true}); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("empty folder: %v", err)
	}
	db := open(t, dir, Options{})
	mustPut(t, db, "a=1")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, Options{ReadOnly: true})
	if got := keys(t, db, false, "", ""); got != "a=1" {
		t.Errorf("read-only: %s", got)
	}
	if err := put(db, "b=2"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
	copyDir := filepath.Join(t.TempDir(), "copy")
	if err := db.Checkpoint(copyDir); err != nil {
		t.Errorf("checkpoint of a read-only database: %v", err)
	}
}

func TestSchema(t *testing.T) {
	for _, c := range []struct {
		name  string
		value []byte // of the schema key; nil: absent, with another key present
		kind  error
		text  string
	}{
		{"own", schemaValue(SchemaVersion), nil, ""},
		{"newer", schemaValue(SchemaVersion + 1), ErrSchema, "run the newer release"},
		{"older", schemaValue(0), ErrSchema, "in between"},
		{"other form", PutValue(9, []byte("what")), ErrSchema, "unreadable"},
		{"empty", []byte{}, ErrSchema, "unreadable"},
		{"foreign", nil, ErrSchema, "no hub wrote"},
	} {
		mem := vfs.NewMem()
		p, err := pebble.Open("db", &pebble.Options{FS: mem, Logger: pebbleLogger{&DB{log: discardLog}}})
		if err != nil {
			t.Fatal(err)
		}
		key := schemaKey
		if c.value == nil {
			key = []byte("something")
		}
		if err := errors.Join(p.Set(key, c.value, pebble.Sync), p.Close()); err != nil {
			t.Fatal(err)
		}
		for _, ro := range []bool{true, false} {
			db, err := Open("db", Options{FS: mem, ReadOnly: ro})
			if err == nil {
				err = db.Close()
			}
			if !errors.Is(err, c.kind) || c.kind != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s (read-only %v): %v", c.name, ro, err)
			}
		}
	}
}

func TestValueVersions(t *testing.T) {
	v := PutValue(7, []byte("payload"))
	version, payload, err := SplitValue(v)
	if version != 7 || string(payload) != "payload" || err != nil {
		t.Errorf("round trip: %d %q %v", version, payload, err)
	}
	if _, payload, err := SplitValue(PutValue(1, nil)); err != nil || len(payload) != 0 {
		t.Errorf("empty payload: %q %v", payload, err)
	}
	if _, _, err := SplitValue(nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("empty value: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	before := db.Metrics()
	mustPut(t, db, "a=1")
	mustPut(t, db, "b=1")
	m := db.Metrics()
	if m.Commits-before.Commits != 2 || m.Failed || m.DiskBytes <= 0 || m.WALBytes <= before.WALBytes || db.SizeBytes() <= 0 {
		t.Errorf("before %+v, after two commits %+v", before, m)
	}
	if reflect.ValueOf(m).IsZero() {
		t.Error("no metrics")
	}
}
