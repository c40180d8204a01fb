package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// A disk that fails: readiness says so and why, paid calls are refused and not
// billed, what needs no disk is still answered, the hub stops in order, and after a
// restart on a sound disk every answered call is billed once.
func TestDiskFailure(t *testing.T) {
	var broken atomic.Bool
	mem := vfs.NewMem()
	c := testConfig(t.TempDir())
	c.files = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		log := strings.HasSuffix(op.Path, ".log")
		if broken.Load() && log && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return syscall.ENOSPC
		}
		return nil
	}))
	var log lockedBuffer
	c.Logger = logTo(&log)
	h := start(t, c)
	ch := h.open("5")
	paid := h.echo(ch, "before")

	broken.Store(true)
	refused := func(id string, status int) {
		t.Helper()
		_, err := h.invoke(ch, "aimarket.text", "echo@v1", id)
		var e *client.Error
		if !errors.As(err, &e) || e.Status != status {
			t.Errorf("%s: %v, want HTTP %d", id, err, status)
		}
	}
	refused("at-the-failure", http.StatusBadGateway) // the result is there, its debit is not
	refused("after-it", http.StatusServiceUnavailable)
	status, body := get(t, http.DefaultClient, h.client.Base()+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "no space left on device") || !strings.Contains(body, "restart") {
		t.Errorf("/readyz: HTTP %d: %s", status, body)
	}
	if status, body := get(t, http.DefaultClient, h.client.Base()+"/ai-market/v2/search?intent=echo"); status != http.StatusOK {
		t.Errorf("search: HTTP %d: %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := h.Backup(context.Background(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, store.ErrFailed) {
		t.Errorf("backup: %v", err)
	}
	_ = h.stop() // it may report the failure again; that it ends is the point
	if !strings.Contains(log.String(), "a write failed") {
		t.Errorf("the log is silent:\n%s", log.String())
	}

	checkFiles(t, mem, c.DataDir)
	c.files, c.Logger = mem, nil
	h = start(t, c)
	if got := h.balance(ch); got != "4.999" {
		t.Errorf("balance %s, want one call billed", got)
	}
	if again := h.echo(ch, "before"); string(again.Raw.Raw) != string(paid.Raw.Raw) {
		t.Errorf("answered %s, now %s", paid.Raw.Raw, again.Raw.Raw)
	}
	h.echo(ch, "at-the-failure")
	if got := h.balance(ch); got != "4.998" {
		t.Errorf("balance %s, want two calls billed", got)
	}
	h.mustStop()
	checkFiles(t, mem, c.DataDir)
}

// checkFiles is checkFolder for a database on another file system.
func checkFiles(t *testing.T, files vfs.FS, dir string) ledger.Report {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, databaseFolder), store.Options{FS: files, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	report, err := ledger.CheckStorage(context.Background(), ledger.NewPebbleStorage(db))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	return report
}

// A power cut at a random write under concurrent paid calls, on the whole hub: the
// books balance, every answered call is billed exactly once and answers the same
// again, and a call that was cut off is billed at most once and can be repeated.
func TestPowerCut(t *testing.T) {
	rng, seed := seeded()
	t.Logf("run again with -seed %d", seed)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		// Only what was synced is sure; of the rest, any part may be there.
		lost := []int{0, 50, 100}[rng.IntN(3)]
		cut := newPowerCut(1+rng.IntN(400), vfs.CrashCloneCfg{UnsyncedDataPercent: lost, RNG: fork(rng)})
		c := testConfig(t.TempDir())
		c.files = cut
		h := start(t, c)
		const buyers = 6
		book := &callBook{answered: map[string][]byte{}}
		cut.before = book.freeze
		var channels []client.Channel
		for range buyers {
			channels = append(channels, h.open("1"))
		}
		cut.armed.Store(true)
		var load sync.WaitGroup
		for i, ch := range channels {
			load.Go(func() {
				for n := 0; !cut.done() && n < 300; n++ {
					id := fmt.Sprintf("%d-%d", i, n)
					book.began(id)
					o, err := h.invoke(ch, "aimarket.text", "echo@v1", id)
					if err != nil {
						t.Errorf("round %d, %s: %v", round, id, err)
						return
					}
					book.answer(id, o.Raw.Raw)
				}
			})
		}
		load.Wait()
		cut.fire() // a load too small for its crash point
		h.mustStop()
		book.verify(t, cut.left, c.DataDir, channels, cut.written.Load())
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
}
