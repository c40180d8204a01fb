package p2p

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/internal/identity"
)

func TestMain(m *testing.M) {
	if os.Getenv(machineEnv) != "" {
		machine()
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what should take milliseconds.
const patience = 20 * time.Second

var (
	overTCP  = []string{"/ip4/127.0.0.1/tcp/0"}
	overQUIC = []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
)

func testKey(t testing.TB, name string) *identity.Key {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	k, err := identity.FromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// hello tells who asked and what.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	key, ok := CallerKey(r)
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%v %s %s %s", ok, hex.EncodeToString(key[:]), r.URL.Path, body)
})

// open starts a host on loopback that ends with the test.
func open(t testing.TB, name string, change func(*Config)) *Host {
	t.Helper()
	c := Config{Key: testKey(t, name), Listen: overTCP, Local: true, Handler: hello}
	if change != nil {
		change(&c)
	}
	h, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("closing %s: %v", name, err)
		}
	})
	return h
}

func key(h *Host) identity.PublicKey { return h.cfg.Key.Public() }

func keyURL(k identity.PublicKey) string { return "libp2p://" + hex.EncodeToString(k[:]) }

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func linked(a, b *Host) func() bool { return func() bool { return a.Link(key(b)).Connected } }

func get(t testing.TB, h *Host, url string, body string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), nil
}
