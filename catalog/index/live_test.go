package index_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/catalog/index/corpus"
)

func simpleRow(i int, description string) index.Row {
	return index.Row{
		Key:         index.Key{ProductID: fmt.Sprintf("p%d", i), CapabilityID: "thing@v1", SourceHub: "local"},
		Name:        "Thing",
		Description: description,
		Numbers:     index.Numbers{Trust: .5, SuccessRate: 1, LatencyMS: 100, PriceMicros: 1000},
	}
}

func TestFull(t *testing.T) {
	x := index.New(index.Options{MaxRows: 2})
	if err := x.Put(simpleRow(0, ""), simpleRow(1, ""), simpleRow(2, "")); !errors.Is(err, index.ErrFull) || x.Len() != 2 {
		t.Errorf("third row of two: %v, %d rows", err, x.Len())
	}
	if err := x.Put(simpleRow(1, "replaced")); err != nil {
		t.Errorf("replacing in a full index: %v", err)
	}
	x.Remove(simpleRow(0, "").Key)
	if err := x.Put(simpleRow(2, "")); err != nil {
		t.Errorf("after a removal: %v", err)
	}
	b := index.NewBuilder(index.Options{MaxRows: 1})
	if err := b.Add([]index.Row{simpleRow(0, ""), simpleRow(1, "")}); !errors.Is(err, index.ErrFull) {
		t.Errorf("builder: %v", err)
	}
}

func TestBuilderOfNothing(t *testing.T) {
	x, err := index.NewBuilder(index.Options{}).Index()
	if err != nil || x.Len() != 0 {
		t.Fatalf("%v, %d rows", err, x.Len())
	}
	if r := x.Search(index.Query{Intent: "x", Limit: 5, Category: "x"}); r.Total != 0 {
		t.Errorf("%v", r)
	}
}

// The builder spreads rows over shards; the result must not show it.
func TestBuilderEqualsPut(t *testing.T) {
	c := corpus.New(7, 3000)
	built := build(t, c)
	put := index.New(index.Options{Text: c.Text})
	for i := range c.Rows() {
		if err := put.Put(c.Row(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range c.Queries(300) {
		a, b := built.Search(q), put.Search(q)
		if a.Total != b.Total || fmt.Sprint(a.Hits) != fmt.Sprint(b.Hits) {
			t.Fatalf("%+v:\nbuilt %v\nput %v", q, a, b)
		}
	}
}

// Rows that are replaced for ever must not fill the memory.
func TestChurnIsReclaimed(t *testing.T) {
	const live, rounds = 500, 40
	x := index.New(index.Options{})
	for round := range rounds {
		for i := range live {
			if err := x.Put(simpleRow(i, fmt.Sprintf("number%d of round%d", i, round))); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := x.Stats()
	if s.Rows != live || s.Dead > 1<<10+1 {
		t.Errorf("%+v: want %d rows and few dead ones", s, live)
	}
	if s.Terms > 10*live {
		t.Errorf("%d terms: those of past rounds are kept", s.Terms)
	}
	if r := x.Search(index.Query{Intent: fmt.Sprintf("round%d", rounds-1), Limit: 1}); r.Total != live {
		t.Errorf("the last round has %d rows, want %d", r.Total, live)
	}
	if r := x.Search(index.Query{Intent: "product:p7", Limit: 9}); r.Total != 1 {
		t.Errorf("product has %d rows, want 1", r.Total)
	}
}

func TestSameTextOnlyUpdatesNumbers(t *testing.T) {
	x := index.New(index.Options{})
	r := simpleRow(1, "kettle")
	for i := range 10 {
		r.PriceMicros = int64(i)
		if err := x.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	if s := x.Stats(); s.Dead != 0 || s.Rows != 1 {
		t.Errorf("%+v", s)
	}
	if r := x.Search(index.Query{Intent: "kettle", HasBudget: true, BudgetMicros: 8, Limit: 1}); r.Total != 0 {
		t.Error("the price was not updated")
	}
}

func TestHubFlagsReachFutureRows(t *testing.T) {
	x := index.New(index.Options{})
	x.SetHub("local", index.Stale)
	if err := x.Put(simpleRow(1, "kettle")); err != nil {
		t.Fatal(err)
	}
	if r := x.Search(index.Query{Intent: "kettle", Limit: 1}); r.Total != 0 {
		t.Error("a row of a stale hub is shown")
	}
	if r := x.Search(index.Query{Intent: "kettle", Limit: 1, IncludeStale: true}); r.Total != 1 {
		t.Error("a row of a stale hub is not shown on demand")
	}
	x.SetHub("local", 0)
	if r := x.Search(index.Query{Intent: "kettle", Limit: 1}); r.Total != 1 {
		t.Error("a row of a fresh hub is not shown")
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	x := index.New(index.Options{})
	r := simpleRow(1, "kettle")
	nan := 0.0
	nan /= nan
	r.Numbers = index.Numbers{Trust: nan, SuccessRate: -3, LatencyMS: -1, PriceMicros: -5, Flags: 0xf0}
	if err := x.Put(r); err != nil {
		t.Fatal(err)
	}
	for _, q := range []index.Query{{Intent: "kettle", Limit: 1}, {Intent: "kettle", Limit: 1, MinTrust: nan, Offset: -4}} {
		if res := x.Search(q); res.Total != 1 || len(res.Hits) != 1 || !(res.Hits[0].Score > 0 && res.Hits[0].Score < 1) {
			t.Errorf("%+v: %+v", q, res)
		}
	}
	if res := x.Search(index.Query{Intent: "kettle", Limit: 1, MinTrust: 1e-9}); res.Total != 0 {
		t.Error("no trust passes a floor")
	}
}

func TestOverlongTextIsCut(t *testing.T) {
	long := strings.Repeat("y", 100)
	r := simpleRow(1, "kettle "+long+strings.Repeat(" filler", index.MaxDescriptionBytes)+" tail")
	x := index.New(index.Options{Text: func(index.Key) (index.Text, bool) {
		return index.Text{Name: r.Name, Description: r.Description}, true
	}})
	if err := x.Put(r); err != nil {
		t.Fatal(err)
	}
	for intent, want := range map[string]int{
		"kettle": 1, long: 1, "tail": 0,
		strings.Repeat("a ", index.MaxIntentBytes) + "kettle": 0,
	} {
		if got := x.Search(index.Query{Intent: intent, Limit: 1}).Total; got != want {
			t.Errorf("%.20q… finds %d, want %d", intent, got, want)
		}
	}
	for category, want := range map[string]int{
		"kettle": 1, "tail": 1, long: 1, strings.Repeat("y", 101): 0, strings.Repeat("k", index.MaxCategoryBytes+1): 0,
	} {
		if got := x.Search(index.Query{Category: category, Limit: 1}).Total; got != want {
			t.Errorf("category %.20q… has %d, want %d", category, got, want)
		}
	}
}

// Each search must see whole rows and one moment: a row that is replaced over and
// over is found exactly once by every search.
func TestSearchesSeeOneMoment(t *testing.T) {
	const rows = 300
	x := index.New(index.Options{Text: func(index.Key) (index.Text, bool) {
		return index.Text{Name: "Thing", Description: "always stirred"}, true
	}})
	for i := range rows {
		if err := x.Put(simpleRow(i, "always stirred")); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var writers, searchers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				i := (n*2 + w) % rows
				if err := x.Put(simpleRow(i, fmt.Sprintf("always stirred word%d", n%50))); err != nil {
					t.Error(err)
				}
				x.Update(simpleRow(i, "").Key, index.Numbers{Trust: .9, LatencyMS: n % 100})
				if n%100 == 0 {
					x.Put(simpleRow(rows+w, "passing through"))
					x.Remove(simpleRow(rows+w, "").Key)
					x.SetHub("https://nobody.example", index.Flags(n/100%2)*index.Stale)
				}
			}
		})
	}
	for s := range 3 {
		searchers.Go(func() {
			for n := range 150 {
				q := index.Query{Intent: "stirred", Limit: -1}
				switch (n + s) % 4 {
				case 1:
					q.Category = []string{"stirred", "always st", "local", "thing"}[n%3]
					if n%3 == 2 {
						q.Category = ""
					}
				case 2:
					q.Intent = "striired" // misspelled
				case 3:
					q.Intent = ""
					q.Category = "stirred"
				}
				r := x.Search(q)
				seen := map[index.Key]bool{}
				for _, h := range r.Hits {
					seen[h.Key] = true
				}
				if r.Total != rows || len(seen) != rows {
					t.Errorf("%+v: %d hits, %d distinct, want %d", q, r.Total, len(seen), rows)
					return
				}
			}
		})
	}
	searchers.Wait()
	stop.Store(true)
	writers.Wait()
	if x.Stats().Rows != rows {
		t.Errorf("%+v", x.Stats())
	}
}

func TestSecurityIsAListOfWords(t *testing.T) {
	x := marketIndex(t)
	found := map[string]bool{}
	for _, h := range x.Search(index.Query{Category: "Security", Limit: -1}).Hits {
		found[h.CapabilityID] = true
	}
	for id, want := range map[string]bool{
		"security.cve@v1": true, "security.phishing@v1": true, "crypto.encrypt@v1": true,
		"text.toxicity@v1":  true, // "threats"
		"text.translate@v1": false, "weather.forecast@v1": false,
	} {
		if found[id] != want {
			t.Errorf("%s in category security: %v, want %v", id, found[id], want)
		}
	}
	// A row that comes later is judged too.
	if err := x.Put(simpleRow(1, "Simulates ransomware.")); err != nil {
		t.Fatal(err)
	}
	if r := x.Search(index.Query{Category: "security", Intent: "product:p1", Limit: 1}); r.Total != 1 {
		t.Error("a later row is not in the category")
	}
}

// Categories decided by whole words must not read any row from disk.
func TestCategoriesSeldomRead(t *testing.T) {
	c := corpus.New(3, 2000)
	var reads atomic.Int64
	x := index.New(index.Options{Text: func(k index.Key) (index.Text, bool) { reads.Add(1); return c.Text(k) }})
	all := make([]string, c.Rows())
	for i := range c.Rows() {
		r := c.Row(i)
		if err := x.Put(r); err != nil {
			t.Fatal(err)
		}
		all[i] = strings.ToLower(r.CapabilityID + " " + r.ProductID + " " + r.Name + " " + r.Description)
	}
	q := index.Query{Limit: 0, IncludeDemo: true, IncludeStale: true}
	for _, tc := range []struct {
		category string
		most     int64
	}{{"imag", 0}, {"image", 0}, {"translate", 200}, {"analyze text", 60}, {"@v2", 0}, {"xyzzy", 0}} {
		want := 0
		for _, text := range all {
			if strings.Contains(text, tc.category) {
				want++
			}
		}
		for range 2 {
			reads.Store(0)
			q.Category = tc.category
			if got := x.Search(q).Total; got != want || reads.Load() > tc.most {
				t.Errorf("%q has %d rows after %d reads, want %d after at most %d", tc.category, got, reads.Load(), want, tc.most)
			}
			tc.most = 0 // it is remembered
		}
	}
	for i := range 3 * index.MaxCategories { // and forgotten when there are too many
		q.Category = fmt.Sprint("nothing", i)
		x.Search(q)
	}
}

func FuzzSearch(f *testing.F) {
	x := marketIndex(f)
	for _, s := range []string{"translate", "product:acme-text", "a.b/c", "天気", "\xff", strings.Repeat("speech to text ", 40), "e\u0301"} {
		f.Add(s, "text", 0, 5)
	}
	f.Add("", " ", -1, -1)
	f.Fuzz(func(t *testing.T, intent, category string, offset, limit int) {
		r := x.Search(index.Query{Intent: intent, Category: category, Offset: offset, Limit: limit})
		if limit >= 0 && len(r.Hits) > limit || len(r.Hits) > r.Total || r.Total > x.Len() {
			t.Fatalf("%d hits of %d, limit %d", len(r.Hits), r.Total, limit)
		}
		for _, h := range r.Hits {
			if h.Score < 0 || h.Score > 1 || h.MatchType == "" {
				t.Fatalf("%+v", h)
			}
		}
		want := 0
		for _, row := range marketRows() {
			if strings.Contains(strings.ToLower(row.CapabilityID+" "+row.ProductID+" "+row.Name+" "+row.Description), strings.ToLower(category)) {
				want++
			}
		}
		if len(category) > index.MaxCategoryBytes {
			want = 0
		}
		if got := x.Search(index.Query{Category: category}); got.Total != want {
			t.Fatalf("category %q has %d rows, want %d", category, got.Total, want)
		}
	})
}
