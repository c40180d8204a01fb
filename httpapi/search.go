package httpapi

import (
	"errors"
	"math"
	"net/http"

	"github.com/aimarket/aimarket/catalog"
)

// Bounds of a search (HTTP API notes §1).
const (
	defaultMatches = 20
	maxMatches     = 100
	maxIntent      = 20000 // code points; frameworks send whole prompts
	maxCategory    = 256
	maxHub         = 256
)

func (s *Server) search(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	q := catalog.Query{
		Intent: args["intent"], Category: args["category"], Hub: args["hub"],
		MaxLatencyMS: args.integer("max_latency_ms", 0),
		IncludeDemo:  args.yes("include_demo"), IncludeStale: args.yes("include_stale"),
		Limit:  min(args.integer("limit", defaultMatches), maxMatches),
		Offset: args.integer("offset", 0),
	}
	q.LimitAll = args.has("limit") && q.Limit == 0
	for _, name := range []string{"budget_usd", "budget"} { // budget wins where both are given
		if args.has(name) {
			q.HasBudget, q.BudgetMicros = true, microsFloor(args.float(name))
		}
	}
	if args.has("min_trust") {
		floor := args.float("min_trust")
		q.MinTrust = &floor
	}
	res, err := s.cfg.Catalog.Search(r.Context(), q)
	if err != nil {
		var wrong *catalog.InvalidError
		if errors.As(err, &wrong) {
			s.fail(w, r, refuse(http.StatusBadRequest, "invalid_search", wrong.Error()).because(err))
			return
		}
		s.fail(w, r, internalError(err))
		return
	}
	b := newBody(256+1000*len(res.Matches)).str("query", q.Intent)
	if q.Category == "" {
		b = b.raw("category", "null")
	} else {
		b = b.str("category", q.Category)
	}
	b = b.openList("matches")
	for i := range res.Matches {
		b = catalog.AppendMatchJSON(b.comma(), &res.Matches[i])
	}
	more := q.Offset+len(res.Matches) < res.Total
	b = b.closeList().integer("total", int64(res.Total)).integer("offset", int64(q.Offset)).
		integer("limit", int64(q.Limit)).yes("has_more", more)
	if len(res.Matches) == 0 {
		b = b.str("empty_hint", s.emptyHint(q))
	}
	send(w, http.StatusOK, b.integer("total_hubs_searched", int64(res.HubsSearched)).
		str("protocol_version", protocolVersion).end())
}

// emptyHint says what to change when nothing was found. The widget shows it.
func (s *Server) emptyHint(q catalog.Query) string {
	switch {
	case s.cfg.Catalog.Counts().Total == 0:
		return "This hub lists nothing yet."
	case q.Offset > 0:
		return "There is nothing at this offset; ask for an earlier page."
	case q.HasBudget:
		return "Nothing fits within this budget. Raise it or leave it out."
	case q.MinTrust != nil || q.MaxLatencyMS > 0:
		return "Nothing meets these limits of trust and latency. Loosen them or leave them out."
	case q.Category != "" || q.Hub != "" && q.Hub != "any":
		return "Nothing was found in this category or hub. Search without the filter."
	}
	return "Nothing matches. Describe what the capability should do in other words."
}

// microsFloor is a budget in micro-USD, rounded down so that no match costs more
// than was said; what no amount can reach is no limit. The nearest whole number of
// micro-USD is compared as a double of USD, so that a decimal which was sent with
// six places comes back as it was sent.
func microsFloor(budget float64) int64 {
	f := math.Round(budget * 1e6)
	if f >= math.MaxInt64 {
		return math.MaxInt64
	}
	if f/1e6 > budget {
		f--
	}
	return int64(f)
}
