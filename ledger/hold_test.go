package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// TestPaidCalls is the contract's example: 5 USD, three calls of 0.001, 4.997 left.
func TestPaidCalls(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 5*ledger.USD)
	for i := range 3 {
		h.pay(t, id, secret, fmt.Sprintf("rcpt_%d", i), 1000)
		h.check(t)
	}
	ch := h.channel(t, id)
	if ch.Balance != 4_997_000 || ch.Used != 3000 || ch.Held != 0 || ch.Calls != 3 || ch.Deposit != 5*ledger.USD {
		t.Fatalf("channel is %+v", ch)
	}
	for i := range 3 {
		nonce := fmt.Sprintf("rcpt_%d", i)
		if r, err := h.Receipt(ctx, nonce); err != nil || string(r) != `{"nonce":"`+nonce+`"}` {
			t.Errorf("Receipt(%s) = %s, %v", nonce, r, err)
		}
	}
	s, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id})
	if err != nil || s.Refund != 4_997_000 || s.Channel.Status != ledger.StatusSettled || s.Obligation == nil || s.Obligation.Amount != 4_997_000 || s.Obligation.Mode != ledger.Demo {
		t.Fatalf("CloseChannel = %+v, %v", s, err)
	}
	want := ledger.Stats{Settled: 3000, Owed: 4_997_000, Receipts: 3}
	if got := h.Stats(); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	h.reopen(t)
	if got := h.Stats(); got != want {
		t.Errorf("Stats after reopening = %+v, want %+v", got, want)
	}
	h.check(t)
}

func TestHoldRefusals(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	h.pay(t, id, secret, "rcpt_paid", 100)
	held := h.hold(t, id, secret, "rcpt_held", 100)
	released := h.hold(t, id, secret, "rcpt_released", 100)
	if err := h.Release(ctx, released); err != nil {
		t.Fatal(err)
	}
	closed, closedSecret := h.open(t, 1000)
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: closed}); err != nil {
		t.Fatal(err)
	}
	before := h.channel(t, id)
	for _, c := range []struct {
		name string
		r    ledger.HoldRequest
		want error
		text string
	}{
		{"unknown", ledger.HoldRequest{ChannelID: "ch_0000000000000000", Secret: secret, ReceiptID: "r", Amount: 1}, ledger.ErrUnknownChannel, "channel not found"},
		{"malformed id", ledger.HoldRequest{ChannelID: "../ledger", Secret: secret, ReceiptID: "r", Amount: 1}, ledger.ErrUnknownChannel, "channel not found"},
		{"closed, before the secret", ledger.HoldRequest{ChannelID: closed, Secret: "wrong", ReceiptID: "r", Amount: 1}, ledger.ErrChannelNotOpen, "channel not open"},
		{"closed", ledger.HoldRequest{ChannelID: closed, Secret: closedSecret, ReceiptID: "r", Amount: 1}, ledger.ErrChannelNotOpen, "channel not open"},
		{"no secret", ledger.HoldRequest{ChannelID: id, ReceiptID: "r", Amount: 1}, ledger.ErrUnauthorized, "unauthorized: invalid or missing channel secret"},
		{"wrong secret, before the balance", ledger.HoldRequest{ChannelID: id, Secret: closedSecret, ReceiptID: "r", Amount: 5000}, ledger.ErrUnauthorized, "unauthorized: invalid or missing channel secret"},
		{"too much", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r", Amount: 801}, ledger.ErrInsufficient, "insufficient balance"},
		{"debited receipt", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "rcpt_paid", Amount: 1}, ledger.ErrReplay, "receipt already processed (replay rejected)"},
		{"held receipt", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "rcpt_held", Amount: 1}, ledger.ErrReplay, "receipt already processed (replay rejected)"},
		{"released receipt", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "rcpt_released", Amount: 1}, ledger.ErrReplay, "receipt already processed (replay rejected)"},
		{"no receipt id", ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: 1}, ledger.ErrInvalid, ""},
		{"long receipt id", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: strings.Repeat("r", 129), Amount: 1}, ledger.ErrInvalid, ""},
		{"negative", ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r", Amount: -1}, ledger.ErrInvalid, ""},
	} {
		for name, do := range map[string]func() error{
			"Hold":  func() error { _, err := h.Hold(ctx, c.r); return err },
			"Debit": func() error { _, err := h.Debit(ctx, c.r); return err },
		} {
			err := do()
			if !errors.Is(err, c.want) || c.text != "" && err.Error() != c.text {
				t.Errorf("%s, %s: %v, want %v", name, c.name, err, c.want)
			}
		}
	}
	var e *ledger.Error
	_, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r", Amount: 801})
	if !errors.As(err, &e) || e.Needed != 801 || e.Balance != 800 {
		t.Errorf("insufficient says needed %d, balance %d", e.Needed, e.Balance)
	}
	if after := h.channel(t, id); after != before {
		t.Errorf("refusals changed the channel from %+v to %+v", before, after)
	}
	h.check(t)
	if err := h.Capture(ctx, held, delivery("n")); err != nil {
		t.Error(err)
	}
}

// TestReplayIsRefusedByWhoeverLooks: the process that saw the first use, one that
// was started later, and one beside it that knew the channel before.
func TestReplayIsRefusedByWhoeverLooks(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	beside := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, "front-2" })
	if err := beside.Release(ctx, beside.hold(t, id, secret, "first", 1)); err != nil {
		t.Fatal(err)
	}
	h.pay(t, id, secret, "paid", 10)
	if err := h.Release(ctx, h.hold(t, id, secret, "released", 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Debit(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "debited", Amount: 10}); err != nil {
		t.Fatal(err)
	}
	later := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, "front-3" })
	for name, l := range map[string]*hub{"first": h, "beside": beside, "later": later} {
		for _, ref := range []string{"first", "paid", "released", "debited"} {
			if _, err := l.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: ref, Amount: 1}); !errors.Is(err, ledger.ErrReplay) {
				t.Errorf("%s, %s: %v, want ErrReplay", name, ref, err)
			}
		}
	}
	h.check(t)
}

func TestReceiptIDsAreScopedToTheirChannel(t *testing.T) {
	h := newHub(t)
	a, secretA := h.open(t, 1000)
	b, secretB := h.open(t, 1000)
	for i, c := range []struct{ id, secret string }{{a, secretA}, {b, secretB}} {
		hold := h.hold(t, c.id, c.secret, "chosen-by-buyer", 10)
		if err := h.Capture(ctx, hold, delivery(fmt.Sprintf("rcpt_%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	h.check(t)
}

func TestHoldEndsOnce(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	captured := h.hold(t, id, secret, "captured", 100)
	released := h.hold(t, id, secret, "released", 100)
	if err := captured.Durable(); err != nil {
		t.Fatal(err)
	}
	if err := captured.Durable(); err != nil {
		t.Fatalf("second Durable: %v", err)
	}
	if err := h.Capture(ctx, captured, delivery("captured")); err != nil {
		t.Fatal(err)
	}
	if err := h.Release(ctx, released); err != nil {
		t.Fatal(err)
	}
	before := h.channel(t, id)
	for _, hold := range []*ledger.Hold{captured, released, nil} {
		if err := h.Capture(ctx, hold, delivery("again")); !errors.Is(err, ledger.ErrHoldResolved) {
			t.Errorf("second Capture: %v", err)
		}
		if err := h.Release(ctx, hold); err != nil {
			t.Errorf("second Release: %v", err)
		}
	}
	if after := h.channel(t, id); after != before || after.Used != 100 || after.Balance != 900 {
		t.Errorf("ending a hold twice changed %+v to %+v", before, after)
	}
	h.check(t)
}

// TestCaptureRacesRelease: whoever is first wins, and the money follows.
func TestCaptureRacesRelease(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 100*ledger.USD)
	const calls = 100
	var captured ledger.Money
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range calls {
		hold := h.hold(t, id, secret, fmt.Sprintf("r%d", i), 1000)
		for range 2 {
			wg.Go(func() {
				switch err := h.Capture(ctx, hold, delivery(hold.ReceiptID)); {
				case err == nil:
					mu.Lock()
					captured += 1000
					mu.Unlock()
				case !errors.Is(err, ledger.ErrHoldResolved):
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := h.Release(ctx, hold); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ch := h.channel(t, id); ch.Used != captured || ch.Held != 0 || ch.Balance != ch.Deposit-captured {
		t.Errorf("captured %s, channel %+v", captured, ch)
	}
	h.check(t)
}

func TestNoOverspendingInARace(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 50)
	var ok sync.Map
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: fmt.Sprint(i), Amount: 1})
			if err == nil {
				ok.Store(i, hold)
			} else if !errors.Is(err, ledger.ErrInsufficient) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	ok.Range(func(_, _ any) bool { n++; return true })
	if ch := h.channel(t, id); n != 50 || ch.Balance != 0 || ch.Held != 50 {
		t.Errorf("%d holds of 1 from 50: %+v", n, ch)
	}
	h.check(t)
}

// TestCaptureAfterTheCallerHasGone: a cancelled context does not undo a capture.
func TestCaptureAfterTheCallerHasGone(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	hold := h.hold(t, id, secret, "r", 100)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := h.Capture(gone, hold, delivery("r")); err != nil {
		t.Fatal(err)
	}
	other := h.hold(t, id, secret, "r2", 100)
	if err := h.Release(gone, other); err != nil {
		t.Fatal(err)
	}
	if ch := h.channel(t, id); ch.Used != 100 || ch.Held != 0 {
		t.Errorf("channel is %+v", ch)
	}
}

func TestCaptureAfterExpiry(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	hold := h.hold(t, id, secret, "r", 100)
	h.clock.advance(24 * time.Hour)
	if _, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "late", Amount: 1}); !errors.Is(err, ledger.ErrChannelNotOpen) {
		t.Errorf("a hold after expiry: %v", err)
	}
	if n, _, err := h.Sweep(ctx); n != 0 || err != nil {
		t.Errorf("a channel with a running call expired: %d, %v", n, err)
	}
	if err := h.Capture(ctx, hold, delivery("r")); err != nil {
		t.Fatal(err)
	}
	if n, _, err := h.Sweep(ctx); n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v; want 1", n, err)
	}
	if ch := h.channel(t, id); ch.Status != ledger.StatusExpired || ch.Used != 100 {
		t.Errorf("channel is %+v", ch)
	}
	h.check(t)
}

func TestDebitAndRefund(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	if ch, err := h.Debit(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "d", Amount: 300}); err != nil || ch.Balance != 700 || ch.Used != 300 || ch.Calls != 1 {
		t.Fatalf("Debit = %+v, %v", ch, err)
	}
	if ch, err := h.Debit(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "free", Amount: 0}); err != nil || ch.Balance != 700 {
		t.Fatalf("Debit of nothing = %+v, %v", ch, err)
	}
	if ch, err := h.Refund(ctx, id, secret, 100); err != nil || ch.Balance != 800 || ch.Used != 200 || ch.Refunded != 100 {
		t.Fatalf("Refund = %+v, %v", ch, err)
	}
	if ch, err := h.Refund(ctx, id, secret, 5000); err != nil || ch.Balance != 1000 || ch.Used != 0 || ch.Refunded != 300 {
		t.Fatalf("Refund of more than was used = %+v, %v", ch, err)
	}
	for name, do := range map[string]func() error{
		"nothing used": func() error { _, err := h.Refund(ctx, id, secret, 1); return err },
		"negative":     func() error { _, err := h.Refund(ctx, id, secret, -1); return err },
		"wrong secret": func() error { _, err := h.Refund(ctx, id, "no", 1); return err },
	} {
		if do() == nil {
			t.Errorf("Refund, %s: no error", name)
		}
	}
	h.check(t)
}

func TestMoneyOff(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Mode = ledger.Off })
	id := "ch_0123456789abcdef"
	for name, do := range map[string]func() error{
		"open":    func() error { _, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1}); return err },
		"close":   func() error { _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id}); return err },
		"hold":    func() error { _, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, ReceiptID: "r"}); return err },
		"debit":   func() error { _, err := h.Debit(ctx, ledger.HoldRequest{ChannelID: id, ReceiptID: "r"}); return err },
		"refund":  func() error { _, err := h.Refund(ctx, id, "", 1); return err },
		"recover": func() error { _, err := h.RecoverSecret(ctx, ledger.RecoverRequest{ChannelID: id}); return err },
	} {
		if err := do(); !errors.Is(err, ledger.ErrMoneyOff) {
			t.Errorf("%s: %v, want ErrMoneyOff", name, err)
		}
	}
	if err := h.Deliver(ctx, delivery("free"), true); err != nil {
		t.Errorf("a free delivery: %v", err)
	}
	if _, err := h.Receipt(ctx, "free"); err != nil {
		t.Errorf("its receipt: %v", err)
	}
}

// TestMoneyOfAnotherMode: demo credit buys nothing once the hub takes real money.
func TestMoneyOfAnotherMode(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	h.config.Mode, h.config.Deposits = "base", verifier{}
	h.reopen(t)
	if _, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r", Amount: 1}); !errors.Is(err, ledger.ErrChannelNotOpen) {
		t.Errorf("demo money was spent in a chain mode: %v", err)
	}
	s, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id})
	if err != nil || s.Obligation.Mode != ledger.Demo {
		t.Errorf("CloseChannel = %+v, %v; the remainder is owed in demo money", s, err)
	}
	h.check(t)
}

func TestAuthorize(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	if _, err := h.Authorize(ctx, id, secret); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "x", secret + "x", strings.ToUpper(secret)} {
		if _, err := h.Authorize(ctx, id, wrong); !errors.Is(err, ledger.ErrUnauthorized) {
			t.Errorf("Authorize with %q: %v", wrong, err)
		}
	}
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id}); err != nil {
		t.Fatal(err)
	}
	if ch, err := h.Authorize(ctx, id, secret); err != nil || ch.Status != ledger.StatusSettled {
		t.Errorf("Authorize on a settled channel = %+v, %v", ch, err)
	}
}

// TestDeferredHold: a ledger that owns its storage writes a hold with what ends it.
// Until then it counts everywhere but on disk, where nobody else could read it.
func TestDeferredHold(t *testing.T) {
	fresh := func(t *testing.T) (h *hub, id, secret string) {
		h = newHub(t, onPebble(t), func(c *ledger.Config) { c.Exclusive = true })
		id, secret = h.open(t, 1000)
		return h, id, secret
	}
	drawn := func(t *testing.T, h *hub, id, secret, ref string, amount ledger.Money) *ledger.Hold {
		t.Helper()
		hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: amount, ReceiptID: ref, Drawn: true})
		if err != nil {
			t.Fatal(err)
		}
		return hold
	}
	onDisk := func(t *testing.T, h *hub) ledger.Report {
		t.Helper()
		rep, err := ledger.CheckStorage(ctx, h.storage)
		if err != nil || len(rep.Violations) > 0 {
			t.Fatalf("%v, %v", rep.Violations, err)
		}
		return rep
	}
	t.Run("counts in memory, not on disk", func(t *testing.T) {
		h, id, secret := fresh(t)
		drawn(t, h, id, secret, "r1", 600)
		if ch, err := h.Channel(ctx, id); err != nil || ch.Held != 600 || ch.Balance != 400 {
			t.Errorf("channel %+v, %v", ch, err)
		}
		if _, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: 401, ReceiptID: "r2", Drawn: true}); !errors.Is(err, ledger.ErrInsufficient) {
			t.Errorf("what is held can be spent again: %v", err)
		}
		if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id, Secret: secret}); !errors.Is(err, ledger.ErrPending) {
			t.Errorf("closed over a running call: %v", err)
		}
		if rep := onDisk(t, h); rep.Holds != 0 || rep.Entries != 1 {
			t.Errorf("on disk %+v", rep)
		}
	})
	t.Run("one capture writes both of its entries and its neighbour's", func(t *testing.T) {
		h, id, secret := fresh(t)
		first, second := drawn(t, h, id, secret, "r1", 100), drawn(t, h, id, secret, "r2", 10)
		if err := h.Capture(ctx, first, delivery("r1")); err != nil {
			t.Fatal(err)
		}
		if rep := onDisk(t, h); rep.Holds != 1 || rep.Entries != 4 || rep.Receipts != 1 {
			t.Errorf("on disk %+v", rep)
		}
		if err := h.Release(ctx, second); err != nil {
			t.Fatal(err)
		}
		if rep := onDisk(t, h); rep.Holds != 0 || rep.Entries != 5 {
			t.Errorf("on disk %+v", rep)
		}
	})
	t.Run("a call that nothing came between takes one row of the journal", func(t *testing.T) {
		h, id, secret := fresh(t)
		lines := func() (n int) {
			if err := h.storage.Scan(ctx, []byte("ledger/journal/"), nil, func(_, _ []byte) (bool, error) { n++; return true, nil }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i, end := range []func(*ledger.Hold, string) error{
			func(hold *ledger.Hold, ref string) error { return h.Capture(ctx, hold, delivery(ref)) },
			func(hold *ledger.Hold, _ string) error { return h.Release(ctx, hold) },
		} {
			ref := fmt.Sprint("r", i)
			if err := end(drawn(t, h, id, secret, ref, 100), ref); err != nil {
				t.Fatal(err)
			}
			if rep := onDisk(t, h); lines() != 2+i || rep.Entries != int64(3+2*i) || rep.Holds != 0 {
				t.Errorf("after call %d: %d rows, %+v", i+1, lines(), rep)
			}
		}
	})
	t.Run("Durable writes it", func(t *testing.T) {
		h, id, secret := fresh(t)
		if err := drawn(t, h, id, secret, "r1", 100).Durable(); err != nil {
			t.Fatal(err)
		}
		if rep := onDisk(t, h); rep.Holds != 1 {
			t.Errorf("on disk %+v", rep)
		}
	})
	t.Run("a sweep writes and later reaps a forgotten one", func(t *testing.T) {
		h, id, secret := fresh(t)
		drawn(t, h, id, secret, "r1", 100)
		if _, _, err := h.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if rep := onDisk(t, h); rep.Holds != 1 {
			t.Errorf("on disk %+v", rep)
		}
		h.clock.advance(25 * time.Hour)
		if _, reaped, err := h.Sweep(ctx); err != nil || reaped != 1 {
			t.Errorf("reaped %d, %v", reaped, err)
		}
		h.check(t)
	})
	t.Run("a channel that expired meanwhile still pays", func(t *testing.T) {
		h, id, secret := fresh(t)
		hold := drawn(t, h, id, secret, "r1", 100)
		h.clock.advance(25 * time.Hour)
		if err := h.Capture(ctx, hold, delivery("r1")); err != nil {
			t.Fatal(err)
		}
		h.check(t)
	})
	t.Run("a restart forgets it, unbilled", func(t *testing.T) {
		h, id, secret := fresh(t)
		drawn(t, h, id, secret, "r1", 100)
		h.reopen(t)
		if ch, err := h.Channel(ctx, id); err != nil || ch.Balance != 1000 || ch.Held != 0 {
			t.Errorf("channel %+v, %v", ch, err)
		}
		h.check(t)
	})
}

// TestConflictKeepsDeferredHolds: where holds are written with what ends them, a batch
// that another row stands in the way of loses none of them: neither the hold that it was
// to end nor those of other calls of the channel.
func TestConflictKeepsDeferredHolds(t *testing.T) {
	for name, c := range map[string]struct {
		later time.Duration // since the request was answered
		want  error
	}{"answered just now": {time.Minute, ledger.ErrAnswered}, "answered and forgotten": {24 * time.Hour, nil}} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, func(c *ledger.Config) { c.Exclusive = true })
			id, secret := h.open(t, 1000)
			drawn := func(receipt string) *ledger.Hold {
				t.Helper()
				hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: receipt, Amount: 10, Drawn: true})
				if err != nil {
					t.Fatal(err)
				}
				return hold
			}
			capture := func(hold *ledger.Hold, request string) error {
				d := delivery(hold.ReceiptID)
				d.RequestID, d.Answer = request, []byte("{}")
				return h.Capture(ctx, hold, d)
			}
			if err := capture(drawn("r1"), "again"); err != nil {
				t.Fatal(err)
			}
			h.clock.advance(c.later)
			id, secret = h.open(t, 1000) // the first channel may have ended
			second, third := drawn("r2"), drawn("r3")
			if err := capture(second, "again"); !errors.Is(err, c.want) {
				t.Fatalf("capture: %v, want %v", err, c.want)
			}
			if c.want != nil {
				if err := h.Release(ctx, second); err != nil {
					t.Fatal(err)
				}
			}
			if err := capture(third, "other"); err != nil {
				t.Fatalf("another call of the channel: %v", err)
			}
			want := ledger.Money(20)
			if c.want != nil {
				want = 10
			}
			if ch := h.channel(t, id); ch.Used != want || ch.Held != 0 {
				t.Errorf("%+v", ch)
			}
			h.check(t)
			h.reopen(t)
			h.check(t)
		})
	}
}
