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

// BenchmarkBuild is the cost of a row at start, in a builder with two writers; the
// rows are made up beforehand.
func BenchmarkBuild(b *testing.B) {
	const rows, batch = 50_000, 500
	c := corpus.New(benchSeed, rows)
	all := make([]index.Row, rows)
	for i := range all {
		all[i] = c.Row(i)
	}
	for b.Loop() {
		bl := index.NewBuilder(index.Options{})
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := w * batch; i < rows; i += 2 * batch {
					if err := bl.Add(all[i:min(i+batch, rows)]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if _, err := bl.Index(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

// BenchmarkReplace is the cost of one row whose text changed, compaction included.
func BenchmarkReplace(b *testing.B) {
	const rows = 50_000
	c := corpus.New(benchSeed, rows)
	x := build(b, c)
	other := corpus.New(benchSeed+1, rows)
	next := make([]index.Row, 4096)
	for i := range next {
		next[i] = other.Row(i)
	}
	n := 0
	for b.Loop() {
		r := next[n%len(next)]
		r.Key = c.Row(n % rows).Key
		n++
		if err := x.Put(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate is the cost of new numbers for one row.
func BenchmarkUpdate(b *testing.B) {
	x := marketIndex(b)
	k := marketRows()[7].Key
	for b.Loop() {
		x.Update(k, index.Numbers{Trust: .5, LatencyMS: 9})
	}
}
