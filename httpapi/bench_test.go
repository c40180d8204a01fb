package httpapi

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// benchClients is how many keep-alive clients the paid call is measured with.
const benchClients = 64

// onDisk puts the hub's ledger on a real disk, so that a commit costs a sync.
func onDisk(b *testing.B) func(*setup) {
	db, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return func(s *setup) { s.ledger.Storage = ledger.NewPebbleStorage(db) }
}

// drive posts the same request from benchClients keep-alive connections.
func drive(b *testing.B, handler http.Handler, path string, body []byte, headers http.Header) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: benchClients, DisableCompression: true, DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	b.SetParallelism(benchClients / 2) // GOMAXPROCS is 2 on the reference machine
	b.ResetTimer()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequest(http.MethodPost, server.URL+path, bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			for k, v := range headers {
				r.Header[k] = v
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				b.Error(err)
				return
			}
			answer, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK {
				b.Errorf("status %d: %s", res.StatusCode, answer)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has used of the processors, clients included. On a
// machine that is busy with other things it says more than the wall clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFloor is the least that a paid call could cost: a chi echo, one
// signature and one synced commit of about the size that a capture writes.
func BenchmarkFloor(b *testing.B) {
	key, err := identity.FromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		b.Fatal(err)
	}
	db, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	var n atomic.Uint64
	row := bytes.Repeat([]byte{'x'}, 900)
	router := chi.NewRouter()
	router.Post("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_ = key.Sign(body)
		batch := db.NewBatch()
		defer batch.Close()
		batch.Set(binary.BigEndian.AppendUint64([]byte("bench/"), n.Add(1)), row)
		if err := db.Write(batch); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	drive(b, router, "/echo", []byte(`{"product_id":"hub","capability_id":"echo@v1","input":{"text":"hello"}}`), http.Header{"Content-Type": {"application/json"}})
}

// BenchmarkInvokePaid is the same call as a hub serves it: checked, priced, held,
// executed, captured and receipted.
func BenchmarkInvokePaid(b *testing.B) {
	h := newHub(b, onDisk(b))
	var channels [benchClients][2]string
	for i := range channels {
		channels[i][0], channels[i][1] = h.open("10000")
	}
	var next atomic.Uint64
	spread := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := channels[next.Add(1)%benchClients]
		r.Header["X-Payment-Channel"], r.Header["X-Payment-Channel-Secret"] = c[:1], c[1:]
		h.Handler().ServeHTTP(w, r)
	})
	drive(b, spread, prefix+"/invoke", []byte(`{"product_id":"hub","capability_id":"echo@v1","input":{"text":"hello"}}`), http.Header{"Content-Type": {"application/json"}})
}

// BenchmarkInvokeHandler is what this package and the layers below add without a
// network or a disk.
func BenchmarkInvokeHandler(b *testing.B) {
	h := newHub(b)
	id, secret := h.open("10000")
	body := `{"product_id":"hub","capability_id":"echo@v1","input":{"text":"hello"}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, prefix+"/invoke", strings.NewReader(body))
		r.RemoteAddr = h.client
		r.Header["X-Payment-Channel"], r.Header["X-Payment-Channel-Secret"] = []string{id}, []string{secret}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkSearch is a search over the few rows of the test hub: the cost of this
// package's part.
func BenchmarkSearch(b *testing.B) {
	h := newHub(b)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/search?intent=gives+back+text&budget=0.01", nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
