package safehttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func local(t testing.TB, o Options) *Client {
	o.AllowLocal = true
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// rawServer answers every connection with the bytes, after reading a request.
func rawServer(t testing.TB, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, answer)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

func TestDo(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s len=%d te=%v ua=%q x=%q cl=%q ae=%q expect=%q", r.Method, r.URL, r.ContentLength,
			r.TransferEncoding, r.UserAgent(), r.Header.Get("X-A"), r.Header.Get("Content-Length"), r.Header.Get("Accept-Encoding"), r.Header.Get("Expect")))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(body)
	})
	for _, c := range []struct {
		method string
		header http.Header
		body   []byte
		want   string
	}{
		{"GET", nil, nil, `GET /p?q=1 len=0 te=[] ua="test/1" x="" cl="" ae="" expect=""`},
		{"POST", http.Header{"X-A": {"b"}, "Expect": {"100-continue"}}, []byte("hello"), `POST /p?q=1 len=5 te=[] ua="test/1" x="b" cl="5" ae="" expect=""`},
		{"POST", nil, nil, `POST /p?q=1 len=0 te=[] ua="test/1" x="" cl="0" ae="" expect=""`},
		{"POST", nil, []byte{}, `POST /p?q=1 len=0 te=[] ua="test/1" x="" cl="0" ae="" expect=""`},
		{"PUT", http.Header{"User-Agent": {"own"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"99"}}, []byte("x"),
			`PUT /p?q=1 len=1 te=[] ua="own" x="" cl="1" ae="" expect=""`},
		{"DELETE", nil, bytes.Repeat([]byte("y"), 1<<20), `DELETE /p?q=1 len=1048576 te=[] ua="test/1" x="" cl="1048576" ae="" expect=""`},
	} {
		client := local(t, Options{UserAgent: "test/1"})
		before := fmt.Sprint(c.header)
		r, err := client.Do(context.Background(), c.method, s.URL+"/p?q=1", c.header, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.method, err)
			continue
		}
		if r.Status != http.StatusTeapot || r.Header.Get("X-Seen") != c.want || !bytes.Equal(r.Body, c.body) {
			t.Errorf("%d %s\nwant %s (body %d bytes)", r.Status, r.Header.Get("X-Seen"), c.want, len(r.Body))
		}
		if fmt.Sprint(c.header) != before {
			t.Error("Do changed the caller's header")
		}
	}
}

func TestHead(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "99999999") })
	r, err := local(t, Options{}).Do(context.Background(), "HEAD", s.URL, nil, nil)
	if err != nil || r.Status != 200 || len(r.Body) != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestRedirectIsAnAnswer(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	})
	r, err := local(t, Options{}).Do(context.Background(), "GET", s.URL, nil, nil)
	if err != nil || r.Status != 302 || r.Header.Get("Location") != "http://169.254.169.254/" || hits.Load() != 1 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	proxied := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the proxy was asked") })
	t.Setenv("HTTP_PROXY", proxied.URL)
	t.Setenv("ALL_PROXY", proxied.URL)
	t.Setenv("http_proxy", proxied.URL)
	c := local(t, Options{Resolver: names{"hub.example": {"127.0.0.1"}}})
	// Go exempts loopback literals from proxies, so go by a name.
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	if _, err := c.Do(context.Background(), "GET", "http://hub.example:"+port, nil, nil); err != nil {
		t.Error(err)
	}
}

func gzipped(n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, n))
	_ = z.Close()
	return b.Bytes()
}

func TestBodyBounds(t *testing.T) {
	const bound = 10_000
	answer := func(encoding string, body []byte, chunked bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			if chunked {
				w.(http.Flusher).Flush()
			} else {
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			}
			_, _ = w.Write(body)
		}
	}
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		kind error
		want int
	}{
		{"at the bound", answer("", make([]byte, bound), false), nil, bound},
		{"at the bound, chunked", answer("", make([]byte, bound), true), nil, bound},
		{"empty", answer("", nil, false), nil, 0},
		{"one over", answer("", make([]byte, bound+1), false), ErrTooLarge, 0},
		{"one over, chunked", answer("", make([]byte, bound+1), true), ErrTooLarge, 0},
		{"gzip", answer("gzip", gzipped(bound), false), nil, bound},
		{"gzip, one over", answer("gzip", gzipped(bound+1), false), ErrTooLarge, 0},
		{"bomb", answer("GZIP", gzipped(5<<20), false), ErrTooLarge, 0},
		{"not gzip", answer("gzip", []byte("plain text, not gzip"), false), ErrResponse, 0},
		{"damaged gzip", answer("gzip", append(gzipped(100)[:20], make([]byte, 40)...), false), ErrResponse, 0},
		{"empty gzip", answer("gzip", nil, false), nil, 0},
		{"identity", answer("identity", []byte("x"), false), nil, 1},
		{"br", answer("br", []byte("x"), false), ErrResponse, 0},
		{"twice", answer("gzip, gzip", gzipped(10), false), ErrResponse, 0},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, ErrTooLarge, 0},
		{"large header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", maxHeaderBytes))
		}, ErrTooLarge, 0},
	} {
		s := serve(t, c.h)
		r, err := local(t, Options{MaxBody: bound}).Do(context.Background(), "GET", s.URL, nil, nil)
		if !errors.Is(err, c.kind) || c.kind == nil && len(r.Body) != c.want {
			t.Errorf("%s: %v %v", c.name, r, err)
		}
		if c.kind == nil && r.Header.Get("Content-Encoding") == "gzip" {
			t.Errorf("%s: decoded, yet still marked as gzip", c.name)
		}
	}
}

func TestSlowAnswers(t *testing.T) {
	gone := make(chan struct{}, 10)
	drip := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			case <-tick.C:
				_, _ = w.Write([]byte("."))
				w.(http.Flusher).Flush()
			}
		}
	})
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); gone <- struct{}{} })
	for name, u := range map[string]string{"drip": drip.URL, "silent": silent.URL} {
		_, err := local(t, Options{Timeout: 50 * time.Millisecond}).Do(context.Background(), "GET", u, nil, nil)
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		<-gone // the server was told
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err = local(t, Options{}).Do(ctx, "GET", u, nil, nil)
		if !errors.Is(err, ErrCanceled) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
			t.Errorf("%s canceled: %v", name, err)
		}
		<-gone
		ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err = local(t, Options{}).Do(ctx, "GET", u, nil, nil)
		cancel()
		if !errors.Is(err, ErrTimeout) {
			t.Errorf("%s, the caller's deadline: %v", name, err)
		}
		<-gone
	}
}

func TestBadServers(t *testing.T) {
	closed := rawServer(t, "")
	for _, c := range []struct {
		name, url string
		kind      error
	}{
		{"hangs up", closed, ErrUnreachable},
		{"half a body", rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), ErrUnreachable},
		{"no HTTP", rawServer(t, "SSH-2.0-OpenSSH\r\n\r\n"), ErrResponse},
		{"bad chunk", rawServer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), ErrResponse},
		{"bad length", rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"), ErrResponse},
		{"two lengths", rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), ErrResponse},
		{"upgrade", rawServer(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), ErrResponse},
		{"endless header", rawServer(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 100_000)), ErrTooLarge},
		{"plain HTTP at https", strings.Replace(rawServer(t, "HTTP/1.1 400 Bad\r\n\r\n"), "http:", "https:", 1), ErrUnreachable},
		{"nobody", "http://127.0.0.1:1", ErrUnreachable},
		{"no name", "http://nowhere.example", ErrUnreachable},
	} {
		_, err := local(t, Options{Resolver: testNames}).Do(context.Background(), "GET", c.url, nil, nil)
		var e *Error
		if !errors.Is(err, c.kind) || !errors.As(err, &e) || e.Reason == "the exchange failed" {
			t.Errorf("%s: %v (%v)", c.name, err, errors.Unwrap(err))
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	for name, do := range map[string]func(c *Client) error{
		"method":       func(c *Client) error { _, err := c.Do(context.Background(), "GET x", s.URL, nil, nil); return err },
		"header name":  func(c *Client) error { return header(c, s.URL, "a b", "c") },
		"header value": func(c *Client) error { return header(c, s.URL, "A", "b\r\nX: y") },
	} {
		if err := do(local(t, Options{})); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func header(c *Client, url, name, value string) error {
	_, err := c.Do(context.Background(), "GET", url, http.Header{name: {value}}, nil)
	return err
}

func TestTLSNameStaysTheHostname(t *testing.T) {
	var sni, host atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sni.Store(r.TLS.ServerName)
		host.Store(r.Host)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the refused certificate below
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	resolver := names{"example.com": {"127.0.0.1"}, "other.test": {"127.0.0.1"}} // httptest's certificate is for example.com
	c := local(t, Options{RootCAs: roots, Resolver: resolver})
	if _, err := c.Do(context.Background(), "GET", "https://example.com:"+port, nil, nil); err != nil {
		t.Fatal(err)
	}
	if sni.Load() != "example.com" || host.Load() != "example.com:"+port {
		t.Errorf("server name %v, host %v", sni.Load(), host.Load())
	}
	if _, err := c.Do(context.Background(), "GET", "https://other.test:"+port, nil, nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("wrong name: %v", err)
	}
}

// rebinding answers one list of addresses after the other, then the last again.
type rebinding struct {
	mu      sync.Mutex
	answers [][]string
	asked   int
}

func (r *rebinding) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answers[min(r.asked, len(r.answers)-1)]
	r.asked++
	return names{host: a}.LookupNetIP(ctx, network, host)
}

func TestRebinding(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the private server was reached") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	u := "http://rebind.example:" + port
	r := &rebinding{answers: [][]string{{"93.184.216.34"}, {"127.0.0.1"}}}
	c := New(Options{Resolver: r})
	defer c.Close()
	if err := c.CheckURL(context.Background(), u); err != nil {
		t.Fatalf("the first answer is public: %v", err)
	}
	if _, err := c.Do(context.Background(), "GET", u, nil, nil); !errors.Is(err, ErrUnsafeURL) {
		t.Errorf("the second is not: %v", err)
	}
	if r.asked != 2 {
		t.Errorf("resolved %d times for one check and one dial", r.asked)
	}
}

// Each dial resolves once and uses what it judged: with an answer that turns bad
// after the first, the request that was judged good still succeeds.
func TestDialUsesTheJudgedAddress(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	r := &rebinding{answers: [][]string{{"127.0.0.1"}, {"169.254.169.254"}}}
	c := local(t, Options{Resolver: r})
	u := "http://rebind.example:" + port
	if _, err := c.Do(context.Background(), "GET", u, nil, nil); err != nil {
		t.Errorf("first: %v", err)
	}
	if _, err := c.Do(context.Background(), "GET", u, nil, nil); !errors.Is(err, ErrUnsafeURL) {
		t.Errorf("second: %v", err)
	}
}

// The check inside the socket call holds by itself, should an address ever come
// there unjudged.
func TestControlRefuses(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	d := &dialer{}
	nd := net.Dialer{Control: d.control("x:80")}
	conn, err := nd.Dial("tcp", s.Listener.Addr().String())
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, ErrUnsafeURL) {
		t.Error(err)
	}
}

func TestSecondAddressIsTried(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := local(t, Options{Resolver: names{"two.example": {"127.0.0.2", "127.0.0.1"}}}) // httptest listens on .1 only
	if _, err := c.Do(context.Background(), "GET", "http://two.example:"+port, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := local(t, Options{})
	for range 50 {
		if _, err := c.Do(context.Background(), "POST", s.URL, nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 50 calls in a row", n)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if _, err := c.Do(context.Background(), "POST", s.URL, nil, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n > 32 {
		t.Errorf("%d connections for 16 callers", n)
	}
}

// The hop through Do against the hop that a bare reverse proxy adds.
func BenchmarkHop(b *testing.B) {
	answer := []byte(`{"ok":true,"result":{"text":"hello"}}`)
	up := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	})
	upURL, _ := url.Parse(up.URL)
	c := local(b, Options{})
	direct := up.URL
	proxy := serve(b, httputil.NewSingleHostReverseProxy(upURL).ServeHTTP).URL
	ours := serve(b, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a, err := c.Do(r.Context(), "POST", up.URL, http.Header{"Content-Type": {"application/json"}}, body)
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = w.Write(a.Body)
	}).URL
	client := local(b, Options{})
	measure := func(u string) float64 {
		start := time.Now()
		for range b.N {
			if _, err := client.Do(context.Background(), "POST", u, nil, answer); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(start).Nanoseconds()) / float64(b.N)
	}
	base, theirs, mine := measure(direct), measure(proxy), measure(ours)
	b.ReportMetric(theirs-base, "proxy-added-ns")
	b.ReportMetric(mine-base, "do-added-ns")
	b.ReportMetric((mine-base)/(theirs-base), "ratio")
}
