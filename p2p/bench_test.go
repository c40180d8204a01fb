package p2p

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) })

func call(b *testing.B, c http.RoundTripper, url string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	resp, err := c.RoundTrip(r)
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Error(err)
	}
	resp.Body.Close()
}

// BenchmarkRoundTrip is one call to another hub in the same process on a stream that is
// used again, beside bare HTTP over loopback in the same run.
func BenchmarkRoundTrip(b *testing.B) {
	bench := func(c http.RoundTripper, url string) func(*testing.B) {
		return func(b *testing.B) {
			call(b, c, url)
			b.ReportAllocs()
			for b.Loop() {
				call(b, c, url)
			}
		}
	}
	parallel := func(c http.RoundTripper, url string) func(*testing.B) {
		return func(b *testing.B) {
			b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					call(b, c, url)
				}
			})
		}
	}
	bare := httptest.NewServer(ok)
	defer bare.Close()
	b.Run("bare HTTP", bench(bare.Client().Transport, bare.URL))
	b.Run("bare HTTP, 16 at once", parallel(bare.Client().Transport, bare.URL))
	for name, listen := range map[string][]string{"TCP": overTCP, "QUIC": overQUIC} {
		client, server := pair(b, listen, ok)
		b.Run(name, bench(client, keyURL(key(server))))
		b.Run(name+", 16 at once", parallel(client, keyURL(key(server))))
	}
}

// BenchmarkNewStream is the same with a new stream for each call.
func BenchmarkNewStream(b *testing.B) {
	for name, listen := range map[string][]string{"TCP": overTCP, "QUIC": overQUIC} {
		client, server := pair(b, listen, ok)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				call(b, client, keyURL(key(server)))
				client.transport.CloseIdleConnections()
			}
		})
	}
}
