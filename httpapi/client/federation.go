package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Peer is another hub as the hub that was asked knows it. A pending one has no trust.
type Peer struct {
	URL           string      `json:"url"`
	Name          string      `json:"name"`
	Status        string      `json:"status"` // active, key_mismatch, pending, rejected; "" from hubs that send none
	Why           string      `json:"why"`
	Discoverer    string      `json:"discoverer"`
	TrustScore    json.Number `json:"trust_score"`
	Capabilities  int64       `json:"capabilities_count"`
	Declared      int64       `json:"declared_capabilities"` // of a pending one, by its own claim
	Preview       int64       `json:"preview_capabilities"`
	FirstSeen     string      `json:"first_seen"`
	LastSeen      string      `json:"last_seen"`
	LastCrawl     string      `json:"last_crawl"`
	RouteStatus   string      `json:"route_status"`
	Away          bool        `json:"away"`
	PublicKey     string      `json:"public_key"`
	AdvertisedKey string      `json:"advertised_public_key"`
	ClaimedURL    string      `json:"claimed_url"`
	Multiaddrs    []string    `json:"multiaddrs"`
	Link          *Link       `json:"link"` // nil from hubs that speak HTTP only
}

// Link is a peer's present connection over the mesh.
type Link struct {
	Connected bool    `json:"connected"`
	Address   string  `json:"address"`
	Relayed   bool    `json:"relayed"`
	LatencyMS float64 `json:"latency_ms"`
}

// PeerList is what GET /federation/peers answers.
type PeerList struct {
	Raw
	Peers    []Peer `json:"peers"`
	Pending  []Peer `json:"pending"`
	Rejected []Peer `json:"rejected"` // nil unless the operator asks
}

// Peers asks GET /federation/peers. With the hub's admin token it also shows the hubs
// that the operator rejected; "" asks as anybody.
func (c *Client) Peers(ctx context.Context, token string) (l PeerList, err error) {
	l.Raw.Raw, err = c.call(ctx, request{
		doing: "listing peers", method: http.MethodGet, path: api + "/federation/peers", header: bearer(token),
	}, &l)
	return l, err
}

// Preview asks GET /federation/preview: what a pending hub offers.
func (c *Client) Preview(ctx context.Context, hubURL string) (json.RawMessage, error) {
	return c.get(ctx, "previewing "+hubURL, api+"/federation/preview", url.Values{"url": {hubURL}}, nil)
}

// Announce asks POST /federation/announce; with the admin token the hub also notes the
// name and key.
func (c *Client) Announce(ctx context.Context, token string, hubURL, name, publicKey string) (json.RawMessage, error) {
	return c.operate(ctx, token, "announcing "+hubURL, "/federation/announce",
		map[string]any{"hub_url": hubURL, "hub_name": name, "signer_public_key": publicKey})
}

// Approve asks POST /federation/peers/approve.
func (c *Client) Approve(ctx context.Context, token, hubURL string) (json.RawMessage, error) {
	return c.operate(ctx, token, "approving "+hubURL, "/federation/peers/approve", map[string]any{"url": hubURL, "trusted": true})
}

// Reject asks POST /federation/peers/reject.
func (c *Client) Reject(ctx context.Context, token, hubURL string) (json.RawMessage, error) {
	return c.operate(ctx, token, "rejecting "+hubURL, "/federation/peers/reject", map[string]any{"url": hubURL})
}

// RemovePeer asks DELETE /federation/peers.
func (c *Client) RemovePeer(ctx context.Context, token, hubURL string) (json.RawMessage, error) {
	return c.call(ctx, request{
		doing: "removing " + hubURL, method: http.MethodDelete, path: api + "/federation/peers",
		query: url.Values{"url": {hubURL}}, header: bearer(token),
	}, nil)
}

// Repin is a change of a peer's pinned key.
type Repin struct {
	URL         string `json:"url"`
	PublicKey   string `json:"public_key,omitempty"`          // "" takes the key that the peer's address shows
	PreviousKey string `json:"previous_public_key,omitempty"` // refuse unless this is the present pin
	Trusted     *bool  `json:"trusted"`                       // nil leaves the peer's state
}

// Repin asks POST /federation/peers/repin.
func (c *Client) Repin(ctx context.Context, token string, r Repin) (json.RawMessage, error) {
	return c.operate(ctx, token, "changing the key of "+r.URL, "/federation/peers/repin", r)
}

// Crawl asks POST /federation/crawl and waits for the end of the cycle, as long as the
// client's timeout lets it.
func (c *Client) Crawl(ctx context.Context, token string) (json.RawMessage, error) {
	return c.operate(ctx, token, "crawling", "/federation/crawl", nil)
}

func (c *Client) operate(ctx context.Context, token, doing, path string, body any) (json.RawMessage, error) {
	return c.call(ctx, request{doing: doing, method: http.MethodPost, path: api + path, header: bearer(token), body: body}, nil)
}
