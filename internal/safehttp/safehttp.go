// Package safehttp makes outbound HTTP requests that cannot be tricked into the
// private network, or into reading without end.
//
// It promises, for a URL that a stranger chose:
//   - literal http:// or https://, any port; no user name, no control character,
//     no odd spelling of an address (federation.md §3 [S §7.4]);
//   - a connection only to an address that was judged in that same dial, after
//     every address of the name passed; Host header and TLS name stay the name;
//   - no redirect is followed, a 3xx is an answer like any other; no proxy is
//     used, whatever the environment says, for a proxy would resolve the name
//     again; HTTP/1.1 only; no cookies;
//   - one bound on the time of the whole exchange, so a slow drip ends too, one
//     on the body as decoded, so a small compressed bomb ends too, one on the
//     header;
//   - a request body has its Content-Length, never chunks.
//
// Limits: the rules judge addresses, not what listens there; a public address of
// our own network is public. A connection that is kept alive was judged when it
// was made.
package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 2 << 20
	maxHeaderBytes = 64 << 10
	// One provider may be called by many buyers at once, and each new connection
	// costs a handshake. So many are kept, in total and per host.
	maxIdle        = 512
	maxIdlePerHost = 128
	maxPerHost     = 512 // further calls wait for a connection until their time is up
	idleTimeout    = 90 * time.Second
)

// Resolver finds the addresses of a host; *net.Resolver satisfies it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options bound a client.
type Options struct {
	// AllowLocal lets loopback and private addresses pass, for development on one
	// machine. Link-local addresses (cloud metadata), multicast and the like stay
	// refused.
	AllowLocal bool
	// AllowHosts does the same for these host:port only, such as "localhost:8080".
	AllowHosts []string
	Timeout    time.Duration  // whole exchange, 0: 30 s
	MaxBody    int64          // decoded response bytes, 0: 2 MiB
	UserAgent  string         // unless the request has its own; empty: none is sent
	Resolver   Resolver       // nil: net.DefaultResolver
	RootCAs    *x509.CertPool // nil: the system's
}

// Client follows no redirects and dials only addresses that passed every rule. It
// is safe for concurrent use and keeps connections for reuse.
type Client struct {
	o      Options
	dialer *dialer
	pool   *pool
}

// New returns a client; Close it.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	c := &Client{o: o, dialer: &dialer{resolver: o.Resolver, allowLocal: o.AllowLocal, allowHosts: map[string]bool{}}}
	for _, h := range o.AllowHosts {
		c.dialer.allowHosts[strings.ToLower(h)] = true
	}
	c.pool = &pool{dialer: c.dialer, tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}, hosts: map[origin]*host{}}
	return c
}

// Response is a whole answer, read within the bounds.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request; body nil means none. The request carries Content-Length.
// header is not changed. Every error is an *Error; any status is an answer.
func (c *Client) Do(ctx context.Context, method, url string, header http.Header, body []byte) (*Response, error) {
	t, reason := parseURL(url)
	if reason == "" && t.addr.IsValid() && !publicAddress(t.addr, c.dialer.local(t.hostPort())) {
		reason = notPublic(t.addr).Reason
	}
	if reason != "" {
		return nil, &Error{Kind: ErrUnsafeURL, Host: shownHost(url), Reason: reason}
	}
	out, err := c.send(ctx, t, method, header, body)
	if err != nil {
		return nil, exchangeError(ctx, shownHost(url), err)
	}
	return out, nil
}

// CheckURL resolves rawURL and applies every rule without connecting: for URLs
// that are stored before they are fetched. A name that does not resolve is
// refused too.
func (c *Client) CheckURL(ctx context.Context, rawURL string) error {
	host := shownHost(rawURL)
	t, reason := parseURL(rawURL)
	if reason != "" {
		return &Error{Kind: ErrUnsafeURL, Host: host, Reason: reason}
	}
	_, err := c.dialer.resolve(ctx, t.host, t.hostPort(), t.addr)
	if err == nil {
		return nil
	}
	e := err.(*Error) // resolve returns no other
	e.Host = host
	if e.Kind == ErrUnreachable {
		e.Kind = ErrUnsafeURL
	}
	return e
}

// Close drops idle connections, and from then on each as its call ends.
func (c *Client) Close() { c.pool.close() }
