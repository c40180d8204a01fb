package ledger

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Receipts of free calls may be lost in a crash, so they are gathered and written
// together. Nobody but this process knows them before, and it finds them here.
const (
	gratisDelay = 5 * time.Millisecond // how long one may wait for company
	maxGratis   = 256                  // how many may wait; the next writes them all
)

// gratis are the receipts that wait to be written.
type gratis struct {
	mu      sync.Mutex
	waiting map[string]waitingReceipt // by nonce
	timer   *time.Timer
}

type waitingReceipt struct {
	at      int64 // Unix milliseconds
	receipt []byte
}

// gather takes a receipt that cost nothing and promised nothing.
func (l *Ledger) gather(d *Delivery, ms int64) error {
	if len(d.Receipt) == 0 {
		return nil
	}
	g := &l.gratis
	g.mu.Lock()
	if g.waiting == nil {
		g.waiting = make(map[string]waitingReceipt)
	}
	g.waiting[d.Nonce] = waitingReceipt{ms, bytes.Clone(d.Receipt)}
	n := len(g.waiting)
	if n == 1 {
		g.timer = time.AfterFunc(gratisDelay, func() { _ = l.writeGathered() }) // a failure has stopped the ledger
	}
	g.mu.Unlock()
	l.totals.gratis.Add(1)
	if n >= maxGratis {
		return l.writeGathered()
	}
	return nil
}

// gathered finds a receipt that is not written yet.
func (l *Ledger) gathered(nonce string) ([]byte, bool) {
	l.gratis.mu.Lock()
	defer l.gratis.mu.Unlock()
	w, ok := l.gratis.waiting[nonce]
	return bytes.Clone(w.receipt), ok
}

// writeGathered writes what waits, in one batch. Until that is visible to readers
// the receipts stay where gathered finds them.
func (l *Ledger) writeGathered() error {
	g := &l.gratis
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		return nil
	}
	g.timer.Stop()
	b := Batch{Lazy: true}
	for nonce, w := range g.waiting {
		b.Put = append(b.Put, Row{
			appendPeriodKey(nil, rangeReceipt, receiptPeriodOf(w.at), nonce),
			appendIssued(nil, &issued{at: w.at, receipt: w.receipt}),
		})
	}
	// Apply does not wait for the disk.
	if _, err := l.c.Storage.Apply(context.Background(), b); err != nil {
		return l.fail(err)
	}
	clear(g.waiting)
	return nil
}

// Close writes what was gathered. The ledger may be used until then, and its storage
// is its opener's to close.
func (l *Ledger) Close() error {
	if err := l.usable(); err != nil {
		return nil // what stopped it was told to whoever it concerned
	}
	return l.writeGathered()
}
