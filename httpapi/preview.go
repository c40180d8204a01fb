package httpapi

import (
	"errors"
	"net/http"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/ledger"
)

// Bounds of GET /federation/preview.
const (
	defaultPreview = 200
	maxPreview     = 500
)

const previewNote = "Preview only. These capabilities are not indexed, not searchable and not invocable until their hub is admitted."

// preview shows what a pending hub offers, so that the operator, or anybody, can judge
// it. Nothing else reads these rows.
func (s *Server) preview(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	limit := min(args.integer("limit", defaultPreview), maxPreview)
	rows, err := s.cfg.Catalog.Preview(r.Context(), args["url"], limit)
	if err != nil && !errors.Is(err, catalog.ErrUnknown) { // a stranger offers nothing
		s.fail(w, r, internalError(err))
		return
	}
	b := newBody(256 + 700*len(rows)).openList("capabilities")
	for i := range rows {
		b = previewMembers(b.element(), &rows[i]).close()
	}
	send(w, http.StatusOK, b.closeList().integer("count", int64(len(rows))).yes("quarantined", true).str("note", previewNote).end())
}

func previewMembers(b jsonBody, c *catalog.Capability) jsonBody {
	return b.str("product_id", c.ProductID).str("capability_id", c.CapabilityID).str("source_hub", c.SourceHub).
		str("source_hub_name", c.SourceHubName).str("name", c.Name).str("version", c.Version).str("description", c.Description).
		usd("price_per_call_usd", ledger.Money(c.PriceMicros)).integer("p50_latency_ms", int64(c.P50LatencyMS)).
		json("input_schema", objectOr(c.InputSchema)).json("output_schema", objectOr(c.OutputSchema)).yes("quarantined", true)
}

func objectOr(schema []byte) []byte {
	if len(schema) == 0 {
		return []byte("{}")
	}
	return schema
}
