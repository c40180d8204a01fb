package p2p

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/aimarket/aimarket/internal/limit"
)

func pair(t testing.TB, listen []string, api http.Handler) (client, server *Host) {
	server = open(t, "server", func(c *Config) { c.Listen, c.Handler = listen, api })
	client = open(t, "client", func(c *Config) { c.Listen, c.Bootstrap = listen, server.Multiaddrs() })
	eventually(t, "the client joins the server", linked(client, server))
	return client, server
}

func stream(t *testing.T, from, to *Host) network.Stream {
	t.Helper()
	s, err := from.host.NewStream(t.Context(), to.id, HTTPProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLimitsCountHubsApart(t *testing.T) {
	seen := make(chan *http.Request, 1)
	client, server := pair(t, overTCP, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	r := httptest.NewRequest(http.MethodGet, keyURL(key(server))+"/", nil)
	r.Header.Set("X-Forwarded-For", "127.0.0.1")
	r.Header.Set("X-Real-IP", "127.0.0.1")
	resp, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := <-seen
	if got.RemoteAddr != RemoteAddr(key(client)) || got.Header.Get("X-Forwarded-For") != "" || got.Header.Get("X-Real-IP") != "" {
		t.Errorf("from %q with %v", got.RemoteAddr, got.Header)
	}
	host, port, err := net.SplitHostPort(got.RemoteAddr)
	if err != nil || port != "0" || limit.AddressKey(host) != host || net.ParseIP(host) != nil {
		t.Errorf("%q %q %v", host, port, err)
	}
	if RemoteAddr(key(client)) == RemoteAddr(key(server)) {
		t.Error("two hubs have one address")
	}
	if _, ok := CallerKey(httptest.NewRequest(http.MethodGet, "/", nil)); ok {
		t.Error("a request over HTTP has a caller's key")
	}
	if _, ok := CallerKey(got); !ok {
		t.Error("a request over a stream has no caller's key")
	}
}

func TestHugeHeaderIsRefused(t *testing.T) {
	for name, listen := range map[string][]string{"TCP": overTCP, "QUIC": overQUIC} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, listen, hello)
			s := stream(t, client, server)
			go io.WriteString(s, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 4*httpHeaderBytes)+"\r\n\r\n")
			answer := make([]byte, 12)
			if _, err := io.ReadFull(s, answer); err == nil && !bytes.HasSuffix(answer, []byte("431")) {
				t.Errorf("%q", answer)
			}
			s.Reset()
			if _, text, err := get(t, client, keyURL(key(server))+"/fine", ""); err != nil || !strings.Contains(text, "/fine") {
				t.Errorf("afterwards: %q %v", text, err)
			}
		})
	}
}

func TestStreamsOfOneHubAreBounded(t *testing.T) {
	client, server := pair(t, overTCP, hello)
	var streams []network.Stream
	for range httpStreamsPerHub {
		s := stream(t, client, server)
		if _, err := io.WriteString(s, "GET /"); err != nil { // and then nothing
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	eventually(t, "the server holds them", func() bool {
		server.web.listener.mu.Lock()
		defer server.web.listener.mu.Unlock()
		return server.web.listener.perHub[key(client)] == httpStreamsPerHub
	})
	s := stream(t, client, server)
	io.WriteString(s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if n, err := s.Read(make([]byte, 1)); err == nil {
		t.Errorf("one more stream was answered with %d bytes", n)
	}
	other := open(t, "other", func(c *Config) { c.Bootstrap = server.Multiaddrs() })
	eventually(t, "another hub joins", linked(other, server))
	if _, _, err := get(t, other, keyURL(key(server))+"/", ""); err != nil {
		t.Errorf("another hub has to wait: %v", err)
	}
	for _, s := range streams {
		s.Reset()
	}
	eventually(t, "they are let go", func() bool {
		_, _, err := get(t, client, keyURL(key(server))+"/", "")
		return err == nil
	})
}

func TestCallerGivesUp(t *testing.T) {
	for name, listen := range map[string][]string{"TCP": overTCP, "QUIC": overQUIC} {
		t.Run(name, func(t *testing.T) {
			begun, ended := make(chan struct{}), make(chan struct{})
			client, server := pair(t, listen, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(begun)
				<-r.Context().Done()
				close(ended)
			}))
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-begun; cancel() }()
			_, err := client.RoundTrip(httptest.NewRequest(http.MethodGet, keyURL(key(server))+"/slow", nil).WithContext(ctx))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			<-ended
			eventually(t, "nothing is under way", func() bool {
				client.uses.mu.Lock()
				defer client.uses.mu.Unlock()
				return len(client.uses.n) == 0
			})
		})
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	client, server := pair(t, overQUIC, hello)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			want := fmt.Sprintf("/%d body %d", i, i)
			if _, text, err := get(t, client, fmt.Sprintf("%s/%d", keyURL(key(server)), i), fmt.Sprintf("body %d", i)); err != nil || !strings.HasSuffix(text, want) {
				t.Errorf("%q %v", text, err)
			}
		})
	}
	wg.Wait()
	server.web.listener.mu.Lock()
	defer server.web.listener.mu.Unlock()
	if n := server.web.listener.total; n > clientStreamsPerHub {
		t.Errorf("%d streams", n)
	}
}

func TestServerWithoutAPI(t *testing.T) {
	client, server := pair(t, overTCP, nil)
	_, _, err := get(t, client, keyURL(key(server))+"/", "")
	if err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("%v", err)
	}
}

func TestRequestsForOtherSchemesAreRefused(t *testing.T) {
	h := open(t, "h", nil)
	hexKey := hex.EncodeToString(make([]byte, 32))
	for _, url := range []string{"http://" + hexKey + "/", "libp2p://hub.example/", "libp2p://" + hexKey[:62] + "/", "libp2p://" + hexKey + ":80/"} {
		if _, _, err := get(t, h, url, ""); err == nil {
			t.Errorf("%s was fetched", url)
		}
	}
}

func TestRequestsAfterCloseFail(t *testing.T) {
	client, server := pair(t, overTCP, hello)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t, client, keyURL(key(server))+"/", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestSlowHeaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		server := w.open("server", nil)
		client := w.open("client", func(c *Config) { c.Bootstrap = server.Multiaddrs() })
		time.Sleep(5 * time.Second)
		s, err := client.host.NewStream(t.Context(), server.id, HTTPProtocol)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var dripping sync.WaitGroup
		defer dripping.Wait()
		dripping.Go(func() {
			for {
				if _, err := io.WriteString(s, "G"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Logf("the stream ended with %v", err)
		}
		if d := time.Since(begun); d > httpHeaderTimeout+5*time.Second {
			t.Errorf("it took %s", d)
		}
		s.Reset()
	})
}
