// Package client is the Go client of the AIMarket HTTP v2 API.
//
// It promises to speak to any hub of the protocol, to keep every answer's exact
// bytes beside the decoded view (signatures cover bytes), to follow no redirect
// (a redirected payment goes to a stranger), and to bound what it reads. It does
// not verify signatures, keeps no state and never retries a call that may have
// been billed: with a request id the caller can repeat it safely.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxBody bounds one answer; the largest is a manifest of 1000 tools.
const MaxBody = 16 << 20

// Client speaks to one hub. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// Options configure New; the zero value is right for a hub over TCP.
type Options struct {
	// Transport carries the requests; nil is a transport of its own. Hubs reach
	// each other with one that dials libp2p streams.
	Transport http.RoundTripper
	// Timeout bounds one exchange; 0 is 60 s, above what a provider may take.
	Timeout time.Duration
}

// New returns a client of the hub at base, which may carry a path. With a transport that
// knows the way, base may also be the address of a hub known by its key, libp2p://….
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && (u.Scheme != "libp2p" || o.Transport == nil)) {
		return nil, fmt.Errorf("hub address %q is not an http(s) URL such as http://localhost:9083", base)
	}
	if o.Timeout == 0 {
		o.Timeout = 60 * time.Second
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &Client{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{
			Transport: o.Transport, Timeout: o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Base is the hub's address without a trailing slash.
func (c *Client) Base() string { return c.base }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is a refusal by the hub: the protocol's stable code and its explanation.
type Error struct {
	Status int    // HTTP status
	Code   string // "payment_required"; "" from hubs that send none
	Detail string
	Body   []byte // the whole body as sent
	Doing  string // what was asked
}

func (e *Error) Error() string {
	what := e.Detail
	if what == "" {
		what = http.StatusText(e.Status)
	}
	if e.Code != "" {
		return fmt.Sprintf("%s: %s (%s, HTTP %d)", e.Doing, what, e.Code, e.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", e.Doing, what, e.Status)
}

const api = "/ai-market/v2"

// request is one exchange.
type request struct {
	doing  string // for errors: "opening a channel"
	method string
	path   string
	query  url.Values
	header http.Header
	body   any // marshalled unless it is []byte; nil none
}

// do sends r and returns the body of a 2xx answer; any other is an *Error.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	var body io.Reader
	if r.body != nil {
		raw, ok := r.body.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(r.body); err != nil {
				return nil, fmt.Errorf("%s: encoding the request: %w", r.doing, err)
			}
		}
		body = bytes.NewReader(raw)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.doing, err)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w; is the hub running?", r.doing, c.base, unwrapURL(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%s: reading the answer: %w", r.doing, err)
	}
	if len(raw) > MaxBody {
		return nil, fmt.Errorf("%s: the answer is larger than %d bytes", r.doing, MaxBody)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refusal(r.doing, resp.StatusCode, raw)
	}
	return raw, nil
}

// unwrapURL drops url.Error's repetition of method and address.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func refusal(doing string, status int, body []byte) *Error {
	e := &Error{Status: status, Body: body, Doing: doing}
	var m struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
		Reason string          `json:"reason"`
	}
	if json.Unmarshal(body, &m) != nil {
		return e
	}
	_ = json.Unmarshal(m.Error, &e.Code)
	if json.Unmarshal(m.Detail, &e.Detail) != nil { // validation answers with a list
		var list []struct {
			Loc []any  `json:"loc"`
			Msg string `json:"msg"`
		}
		_ = json.Unmarshal(m.Detail, &list)
		for i, d := range list {
			if i > 0 {
				e.Detail += "; "
			}
			e.Detail += strings.Trim(fmt.Sprint(d.Loc), "[]") + ": " + d.Msg
		}
	}
	if e.Detail == "" {
		e.Detail = m.Reason
	}
	return e
}

// get reads path and, if out is not nil, decodes it there.
func (c *Client) get(ctx context.Context, doing, path string, query url.Values, out any) ([]byte, error) {
	return c.call(ctx, request{doing: doing, method: http.MethodGet, path: path, query: query}, out)
}

func (c *Client) call(ctx context.Context, r request, out any) ([]byte, error) {
	raw, err := c.do(ctx, r)
	if err != nil || out == nil {
		return raw, err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return raw, fmt.Errorf("%s: the answer is not what the protocol says: %w", r.doing, err)
	}
	return raw, nil
}
