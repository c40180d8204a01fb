package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

func TestSweepExpires(t *testing.T) {
	h := newHub(t, onPebble(t))
	spent, secret := h.open(t, 1000)
	h.pay(t, spent, secret, "r", 1000)
	full, _ := h.open(t, 2000)
	h.clock.advance(12 * time.Hour)
	young, _ := h.open(t, 3000)
	h.clock.advance(12*time.Hour - time.Second)
	if n, _, err := h.Sweep(ctx); n != 0 || err != nil {
		t.Fatalf("a second too early, Sweep = %d, %v", n, err)
	}
	h.clock.advance(time.Second)
	if n, _, err := h.Sweep(ctx); n != 2 || err != nil {
		t.Fatalf("Sweep = %d, %v; want 2", n, err)
	}
	if n, _, err := h.Sweep(ctx); n != 0 || err != nil {
		t.Fatalf("second Sweep = %d, %v", n, err)
	}
	for id, want := range map[string]ledger.Status{spent: ledger.StatusExpired, full: ledger.StatusExpired, young: ledger.StatusOpen} {
		if got := h.channel(t, id).Status; got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	owed, err := h.Obligations(ctx, ledger.StatusOwed, 10)
	if err != nil || len(owed) != 1 || owed[0].ChannelID != full || owed[0].Kind != ledger.ExpiryRemainder || owed[0].Amount != 2000 {
		t.Errorf("Obligations = %+v, %v", owed, err)
	}
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: full}); err == nil || err.Error() != "channel is expired" {
		t.Errorf("closing an expired channel: %v", err)
	}
	want := ledger.Stats{OpenChannels: 1, Free: 3000, Settled: 1000, Owed: 2000, Receipts: 1}
	if got := h.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	h.check(t)
}

func TestSweepReaps(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Limits.ChannelLife = 100 * time.Hour })
	id, secret := h.open(t, 1000)
	old := h.hold(t, id, secret, "old", 10)
	h.clock.advance(24 * time.Hour)
	young := h.hold(t, id, secret, "young", 10)
	if _, n, err := h.Sweep(ctx); n != 0 || err != nil {
		t.Fatalf("at its age, not above: %d, %v", n, err)
	}
	h.clock.advance(time.Second)
	if _, n, err := h.Sweep(ctx); n != 1 || err != nil {
		t.Fatalf("Sweep reaped %d, %v; want 1", n, err)
	}
	if err := h.Capture(ctx, old, delivery("old")); !errors.Is(err, ledger.ErrHoldResolved) {
		t.Errorf("capturing a reaped hold: %v", err)
	}
	if err := h.Capture(ctx, young, delivery("young")); err != nil {
		t.Error(err)
	}
	h.check(t)

	off := newHub(t, func(c *ledger.Config) { c.Limits.ReapAfter = -1 })
	id, secret = off.open(t, 1000)
	off.hold(t, id, secret, "r", 10)
	off.clock.advance(1000 * time.Hour)
	if _, n, err := off.Sweep(ctx); n != 0 || err != nil {
		t.Errorf("reaping is off: %d, %v", n, err)
	}
}

func TestSweepDropsOldReceiptsAndAnswers(t *testing.T) {
	h := newHub(t, onPebble(t), func(c *ledger.Config) {
		c.Limits.ReceiptLife = 60 * 24 * time.Hour
		c.Limits.ChannelLife = 365 * 24 * time.Hour
	})
	id, secret := h.open(t, 1000)
	h.pay(t, id, secret, "early", 10)
	if err := h.Deliver(ctx, ledger.Delivery{Receipt: []byte("{}"), Nonce: "free", RequestID: "scope", Answer: []byte("a")}, true); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(60 * 24 * time.Hour)
	h.pay(t, id, secret, "late", 10)
	if _, _, err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	for _, nonce := range []string{"early", "free", "late"} {
		if _, err := h.Receipt(ctx, nonce); err != nil {
			t.Errorf("within its life, %s: %v", nonce, err)
		}
	}
	h.clock.advance(31 * 24 * time.Hour)
	if _, _, err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	for _, nonce := range []string{"early", "free"} {
		if _, err := h.Receipt(ctx, nonce); !errors.Is(err, ledger.ErrUnknownReceipt) {
			t.Errorf("after its life, %s: %v", nonce, err)
		}
	}
	if _, err := h.Receipt(ctx, "late"); err != nil {
		t.Error(err)
	}
	if c := h.Counters(); c.Dropped != 3 {
		t.Errorf("dropped %d rows, want 2 receipts and 1 answer", c.Dropped)
	}
	// The books outlive the receipts, and the receipt id stays used.
	if _, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "early", Amount: 1}); !errors.Is(err, ledger.ErrReplay) {
		t.Errorf("replay of a dropped receipt: %v", err)
	}
	h.check(t)
}

// TestOpenReleasesWhatACrashLeftHeld: the calls of an earlier run of this process
// died with it; another process's calls go on.
func TestOpenReleasesWhatACrashLeftHeld(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	lost := h.hold(t, id, secret, "lost", 100)
	other := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, "front-2" })
	theirs := other.hold(t, id, secret, "theirs", 10)
	h.reopen(t)
	if ch := h.channel(t, id); ch.Balance != 990 || ch.Held != 10 {
		t.Errorf("channel is %+v", ch)
	}
	if c := h.Counters(); c.Lost != 1 {
		t.Errorf("counters %+v", c)
	}
	if err := h.Capture(ctx, lost, delivery("lost")); !errors.Is(err, ledger.ErrHoldResolved) {
		t.Errorf("capturing a lost hold: %v", err)
	}
	if err := other.Capture(ctx, theirs, delivery("theirs")); err != nil {
		t.Errorf("the other process's call: %v", err)
	}
	h.check(t)
}

func TestObligations(t *testing.T) {
	h := newHub(t, onPebble(t))
	var ids []string
	for i := range 3 {
		ch, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: ledger.Money(1000 * (i + 1)), Token: "USDT", Chain: "base", Wallet: "w", TxHash: fmt.Sprintf("agent-%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ch.ID)
		if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: ch.ID, Wallet: "w"}); err != nil {
			t.Fatal(err)
		}
	}
	open, _ := h.open(t, 1)
	for name, err := range map[string]error{
		"no transaction": second(h.MarkPaid(ctx, ids[0], "")),
		"line break":     second(h.MarkPaid(ctx, ids[0], "a\nb")),
	} {
		if !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("MarkPaid, %s: %v", name, err)
		}
	}
	for _, id := range []string{open, "ch_0000000000000000", "x"} {
		if _, err := h.MarkPaid(ctx, id, tx1); !errors.Is(err, ledger.ErrUnknownDebt) {
			t.Errorf("MarkPaid(%s): %v", id, err)
		}
	}
	for range 2 {
		o, err := h.MarkPaid(ctx, ids[0], tx1)
		if err != nil || o.Status != ledger.StatusPaid || o.PayoutTxHash != tx1 || !o.PaidAt.Equal(epoch) || o.Amount != 1000 || o.DepositTxHash != "agent-0" {
			t.Errorf("MarkPaid = %+v, %v", o, err)
		}
	}
	if _, err := h.MarkPaid(ctx, ids[0], "other"); !errors.Is(err, ledger.ErrAlreadyPaid) {
		t.Errorf("paid by another transaction: %v", err)
	}
	for _, c := range []struct {
		status string
		limit  int
		want   int
	}{{"", 10, 3}, {ledger.StatusOwed, 10, 2}, {ledger.StatusPaid, 10, 1}, {"", 2, 2}, {"", 0, 0}} {
		if list, err := h.Obligations(ctx, c.status, c.limit); err != nil || len(list) != c.want {
			t.Errorf("Obligations(%q, %d) = %d, %v; want %d", c.status, c.limit, len(list), err, c.want)
		}
	}
	if _, err := h.Obligations(ctx, "lost", 1); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("unknown status: %v", err)
	}
	if owed := h.Stats().Owed; owed != 5000 {
		t.Errorf("owed %s, want 0.005", owed)
	}
	h.check(t)
	h.reopen(t)
	if owed := h.Stats().Owed; owed != 5000 {
		t.Errorf("owed %s after reopening", owed)
	}
}

func second[T any](_ T, err error) error { return err }
