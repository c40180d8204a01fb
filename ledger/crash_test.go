package ledger_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

var (
	crashSeed = flag.Uint64("crash.seed", 0, "first seed of TestCrash; 0: from the time")
	crashRuns = flag.Int("crash.runs", 30, "how many crashes TestCrash tries")
)

// acks is what the callers were told before the power went.
type acks struct {
	mu       sync.Mutex
	opened   map[string]string // channel → secret
	captured map[string]ledger.Money
	channel  map[string]string // receipt → channel
	tried    map[string]ledger.Money
	settled  map[string]ledger.Money // channel → refund
	enough   int                     // captures after which the power goes
	reached  chan struct{}           // closed then
}

// paid notes an acknowledged capture.
func (a *acks) paid(ref string, amount ledger.Money) {
	a.note(func() {
		a.captured[ref] = amount
		if len(a.captured) == a.enough {
			close(a.reached)
		}
	})
}

func newAcks() *acks {
	return &acks{opened: make(map[string]string), captured: make(map[string]ledger.Money), channel: make(map[string]string),
		tried: make(map[string]ledger.Money), settled: make(map[string]ledger.Money)}
}

func (a *acks) note(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

// TestCrash cuts the power under concurrent callers at a random moment, with a
// random part of what was not synced surviving, and opens what is left: every
// invariant holds, whatever was acknowledged is there, and a call that was not is
// there in whole or not at all. A failing run prints its seed for -crash.seed.
func TestCrash(t *testing.T) {
	first := *crashSeed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	for n := range *crashRuns {
		seed := first + uint64(n)
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { crashOnce(t, seed) }) {
			return
		}
	}
}

func crashOnce(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	db, err := store.Open("db", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, func(c *ledger.Config) { c.Storage, c.Exclusive = ledger.NewPebbleStorage(db), rng.IntN(2) == 0 })
	known := newAcks()
	known.enough, known.reached = 1+rng.IntN(120), make(chan struct{})
	id, secret := h.open(t, 5*ledger.USD)
	known.opened[id] = secret

	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() { crashWorker(t, h, known, w, rand.New(rand.NewPCG(seed, uint64(w+2))), stop) })
	}
	gone := make(chan struct{})
	go func() { wg.Wait(); close(gone) }()
	select {
	case <-known.reached:
	case <-gone:
		t.Fatal("all callers gave up before the crash")
	}
	// Only what was acknowledged before the disk is copied must be on the copy.
	before := newAcks()
	known.note(func() {
		for k, v := range known.opened {
			before.opened[k] = v
		}
		for k, v := range known.captured {
			before.captured[k] = v
		}
		for k, v := range known.settled {
			before.settled[k] = v
		}
	})
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(seed, 99))})
	close(stop)
	<-gone
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	left := openDB(t, crashed)
	h.config.Storage = ledger.NewPebbleStorage(left)
	rep, err := ledger.CheckStorage(ctx, h.config.Storage)
	if err != nil || len(rep.Violations) > 0 {
		t.Fatalf("before recovery: %v, %v", rep.Violations, err)
	}
	h.reopen(t)
	if rep := h.check(t); rep.Holds != 0 {
		t.Errorf("%d holds are left after recovery", rep.Holds)
	}
	judgeCrash(t, h, before, known)
}

// crashWorker makes calls on its own channel and the shared one until the end.
func crashWorker(t *testing.T, h *hub, known *acks, w int, rng *rand.Rand, stop chan struct{}) {
	mine, mySecret := "", ""
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if mine == "" {
			ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, Client: fmt.Sprint(w, n)})
			if err != nil {
				t.Error(err)
				return
			}
			mine, mySecret = ch.ID, secret
			known.note(func() { known.opened[mine] = secret })
		}
		id, secret := mine, mySecret
		if rng.IntN(2) == 0 {
			known.note(func() {
				for id, secret = range known.opened {
					break
				}
			})
		}
		ref, amount := fmt.Sprintf("r%d-%d", w, n), ledger.Money(rng.IntN(20)+1)
		hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: amount, ReceiptID: ref, Drawn: rng.IntN(2) == 0})
		switch {
		case errors.Is(err, ledger.ErrInsufficient), errors.Is(err, ledger.ErrChannelNotOpen):
		case err != nil:
			t.Error(err)
			return
		case rng.IntN(4) == 0:
			if err := h.Release(ctx, hold); err != nil {
				t.Error(err)
			}
		default:
			d := delivery(ref)
			d.RequestID, d.Answer = ledger.RequestScope("test", "", ref), []byte(ref)
			known.note(func() { known.tried[ref], known.channel[ref] = amount, id })
			if err := h.Capture(ctx, hold, d); err != nil {
				t.Error(err)
				return
			}
			known.paid(ref, amount)
		}
		if rng.IntN(10) == 0 {
			s, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: mine, Secret: mySecret})
			if err == nil {
				known.note(func() { known.settled[mine] = s.Refund })
				mine = ""
			} else if !errors.Is(err, ledger.ErrPending) {
				t.Error(err)
			}
		}
	}
}

func judgeCrash(t *testing.T, h *hub, before, known *acks) {
	used := make(map[string]ledger.Money)
	for ref, amount := range known.tried {
		_, acked := before.captured[ref]
		_, rerr := h.Receipt(ctx, ref)
		answer, found, aerr := h.Answered(ctx, ledger.RequestScope("test", "", ref), [32]byte{})
		if aerr != nil || rerr != nil && !errors.Is(rerr, ledger.ErrUnknownReceipt) {
			t.Errorf("%s: %v, %v", ref, rerr, aerr)
		}
		if there := rerr == nil; there != found || found && string(answer) != ref {
			t.Errorf("%s is there in part: receipt %t, answer %t %q", ref, there, found, answer)
		} else if acked && !there {
			t.Errorf("%s was acknowledged and is gone", ref)
		} else if there {
			used[known.channel[ref]] += amount
		}
	}
	for id, secret := range before.opened {
		ch, err := h.Authorize(ctx, id, secret)
		if err != nil {
			t.Errorf("channel %s was acknowledged: %v", id, err)
		} else if ch.Used != used[id] {
			t.Errorf("channel %s used %s, its receipts sum to %s", id, ch.Used, used[id])
		}
		if refund, closed := before.settled[id]; closed && (ch.Status != ledger.StatusSettled || ch.Balance != refund) {
			t.Errorf("channel %s was settled with refund %s, is %s with %s", id, refund, ch.Status, ch.Balance)
		}
	}
}
