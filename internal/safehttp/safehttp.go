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
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
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
	o         Options
	dialer    *dialer
	transport *http.Transport
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
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	c.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dialer.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxConnsPerHost:        maxPerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}
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
	host := shownHost(url)
	t, reason := parseURL(url)
	if reason == "" && t.addr.IsValid() && !publicAddress(t.addr, c.dialer.local(t.hostPort())) {
		reason = notPublic(t.addr).Reason
	}
	if reason != "" {
		return nil, &Error{Kind: ErrUnsafeURL, Host: host, Reason: reason}
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	resp, err := c.transport.RoundTrip(c.request(ctx, method, t, header, body))
	if err != nil {
		return nil, exchangeError(ctx, parent, host, err)
	}
	// Closing before the end drops the connection, which stops the sender.
	defer resp.Body.Close()
	out := &Response{Status: resp.StatusCode, Header: resp.Header}
	if out.Body, err = c.read(resp); err != nil {
		return nil, exchangeError(ctx, parent, host, err)
	}
	return out, nil
}

func (c *Client) request(ctx context.Context, method string, t *target, header http.Header, body []byte) *http.Request {
	h := make(http.Header, len(header)+1)
	for k, v := range header {
		h[k] = v
	}
	h.Del("Expect") // would wait for a go-ahead
	if _, own := h["User-Agent"]; !own {
		h["User-Agent"] = []string{c.o.UserAgent} // empty: net/http then sends none
	}
	r := &http.Request{
		Method: method, URL: t.url, Host: t.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(body) > 0 {
		r.ContentLength = int64(len(body))
		r.Body = &requestBody{Reader: bytes.NewReader(body)}
		// A kept connection may turn out to be closed before anything was sent.
		r.GetBody = func() (io.ReadCloser, error) { return &requestBody{Reader: bytes.NewReader(body)}, nil }
	}
	return r.WithContext(ctx)
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

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
