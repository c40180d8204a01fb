package safehttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// scripted serves the n-th connection (from 0) with script, until it returns.
func scripted(t testing.TB, script func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				script(n, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

// taken reads one request and reports whether there was one.
func taken(r *bufio.Reader) bool {
	request, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err == nil
}

// idleConn is the connection that was kept.
func idleConn(t *testing.T, c *Client) *conn {
	t.Helper()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, h := range c.pool.hosts {
		if len(h.idle) > 0 {
			return h.idle[len(h.idle)-1]
		}
	}
	t.Fatal("no connection was kept")
	return nil
}

// What a server may do with a connection after its first answer, and how many
// connections two POSTs then take. A POST is never sent twice.
func TestKeptConnection(t *testing.T) {
	for _, c := range []struct {
		name  string
		first string
		conns int32
	}{
		{"kept", fine, 1},
		{"said close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 2},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2},
		{"bytes nobody asked for", fine + fine, 2},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"interim answers", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + fine, 1},
	} {
		var conns, requests atomic.Int32
		u := scripted(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			conns.Add(1)
			for taken(r) {
				requests.Add(1)
				if _, err := io.WriteString(conn, c.first); err != nil {
					return
				}
			}
		})
		client := local(t, Options{})
		for range 2 {
			a, err := client.Do(context.Background(), "POST", u, nil, []byte("x"))
			if err != nil || a.Status/100 != 2 || a.Status == 200 && string(a.Body) != "ok" {
				t.Errorf("%s: %+v %v", c.name, a, err)
			}
		}
		client.Close()
		if conns.Load() != c.conns || requests.Load() != 2 {
			t.Errorf("%s: %d connections for %d requests, want %d", c.name, conns.Load(), requests.Load(), c.conns)
		}
	}
}

// A kept connection that the server closed meanwhile is not used, so even a POST
// goes through.
func TestClosedWhileIdle(t *testing.T) {
	closed := make(chan struct{})
	u := scripted(t, func(n int, conn net.Conn, r *bufio.Reader) {
		if taken(r) {
			_, _ = io.WriteString(conn, fine)
		}
		conn.Close()
		if n == 0 {
			close(closed)
		}
	})
	client := local(t, Options{})
	for range 2 {
		if _, err := client.Do(context.Background(), "POST", u, nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-closed
	}
}

// A server that takes the second request on a connection and hangs up leaves open
// whether it did the work: only what may be repeated is.
func TestHangUpOnKept(t *testing.T) {
	for _, c := range []struct {
		method   string
		header   http.Header
		requests int32
		fails    bool
	}{
		{"GET", nil, 3, false},
		{"HEAD", nil, 3, false},
		{"POST", nil, 2, true},
		{"DELETE", nil, 2, true},
		{"POST", http.Header{"Idempotency-Key": {"1"}}, 3, false},
	} {
		var requests atomic.Int32
		u := scripted(t, func(n int, conn net.Conn, r *bufio.Reader) {
			for taken(r) {
				if requests.Add(1) == 2 {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		})
		client := local(t, Options{})
		if _, err := client.Do(context.Background(), c.method, u, c.header, nil); err != nil {
			t.Fatal(err)
		}
		_, err := client.Do(context.Background(), c.method, u, c.header, nil)
		if (err != nil) != c.fails || c.fails && !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s %v: %v", c.method, c.header, err)
		}
		client.Close()
		if n := requests.Load(); n != c.requests {
			t.Errorf("%s %v: sent %d times, want %d", c.method, c.header, n, c.requests)
		}
	}
}

// A fresh connection that breaks is an answer: nothing is tried again.
func TestHangUpOnFresh(t *testing.T) {
	var requests atomic.Int32
	u := scripted(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		if taken(r) {
			requests.Add(1)
		}
	})
	if _, err := local(t, Options{}).Do(context.Background(), "GET", u, nil, nil); !errors.Is(err, ErrUnreachable) || requests.Load() != 1 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}

// A connection serves later calls although the deadline of the earlier one passed
// while it lay idle.
func TestDeadlineOfAnEarlierCall(t *testing.T) {
	var conns atomic.Int32
	u := scripted(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		conns.Add(1)
		for taken(r) {
			_, _ = io.WriteString(conn, fine)
		}
	})
	client := local(t, Options{})
	if _, err := client.Do(context.Background(), "POST", u, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := idleConn(t, client).SetDeadline(longAgo); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(context.Background(), "POST", u, nil, nil); err != nil || conns.Load() != 1 {
		t.Errorf("%v, %d connections", err, conns.Load())
	}
}

func TestWaitsForAConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	client := local(t, Options{})
	if _, err := client.Do(context.Background(), "GET", s.URL, nil, nil); err != nil {
		t.Fatal(err)
	}
	client.pool.mu.Lock()
	h := client.pool.hosts[origin{false, s.Listener.Addr().String()}]
	client.pool.mu.Unlock()
	for range maxPerHost {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := client.Do(ctx, "GET", s.URL, nil, nil); !errors.Is(err, ErrTimeout) {
		t.Errorf("with every connection in use: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := client.Do(context.Background(), "GET", s.URL, nil, nil)
		done <- err
	}()
	<-h.slots
	if err := <-done; err != nil {
		t.Errorf("after one became free: %v", err)
	}
}

// The pool stays within its bounds and forgets the hosts it keeps nothing of.
func TestPoolBounds(t *testing.T) {
	p := &pool{hosts: map[origin]*host{}}
	defer p.close()
	take := func(i int) *host {
		at := origin{hostPort: fmt.Sprint(i)}
		h := p.hosts[at]
		if h == nil {
			h = &host{at: at, slots: make(chan struct{}, maxPerHost)}
			p.hosts[at] = h
		}
		h.users++
		h.slots <- struct{}{}
		return h
	}
	var first *closable
	for i := range maxIdle + 10 {
		c := &closable{}
		if i == 0 {
			first = c
		}
		p.give(take(i), &conn{Conn: c})
	}
	if p.idle != maxIdle || len(p.hosts) != maxIdle || !first.closed {
		t.Errorf("%d kept of %d hosts, the oldest closed: %v", p.idle, len(p.hosts), first.closed)
	}
	p.drop(time.Now())
	if p.idle != 0 || len(p.hosts) != 0 || p.sweeps != nil {
		t.Errorf("after the sweep: %d kept of %d hosts", p.idle, len(p.hosts))
	}
	var held []*host
	for range maxIdlePerHost + 10 {
		held = append(held, take(0))
	}
	for _, h := range held {
		p.give(h, &conn{Conn: &closable{}})
	}
	if p.idle != maxIdlePerHost {
		t.Errorf("%d kept of one host", p.idle)
	}
	p.drop(time.Now().Add(-time.Hour))
	if p.idle != maxIdlePerHost || p.sweeps == nil {
		t.Error("a sweep closed what was kept a moment ago, or was the last")
	}
	p.give(take(1), nil)
	if len(p.hosts) != 1 {
		t.Error("a host without connections is remembered")
	}
}

type closable struct {
	net.Conn
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

func TestNothingIsKeptAfterClose(t *testing.T) {
	gone := make(chan struct{}, 2)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed {
			gone <- struct{}{}
		}
	}
	s.Start()
	defer s.Close()
	client := New(Options{AllowLocal: true})
	for range 2 {
		if _, err := client.Do(context.Background(), "GET", s.URL, nil, nil); err != nil {
			t.Fatal(err)
		}
		client.Close()
		<-gone
	}
}

// An interim answer costs nothing, but endless ones end at the bound of the header.
func TestEndlessInterimAnswers(t *testing.T) {
	u := scripted(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		taken(r)
		for {
			if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
				return
			}
		}
	})
	if _, err := local(t, Options{}).Do(context.Background(), "GET", u, nil, nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// Who refuses a request before reading all of it is heard.
func TestEarlyRefusal(t *testing.T) {
	u := scripted(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	a, err := local(t, Options{}).Do(context.Background(), "POST", u, nil, make([]byte, 64<<10))
	if err != nil || a.Status != 413 {
		t.Errorf("%+v %v", a, err)
	}
}
