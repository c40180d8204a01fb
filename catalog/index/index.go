// Package index is the full-text index over every capability of the market, held
// in memory and derived from the catalogue: it can be thrown away and rebuilt.
//
// It promises that a search sees one moment of the index, counts exactly, explains
// every hit and never waits for a writer longer than it takes to copy a few
// pointers; that adding, replacing or removing a row costs microseconds; and that
// memory follows the live rows, because the remains of replaced ones are reclaimed.
// It keeps no text: a row is its key, its numbers and its postings. Ranking is
// relevance first and quality second, as written at rank.go.
//
// Why not bleve: with the load of package corpus, on two cores shared with other work,
//
//	measured: bleve v2.6.3 (scorch), 100k rows: build 420 µs a row, 560 MiB resident, p99 26 ms; 73 ms with fuzziness, 92 ms with a trust filter
//	measured: this index, all included, 100k rows: build 14 µs a row, 170 MiB, p99 5.9 ms; 1M rows: 1.1 GiB, p99 15 ms of CPU (29 ms by the clock)
//
// Limits: English is the only language that is stemmed and has synonyms; other
// languages match by word, typo or (Chinese, Japanese, Korean) pairs of characters.
// Everything else that is bounded has a Max… constant.
package index

import "errors"

// Bounds on what the index accepts. Longer text is cut, never refused, so that a
// row of a careless publisher is still found by its beginning.
const (
	MaxRows             = 1 << 24  // rows including dead ones: a posting holds the row in 24 bits
	MaxIntentBytes      = 2 << 10  // of a query that are read
	MaxQueryTerms       = 32       // distinct terms of a query that are used
	MaxTokenBytes       = 64       // of one word that are indexed
	MaxDescriptionBytes = 16 << 10 // of a description that are indexed
	MaxRowTerms         = 1 << 10  // distinct terms of a row that are indexed
	MaxCategoryBytes    = 256      // of a category; longer ones match nothing
	MaxCategories       = 64       // categories whose members are remembered
)

// ErrFull says that the index holds Options.MaxRows rows already.
var ErrFull = errors.New("index: full")

// Local is the source hub of the rows that this hub sells itself.
const Local = "local"

// Key names one row: a capability of a product at a hub.
type Key struct {
	ProductID    string
	CapabilityID string
	SourceHub    string // "local", or the base URL of a peer
}

// Flags are the states of a row that decide who sees it. The zero value is an
// ordinary row that everybody sees.
type Flags uint8

const (
	Demo         Flags = 1 << iota // shown only when Query.IncludeDemo
	Stale                          // shown only when Query.IncludeStale
	Unexecutable                   // never shown: there is no way to call it
)

// Numbers are the parts of a row that change without its text: they filter and
// order, and updating them touches no posting.
type Numbers struct {
	PriceMicros int64   // micro-USD through this hub (the routed price)
	Trust       float64 // 0…1
	SuccessRate float64 // 0…1
	LatencyMS   int     // median, milliseconds
	Flags       Flags
}

// Row is what the index is given of one capability.
type Row struct {
	Key
	Name        string
	ProductName string // may be empty; categories are not looked for in it
	Description string
	Numbers
}

// Text is what a category is looked for in; see Query.Category.
type Text struct {
	Name        string
	Description string
}

// Options are what an Index needs to know. The zero value works.
type Options struct {
	// MaxRows bounds the live rows; 0 or anything above half of the package's
	// MaxRows means half of it, which leaves room for the dead ones.
	MaxRows int

	// Text fetches the text of a row, false if the row is gone. It is called by the
	// first search for a category, for the rows that the dictionary cannot decide;
	// only searches for other new categories wait meanwhile. It may block on disk
	// and on writers, but must not search. Nil: undecided rows are judged by their
	// ids alone.
	Text func(Key) (Text, bool)
}

// Query is one search. Zero fields do not filter, apart from demo, stale and
// unexecutable rows, which stay out unless asked for.
type Query struct {
	// Intent is what the consumer wants, in words; "product:<id>" looks a product
	// up, empty or blank browses (consumers.md "Search", federation.md §6).
	Intent string

	// Category must be a substring of "capability_id product_id name description"
	// in lower case (http-api.md §1). "security" stands for a list of words.
	Category string

	Hub          string  // "" or "any": all hubs
	MinTrust     float64 // trust >= MinTrust
	MaxLatencyMS int     // 0: none; latency <= MaxLatencyMS
	BudgetMicros int64   // only when HasBudget; price <= BudgetMicros
	HasBudget    bool
	IncludeDemo  bool
	IncludeStale bool
	Offset       int // hits to skip; negative is 0
	Limit        int // hits to return after Offset; 0 only counts, negative returns all
}

// Match types: how the best matching term of a hit was found.
const (
	MatchExact   = "exact"   // the intent is the row's capability or product id
	MatchLexical = "lexical" // a word of the intent, in any inflection or as a prefix
	MatchSynonym = "synonym" // a word that means the same or nearly so
	MatchFuzzy   = "fuzzy"   // a word spelled nearly so
	MatchBrowse  = "browse"  // nothing was asked for
)

// Hit is one found row and why it stands where it stands.
type Hit struct {
	Key
	Score        float64  // 0…1 in steps of 0.0001; 0 when browsing
	MatchType    string   // one of the Match constants
	MatchedTerms []string // words of the intent that this row answers, in their order
}

// Result is one page of hits.
type Result struct {
	Hits  []Hit
	Total int // rows that match, whatever Offset and Limit are
}

// Stats describe the size of an index.
type Stats struct {
	Rows     int // live rows
	Dead     int // replaced or removed rows not yet reclaimed
	Terms    int
	Postings int
	Hubs     int
}
