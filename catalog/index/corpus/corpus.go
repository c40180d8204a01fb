// Package corpus makes up a market of any size for tests and benchmarks of the
// search: the same seed gives the same rows and queries on every machine.
//
// Words follow Zipf's law as in real text: a head of everyday market words, which
// stand in very many rows, and a long tail of invented ones, which stand in few. It
// is a load, not a model of meaning: do not judge the quality of ranking by it.
package corpus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/catalog/index"
)

const (
	tailWords     = 40_000 // invented words behind the head
	zipfExponent  = 1.07   // of English prose, roughly
	zipfOffset    = 4.0
	rowsPerHub    = 2_000
	minWords      = 12 // of a description
	maxWords      = 36
	glueShare     = 0.3 // of a description's words that are function words
	latencySpread = 1.0 // standard deviation of ln(latency)
)

// Corpus is a made-up market. It is safe for concurrent use.
type Corpus struct {
	seed  uint64
	rows  int
	hubs  int
	words []string  // by falling frequency
	cum   []float64 // cumulative frequency of words
}

// New makes up a market of so many rows.
func New(seed uint64, rows int) *Corpus {
	c := &Corpus{seed: seed, rows: rows, hubs: 1 + rows/rowsPerHub}
	rng := rand.New(rand.NewPCG(seed, 0x77))
	seen := map[string]bool{}
	for _, w := range head {
		if !seen[w] {
			seen[w] = true
			c.words = append(c.words, w)
		}
	}
	for n := len(c.words) + tailWords; len(c.words) < n; {
		if w := invent(rng); !seen[w] {
			seen[w] = true
			c.words = append(c.words, w)
		}
	}
	c.cum = make([]float64, len(c.words))
	sum := 0.0
	for i := range c.words {
		sum += 1 / math.Pow(float64(i)+zipfOffset, zipfExponent)
		c.cum[i] = sum
	}
	return c
}

// Rows is the number of rows of the market.
func (c *Corpus) Rows() int { return c.rows }

// Row is row i, 0 <= i < Rows. Keys are distinct.
func (c *Corpus) Row(i int) index.Row {
	rng := rand.New(rand.NewPCG(c.seed, uint64(i)<<8|1))
	verb, noun, subject := pick(rng, verbs), c.word(rng), c.word(rng)
	version := 1 + int(rng.ExpFloat64()/1.5)
	r := index.Row{
		Key: index.Key{
			ProductID:    fmt.Sprintf("%s-%s-%d", noun, pick(rng, kinds), i/3),
			CapabilityID: fmt.Sprintf("%s.%s@v%d", verb, noun, version),
			SourceHub:    c.Hub(i),
		},
		Name: title(verb) + " " + noun,
		Numbers: index.Numbers{
			PriceMicros: int64(math.Exp(rng.NormFloat64()*1.4+8.5)) + 100,
			Trust:       math.Round(min(1, max(0, 0.65+0.2*rng.NormFloat64()))*1000) / 1000,
			SuccessRate: 1 - min(1, rng.ExpFloat64()*0.03),
			LatencyMS:   int(math.Exp(rng.NormFloat64()*latencySpread + 5.5)),
		},
	}
	if i%3 != 0 { // a product's rows share its id
		first := c.Row(i - i%3)
		r.ProductID, r.SourceHub = first.ProductID, first.SourceHub
		r.CapabilityID = fmt.Sprintf("%s.%s.%d@v%d", verb, noun, i%3, version)
	}
	if rng.Float64() < 0.02 {
		r.Flags |= index.Demo
	}
	if rng.Float64() < 0.03 {
		r.Flags |= index.Stale
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", title(verb), subject)
	for n := minWords + rng.IntN(maxWords-minWords); n > 0; n-- {
		b.WriteByte(' ')
		if rng.Float64() < glueShare {
			b.WriteString(pick(rng, glue))
		} else {
			b.WriteString(c.word(rng))
		}
	}
	b.WriteByte('.')
	r.Description = b.String()
	return r
}

// Hub is the hub that row i lives at; the first rows are local.
func (c *Corpus) Hub(i int) string {
	if h := i / 3 % c.hubs; h > 0 {
		return fmt.Sprintf("https://hub-%d.example", h)
	}
	return "local"
}

// Queries are n realistic searches: one to four words from all over the frequency
// range, some misspelled, some with filters, some by id, a few browsing.
func (c *Corpus) Queries(n int) []index.Query {
	rng := rand.New(rand.NewPCG(c.seed, 0x51))
	qs := make([]index.Query, n)
	for i := range qs {
		q := index.Query{Limit: 20, MinTrust: 0.3}
		words := []string{}
		for k := 1 + rng.IntN(4); k > 0; k-- {
			switch rng.IntN(4) {
			case 0:
				words = append(words, pick(rng, verbs))
			case 1:
				words = append(words, c.words[rng.IntN(len(c.words))])
			default:
				words = append(words, c.word(rng))
			}
		}
		switch p := rng.IntN(100); {
		case p < 3:
			words = nil
		case p < 6:
			words = []string{c.Row(rng.IntN(c.rows)).CapabilityID}
		case p < 8:
			words = []string{"product:" + c.Row(rng.IntN(c.rows)).ProductID}
		case p < 23:
			j := rng.IntN(len(words))
			words[j] = misspell(rng, words[j])
		case p < 33:
			words = append([]string{"please", "find", "me", "a"}, words...)
		}
		q.Intent = strings.Join(words, " ")
		switch rng.IntN(10) {
		case 0:
			q.HasBudget, q.BudgetMicros = true, int64(1000*(1+rng.IntN(50)))
		case 1:
			q.MaxLatencyMS = 100 * (1 + rng.IntN(20))
		case 2:
			q.Hub = c.Hub(rng.IntN(c.rows))
		case 3:
			q.MinTrust = 0.8
		case 4:
			q.Category = pick(rng, categories)
		case 5:
			q.Offset = 20 * rng.IntN(4)
		}
		qs[i] = q
	}
	return qs
}

// word draws by frequency.
func (c *Corpus) word(rng *rand.Rand) string {
	x := rng.Float64() * c.cum[len(c.cum)-1]
	lo, hi := 0, len(c.cum)-1
	for lo < hi {
		if m := (lo + hi) / 2; c.cum[m] < x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return c.words[lo]
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// invent makes a pronounceable word of two to four syllables.
func invent(rng *rand.Rand) string {
	var b strings.Builder
	for n := 2 + rng.IntN(3); n > 0; n-- {
		b.WriteString(pick(rng, onsets))
		b.WriteString(pick(rng, vowels))
	}
	b.WriteString(pick(rng, codas))
	return b.String()
}

// misspell swaps two neighbouring letters or drops one.
func misspell(rng *rand.Rand, w string) string {
	if len(w) < 5 {
		return w
	}
	b := []byte(w)
	i := 1 + rng.IntN(len(b)-2)
	if rng.IntN(2) == 0 {
		b[i], b[i+1] = b[i+1], b[i]
		return string(b)
	}
	return string(append(b[:i], b[i+1:]...))
}

// Text finds the text of a row by its key, as a catalogue would on disk.
func (c *Corpus) Text(k index.Key) (index.Text, bool) {
	cut := strings.LastIndexByte(k.ProductID, '-')
	n, err := strconv.Atoi(k.ProductID[cut+1:])
	if err != nil {
		return index.Text{}, false
	}
	for i := 3 * n; i < min(3*n+3, c.rows); i++ {
		if r := c.Row(i); r.Key == k {
			return index.Text{Name: r.Name, Description: r.Description}, true
		}
	}
	return index.Text{}, false
}
