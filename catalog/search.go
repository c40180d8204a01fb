package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/catalog/index"
)

// Bounds on one page of hits.
const (
	DefaultSearchLimit = 20
	MaxSearchLimit     = 100  // of an ordinary page (HTTP API notes §1)
	MaxSearchAll       = 1000 // of Query.LimitAll; the rest is reached by Offset
)

// Query is one search; zero fields do not filter.
type Query struct {
	Intent       string
	BudgetMicros int64 // on the routed price; <0 or HasBudget false: none
	HasBudget    bool
	Category     string
	MaxLatencyMS int      // 0: none
	MinTrust     *float64 // nil: the hub's floor
	Hub          string   // "", "any", Local or a URL
	IncludeDemo  bool
	IncludeStale bool
	Limit        int  // 0 is 20; at most 100
	LimitAll     bool // up to MaxSearchAll, whatever Limit says
	Offset       int
}

// Match is one hit with the explanation of its rank.
type Match struct {
	Capability
	Score        float64
	MatchType    string // exact, lexical, synonym, fuzzy, browse
	MatchedTerms []string
	Route        Route
}

// Result is a page of hits.
type Result struct {
	Matches      []Match
	Total        int // hits before Offset and Limit
	Offset       int // as applied
	Limit        int // as applied
	HubsSearched int // active peers and this hub
}

// HasMore reports whether hits lie behind this page.
func (r Result) HasMore() bool { return r.Offset+r.Limit < r.Total }

// Search finds, filters, ranks and pages over every listed capability of this hub
// and its active peers.
func (c *Catalog) Search(ctx context.Context, q Query) (Result, error) {
	now := c.cfg.Now()
	c.judgeStale(now)
	if c.foldDue(now) {
		c.goFold(now) // trust moves without calls too
	}
	iq := index.Query{
		Intent:       q.Intent,
		Category:     q.Category,
		Hub:          q.Hub,
		MinTrust:     c.cfg.MinTrust,
		MaxLatencyMS: max(0, q.MaxLatencyMS),
		BudgetMicros: q.BudgetMicros,
		HasBudget:    q.HasBudget && q.BudgetMicros >= 0,
		IncludeDemo:  q.IncludeDemo,
		IncludeStale: q.IncludeStale,
		Offset:       max(0, q.Offset),
		Limit:        q.Limit,
	}
	if q.MinTrust != nil {
		iq.MinTrust = *q.MinTrust
	}
	if q.Hub == c.cfg.HubURL {
		iq.Hub = Local
	}
	switch {
	case q.LimitAll:
		iq.Limit = MaxSearchAll
	case q.Limit <= 0:
		iq.Limit = DefaultSearchLimit
	case q.Limit > MaxSearchLimit:
		iq.Limit = MaxSearchLimit
	}
	found := c.idx.Search(iq)
	active, _ := c.peerCounts()
	res := Result{
		Matches:      make([]Match, 0, len(found.Hits)),
		Total:        found.Total,
		Offset:       iq.Offset,
		Limit:        iq.Limit,
		HubsSearched: active + 1,
	}
	for _, h := range found.Hits {
		if err := ctx.Err(); err != nil {
			return Result{}, fmt.Errorf("catalog: search: %w", err)
		}
		r, err := c.peek(Key(h.Key))
		if err != nil {
			return Result{}, fmt.Errorf("catalog: search: %w", err)
		}
		if r == nil {
			res.Total-- // removed since the index answered
			continue
		}
		res.Matches = append(res.Matches, Match{
			Capability: *r, Score: h.Score, MatchType: h.MatchType, MatchedTerms: h.MatchedTerms,
			Route: c.route(r.SourceHub, now),
		})
	}
	return res, nil
}

// StaleAfter is the age of a peer's last crawl from which its rows are hidden unless
// asked for (federation notes §6).
const StaleAfter = 6 * time.Hour

// Route says whether a row's hub can be reached, by the last that is known of it.
type Route struct {
	Status string        // "live", "stale", "unavailable"
	Age    time.Duration // since the hub was last read; 0 for own rows
}

// Route states.
const (
	RouteLive        = "live"
	RouteStale       = "stale"
	RouteUnavailable = "unavailable"
)

// route is the state of the way to a hub.
func (c *Catalog) route(hub string, now time.Time) Route {
	if hub == Local {
		return Route{Status: RouteLive}
	}
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	if p := c.peers[hub]; p != nil {
		return c.routeTo(p, now)
	}
	return Route{Status: RouteUnavailable}
}

func (c *Catalog) routeTo(p *Peer, now time.Time) Route {
	if p.Status != PeerActive || p.Away {
		return Route{Status: RouteUnavailable}
	}
	age := max(0, now.Sub(p.LastCrawl))
	if age > c.cfg.StaleAfter {
		return Route{Status: RouteStale, Age: age}
	}
	return Route{Status: RouteLive, Age: age}
}
