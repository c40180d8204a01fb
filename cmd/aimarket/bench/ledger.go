package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

const writers = 64

// rowsPerCapture is how many rows a hold and its capture write: the channel, the
// journal's, debit and receipt.
const rowsPerCapture = 4

// receiptBytes is what a signed receipt of a paid call measures.
const receiptBytes = 330

func ledgerWrites(ctx context.Context, o Options) (_ []Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "ledger-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(filepath.Join(dir, "ledger"), store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	key, err := identity.FromSeed(seed)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, ledger.Config{Storage: ledger.NewPebbleStorage(db), Signer: key, Now: time.Now,
		Rand: rand.Reader, Mode: ledger.Demo, HubURL: "http://localhost", Owner: "bench", Exclusive: true})
	if err != nil {
		return nil, err
	}
	type buyer struct{ id, secret string }
	var buyers []buyer
	for range writers {
		ch, secret, err := l.OpenChannel(ctx, ledger.OpenRequest{Deposit: 10_000_000_000})
		if err != nil {
			return nil, err
		}
		buyers = append(buyers, buyer{ch.ID, secret})
	}
	receipt := make([]byte, receiptBytes)
	var n atomic.Uint64
	capture := func(i int) error {
		nonce := fmt.Sprintf("rcpt_%032x", n.Add(1))
		h, err := l.Hold(ctx, ledger.HoldRequest{ChannelID: buyers[i].id, Secret: buyers[i].secret, Amount: 1, ReceiptID: nonce, Drawn: true})
		if err != nil {
			return err
		}
		return l.Capture(ctx, h, ledger.Delivery{Receipt: receipt, Nonce: nonce, Drawn: true})
	}
	// What one hold and capture write decides what the floor writes.
	before := db.Metrics().LogBytes
	count, err := hammer(ctx, o.Round/4, func(i int) error { return capture(i) })
	if err != nil {
		return nil, err
	}
	bytes := int(db.Metrics().LogBytes-before) / int(max(count*(o.Round/4).Seconds(), 1))

	bare, err := pebble.Open(filepath.Join(dir, "bare"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	value := make([]byte, max(bytes/rowsPerCapture-24, 1))
	var rate, floorRate []float64
	for i := range o.Rounds {
		o.Say(fmt.Sprintf("ledger round %d of %d", i+1, o.Rounds))
		f, err := hammer(ctx, o.Round, func(int) error {
			batch := bare.NewBatch()
			defer batch.Close()
			id := n.Add(1)
			for row := range rowsPerCapture {
				if err := batch.Set(fmt.Appendf(nil, "%d/%016x", row, id), value, nil); err != nil {
					return err
				}
			}
			return batch.Commit(pebble.Sync)
		})
		if err != nil {
			return nil, err
		}
		v, err := hammer(ctx, o.Round, capture)
		if err != nil {
			return nil, err
		}
		rate, floorRate = append(rate, v), append(floorRate, f)
	}
	return []Result{atLeast("ledger", median(rate), median(floorRate), "captures/s", 0.5,
		fmt.Sprintf("64 writers; floor: synced Pebble batches of the same %d bytes in as many rows", bytes))}, nil
}

// hammer lets every writer repeat f for d and returns how many succeeded a second.
func hammer(ctx context.Context, d time.Duration, f func(writer int) error) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var (
		done   atomic.Int64
		failed atomic.Pointer[error]
		wg     sync.WaitGroup
	)
	began := time.Now()
	for i := range writers {
		wg.Go(func() {
			for ctx.Err() == nil && failed.Load() == nil {
				if err := f(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		return 0, *p
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}
