// Package storagetest is the suite that every ledger.Storage must pass, and an
// in-memory Storage for tests. It promises that an implementation which passes may
// carry the ledger's money; it cannot show durability across a power failure,
// which each implementation must prove with its own crash tests.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aimarket/aimarket/ledger"
)

// Run tests one implementation. open returns an empty storage and is called once
// for each part.
func Run(t *testing.T, open func(t *testing.T) ledger.Storage) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, s ledger.Storage)
	}{
		{"Get", testGet},
		{"Scan", testScan},
		{"ScanSnapshot", testScanSnapshot},
		{"Expect", testExpect},
		{"ExpectAfterOtherWrites", testExpectAfterOtherWrites},
		{"AllOrNothing", testAllOrNothing},
		{"KeepsNoSlice", testKeepsNoSlice},
		{"Barrier", testBarrier},
		{"WaitFromAnywhere", testWait},
		{"OneWinner", testOneWinner},
		{"ConcurrentCounter", testCounter},
		{"Transfer", testTransfer},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

func row(key, value string) ledger.Row { return ledger.Row{Key: []byte(key), Value: []byte(value)} }

func put(t *testing.T, s ledger.Storage, rows ...ledger.Row) {
	t.Helper()
	write(t, s, ledger.Batch{Put: rows})
}

func write(t *testing.T, s ledger.Storage, b ledger.Batch) {
	t.Helper()
	wait, err := s.Apply(context.Background(), b)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if err := wait(); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

func get(t *testing.T, s ledger.Storage, key, want string) {
	t.Helper()
	v, err := s.Get(context.Background(), []byte(key))
	if err != nil || string(v) != want {
		t.Fatalf("Get(%q) = %q, %v; want %q", key, v, err, want)
	}
}

func absent(t *testing.T, s ledger.Storage, key string) {
	t.Helper()
	if v, err := s.Get(context.Background(), []byte(key)); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("Get(%q) = %q, %v; want ErrNotFound", key, v, err)
	}
}

func testGet(t *testing.T, s ledger.Storage) {
	absent(t, s, "ledger/a")
	put(t, s, row("ledger/a", "1"), row("ledger/empty", ""))
	get(t, s, "ledger/a", "1")
	get(t, s, "ledger/empty", "")
	put(t, s, row("ledger/a", "2"))
	get(t, s, "ledger/a", "2")
	v, _ := s.Get(context.Background(), []byte("ledger/a"))
	v[0] = 'x'
	get(t, s, "ledger/a", "2")
	write(t, s, ledger.Batch{Delete: [][]byte{[]byte("ledger/a"), []byte("ledger/never")}})
	absent(t, s, "ledger/a")
}

func keys(t *testing.T, s ledger.Storage, prefix, from string, limit int) string {
	t.Helper()
	var start []byte
	if from != "" {
		start = []byte(from)
	}
	var found []byte
	n := 0
	err := s.Scan(context.Background(), []byte(prefix), start, func(key, value []byte) (bool, error) {
		found = append(append(append(append(found, key[len(prefix):]...), '='), value...), ' ')
		n++
		return n < limit, nil
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return string(found)
}

func testScan(t *testing.T, s ledger.Storage) {
	put(t, s, row("ledger/m/b", "2"), row("ledger/m/\xff\xff", "9"), row("ledger/m/a", "1"), row("ledger/m/a\x00", "1"),
		row("ledger/l/z", "0"), row("ledger/m0", "0"), row("ledger/n/a", "0"))
	for _, c := range []struct {
		prefix, from string
		limit        int
		want         string
	}{
		{"ledger/m/", "", 99, "a=1 a\x00=1 b=2 \xff\xff=9 "},
		{"ledger/m/", "ledger/m/a\x00", 99, "a\x00=1 b=2 \xff\xff=9 "},
		{"ledger/m/", "ledger/m/aa", 1, "b=2 "},
		{"ledger/m/", "ledger/m/\xff\xff\xff", 99, ""},
		{"ledger/nothing/", "", 99, ""},
	} {
		if got := keys(t, s, c.prefix, c.from, c.limit); got != c.want {
			t.Errorf("Scan(%q, %q, limit %d) = %q, want %q", c.prefix, c.from, c.limit, got, c.want)
		}
	}
	stop := errors.New("stop")
	err := s.Scan(context.Background(), []byte("ledger/"), nil, func(_, _ []byte) (bool, error) { return true, stop })
	if !errors.Is(err, stop) {
		t.Errorf("Scan does not return fn's error: %v", err)
	}
}

func testScanSnapshot(t *testing.T, s ledger.Storage) {
	for i := range 10 {
		put(t, s, row("ledger/s/"+strconv.Itoa(i), "old"))
	}
	n := 0
	err := s.Scan(context.Background(), []byte("ledger/s/"), nil, func(key, value []byte) (bool, error) {
		if n == 0 {
			put(t, s, row("ledger/s/5", "new"), row("ledger/s/99", "new"))
		}
		n++
		if string(value) != "old" {
			t.Errorf("%q changed to %q within one scan", key, value)
		}
		return true, nil
	})
	if err != nil || n != 10 {
		t.Fatalf("Scan saw %d rows, %v; want 10", n, err)
	}
	get(t, s, "ledger/s/5", "new")
}

func testExpect(t *testing.T, s ledger.Storage) {
	put(t, s, row("ledger/a", "1"), row("ledger/empty", ""))
	for _, c := range []struct {
		name string
		e    ledger.Expectation
		ok   bool
	}{
		{"equal", ledger.Expectation{Key: []byte("ledger/a"), Value: []byte("1")}, true},
		{"different", ledger.Expectation{Key: []byte("ledger/a"), Value: []byte("2")}, false},
		{"prefix of it", ledger.Expectation{Key: []byte("ledger/a"), Value: []byte("")}, false},
		{"absent but there", ledger.Expectation{Key: []byte("ledger/a")}, false},
		{"absent", ledger.Expectation{Key: []byte("ledger/b")}, true},
		{"there but absent", ledger.Expectation{Key: []byte("ledger/b"), Value: []byte("1")}, false},
		{"empty is not absent", ledger.Expectation{Key: []byte("ledger/empty")}, false},
		{"absent is not empty", ledger.Expectation{Key: []byte("ledger/b"), Value: []byte{}}, false},
		{"empty", ledger.Expectation{Key: []byte("ledger/empty"), Value: []byte{}}, true},
	} {
		_, err := s.Apply(context.Background(), ledger.Batch{Expect: []ledger.Expectation{c.e}, Put: []ledger.Row{row("ledger/w", c.name)}})
		if c.ok && err != nil || !c.ok && !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("%s: Apply = %v, want ok %t", c.name, err, c.ok)
		}
		if c.ok {
			get(t, s, "ledger/w", c.name)
		}
	}
}

// testExpectAfterOtherWrites: an expectation sees every write before it, whether
// that one expected the row too, only wrote it, deleted it, or failed.
func testExpectAfterOtherWrites(t *testing.T, s ledger.Storage) {
	key := []byte("ledger/e")
	swap := func(from, to string) error {
		_, err := s.Apply(context.Background(), ledger.Batch{
			Expect: []ledger.Expectation{{Key: key, Value: []byte(from)}}, Put: []ledger.Row{{Key: key, Value: []byte(to)}},
		})
		return err
	}
	conflict := func(from string) {
		t.Helper()
		if err := swap(from, "never"); !errors.Is(err, ledger.ErrConflict) {
			t.Fatalf("expecting %q: %v, want ErrConflict", from, err)
		}
	}
	ok := func(from, to string) {
		t.Helper()
		if err := swap(from, to); err != nil {
			t.Fatalf("expecting %q: %v", from, err)
		}
		get(t, s, "ledger/e", to)
	}
	put(t, s, row("ledger/e", "1"))
	ok("1", "2")
	conflict("1")
	ok("2", "3")
	put(t, s, row("ledger/e", "4"))
	conflict("3")
	ok("4", "5")
	write(t, s, ledger.Batch{Delete: [][]byte{key}})
	conflict("5")
	put(t, s, row("ledger/e", "6"))
	ok("6", strings.Repeat("long", 1000))
	ok(strings.Repeat("long", 1000), "7")
	conflict(strings.Repeat("long", 1000))
	write(t, s, ledger.Batch{Expect: []ledger.Expectation{{Key: key, Value: []byte("7")}}, Delete: [][]byte{key}})
	conflict("7")
	absent(t, s, "ledger/e")
}

func testAllOrNothing(t *testing.T, s ledger.Storage) {
	put(t, s, row("ledger/a", "1"), row("ledger/b", "1"))
	_, err := s.Apply(context.Background(), ledger.Batch{
		Expect: []ledger.Expectation{{Key: []byte("ledger/a"), Value: []byte("1")}, {Key: []byte("ledger/b"), Value: []byte("2")}},
		Put:    []ledger.Row{row("ledger/a", "2"), row("ledger/c", "2")},
		Delete: [][]byte{[]byte("ledger/b")},
	})
	if !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("Apply = %v, want ErrConflict", err)
	}
	get(t, s, "ledger/a", "1")
	get(t, s, "ledger/b", "1")
	absent(t, s, "ledger/c")
	// Expectations speak of the rows before the batch, also of those it writes.
	write(t, s, ledger.Batch{
		Expect: []ledger.Expectation{{Key: []byte("ledger/a"), Value: []byte("1")}, {Key: []byte("ledger/c")}},
		Put:    []ledger.Row{row("ledger/a", "2"), row("ledger/c", "2")},
		Delete: [][]byte{[]byte("ledger/b")},
	})
	get(t, s, "ledger/a", "2")
	absent(t, s, "ledger/b")
	get(t, s, "ledger/c", "2")
}

func testKeepsNoSlice(t *testing.T, s ledger.Storage) {
	key, value := []byte("ledger/k"), []byte("value")
	wait, err := s.Apply(context.Background(), ledger.Batch{Put: []ledger.Row{{Key: key, Value: value}}})
	if err != nil {
		t.Fatal(err)
	}
	copy(key, "XXXXXXXX")
	copy(value, "XXXXX")
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	get(t, s, "ledger/k", "value")
}

func testBarrier(t *testing.T, s ledger.Storage) {
	put(t, s, row("ledger/a", "1"))
	before := keys(t, s, "ledger/a", "", 9)
	write(t, s, ledger.Batch{})
	write(t, s, ledger.Batch{Expect: []ledger.Expectation{{Key: []byte("ledger/a"), Value: []byte("1")}}})
	if _, err := s.Apply(context.Background(), ledger.Batch{Expect: []ledger.Expectation{{Key: []byte("ledger/a")}}}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a batch of expectations alone is not checked: %v", err)
	}
	if after := keys(t, s, "ledger/a", "", 9); after != before {
		t.Errorf("a barrier changed rows: %q to %q", before, after)
	}
}

func testWait(t *testing.T, s ledger.Storage) {
	var waits []func() error
	for i := range 20 {
		wait, err := s.Apply(context.Background(), ledger.Batch{Put: []ledger.Row{row("ledger/"+strconv.Itoa(i), "v")}})
		if err != nil {
			t.Fatal(err)
		}
		if i%3 != 0 { // the others are never waited for
			waits = append(waits, wait)
		}
		get(t, s, "ledger/"+strconv.Itoa(i), "v") // visible before durable
	}
	var wg sync.WaitGroup
	for i := len(waits) - 1; i >= 0; i-- {
		wg.Go(func() {
			if err := waits[i](); err != nil {
				t.Errorf("wait: %v", err)
			}
		})
	}
	wg.Wait()
}

func testOneWinner(t *testing.T, s ledger.Storage) {
	for round := range 20 {
		key := []byte(fmt.Sprintf("ledger/once/%d", round))
		var wins sync.Map
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				_, err := s.Apply(context.Background(), ledger.Batch{
					Expect: []ledger.Expectation{{Key: key}},
					Put:    []ledger.Row{{Key: key, Value: []byte{byte(g)}}},
				})
				if err == nil {
					wins.Store(g, true)
				} else if !errors.Is(err, ledger.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		n := 0
		wins.Range(func(_, _ any) bool { n++; return true })
		if n != 1 {
			t.Fatalf("%d writers created the same row", n)
		}
	}
}

// testCounter lets many writers increment one row by optimistic retries.
func testCounter(t *testing.T, s ledger.Storage) {
	key := []byte("ledger/counter")
	put(t, s, row("ledger/counter", "0"))
	const writers, times = 8, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range times {
				for {
					old, err := s.Get(context.Background(), key)
					if err != nil {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(string(old))
					wait, err := s.Apply(context.Background(), ledger.Batch{
						Expect: []ledger.Expectation{{Key: key, Value: old}},
						Put:    []ledger.Row{{Key: key, Value: strconv.AppendInt(nil, int64(n+1), 10)}},
					})
					if err == nil {
						if err := wait(); err != nil {
							t.Error(err)
						}
						break
					}
					if !errors.Is(err, ledger.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	get(t, s, "ledger/counter", strconv.Itoa(writers*times))
}

// testTransfer moves amounts between rows from many writers while a reader checks
// that every snapshot has the same total.
func testTransfer(t *testing.T, s ledger.Storage) {
	const accounts, total = 6, 600
	for i := range accounts {
		put(t, s, ledger.Row{Key: []byte{'l', '/', byte('a' + i)}, Value: []byte(strconv.Itoa(total / accounts))})
	}
	done := make(chan struct{})
	var writers, reader sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := range 60 {
				a := []byte{'l', '/', byte('a' + (w+n)%accounts)}
				b := []byte{'l', '/', byte('a' + (w+3*n+1)%accounts)}
				if bytes.Equal(a, b) {
					continue
				}
				va, _ := s.Get(context.Background(), a)
				vb, _ := s.Get(context.Background(), b)
				na, _ := strconv.Atoi(string(va))
				nb, _ := strconv.Atoi(string(vb))
				_, err := s.Apply(context.Background(), ledger.Batch{
					Expect: []ledger.Expectation{{Key: a, Value: va}, {Key: b, Value: vb}},
					Put:    []ledger.Row{{Key: a, Value: []byte(strconv.Itoa(na - 1))}, {Key: b, Value: []byte(strconv.Itoa(nb + 1))}},
				})
				if err != nil && !errors.Is(err, ledger.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			sum := 0
			err := s.Scan(context.Background(), []byte("l/"), nil, func(_, value []byte) (bool, error) {
				n, err := strconv.Atoi(string(value))
				sum += n
				return true, err
			})
			if err != nil || sum != total {
				t.Errorf("a snapshot sums to %d, %v; want %d", sum, err, total)
				return
			}
		}
	})
	writers.Wait()
	close(done)
	reader.Wait()
}
