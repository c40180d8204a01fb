package index_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog/index"
	"pgregory.net/rapid"
)

// model is the index as one would write it without caring for speed: all rows in a
// map, each looked at for each query, in floating point.
type model struct {
	live map[index.Key]index.Row
	dead []index.Row // still counted in frequencies until compaction
	hubs map[string]index.Flags
}

func newModel() *model {
	return &model{live: map[index.Key]index.Row{}, hubs: map[string]index.Flags{}}
}

func (m *model) text(k index.Key) (index.Text, bool) {
	r, ok := m.live[k]
	return index.Text{Name: r.Name, Description: r.Description}, ok
}

func (m *model) put(r index.Row) {
	old, ok := m.live[r.Key]
	if ok && (old.Name != r.Name || old.ProductName != r.ProductName || old.Description != r.Description) {
		m.dead = append(m.dead, old)
	}
	m.live[r.Key] = r
}

func (m *model) remove(k index.Key) int {
	r, ok := m.live[k]
	if !ok {
		return 0
	}
	m.dead = append(m.dead, r)
	delete(m.live, k)
	return 1
}

// weights are the terms of a row with what each is worth there, 0…1.
func weights(r index.Row) map[string]float64 {
	out, in := map[string]float64{}, map[string]int{}
	for _, f := range []struct {
		text         string
		weight, step float64
		most         int
	}{
		{r.CapabilityID, 1, .02, 8}, {r.ProductID, .82, .02, 8}, {r.Name, .82, .02, 8},
		{r.ProductName, .82, .02, 8}, {r.Description, .62, .004, 50},
	} {
		words := index.Tokens(f.text)
		w := .94 * f.weight * (1 - f.step*float64(min(max(len(words), 1), f.most+1)-1))
		seen := map[string]bool{}
		for _, word := range words {
			t := index.TermOf(word)
			out[t] = max(out[t], w)
			if !seen[t] {
				in[t]++
				seen[t] = true
			}
		}
	}
	for t := range out {
		out[t] = min(1, out[t]+.03*float64(min(in[t]-1, 2)))
	}
	return out
}

type modelHit struct {
	row       index.Row
	relevance float64
	score     float64
	exact     bool
}

// search returns the hits in order, and whether one is too close to the floor to tell.
func (m *model) search(q index.Query) (hits []modelHit, unsure bool) {
	all := make([]map[string]float64, 0, len(m.live)+len(m.dead))
	for _, r := range m.live {
		all = append(all, weights(r))
	}
	for _, r := range m.dead {
		all = append(all, weights(r))
	}
	df := func(t string) (n int) {
		for _, w := range all {
			if w[t] > 0 {
				n++
			}
		}
		return n
	}
	type answer struct {
		term   string
		factor float64
	}
	var terms [][]answer
	var idfs []float64
	sum := 0.0
	for _, w := range index.Tokens(q.Intent) {
		t := index.TermOf(w)
		if slices.ContainsFunc(terms, func(a []answer) bool { return a[0].term == t }) {
			continue
		}
		answers := []answer{{t, 1}}
		n := df(t)
		widest := 0
		for other, f := range index.Related(w) {
			answers = append(answers, answer{other, float64(f) / 256})
			widest = max(widest, df(other))
		}
		if n == 0 {
			n = widest
		}
		idf := 1.0
		if n > 0 {
			idf = math.Log(float64(len(all)+1)/float64(n+1)) + 1
		}
		terms, idfs, sum = append(terms, answers), append(idfs, idf), sum+idf
	}
	for _, r := range m.live {
		if !m.passes(r, q) {
			continue
		}
		h := modelHit{row: r}
		if q.Intent != "" {
			w := weights(r)
			for i, answers := range terms {
				best := 0.0
				for _, a := range answers {
					best = max(best, a.factor*w[a.term])
				}
				h.relevance += .98 * best * idfs[i] / sum
			}
			if q.Intent == r.CapabilityID || q.Intent == r.ProductID {
				h.relevance, h.exact = 1, true
			}
			if math.Abs(h.relevance-.14) < .003 {
				unsure = true
			}
			if h.relevance < .14 {
				continue
			}
		}
		q := .35*r.Trust + .25*r.SuccessRate + .20/(1+float64(r.LatencyMS)/1000) + .20/(1+20*float64(r.PriceMicros)/1e6)
		h.score = h.relevance * (.95 + .05*q)
		hits = append(hits, h)
	}
	return hits, unsure
}

func (m *model) passes(r index.Row, q index.Query) bool {
	flags := r.Flags | m.hubs[r.SourceHub]
	text := strings.ToLower(r.CapabilityID + " " + r.ProductID + " " + r.Name + " " + r.Description)
	return flags&index.Unexecutable == 0 &&
		(flags&index.Demo == 0 || q.IncludeDemo) &&
		(flags&index.Stale == 0 || q.IncludeStale) &&
		(q.Hub == "" || q.Hub == "any" || q.Hub == r.SourceHub) &&
		r.Trust >= q.MinTrust &&
		(q.MaxLatencyMS == 0 || r.LatencyMS <= q.MaxLatencyMS) &&
		(!q.HasBudget || r.PriceMicros <= q.BudgetMicros) &&
		strings.Contains(text, strings.ToLower(q.Category))
}

// browse orders what passes hub by hub in turn.
func (m *model) browse(hits []modelHit) []index.Key {
	byHub := map[string][]index.Row{}
	for _, h := range hits {
		byHub[h.row.SourceHub] = append(byHub[h.row.SourceHub], h.row)
	}
	var hubs []string
	for h, rows := range byHub {
		hubs = append(hubs, h)
		slices.SortFunc(rows, func(a, b index.Row) int {
			return cmp.Or(cmp.Compare(b.Trust, a.Trust), cmp.Compare(a.PriceMicros, b.PriceMicros), compareKeys(a.Key, b.Key))
		})
	}
	slices.SortFunc(hubs, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(strings.TrimPrefix(a, "local")), len(strings.TrimPrefix(b, "local"))), cmp.Compare(a, b))
	})
	var out []index.Key
	for round := 0; len(out) < len(hits); round++ {
		for _, h := range hubs {
			if round < len(byHub[h]) {
				out = append(out, byHub[h][round].Key)
			}
		}
	}
	return out
}

func compareKeys(a, b index.Key) int {
	return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.CapabilityID, b.CapabilityID), cmp.Compare(foreign(a), foreign(b)), cmp.Compare(a.SourceHub, b.SourceHub))
}

var (
	modelWords = strings.Fields(`translate translating localize text texts hash digest checksum image photo
		weather kettle kettles alpha beta gamma delta quick brown über naïve 天気 fox`)
	modelIDs   = strings.Fields("hash.text@v1 image.text@v1 translate@v2 kettle.alpha@v1 beta")
	modelHubs  = []string{"local", "https://a.example", "https://b.example"}
	modelCats  = []string{"", "", "", "", "text", "trans", "hash", "e", "t t", "@v1", "übe", "天", "天気", "kettles", "zzz", "ash.te", "A", " "}
	modelTrust = []float64{0, .1, .3, .5, .7, .9, 1}
)

func genRow(t *rapid.T) index.Row {
	words := func(n int, label string) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(modelWords), 0, n).Draw(t, label), " ")
	}
	return index.Row{
		Key:         genKey(t),
		Name:        words(3, "name"),
		ProductName: words(1, "product name"),
		Description: words(8, "description"),
		Numbers:     genNumbers(t),
	}
}

func genKey(t *rapid.T) index.Key {
	return index.Key{
		ProductID:    rapid.SampledFrom([]string{"p1", "p2", "hash-suite"}).Draw(t, "product"),
		CapabilityID: rapid.SampledFrom(modelIDs).Draw(t, "capability"),
		SourceHub:    rapid.SampledFrom(modelHubs).Draw(t, "hub"),
	}
}

func genNumbers(t *rapid.T) index.Numbers {
	return index.Numbers{
		PriceMicros: rapid.SampledFrom([]int64{0, 1000, 1001, 500_000}).Draw(t, "price"),
		Trust:       rapid.SampledFrom(modelTrust).Draw(t, "trust"),
		SuccessRate: rapid.SampledFrom(modelTrust).Draw(t, "success"),
		LatencyMS:   rapid.SampledFrom([]int{0, 10, 200, 5000}).Draw(t, "latency"),
		Flags:       rapid.SampledFrom([]index.Flags{0, 0, 0, 0, index.Demo, index.Stale, index.Unexecutable}).Draw(t, "flags"),
	}
}

func genQuery(t *rapid.T) index.Query {
	q := index.Query{
		Category: rapid.SampledFrom(modelCats).Draw(t, "category"),
		Hub:      rapid.SampledFrom([]string{"", "", "any", "local", "https://a.example", "https://nowhere.example"}).Draw(t, "hub"),
		MinTrust: rapid.SampledFrom([]float64{0, 0, .3, .7}).Draw(t, "min trust"),
		Offset:   rapid.IntRange(0, 4).Draw(t, "offset"),
		Limit:    rapid.SampledFrom([]int{-1, -1, 0, 1, 3, 100}).Draw(t, "limit"),
	}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
	case 1:
		q.Intent = rapid.SampledFrom(modelIDs).Draw(t, "id")
	default:
		q.Intent = strings.Join(rapid.SliceOfN(rapid.SampledFrom(append([]string{"zz9", "hotel"}, modelWords...)), 1, 5).Draw(t, "intent"), " ")
	}
	if rapid.Bool().Draw(t, "has budget") {
		q.HasBudget, q.BudgetMicros = true, rapid.SampledFrom([]int64{0, 1000, 1e6}).Draw(t, "budget")
	}
	if rapid.Bool().Draw(t, "has latency") {
		q.MaxLatencyMS = rapid.SampledFrom([]int{10, 200}).Draw(t, "max latency")
	}
	q.IncludeDemo = rapid.Bool().Draw(t, "demo")
	q.IncludeStale = rapid.Bool().Draw(t, "stale")
	return q
}

func TestIndexBehavesLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		x := index.New(index.Options{Text: m.text})
		if rows := rapid.SliceOfNDistinct(rapid.Custom(genRow), 0, 40, func(r index.Row) index.Key { return r.Key }).Draw(t, "first rows"); len(rows) > 0 {
			b := index.NewBuilder(index.Options{Text: m.text})
			if err := b.Add(rows); err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				m.put(r)
			}
			var err error
			if x, err = b.Index(); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				r := genRow(t)
				m.put(r)
				if err := x.Put(r); err != nil {
					t.Fatal(err)
				}
			},
			"update": func(t *rapid.T) {
				k, n := genKey(t), genNumbers(t)
				r, ok := m.live[k]
				if got := x.Update(k, n); got != ok {
					t.Fatalf("update = %v, want %v", got, ok)
				}
				if ok {
					r.Numbers = n
					m.live[k] = r
				}
			},
			"remove": func(t *rapid.T) {
				k := genKey(t)
				if got, want := x.Remove(k), m.remove(k); got != want {
					t.Fatalf("removed %d, want %d", got, want)
				}
			},
			"remove hub": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					return
				}
				hub, want := rapid.SampledFrom(modelHubs).Draw(t, "hub"), 0
				for k := range m.live {
					if k.SourceHub == hub {
						want += m.remove(k)
					}
				}
				if got := x.RemoveHub(hub); got != want {
					t.Fatalf("removed %d, want %d", got, want)
				}
			},
			"hub flags": func(t *rapid.T) {
				hub := rapid.SampledFrom(modelHubs).Draw(t, "hub")
				m.hubs[hub] = rapid.SampledFrom([]index.Flags{0, 0, index.Stale}).Draw(t, "flags")
				x.SetHub(hub, m.hubs[hub])
			},
			"compact": func(t *rapid.T) {
				x.Compact()
				m.dead = nil
			},
			"search": func(t *rapid.T) { checkSearch(t, x, m, genQuery(t)) },
			"": func(t *rapid.T) {
				if s := x.Stats(); s.Rows != len(m.live) || x.Len() != len(m.live) || s.Dead != len(m.dead) {
					t.Fatalf("%+v, want %d live and %d dead", s, len(m.live), len(m.dead))
				}
			},
		})
	})
}

func checkSearch(t *rapid.T, x *index.Index, m *model, q index.Query) {
	want, unsure := m.search(q)
	if unsure {
		return
	}
	got := x.Search(q)
	if got.Total != len(want) {
		t.Fatalf("%+v: total %d, want %d\ngot %v\nwant %v", q, got.Total, len(want), got.Hits, want)
	}
	from := min(q.Offset, len(want))
	to := len(want)
	if q.Limit >= 0 {
		to = min(len(want), from+q.Limit)
	}
	if len(got.Hits) != to-from {
		t.Fatalf("%+v: %d hits, want %d", q, len(got.Hits), to-from)
	}
	if q.Intent == "" {
		for i, k := range m.browse(want)[from:to] {
			if got.Hits[i].Key != k || got.Hits[i].Score != 0 || got.Hits[i].MatchType != index.MatchBrowse {
				t.Fatalf("%+v: hit %d is %+v, want %v", q, i, got.Hits[i], k)
			}
		}
		return
	}
	scores := map[index.Key]modelHit{}
	for _, h := range want {
		scores[h.row.Key] = h
	}
	for i, h := range got.Hits {
		w, ok := scores[h.Key]
		if !ok {
			t.Fatalf("%+v: %+v is no hit, or one twice", q, h)
		}
		delete(scores, h.Key)
		if math.Abs(h.Score-w.score) > .006 { // a posting's weight has 8 bits
			t.Fatalf("%+v: %v has score %v, want %v", q, h.Key, h.Score, w.score)
		}
		if (h.MatchType == index.MatchExact) != w.exact || len(h.MatchedTerms) == 0 {
			t.Fatalf("%+v: %+v", q, h)
		}
		if i == 0 {
			continue
		}
		p := m.live[got.Hits[i-1].Key]
		r := m.live[h.Key]
		if order := cmp.Or(cmp.Compare(h.Score, got.Hits[i-1].Score), cmp.Compare(r.Trust, p.Trust),
			cmp.Compare(p.PriceMicros, r.PriceMicros), compareKeys(p.Key, r.Key)); order >= 0 {
			t.Fatalf("%+v: %+v stands before %+v", q, got.Hits[i-1], h)
		}
	}
	// What is not on the page must not be better than what is.
	if n := len(got.Hits); n > 0 && q.Offset == 0 {
		for k, w := range scores {
			if w.score > got.Hits[n-1].Score+.012 {
				t.Fatalf("%+v: %v with %v is missing behind %v", q, k, w.score, got.Hits[n-1].Score)
			}
		}
	}
}

// foreign is 1 for what another hub sells.
func foreign(k index.Key) int {
	if k.SourceHub == index.Local {
		return 0
	}
	return 1
}
