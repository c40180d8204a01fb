package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

func TestRequestScope(t *testing.T) {
	seen := make(map[string]bool)
	for _, parts := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "", "bc"}, {"", "a", "bc"}, {"a", "b", "c\x00"}, {"channel", "ch_1", "k"}} {
		s := ledger.RequestScope(parts[0], parts[1], parts[2])
		if seen[s] || len(s) != 43 {
			t.Errorf("RequestScope%q = %q: not unique, or not 43 characters", parts, s)
		}
		seen[s] = true
	}
}

// TestRepeatedRequest: the second of two equal requests gets the first's answer and
// is not billed.
func TestRepeatedRequest(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	scope := ledger.RequestScope("channel", id, "key")
	print := [32]byte{1}
	if a, found, err := h.Answered(ctx, scope, print); found || err != nil {
		t.Fatalf("Answered before the call = %q, %t, %v", a, found, err)
	}
	first, second := h.hold(t, id, secret, "r1", 10), h.hold(t, id, secret, "r2", 10)
	d := ledger.Delivery{Receipt: []byte("{}"), Nonce: "r1", RequestID: scope, Request: print, Answer: []byte(`{"success":true}`)}
	if err := h.Capture(ctx, first, d); err != nil {
		t.Fatal(err)
	}
	late := d
	late.Nonce = "r2"
	if err := h.Capture(ctx, second, late); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("capturing the repeated request: %v", err)
	}
	late.Request = [32]byte{2}
	if err := h.Capture(ctx, second, late); !errors.Is(err, ledger.ErrRequestMismatch) {
		t.Errorf("capturing another request under the same id: %v", err)
	}
	if err := h.Release(ctx, second); err != nil {
		t.Fatal(err)
	}
	h.reopen(t)
	if a, found, err := h.Answered(ctx, scope, print); !found || err != nil || string(a) != `{"success":true}` {
		t.Errorf("Answered = %q, %t, %v", a, found, err)
	}
	if _, _, err := h.Answered(ctx, scope, [32]byte{2}); !errors.Is(err, ledger.ErrRequestMismatch) {
		t.Errorf("Answered for another request: %v", err)
	}
	if ch := h.channel(t, id); ch.Used != 10 || ch.Held != 0 {
		t.Errorf("channel is %+v", ch)
	}
	h.check(t)
}

// TestRequestAcrossMidnight: answers are stored by day; the border is no gap.
func TestRequestAcrossMidnight(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	h.clock.advance(15*time.Hour - time.Second) // 23:59:59
	scope := ledger.RequestScope("channel", id, "key")
	d := ledger.Delivery{RequestID: scope, Answer: []byte("a")}
	first, second := h.hold(t, id, secret, "r1", 10), h.hold(t, id, secret, "r2", 10)
	if err := h.Capture(ctx, first, d); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(2 * time.Second)
	if err := h.Capture(ctx, second, d); !errors.Is(err, ledger.ErrAnswered) {
		t.Errorf("after midnight: %v", err)
	}
	h.clock.advance(24*time.Hour - 3*time.Second)
	if _, found, err := h.Answered(ctx, scope, [32]byte{}); !found || err != nil {
		t.Errorf("within its life: %t, %v", found, err)
	}
	h.clock.advance(2 * time.Second)
	if _, found, err := h.Answered(ctx, scope, [32]byte{}); found || err != nil {
		t.Errorf("after its life: %t, %v", found, err)
	}
	if err := h.Capture(ctx, second, d); err != nil {
		t.Errorf("a new request under a forgotten id: %v", err)
	}
	h.check(t)
}

// TestForgottenAnswerIsReplaced: within the same day, with a life below a day.
func TestForgottenAnswerIsReplaced(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Limits.ReplayLife = time.Hour })
	for i := range 3 {
		d := ledger.Delivery{RequestID: "scope", Request: [32]byte{byte(i)}, Answer: []byte(fmt.Sprint(i))}
		if err := h.Deliver(ctx, d, i%2 == 0); err != nil {
			t.Fatal(err)
		}
		if err := h.Deliver(ctx, d, true); !errors.Is(err, ledger.ErrAnswered) {
			t.Errorf("delivered twice: %v", err)
		}
		if a, found, err := h.Answered(ctx, "scope", [32]byte{byte(i)}); !found || err != nil || string(a) != fmt.Sprint(i) {
			t.Errorf("Answered = %q, %t, %v", a, found, err)
		}
		h.clock.advance(time.Hour)
	}
}

func TestRacingRequests(t *testing.T) {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, 1000)
	other, otherSecret := h.open(t, 1000)
	scope := ledger.RequestScope("visitor", "v", "key")
	var wg sync.WaitGroup
	var billed sync.Map
	for i := range 16 {
		wg.Go(func() {
			ch, s := id, secret
			if i%2 == 0 {
				ch, s = other, otherSecret
			}
			hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: ch, Secret: s, ReceiptID: fmt.Sprint(i), Amount: 10})
			if err != nil {
				t.Error(err)
				return
			}
			err = h.Capture(ctx, hold, ledger.Delivery{Nonce: fmt.Sprint(i), Receipt: []byte("{}"), RequestID: scope, Answer: []byte(fmt.Sprint(i))})
			switch {
			case err == nil:
				billed.Store(i, true)
			case errors.Is(err, ledger.ErrAnswered):
				if err := h.Release(ctx, hold); err != nil {
					t.Error(err)
				}
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	billed.Range(func(k, _ any) bool {
		n++
		if a, found, err := h.Answered(ctx, scope, [32]byte{}); !found || err != nil || string(a) != fmt.Sprint(k) {
			t.Errorf("Answered = %q, %t, %v; billed was %v", a, found, err, k)
		}
		return true
	})
	if used := h.channel(t, id).Used + h.channel(t, other).Used; n != 1 || used != 10 {
		t.Errorf("one request was billed %d times, %s", n, used)
	}
	h.check(t)
}

func TestDeliverFree(t *testing.T) {
	h := newHub(t, onPebble(t))
	if err := h.Deliver(ctx, ledger.Delivery{}, true); err != nil {
		t.Errorf("nothing to store: %v", err)
	}
	if err := h.Deliver(ctx, delivery("free-1"), true); err != nil {
		t.Fatal(err)
	}
	if err := h.Deliver(ctx, delivery("free-2"), false); err != nil {
		t.Fatal(err)
	}
	for _, nonce := range []string{"free-1", "free-2"} {
		if _, err := h.Receipt(ctx, nonce); err != nil {
			t.Errorf("Receipt(%s): %v", nonce, err)
		}
	}
	if n := h.Stats().Receipts; n != 2 {
		t.Errorf("%d receipts, want 2", n)
	}
	if _, _, err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	h.reopen(t)
	if n := h.Stats().Receipts; n != 2 {
		t.Errorf("%d receipts after reopening, want 2", n)
	}
	for _, nonce := range []string{"", "unknown", strings.Repeat("x", 999)} {
		if _, err := h.Receipt(ctx, nonce); !errors.Is(err, ledger.ErrUnknownReceipt) {
			t.Errorf("Receipt(%.10q): %v", nonce, err)
		}
	}
	for name, d := range map[string]ledger.Delivery{
		"no nonce":      {Receipt: []byte("{}")},
		"long nonce":    {Receipt: []byte("{}"), Nonce: strings.Repeat("x", 129)},
		"large receipt": {Receipt: make([]byte, 1<<20+1), Nonce: "n"},
		"large answer":  {RequestID: "s", Answer: make([]byte, 8<<20+1)},
		"long scope":    {RequestID: strings.Repeat("x", 129)},
	} {
		if err := h.Deliver(ctx, d, true); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.check(t)
}

// TestNonceIsIssuedOnce: a peer that reuses a nonce spoils its own delivery, not
// another's receipt, in the same period or a later one.
func TestNonceIsIssuedOnce(t *testing.T) {
	h := newHub(t, onPebble(t), func(c *ledger.Config) { c.Limits.ChannelLife = 1000 * time.Hour })
	id, secret := h.open(t, 1000)
	if err := h.Capture(ctx, h.hold(t, id, secret, "r1", 10), ledger.Delivery{Nonce: "same", Receipt: []byte("first")}); err != nil {
		t.Fatal(err)
	}
	again := ledger.Delivery{Nonce: "same", Receipt: []byte("second")}
	hold := h.hold(t, id, secret, "r2", 10)
	if err := h.Capture(ctx, hold, again); !errors.Is(err, ledger.ErrReplay) {
		t.Errorf("Capture with an issued nonce: %v", err)
	}
	if err := h.Deliver(ctx, again, true); !errors.Is(err, ledger.ErrReplay) {
		t.Errorf("Deliver with an issued nonce: %v", err)
	}
	h.clock.advance(31 * 24 * time.Hour)
	if err := h.Capture(ctx, hold, again); err != nil {
		t.Errorf("in another period: %v", err)
	}
	if r, err := h.Receipt(ctx, "same"); err != nil || string(r) != "first" {
		t.Errorf("Receipt = %q, %v; want the first", r, err)
	}
	h.check(t)
}
