// Package safehttp makes outbound HTTP requests that cannot be tricked into the
// private network.
package safehttp

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// Resolver finds the addresses of a host; *net.Resolver satisfies it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options bound a client.
type Options struct {
	AllowLocal bool          // local development: loopback and private addresses pass
	Timeout    time.Duration // whole exchange, 0: 30 s
	MaxBody    int64         // decoded response bytes, 0: 2 MiB
	UserAgent  string
	Resolver   Resolver // nil: net.DefaultResolver
}

// Client follows no redirects and dials only addresses that passed every rule.
type Client struct{}

func New(o Options) *Client { panic("skeleton") }

// Response is a whole answer, read within the bounds.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request; body nil means none. The request carries Content-Length.
func (c *Client) Do(ctx context.Context, method, url string, header http.Header, body []byte) (*Response, error) {
	panic("skeleton")
}

// CheckURL resolves rawURL and applies every rule without connecting: for URLs
// that are stored before they are fetched.
func (c *Client) CheckURL(ctx context.Context, rawURL string) error { panic("skeleton") }

// Close drops idle connections.
func (c *Client) Close() { panic("skeleton") }
