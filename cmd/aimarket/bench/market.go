package bench

import (
	"encoding/json"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/catalog/index/corpus"
)

// market is the same made-up market on every machine.
func market(rows int) *corpus.Corpus { return corpus.New(1, rows) }

var (
	textInput  = json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"},"locale":{"type":"string"}},"required":["text"]}`)
	textOutput = json.RawMessage(`{"type":"object","properties":{"result":{"type":"string"}}}`)
)

// capabilities are the rows from…from+n of m as the catalogue lists them.
func capabilities(m *corpus.Corpus, from, n int) []catalog.Capability {
	rows := make([]catalog.Capability, 0, n)
	for i := from; i < from+n; i++ {
		r := m.Row(i)
		rows = append(rows, catalog.Capability{
			Key:         catalog.Key{ProductID: r.ProductID, CapabilityID: r.CapabilityID, SourceHub: r.SourceHub},
			Name:        r.Name,
			Version:     "v1",
			Description: r.Description,
			InputSchema: textInput, OutputSchema: textOutput,
			PriceMicros: r.PriceMicros, RoutedMicros: r.PriceMicros,
			TrustScore: r.Trust, SuccessRate30d: r.SuccessRate, P50LatencyMS: r.LatencyMS,
			InvokeURL: "https://provider.example/invoke",
		})
	}
	return rows
}

// searches are mixed queries as consumers send them.
func searches(m *corpus.Corpus) []catalog.Query {
	var out []catalog.Query
	for _, q := range m.Queries(2000) {
		c := catalog.Query{Intent: q.Intent, Category: q.Category, Hub: q.Hub, MaxLatencyMS: q.MaxLatencyMS,
			BudgetMicros: q.BudgetMicros, HasBudget: q.HasBudget, Limit: q.Limit, Offset: q.Offset,
			IncludeStale: true} // hubs of a made-up market are never crawled
		if q.MinTrust > 0 {
			c.MinTrust = &q.MinTrust
		}
		out = append(out, c)
	}
	return out
}
