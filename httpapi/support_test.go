package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/ledger"
)

// brokenBody ends with an error instead of its end.
type brokenBody struct{ given bool }

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.given {
		return 0, errors.New("connection reset")
	}
	b.given = true
	return copy(p, `{"capability_id":`), nil
}

func (h *hub) broken(target string, headers ...string) *response {
	h.t.Helper()
	return h.cut(http.MethodPost, target, headers...)
}

// quick sends a request that must succeed, without holding the answer against the
// document: for the many that only prepare a probe.
func (h *hub) quick(method, target, body string, headers ...string) {
	h.t.Helper()
	doc := h.doc
	h.doc = nil
	defer func() { h.doc = doc }()
	h.do(method, target, body, headers...).want(http.StatusOK)
}

// testKey is the key of a hub that a test makes up.
func testKey(name string) *identity.Key {
	seed := sha256.Sum256([]byte(name))
	k, err := identity.FromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

// cut sends a request whose body ends with an error.
func (h *hub) cut(method, target string, headers ...string) *response {
	h.t.Helper()
	r := httptest.NewRequest(method, "http://hub.example"+target, io.NopCloser(&brokenBody{}))
	r.ContentLength = 100
	r.RemoteAddr = h.client
	for _, line := range headers {
		k, v, _ := strings.Cut(line, ": ")
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	v, err := canon.Parse(w.Body.Bytes())
	if err != nil {
		h.t.Fatalf("%v\n%s", err, w.Body)
	}
	res := &response{t: h.t, status: w.Code, header: w.Header(), body: w.Body.Bytes(), value: v}
	h.doc.check(h.t, method, target, res)
	return res
}

// recovered opens a channel with an owner key, loses the secret and gets another.
func (h *hub) recovered() *response {
	h.t.Helper()
	owner, err := identity.FromSeed([]byte("an owner key of thirty-two bytes"))
	if err != nil {
		h.t.Fatal(err)
	}
	r := h.post(prefix+"/channel/open", `{"deposit_usd":5,"owner_key":"`+owner.PublicBase64()+`"}`).want(200)
	id, now := r.str("channel.channel_id"), h.clock.Now()
	proof := base64.StdEncoding.EncodeToString(owner.Sign([]byte(ledger.RecoverMessage(hubURL, id, now))))
	return h.post(prefix+"/channel/recover", `{"channel_id":"`+id+`","timestamp":"`+now.UTC().Format(timeFormat)+`","signature":"`+proof+`"}`)
}

// metric is the sum of a counter's or gauge's series in the hub's registry.
func metric(t testing.TB, h *hub, name string) float64 {
	t.Helper()
	families, err := h.cfg.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

// mustPeerID is a key's peer ID as libp2p itself derives it.
func mustPeerID(t testing.TB, key identity.PublicKey) string {
	t.Helper()
	pub, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}
