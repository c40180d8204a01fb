package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Channel is a prepaid channel as the hub shows it. Amounts are USD.
type Channel struct {
	Raw
	ID        string      `json:"channel_id"`
	Balance   json.Number `json:"balance_usd"`
	Deposit   json.Number `json:"deposit_usd"`
	Used      json.Number `json:"used_usd"`
	Status    string      `json:"status"`
	ExpiresAt string      `json:"expires_at"`
	Secret    string      `json:"channel_secret"` // only when opened
}

// OpenRequest asks for a channel.
type OpenRequest struct {
	DepositUSD json.Number `json:"deposit_usd"`
	Token      string      `json:"token,omitempty"`
	Chain      string      `json:"chain,omitempty"`
	Wallet     string      `json:"wallet,omitempty"`
	TxHash     string      `json:"tx_hash,omitempty"`
	RequestID  string      `json:"-"` // repeating it returns the same channel and secret
}

// OpenChannel asks POST /channel/open.
func (c *Client) OpenChannel(ctx context.Context, o OpenRequest) (Channel, error) {
	h := http.Header{}
	if o.RequestID != "" {
		h.Set("Idempotency-Key", o.RequestID)
	}
	var a struct{ Channel Channel }
	raw, err := c.call(ctx, request{doing: "opening a channel", method: http.MethodPost, path: api + "/channel/open", header: h, body: o}, &a)
	a.Channel.Raw.Raw = raw
	return a.Channel, err
}

// Channel asks GET /channel/{id}.
func (c *Client) Channel(ctx context.Context, id string) (ch Channel, err error) {
	ch.Raw.Raw, err = c.get(ctx, "looking at channel "+id, api+"/channel/"+url.PathEscape(id), nil, &ch)
	return ch, err
}

// Settlement is what closing did.
type Settlement struct {
	Raw
	ChannelID   string      `json:"channel_id"`
	Spent       json.Number `json:"total_spent_usd"`
	Refund      json.Number `json:"refund_usd"`
	Invocations int64       `json:"invocations"`
}

// CloseChannel asks POST /channel/close.
func (c *Client) CloseChannel(ctx context.Context, id, secret, wallet string) (s Settlement, err error) {
	h := http.Header{}
	if secret != "" {
		h.Set("X-Payment-Channel-Secret", secret)
	}
	body := map[string]string{"channel_id": id}
	if wallet != "" {
		body["wallet"] = wallet
	}
	s.Raw.Raw, err = c.call(ctx, request{doing: "closing channel " + id, method: http.MethodPost, path: api + "/channel/close", header: h, body: body}, &s)
	return s, err
}
