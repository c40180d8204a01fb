package ledger_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

func benchDB(b *testing.B) *store.DB {
	b.Helper()
	db, err := store.Open(b.TempDir(), store.Options{CacheBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// BenchmarkHoldCapture is the ledger's half of a paid call, as the hub makes it, on a
// real disk, beside bare synced batches with the keys and values of a hold and its
// capture written one by one: one batch for each call. The
// two take turns, so that a busy machine slows both; cpu-ratio compares the
// processor time they took, which neighbours disturb least.
func BenchmarkHoldCapture(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			const rounds = 8
			call, floor := benchLedger(b, writers), benchBare(b, writers)
			var took, bare, tookCPU, bareCPU time.Duration
			n := b.N/rounds + 1
			b.ResetTimer()
			for r := range rounds {
				wall, cpu := measure(b, writers, r*n, n, call)
				took, tookCPU = took+wall, tookCPU+cpu
				b.StopTimer()
				wall, cpu = measure(b, writers, r*n, n, floor)
				bare, bareCPU = bare+wall, bareCPU+cpu
				b.StartTimer()
			}
			b.ReportMetric(float64(bare)/float64(took), "ratio")
			b.ReportMetric(float64(bareCPU)/float64(tookCPU), "cpu-ratio")
			b.ReportMetric(float64(rounds*n)/took.Seconds(), "calls/s")
			b.ReportMetric(float64(rounds*n)/bare.Seconds(), "bare/s")
		})
	}
}

// measure runs n calls numbered from first+1 and returns wall and processor time.
func measure(b *testing.B, writers, first, n int, call func(w, i int) error) (wall, cpu time.Duration) {
	b.Helper()
	start, startCPU := time.Now(), processorTime()
	if err := spread(writers, n, func(w, i int) error { return call(w, first+i) }); err != nil {
		b.Fatal(err)
	}
	return time.Since(start), processorTime() - startCPU
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchReceipt() []byte {
	return ledger.SignReceipt(newSigner(), &ledger.Receipt{
		Nonce: "rcpt_00000000000000000000000000000000", ProductID: "builtin-text", CapabilityID: "text.echo@v1",
		Price: 1000, ListPrice: 1000, Time: epoch, Success: true, Latency: 12 * time.Millisecond,
	})
}

func spread(writers, n int, fn func(w, i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				if err := fn(w, i); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func benchLedger(b *testing.B, writers int) func(w, i int) error {
	h, err := ledger.Open(ctx, ledger.Config{
		Storage: ledger.NewPebbleStorage(benchDB(b)), Signer: newSigner(), Now: time.Now, Rand: rand.Reader, Mode: ledger.Demo, Owner: "bench",
		Limits: ledger.Limits{OpensPerWallet: -1}, Exclusive: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	ids, secrets := make([]string, writers), make([]string, writers)
	for w := range writers {
		ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 10_000 * ledger.USD, Token: "USDT", Chain: "base", TxHash: "agent-1764000000"})
		if err != nil {
			b.Fatal(err)
		}
		ids[w], secrets[w] = ch.ID, secret
	}
	receipt := benchReceipt()
	return func(w, i int) error {
		nonce := fmt.Sprintf("rcpt_%032x", uint64(i)*0x9e3779b97f4a7c15)
		hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: ids[w], Secret: secrets[w], Amount: 1000, ReceiptID: nonce, Drawn: true})
		if err != nil {
			return err
		}
		return h.Capture(ctx, hold, ledger.Delivery{Receipt: receipt, Nonce: nonce, Drawn: true})
	}
}

// benchBare writes what Hold and Capture write, as one synced batch.
func benchBare(b *testing.B, writers int) func(w, i int) error {
	db := benchDB(b)
	receipt := benchReceipt()
	channels := make([][]byte, writers)
	for w := range channels {
		channels[w] = fmt.Appendf(nil, "ch_%016x", uint64(w+1)*0x9e3779b97f4a7c15)
	}
	channelRow := make([]byte, 100)
	return func(w, i int) error {
		ch := channels[w]
		nonce := fmt.Sprintf("rcpt_%032x", uint64(i)*0x9e3779b97f4a7c15)
		batch := db.NewBatch()
		channelKey := fmt.Appendf(nil, "ledger/channel/%s", ch)
		for range 2 { // hold, capture
			batch.Set(channelKey, channelRow)
			batch.Set(fmt.Appendf(nil, "ledger/journal/%s/%08d", ch, i), fmt.Appendf(nil, "\x01\x02\x02\x03timeamount%s", nonce))
		}
		heldKey := fmt.Appendf(nil, "ledger/held/%s/%s", ch, nonce)
		batch.Set(heldKey, []byte("\x01amtimemillisbench"))
		batch.Delete(heldKey)
		batch.Set(fmt.Appendf(nil, "ledger/spent/%s/%s", ch, nonce), fmt.Appendf(nil, "\x01\x03amtimemi%s", nonce))
		batch.Set(fmt.Appendf(nil, "ledger/receipt/0000%s", nonce), fmt.Appendf(nil, "\x01timemi %s %s%s", ch, nonce, receipt))
		return db.Write(batch)
	}
}

// BenchmarkOpen opens a ledger with 10,000 open channels.
func BenchmarkOpen(b *testing.B) {
	db := benchDB(b)
	config := ledger.Config{
		Storage: ledger.NewPebbleStorage(db), Signer: newSigner(), Now: time.Now, Rand: rand.Reader, Mode: ledger.Demo, Owner: "bench",
		Limits: ledger.Limits{OpensPerWallet: -1},
	}
	h, err := ledger.Open(ctx, config)
	if err != nil {
		b.Fatal(err)
	}
	err = spread(64, 10_000, func(w, i int) error {
		_, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: ledger.USD, Token: "USDT", Chain: "base"})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ledger.Open(ctx, config); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignReceipt(b *testing.B) {
	s := newSigner()
	r := &ledger.Receipt{Nonce: "rcpt_00000000000000000000000000000000", ProductID: "builtin-text", CapabilityID: "text.echo@v1", Price: 1000, ListPrice: 1000, Time: epoch, Success: true}
	b.ReportAllocs()
	for b.Loop() {
		ledger.SignReceipt(s, r)
	}
}
