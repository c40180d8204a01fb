package p2p

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on HTTP over streams, as for HTTP over TCP in node.
const (
	httpHeaderTimeout = 10 * time.Second
	httpBodyTimeout   = 30 * time.Second
	httpAnswerTimeout = 90 * time.Second
	httpIdleTimeout   = time.Minute
	httpHeaderBytes   = 32 << 10
	httpStreams       = 1024 // open at a time
	httpStreamsPerHub = 64
	httpPatience      = 2 * time.Second // of Close with requests under way

	inUseTag = "aimarket-http" // connections with requests under way are not trimmed
)

// forwardedHeaders are believed from trusted proxies alone, and no hub is one.
var forwardedHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

type callerKey struct{}

// CallerKey is the key of the hub that a request came from when it came over a
// stream of this host; false for requests over HTTP.
func CallerKey(r *http.Request) (identity.PublicKey, bool) {
	key, ok := r.Context().Value(callerKey{}).(identity.PublicKey)
	return key, ok
}

// RemoteAddr is the RemoteAddr of requests from a hub over streams: "libp2p/", the first
// 56 hex digits of its key, and ":0", so that limits that count by address count hubs.
// What takes a port off works, and the rest, at 63 bytes, is short enough for
// limit.AddressKey to keep whole. 28 bytes of a key are as hard to hit upon as a key.
func RemoteAddr(key identity.PublicKey) string {
	return "libp2p/" + hex.EncodeToString(key[:28]) + ":0"
}

// webServer serves the HTTP v2 API over streams.
type webServer struct {
	host     host.Host
	http     *http.Server
	listener *streamListener
	done     chan struct{}
}

// serve starts it.
func (h *Host) serve(api http.Handler) *webServer {
	l := &streamListener{
		self: hubAddr(RemoteAddr(h.cfg.Key.Public())), metrics: h.metrics,
		conns: make(chan net.Conn), closed: make(chan struct{}), perHub: map[identity.PublicKey]int{},
	}
	w := &webServer{host: h.host, listener: l, done: make(chan struct{}), http: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, name := range forwardedHeaders {
				r.Header.Del(name)
			}
			api.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: httpHeaderTimeout, ReadTimeout: httpBodyTimeout, WriteTimeout: httpAnswerTimeout,
		IdleTimeout: httpIdleTimeout, MaxHeaderBytes: httpHeaderBytes,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, c.(*streamConn).key)
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			switch c := c.(*streamConn); s {
			case http.StateActive:
				if !c.active.Swap(true) {
					h.uses.add(c.Conn().RemotePeer())
				}
			case http.StateIdle, http.StateClosed, http.StateHijacked:
				if c.active.Swap(false) {
					h.uses.done(c.Conn().RemotePeer())
				}
			}
		},
	}}
	go func() {
		defer close(w.done)
		if err := w.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("HTTP over streams ended", "error", err)
		}
	}()
	h.host.SetStreamHandler(HTTPProtocol, l.take)
	return w
}

func (w *webServer) close() error {
	w.host.RemoveStreamHandler(HTTPProtocol)
	ctx, cancel := context.WithTimeout(context.Background(), httpPatience)
	defer cancel()
	err := w.http.Shutdown(ctx)
	if err != nil {
		err = w.http.Close()
	}
	<-w.done
	return err
}

// streamListener is a net.Listener of streams.
type streamListener struct {
	self    hubAddr
	metrics *metrics
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once

	mu     sync.Mutex
	total  int
	perHub map[identity.PublicKey]int
}

// take hands a stream to the server, or refuses it.
func (l *streamListener) take(s network.Stream) {
	key, ok := keyOf(s.Conn().RemotePeer())
	if !ok || !l.admit(key) {
		l.metrics.refusedStreams.Inc()
		s.ResetWithError(network.StreamResourceLimitExceeded)
		return
	}
	c := newStreamConn(s, key, l.self, func() { l.release(key) })
	select {
	case l.conns <- c:
		l.metrics.served.Inc()
	case <-l.closed:
		l.release(key)
		s.ResetWithError(network.StreamShutdown)
	}
}

func (l *streamListener) admit(key identity.PublicKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= httpStreams || l.perHub[key] >= httpStreamsPerHub {
		return false
	}
	l.total++
	l.perHub[key]++
	return true
}

func (l *streamListener) release(key identity.PublicKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.perHub[key]--; l.perHub[key] == 0 {
		delete(l.perHub, key)
	}
}

// Accept implements net.Listener.
func (l *streamListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *streamListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *streamListener) Addr() net.Addr { return l.self }

// hubAddr is a hub as a net.Addr.
type hubAddr string

// Network implements net.Addr.
func (hubAddr) Network() string { return "libp2p" }

func (a hubAddr) String() string { return string(a) }

// streamConn is a stream as a net.Conn.
type streamConn struct {
	network.Stream
	key           identity.PublicKey
	local, remote hubAddr
	active        atomic.Bool
	end           func()
	ended         sync.Once
}

func newStreamConn(s network.Stream, key identity.PublicKey, local hubAddr, end func()) *streamConn {
	return &streamConn{Stream: s, key: key, local: local, remote: hubAddr(RemoteAddr(key)), end: end}
}

func (c *streamConn) LocalAddr() net.Addr  { return c.local }
func (c *streamConn) RemoteAddr() net.Addr { return c.remote }

// Close ends both directions.
func (c *streamConn) Close() error {
	c.ended.Do(c.end)
	return c.Stream.Close()
}

// uses counts the requests under way with each hub, to keep its connections from being
// trimmed meanwhile.
type uses struct {
	conns connmgr.ConnManager
	mu    sync.Mutex
	n     map[peer.ID]int
}

func (u *uses) add(id peer.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n[id]++; u.n[id] == 1 {
		u.conns.Protect(id, inUseTag)
	}
}

func (u *uses) done(id peer.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n[id]--; u.n[id] == 0 {
		delete(u.n, id)
		u.conns.Unprotect(id, inUseTag)
	}
}

func parseHexKey(text string) (identity.PublicKey, error) {
	var key identity.PublicKey
	raw, err := hex.DecodeString(text)
	if err != nil {
		return key, err
	}
	if len(raw) != len(key) {
		return key, fmt.Errorf("%d bytes, a key has %d", len(raw), len(key))
	}
	copy(key[:], raw)
	return key, nil
}
