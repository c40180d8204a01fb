package store

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// BenchmarkCommit sets Apply and Wait beside bare synced Pebble commits of the
// same bytes on the same disk in the same run. ratio is ours to theirs: 1 is even.
func BenchmarkCommit(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 200)
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := open(b, b.TempDir(), Options{})
			bare, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatNewest,
				MemTableSize: memTableBytes, MemTableStopWritesThreshold: writeBacklogTables, Logger: pebbleLogger{&DB{log: discardLog}}})
			if err != nil {
				b.Fatal(err)
			}
			defer bare.Close()
			ours := perSecond(b, writers, func(key []byte) error {
				batch := db.NewBatch()
				batch.Set(key, value)
				return db.Write(batch)
			})
			theirs := perSecond(b, writers, func(key []byte) error {
				batch := bare.NewBatch()
				if err := batch.Set(key, value, nil); err != nil {
					return err
				}
				return batch.Commit(pebble.Sync)
			})
			b.ReportMetric(ours, "commits/s")
			b.ReportMetric(theirs, "bare-commits/s")
			b.ReportMetric(ours/theirs, "ratio")
		})
	}
}

func perSecond(b *testing.B, writers int, write func(key []byte) error) float64 {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range writers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if err := write(fmt.Appendf(nil, "k/%020d", n*7919%1_000_003)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(b.N) / time.Since(start).Seconds()
}

func BenchmarkOpen(b *testing.B) {
	b.Run("fresh", func(b *testing.B) {
		for range b.N {
			db := open(b, b.TempDir(), Options{})
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
