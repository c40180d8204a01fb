package catalog

import (
	"slices"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

var null = []byte("null")

// maxInputHints bounds the inputs that a match explains.
const maxInputHints = 32

// AppendMatchJSON prints one hit as GET /search lists it, flat (HTTP API notes §1,
// federation notes §6). Prices, trust and latency are numbers on every row: clients add,
// format and compare them unseen (consumer notes §3). Without a publisher its id and stake
// are null, as the protocol has it; nothing else ever is.
func AppendMatchJSON(dst []byte, m *Match) []byte {
	o := openObject(dst)
	o.text("product_id", m.ProductID)
	o.text("capability_id", m.CapabilityID)
	o.text("source_hub", m.SourceHub)
	o.text("source_hub_name", m.SourceHubName)
	o.text("name", m.Name)
	o.text("version", m.Version)
	o.text("description", m.Description)
	o.float("score", m.Score)
	o.text("match_type", m.MatchType)
	o.texts("matched_terms", m.MatchedTerms)
	o.micros("price_per_call_usd", m.PriceMicros)
	o.micros("routed_price_usd", m.RoutedMicros)
	o.int("routing_fee_bps", int64(m.RoutingFeeBps))
	o.float("trust_score", m.TrustScore)
	o.text("reputation_basis", m.ReputationBasis())
	o.int("observations_30d", m.Observations30d)
	o.float("success_rate_30d", m.SuccessRate30d)
	o.int("p50_latency_ms", int64(m.P50LatencyMS))
	if m.PublisherID != "" {
		o.text("publisher_id", m.PublisherID)
		o.micros("stake_usd", m.StakeMicros)
	} else {
		o.raw("publisher_id", null)
		o.raw("stake_usd", null)
	}
	o.bool("demo", m.Demo)
	o.text("route_status", m.Route.Status)
	o.int("route_age_s", int64(m.Route.Age/time.Second))
	o.appendInputs(m.InputSchema)
	return o.close()
}

// appendInputs prints which inputs a call must have, and their types.
func (o *object) appendInputs(schema []byte) {
	var required []string
	var types [][]byte
	if v, err := canon.Parse(schema); err == nil { // stored schemas parse; a hand-made Match may not
		properties := v.Get("properties")
		v.Get("required").Elements(func(e canon.Value) bool {
			if e.Kind() != canon.String || slices.Contains(required, e.Str()) {
				return true
			}
			required = append(required, e.Str())
			t := properties.Get(e.Str()).Get("type")
			if t.Kind() == canon.String {
				types = append(types, canon.AppendString(nil, t.Str()))
			} else {
				types = append(types, nil)
			}
			return len(required) < maxInputHints
		})
	}
	o.texts("input_required", required)
	o.nest("input_hint", func(h *object) {
		for i, name := range required {
			h.nest(name, func(p *object) {
				if types[i] != nil {
					p.raw("type", types[i])
				}
			})
		}
	})
}
