package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Raw carries an answer's exact bytes beside its decoded view.
type Raw struct {
	Raw json.RawMessage `json:"-"`
}

// Query is one search; zero fields do not filter.
type Query struct {
	Intent       string
	Budget       string // USD, a decimal number as text; "" none
	Category     string
	MaxLatencyMS int
	MinTrust     string // 0…1 as text; "" is the hub's floor
	Hub          string // source hub, "" any
	Limit        int    // 0 is the hub's default
	Offset       int
}

func (q Query) values() url.Values {
	v := url.Values{"intent": {q.Intent}}
	set := func(name, value string) {
		if value != "" && value != "0" {
			v.Set(name, value)
		}
	}
	if q.Budget != "" {
		v.Set("budget", q.Budget)
	}
	if q.MinTrust != "" {
		v.Set("min_trust", q.MinTrust)
	}
	set("category", q.Category)
	set("hub", q.Hub)
	set("max_latency_ms", strconv.Itoa(q.MaxLatencyMS))
	set("limit", strconv.Itoa(q.Limit))
	set("offset", strconv.Itoa(q.Offset))
	return v
}

// Match is one hit of a search. Amounts are JSON numbers in USD, kept as text.
type Match struct {
	ProductID      string      `json:"product_id"`
	CapabilityID   string      `json:"capability_id"`
	SourceHub      string      `json:"source_hub"`
	SourceHubName  string      `json:"source_hub_name"`
	Name           string      `json:"name"`
	Description    string      `json:"description"`
	Score          float64     `json:"score"`
	MatchType      string      `json:"match_type"`
	MatchedTerms   []string    `json:"matched_terms"`
	PriceUSD       json.Number `json:"price_per_call_usd"`
	RoutedPriceUSD json.Number `json:"routed_price_usd"`
	TrustScore     float64     `json:"trust_score"`
	P50LatencyMS   int64       `json:"p50_latency_ms"`
	RouteStatus    string      `json:"route_status"` // live, stale or unavailable
	RouteAgeS      int64       `json:"route_age_s"`  // since the hub's catalogue was last confirmed
	InputRequired  []string    `json:"input_required"`
}

// SearchResult is a page of hits.
type SearchResult struct {
	Raw
	Matches []Match `json:"matches"`
	Total   int     `json:"total"`
	HasMore bool    `json:"has_more"`
	Hubs    int     `json:"total_hubs_searched"`
}

// Search asks GET /search.
func (c *Client) Search(ctx context.Context, q Query) (r SearchResult, err error) {
	r.Raw.Raw, err = c.get(ctx, "searching", api+"/search", q.values(), &r)
	return r, err
}

// Invocation is one call.
type Invocation struct {
	ProductID    string          `json:"product_id,omitempty"`
	CapabilityID string          `json:"capability_id"`
	SourceHub    string          `json:"source_hub,omitempty"`
	Input        json.RawMessage `json:"input"`
	MaxPriceUSD  json.Number     `json:"max_price_usd,omitempty"`

	Channel   string `json:"-"`
	Secret    string `json:"-"`
	Visitor   string `json:"-"` // sandbox visitor id, for a free trial
	RequestID string `json:"-"` // Idempotency-Key: the same id returns the first answer
}

// Outcome is a finished call.
type Outcome struct {
	Raw
	Success   bool            `json:"success"`
	Result    json.RawMessage `json:"result"`
	Receipt   json.RawMessage `json:"receipt"`
	PriceUSD  json.Number     `json:"price_usd"`
	Balance   json.Number     `json:"remaining_balance"`
	LatencyMS int64           `json:"latency_ms"`
}

// Invoke asks POST /invoke. An *Error means that nothing was billed.
func (c *Client) Invoke(ctx context.Context, i Invocation) (o Outcome, err error) {
	h := http.Header{}
	for name, value := range map[string]string{
		"X-Payment-Channel": i.Channel, "X-Payment-Channel-Secret": i.Secret,
		"X-Aimarket-Sandbox-Visitor": i.Visitor, "Idempotency-Key": i.RequestID,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	r := request{doing: "calling " + i.CapabilityID, method: http.MethodPost, path: api + "/invoke", header: h, body: i}
	o.Raw.Raw, err = c.call(ctx, r, &o)
	return o, err
}

// Receipt asks GET /receipts/{nonce}: the signed receipt as issued.
func (c *Client) Receipt(ctx context.Context, nonce string) (json.RawMessage, error) {
	return c.get(ctx, "fetching receipt "+nonce, api+"/receipts/"+url.PathEscape(nonce), nil, nil)
}

// Publish asks POST /supply/register with the capability document as it is.
func (c *Client) Publish(ctx context.Context, token string, capability []byte) (json.RawMessage, error) {
	return c.call(ctx, request{
		doing: "publishing", method: http.MethodPost, path: api + "/supply/register",
		header: bearer(token), body: capability,
	}, nil)
}

// Unpublish asks DELETE /supply/{product}/{capability}; publisher may be "" where the
// token names it.
func (c *Client) Unpublish(ctx context.Context, token, product, capability, publisher string) (json.RawMessage, error) {
	r := request{doing: "unpublishing " + product + "/" + capability, method: http.MethodDelete, header: bearer(token),
		path: api + "/supply/" + url.PathEscape(product) + "/" + url.PathEscape(capability)}
	if publisher != "" {
		r.query = url.Values{"publisher_id": {publisher}}
	}
	return c.call(ctx, r, nil)
}

// Stake asks POST /supply/stake.
func (c *Client) Stake(ctx context.Context, token, publisher string, amountUSD json.Number) (json.RawMessage, error) {
	return c.call(ctx, request{
		doing: "staking", method: http.MethodPost, path: api + "/supply/stake", header: bearer(token),
		body: map[string]any{"publisher_id": publisher, "amount_usd": amountUSD},
	}, nil)
}

func bearer(token string) http.Header {
	if token == "" {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// Discovery, Manifest, Stats and Reputation return documents as sent.
func (c *Client) Discovery(ctx context.Context) (json.RawMessage, error) {
	return c.get(ctx, "reading the discovery document", "/.well-known/ai-market.json", nil, nil)
}

// Manifest asks GET /manifest.
func (c *Client) Manifest(ctx context.Context) (json.RawMessage, error) {
	return c.get(ctx, "reading the manifest", api+"/manifest", nil, nil)
}

// Stats asks GET /stats/live for the newest calls.
func (c *Client) Stats(ctx context.Context, limit int) (json.RawMessage, error) {
	return c.get(ctx, "reading statistics", api+"/stats/live", url.Values{"limit": {strconv.Itoa(limit)}}, nil)
}

// Reputation asks GET /reputation/{hub_url}; the URL goes in as it is.
func (c *Client) Reputation(ctx context.Context, hubURL string) (json.RawMessage, error) {
	return c.get(ctx, "reading the reputation of "+hubURL, api+"/reputation/"+url.PathEscape(hubURL), nil, nil)
}

// Fetch reads any document of this hub by path.
func (c *Client) Fetch(ctx context.Context, path string) (json.RawMessage, error) {
	return c.get(ctx, "fetching "+path, path, nil, nil)
}
