package safehttp

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// pool keeps the connections that may carry another request. It starts no
// goroutine: a connection belongs to the caller that uses it, and one that lies
// idle is looked at when it is taken out again, or when its time is up.
type pool struct {
	dialer *dialer
	tls    *tls.Config

	mu     sync.Mutex
	hosts  map[origin]*host
	idle   int         // connections kept, of all hosts
	sweeps *time.Timer // nil: nothing is kept
	closed bool
}

// origin is what connections are shared within.
type origin struct {
	secure   bool
	hostPort string
}

type host struct {
	at    origin
	slots chan struct{} // an element for each call that has or makes a connection
	users int           // calls that hold or await a slot
	idle  []*conn       // the one used last comes last
}

// conn is a connection in use by one call, or kept.
type conn struct {
	net.Conn
	socket net.Conn // below TLS
	r      *bufio.Reader
	header int64 // bytes that may still be read before the header has to be complete; negative: it is
	heard  bool  // something of the answer arrived
	reused bool
	since  time.Time // kept since
}

// Read bounds the header.
func (c *conn) Read(p []byte) (int, error) {
	if c.header == 0 {
		return 0, errHeaderTooLarge
	}
	if c.header > 0 {
		p = p[:min(int64(len(p)), c.header)]
	}
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	if c.header > 0 {
		c.header -= int64(n)
	}
	return n, err
}

// take returns a connection to t, kept or new, whose deadline is set. Whoever
// takes one gives it back. fresh refuses kept ones.
func (p *pool) take(ctx context.Context, t *target, deadline time.Time, fresh bool) (*host, *conn, error) {
	at := origin{t.url.Scheme == "https", t.hostPort()}
	p.mu.Lock()
	h := p.hosts[at]
	if h == nil {
		h = &host{at: at, slots: make(chan struct{}, maxPerHost)}
		p.hosts[at] = h
	}
	h.users++
	select {
	case h.slots <- struct{}{}:
	default:
		p.mu.Unlock()
		if err := h.await(ctx, deadline); err != nil {
			p.mu.Lock()
			p.leave(h)
			p.mu.Unlock()
			return nil, nil, err
		}
		p.mu.Lock()
	}
	for !fresh && len(h.idle) > 0 {
		last := len(h.idle) - 1
		c := h.idle[last]
		h.idle[last], h.idle = nil, h.idle[:last]
		p.idle--
		p.mu.Unlock()
		if c.SetDeadline(deadline) == nil && quiet(c.socket) {
			c.reused = true
			return h, c, nil
		}
		c.Close()
		p.mu.Lock()
	}
	p.mu.Unlock()
	c, err := p.connect(ctx, t, deadline)
	if err != nil {
		p.give(h, nil)
		return nil, nil, err
	}
	return h, c, nil
}

// await waits until one of the host's connections is free.
func (h *host) await(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) connect(ctx context.Context, t *target, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	socket, err := p.dialer.dial(ctx, "tcp", t.hostPort())
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: socket, socket: socket}
	if t.url.Scheme == "https" {
		config := p.tls.Clone()
		config.ServerName = t.host
		secured := tls.Client(socket, config)
		shake, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := secured.HandshakeContext(shake); err != nil {
			socket.Close()
			return nil, err
		}
		c.Conn = secured
	}
	c.r = bufio.NewReader(c)
	if err := c.SetDeadline(deadline); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// give ends what take began. c is kept for the next call; nil if there is none or
// it cannot carry another.
func (p *pool) give(h *host, c *conn) {
	p.mu.Lock()
	<-h.slots
	var drop *conn
	switch {
	case c == nil:
	case p.closed || len(h.idle) >= maxIdlePerHost:
		drop = c
	default:
		c.since = time.Now()
		h.idle = append(h.idle, c)
		p.idle++
		if p.idle > maxIdle {
			drop = p.oldest()
		}
		if p.sweeps == nil {
			p.sweeps = time.AfterFunc(idleTimeout, p.sweep)
		}
	}
	p.leave(h)
	p.mu.Unlock()
	if drop != nil {
		drop.Close()
	}
}

// leave forgets a host that nobody uses. The caller holds the lock.
func (p *pool) leave(h *host) {
	h.users--
	p.forget(h)
}

func (p *pool) forget(h *host) {
	if h.users == 0 && len(h.idle) == 0 {
		delete(p.hosts, h.at)
	}
}

// oldest takes out the connection that was kept longest. The caller holds the lock.
func (p *pool) oldest() *conn {
	var from *host
	for _, h := range p.hosts {
		if len(h.idle) > 0 && (from == nil || h.idle[0].since.Before(from.idle[0].since)) {
			from = h
		}
	}
	c := from.idle[0]
	from.idle = append(from.idle[:0], from.idle[1:]...)
	p.idle--
	p.forget(from)
	return c
}

// sweep closes what was kept too long.
func (p *pool) sweep() { p.drop(time.Now().Add(-idleTimeout)) }

// close drops what is kept and keeps nothing from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop(time.Now())
}

// drop closes what was kept since before t.
func (p *pool) drop(t time.Time) {
	var old []*conn
	p.mu.Lock()
	for _, h := range p.hosts {
		n := 0
		for n < len(h.idle) && !h.idle[n].since.After(t) {
			n++
		}
		old = append(old, h.idle[:n]...)
		h.idle = append([]*conn(nil), h.idle[n:]...)
		p.forget(h)
	}
	p.idle -= len(old)
	if p.sweeps != nil {
		p.sweeps.Stop()
		p.sweeps = nil
	}
	if p.idle > 0 {
		p.sweeps = time.AfterFunc(idleTimeout, p.sweep)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}
