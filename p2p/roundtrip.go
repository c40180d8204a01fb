package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Bounds on requests to other hubs.
const (
	urlScheme           = "libp2p" // of catalog.KeyURL
	clientStreamsPerHub = httpStreamsPerHub / 2
	clientIdlePerHub    = 4
	clientIdle          = 256
	clientIdleTimeout   = httpIdleTimeout * 3 / 4 // before the server ends it, lest requests meet a closing stream
	clientHeaderBytes   = 64 << 10
)

func (h *Host) newTransport() *http.Transport {
	return &http.Transport{
		DialContext: h.dialStream, DisableCompression: true,
		MaxConnsPerHost: clientStreamsPerHub, MaxIdleConnsPerHost: clientIdlePerHub, MaxIdleConns: clientIdle,
		IdleConnTimeout: clientIdleTimeout, MaxResponseHeaderBytes: clientHeaderBytes, ExpectContinueTimeout: time.Second,
	}
}

// RoundTrip makes Host an http.RoundTripper for URLs under catalog.KeyURL: the request
// goes over a stream to the hub with that key, which the connection proves. The hub is
// connected to if need be. Streams are kept and used again. The answer's body is as long
// as the other hub likes: the caller bounds it.
func (h *Host) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.roundTrip(r)
	h.metrics.sent.WithLabelValues(result(err)).Inc()
	return resp, err
}

func (h *Host) roundTrip(r *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if r.URL.Scheme != urlScheme {
		return refuse(fmt.Errorf("p2p: %s %s: streams are for %s:// URLs", r.Method, r.URL.Redacted(), urlScheme))
	}
	key, err := keyOfURL(r.URL.Host)
	if err != nil {
		return refuse(err)
	}
	id, err := peerIDOf(key)
	if err != nil {
		return refuse(err)
	}
	if h.ctx.Err() != nil {
		return refuse(fmt.Errorf("p2p: %s %s: %w", r.Method, r.URL.Redacted(), net.ErrClosed))
	}
	u := *r.URL
	u.Scheme = "http"
	sent := r.WithContext(r.Context())
	sent.URL = &u
	h.uses.add(id)
	resp, err := h.transport.RoundTrip(sent)
	if err != nil {
		h.uses.done(id)
		return nil, fmt.Errorf("p2p: %s %s over a stream: %w", r.Method, r.URL.Redacted(), err)
	}
	resp.Request = r
	resp.Body = &heldBody{ReadCloser: resp.Body, done: func() { h.uses.done(id) }}
	return resp, nil
}

// heldBody tells when an answer was read.
type heldBody struct {
	io.ReadCloser
	done func()
	once sync.Once
}

func (b *heldBody) Close() error {
	b.once.Do(b.done)
	return b.ReadCloser.Close()
}

// dialStream opens a stream to the hub whose key is the host of address.
func (h *Host) dialStream(ctx context.Context, _, address string) (net.Conn, error) {
	hostname, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	key, err := keyOfURL(hostname)
	if err != nil {
		return nil, err
	}
	id, err := peerIDOf(key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+lookupTimeout)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	if err := h.connect(ctx, id, "demand"); err != nil {
		return nil, err
	}
	s, err := h.host.NewStream(network.WithAllowLimitedConn(network.WithNoDial(ctx, userAgent), userAgent), id, HTTPProtocol)
	if err != nil {
		if h.ctx.Err() != nil {
			err = errors.Join(net.ErrClosed, err)
		}
		return nil, fmt.Errorf("opening a stream for HTTP to hub %s: %w", id, err)
	}
	return newStreamConn(s, key, hubAddr(RemoteAddr(h.cfg.Key.Public())), func() {}), nil
}
