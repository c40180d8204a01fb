package index_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/catalog/index/corpus"
)

const benchSeed = 1

// build indexes a whole corpus with two writers, as a starting hub does.
func build(tb testing.TB, c *corpus.Corpus) *index.Index {
	tb.Helper()
	const batch = 1000
	b := index.NewBuilder(index.Options{Text: c.Text})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			rows := make([]index.Row, 0, batch)
			for i := w * batch; i < c.Rows(); i += 2 * batch {
				rows = rows[:0]
				for j := i; j < min(i+batch, c.Rows()); j++ {
					rows = append(rows, c.Row(j))
				}
				if err := b.Add(rows); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	wg.Wait()
	x, err := b.Index()
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

var benched = map[int]*index.Index{}

func benchSearch(b *testing.B, rows int) {
	c := corpus.New(benchSeed, rows)
	x := benched[rows]
	if x == nil {
		clear(benched)
		x = build(b, c)
		benched[rows] = x
	}
	queries := c.Queries(2000)
	for _, q := range queries[:200] {
		x.Search(q) // categories are remembered after their first use
	}
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		start := time.Now()
		x.Search(queries[len(took)%len(queries)])
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	for _, p := range []struct {
		name string
		at   float64
	}{{"p50-ms", .5}, {"p99-ms", .99}, {"max-ms", 1}} {
		d := took[min(int(float64(len(took))*p.at), len(took)-1)]
		b.ReportMetric(float64(d.Microseconds())/1e3, p.name)
	}
	b.ReportMetric(residentMiB(b), "resident-MiB")
}

func residentMiB(tb testing.TB) float64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages := 0
	for _, d := range strings.Fields(string(data))[1] {
		pages = pages*10 + int(d-'0')
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
}

func BenchmarkSearch100k(b *testing.B) { benchSearch(b, 100_000) }

// BenchmarkSearch1M runs only when -bench names it: it takes minutes and a gigabyte.
func BenchmarkSearch1M(b *testing.B) {
	if !strings.Contains(flag.Lookup("test.bench").Value.String(), "1M") {
		b.Skip("name it: -bench Search1M")
	}
	benchSearch(b, 1_000_000)
}
