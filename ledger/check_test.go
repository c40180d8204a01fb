package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/ledger/storagetest"
)

// richHub has every kind of row, and a snapshot of the rows after each step.
func richHub(t *testing.T) (*hub, []map[string][]byte) {
	h := newHub(t)
	var snapshots []map[string][]byte
	snap := func() {
		m := make(map[string][]byte)
		for _, r := range rows(t, h.storage) {
			m[string(r.Key)] = r.Value
		}
		snapshots = append(snapshots, m)
	}
	ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, Chain: "base", TxHash: tx1, RequestID: request})
	if err != nil {
		t.Fatal(err)
	}
	snap()
	h.clock.advance(time.Minute)
	held := h.hold(t, ch.ID, secret, "held-1", 10)
	snap()
	h.hold(t, ch.ID, secret, "held-2", 20)
	snap()
	d := delivery("rcpt_1")
	d.RequestID, d.Answer = "scope", []byte("answer")
	if err := h.Capture(ctx, held, d); err != nil {
		t.Fatal(err)
	}
	snap()
	if err := h.Release(ctx, h.hold(t, ch.ID, secret, "released", 30)); err != nil {
		t.Fatal(err)
	}
	snap()
	if _, err := h.Debit(ctx, ledger.HoldRequest{ChannelID: ch.ID, Secret: secret, Amount: 40, ReceiptID: "debit"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Refund(ctx, ch.ID, secret, 5); err != nil {
		t.Fatal(err)
	}
	snap()
	settled, settledSecret := h.open(t, 2000)
	h.pay(t, settled, settledSecret, "rcpt_2", 100)
	snap()
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: settled}); err != nil {
		t.Fatal(err)
	}
	snap()
	if _, err := h.MarkPaid(ctx, settled, tx1); err != nil {
		t.Fatal(err)
	}
	owed, _ := h.open(t, 3000)
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: owed}); err != nil {
		t.Fatal(err)
	}
	snap()
	rep := h.check(t)
	want := ledger.Report{Channels: 3, Open: 1, Holds: 1, Entries: rep.Entries, Receipts: 2, Obligations: 2}
	if fmt.Sprint(rep) != fmt.Sprint(want) || rep.Entries < 14 {
		t.Fatalf("report %+v, want %+v", rep, want)
	}
	return h, snapshots
}

// damage returns the hub's rows with one row replaced, or deleted for nil.
func damage(t *testing.T, all map[string][]byte, key string, value []byte) ledger.Storage {
	t.Helper()
	m := storagetest.NewMemory()
	var b ledger.Batch
	for k, v := range all {
		if k != key {
			b.Put = append(b.Put, ledger.Row{Key: []byte(k), Value: v})
		}
	}
	if value != nil {
		b.Put = append(b.Put, ledger.Row{Key: []byte(key), Value: value})
	}
	if _, err := m.Apply(ctx, b); err != nil {
		t.Fatal(err)
	}
	return m
}

func violations(t *testing.T, s ledger.Storage) []ledger.Violation {
	t.Helper()
	rep, err := ledger.CheckStorage(ctx, s)
	if err != nil {
		t.Fatalf("CheckStorage: %v", err)
	}
	return rep.Violations
}

// forgettable rows may be missing: a request id then no longer answers.
func forgettable(key string) bool { return strings.HasPrefix(key, "ledger/answer/") }

// TestCheckMissesNoLostRow deletes each row in turn, and puts back each earlier
// version of it, as a lost write would.
func TestCheckMissesNoLostRow(t *testing.T) {
	_, snapshots := richHub(t)
	final := snapshots[len(snapshots)-1]
	tried := 0
	for key, value := range final {
		if forgettable(key) {
			continue
		}
		tried++
		if len(violations(t, damage(t, final, key, nil))) == 0 {
			t.Errorf("row %q can be lost unnoticed", key)
		}
		for n, old := range snapshots {
			if v, ok := old[key]; ok && !bytes.Equal(v, value) && len(violations(t, damage(t, final, key, v))) == 0 {
				t.Errorf("row %q can be as after step %d unnoticed", key, n)
			}
		}
		if len(violations(t, damage(t, final, key, []byte{99}))) == 0 {
			t.Errorf("row %q can be nonsense unnoticed", key)
		}
	}
	for n, old := range snapshots {
		for key, v := range old {
			if _, still := final[key]; !still && !forgettable(key) && len(violations(t, damage(t, final, key, v))) == 0 {
				t.Errorf("row %q of step %d can come back unnoticed", key, n)
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d rows tried", tried)
	}
}

// TestCheckFindsStrangeRows adds rows that belong to nothing.
func TestCheckFindsStrangeRows(t *testing.T) {
	_, snapshots := richHub(t)
	final := snapshots[len(snapshots)-1]
	for prefix, invariant := range map[string]int{
		"ledger/journal/": 12, "ledger/held/": 12, "ledger/spent/": 12, "ledger/obligation/": 4, "ledger/expiry/": 12,
	} {
		var sample string
		for key := range final {
			if strings.HasPrefix(key, prefix) {
				sample = key
			}
		}
		if sample == "" {
			t.Fatalf("no row in %s", prefix)
		}
		i := strings.Index(sample, "ch_")
		for name, key := range map[string]string{
			"of an unknown channel": sample[:i] + "ch_00000000000000ff" + sample[i+19:],
			"of no kind":            prefix + "x",
		} {
			found := violations(t, damage(t, final, key, final[sample]))
			ok := false
			for _, v := range found {
				ok = ok || v.Invariant == invariant
			}
			if !ok {
				t.Errorf("row %s in %s: violations %v, want one of invariant %d", name, prefix, found, invariant)
			}
		}
	}
}

func TestCheckWhileBusy(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, ledger.USD)
	other := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, "front-2" })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 300 {
			hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: 1, ReceiptID: fmt.Sprint(n)})
			if err == nil {
				err = h.Capture(ctx, hold, delivery(fmt.Sprint(n)))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		h.check(t)
		// From another process the channel may change too fast to be looked at.
		rep, err := other.Check(ctx)
		if err != nil && !errors.Is(err, ledger.ErrBusy) || len(rep.Violations) > 0 {
			t.Fatalf("seen from another front: %v, %v", rep.Violations, err)
		}
	}
}

// TestCheckReadOnly: the books of a stopped hub are checked without touching them.
func TestCheckReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	db, err := store.Open("db", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, func(c *ledger.Config) { c.Storage = ledger.NewPebbleStorage(db) })
	id, secret := h.open(t, 1000)
	h.pay(t, id, secret, "r", 10)
	h.hold(t, id, secret, "running", 10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = store.Open("db", store.Options{FS: fs, ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rep, err := ledger.CheckStorage(ctx, ledger.NewPebbleStorage(db))
	if err != nil || len(rep.Violations) != 0 || rep.Channels != 1 || rep.Holds != 1 || rep.Receipts != 1 {
		t.Errorf("CheckStorage = %+v, %v", rep, err)
	}
}
