package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// TestFreeReceiptsAreGathered: a free call's receipt is found at once, is written
// with its neighbours soon after, when many wait, or at the close.
func TestFreeReceiptsAreGathered(t *testing.T) {
	free := func(t *testing.T, h *hub, n int) string {
		t.Helper()
		d := delivery(fmt.Sprint("free", n))
		d.Drawn = true
		if err := h.Deliver(ctx, d, false); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Receipt(ctx, d.Nonce); err != nil || string(got) != string(d.Receipt) {
			t.Fatalf("just issued: %q, %v", got, err)
		}
		return d.Nonce
	}
	onDisk := func(t *testing.T, h *hub, nonce string) bool {
		t.Helper()
		other := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, "reader" })
		_, err := other.Receipt(ctx, nonce)
		if err != nil && !errors.Is(err, ledger.ErrUnknownReceipt) {
			t.Fatal(err)
		}
		return err == nil
	}
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			nonce := free(t, h, 1)
			if onDisk(t, h, nonce) {
				t.Error("written at once")
			}
			time.Sleep(time.Second) // the bubble's
			if !onDisk(t, h, nonce) {
				t.Error("not written after a second")
			}
			h.check(t)
		})
	})
	t.Run("many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			first := free(t, h, 0)
			for n := range 255 {
				free(t, h, n+1)
			}
			if !onDisk(t, h, first) {
				t.Error("256 wait and none is written")
			}
			if got := h.Stats().Receipts; got != 256 {
				t.Errorf("%d receipts counted", got)
			}
		})
	})
	t.Run("close", func(t *testing.T) {
		h := newHub(t)
		nonce := free(t, h, 1)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		if !onDisk(t, h, nonce) {
			t.Error("lost by a clean close")
		}
	})
}
