package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/httpapi/client"
)

// serve answers every request with f and returns a client of it.
func serve(t *testing.T, f http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL+"/hub/", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, base := range []string{"", "hub.example.com", "ftp://hub.example.com", "http://", "http://a b", "//hub"} {
		if _, err := client.New(base, client.Options{}); err == nil {
			t.Errorf("%q was taken", base)
		}
	}
}

// streams stands for a transport that reaches hubs by their key.
type streams struct{ asked string }

func (s *streams) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = r.URL.String()
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
}

// TestByKey: a hub without an address is called through a transport that knows the way,
// and through no other.
func TestByKey(t *testing.T) {
	base := "libp2p://" + strings.Repeat("ab", 32)
	if _, err := client.New(base, client.Options{}); err == nil {
		t.Error("a plain client took an address it cannot reach")
	}
	way := &streams{}
	c, err := client.New(base, client.Options{Transport: way})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Manifest(t.Context()); err != nil || way.asked != base+"/ai-market/v2/manifest" {
		t.Errorf("asked %q: %v", way.asked, err)
	}
}

// TestRefusals: what a hub says survives as code and text, whichever of the three
// error families it comes in; the whole body stays at hand.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, body   string
		status       int
		code, detail string
	}{
		{"detail", `{"detail":"channel not found","error":"unknown_channel"}`, 404, "unknown_channel", "channel not found"},
		{"invoke", `{"success":false,"error":"payment_required","detail":"this call costs 0.001 USD","needed":0.001}`, 402, "payment_required", "this call costs 0.001 USD"},
		{"safety", `{"success":false,"error":"safety_blocked","reason":"injection"}`, 403, "safety_blocked", "injection"},
		{"channel", `{"error":"channel not open"}`, 400, "channel not open", ""},
		{"validation", `{"detail":[{"loc":["body","deposit_usd"],"msg":"Field required"},{"loc":["body"],"msg":"no"}]}`, 422, "", "body deposit_usd: Field required; body: no"},
		{"old hub", `{"detail":"Not Found"}`, 404, "", "Not Found"},
		{"a proxy's page", `<html>Bad Gateway</html>`, 502, "", ""},
		{"odd types", `{"error":7,"detail":{"a":1}}`, 500, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := hub.Channel(t.Context(), "ch_1")
			var e *client.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *client.Error", err)
			}
			if e.Status != c.status || e.Code != c.code || e.Detail != c.detail || string(e.Body) != c.body {
				t.Errorf("got %+v", e)
			}
			if !strings.Contains(e.Error(), "channel ch_1") {
				t.Errorf("the text does not say what was asked: %s", e)
			}
		})
	}
}

// TestNoRedirect: a payment that is redirected would go to a stranger.
func TestNoRedirect(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	t.Cleanup(elsewhere.Close)
	hub := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := hub.Invoke(t.Context(), client.Invocation{CapabilityID: "echo@v1", Input: json.RawMessage(`{}`), Channel: "ch_1", Secret: "s"})
	var e *client.Error
	if !errors.As(err, &e) || e.Status != http.StatusTemporaryRedirect || followed {
		t.Errorf("%v, followed %v", err, followed)
	}
}

func TestBodyIsBounded(t *testing.T) {
	hub := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		for range client.MaxBody>>20 + 1 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	if _, err := hub.Manifest(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("an endless manifest: %v", err)
	}
}

// TestRequests pins what goes over the wire for each call.
func TestRequests(t *testing.T) {
	var got struct {
		method, path, query, body string
		header                    http.Header
	}
	answer := "{}"
	hub := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.method, got.path, got.query, got.body, got.header = r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Header
		_, _ = io.WriteString(w, answer)
	})
	ctx := t.Context()
	for _, c := range []struct {
		name   string
		call   func() error
		answer string
		want   string // method path?query body
		header map[string]string
	}{
		{"search", func() error {
			_, err := hub.Search(ctx, client.Query{Intent: "a b", Budget: "0.05", MinTrust: "0", Limit: 3})
			return err
		}, `{"matches":[]}`, "GET /hub/ai-market/v2/search?budget=0.05&intent=a+b&limit=3&min_trust=0 ", nil},
		{"invoke", func() error {
			o, err := hub.Invoke(ctx, client.Invocation{ProductID: "p", CapabilityID: "c@v1", Input: json.RawMessage(`{"n":1.50}`),
				MaxPriceUSD: "0.01", Channel: "ch", Secret: "s", RequestID: "r"})
			if err == nil && (string(o.Receipt) != `{"nonce":"n"}` || o.PriceUSD != "1e-05") {
				t.Errorf("decoded %+v", o)
			}
			return err
		}, `{"success":true,"result":{},"receipt":{"nonce":"n"},"price_usd":1e-05}`,
			`POST /hub/ai-market/v2/invoke {"product_id":"p","capability_id":"c@v1","input":{"n":1.50},"max_price_usd":0.01}`,
			map[string]string{"X-Payment-Channel": "ch", "X-Payment-Channel-Secret": "s", "Idempotency-Key": "r", "X-AIMarket-Sandbox-Visitor": ""}},
		{"open", func() error {
			ch, err := hub.OpenChannel(ctx, client.OpenRequest{DepositUSD: "5", RequestID: "0123456789abcdef"})
			if ch.ID != "ch_1" || ch.Secret != "s" {
				t.Errorf("decoded %+v", ch)
			}
			return err
		}, `{"channel":{"channel_id":"ch_1","channel_secret":"s"}}`, `POST /hub/ai-market/v2/channel/open {"deposit_usd":5}`,
			map[string]string{"Idempotency-Key": "0123456789abcdef"}},
		{"close", func() error { _, err := hub.CloseChannel(ctx, "ch_1", "s", ""); return err }, `{}`,
			`POST /hub/ai-market/v2/channel/close {"channel_id":"ch_1"}`, map[string]string{"X-Payment-Channel-Secret": "s"}},
		{"publish", func() error { _, err := hub.Publish(ctx, "tok", []byte(`{"a": 1}`)); return err }, `{}`,
			`POST /hub/ai-market/v2/supply/register {"a": 1}`, map[string]string{"Authorization": "Bearer tok"}},
		{"reputation", func() error { _, err := hub.Reputation(ctx, "https://h/x"); return err }, `{}`,
			"GET /hub/ai-market/v2/reputation/https:%2F%2Fh%2Fx ", nil},
		{"unpublish", func() error { _, err := hub.Unpublish(ctx, "tok", "p/x", "c@v1", "pub 1"); return err }, `{}`,
			"DELETE /hub/ai-market/v2/supply/p%2Fx/c@v1?publisher_id=pub+1 ", map[string]string{"Authorization": "Bearer tok"}},
		{"unpublish by token", func() error { _, err := hub.Unpublish(ctx, "tok", "p", "c@v1", ""); return err }, `{}`,
			"DELETE /hub/ai-market/v2/supply/p/c@v1 ", nil},
		{"peers", func() error {
			l, err := hub.Peers(ctx, "")
			if len(l.Peers) != 1 || l.Peers[0].Link.LatencyMS != 1.5 || l.Peers[0].TrustScore != "0.5" || len(l.Pending) != 1 || l.Pending[0].Link != nil || l.Rejected != nil {
				t.Errorf("decoded %+v", l)
			}
			return err
		}, `{"peers":[{"url":"https://a","trust_score":0.5,"link":{"connected":true,"latency_ms":1.5}}],"pending":[{"url":"https://b"}]}`,
			"GET /hub/ai-market/v2/federation/peers ", map[string]string{"Authorization": ""}},
		{"peers as operator", func() error { _, err := hub.Peers(ctx, "adm"); return err }, `{}`,
			"GET /hub/ai-market/v2/federation/peers ", map[string]string{"Authorization": "Bearer adm"}},
		{"preview", func() error { _, err := hub.Preview(ctx, "https://a"); return err }, `{}`,
			"GET /hub/ai-market/v2/federation/preview?url=https%3A%2F%2Fa ", nil},
		{"announce", func() error { _, err := hub.Announce(ctx, "", "https://a", "A", "k"); return err }, `{}`,
			`POST /hub/ai-market/v2/federation/announce {"hub_name":"A","hub_url":"https://a","signer_public_key":"k"}`, map[string]string{"Authorization": ""}},
		{"approve", func() error { _, err := hub.Approve(ctx, "adm", "https://a"); return err }, `{}`,
			`POST /hub/ai-market/v2/federation/peers/approve {"trusted":true,"url":"https://a"}`, map[string]string{"Authorization": "Bearer adm"}},
		{"reject", func() error { _, err := hub.Reject(ctx, "adm", "https://a"); return err }, `{}`,
			`POST /hub/ai-market/v2/federation/peers/reject {"url":"https://a"}`, map[string]string{"Authorization": "Bearer adm"}},
		{"remove", func() error { _, err := hub.RemovePeer(ctx, "adm", "https://a"); return err }, `{}`,
			"DELETE /hub/ai-market/v2/federation/peers?url=https%3A%2F%2Fa ", map[string]string{"Authorization": "Bearer adm"}},
		{"repin", func() error {
			_, err := hub.Repin(ctx, "adm", client.Repin{URL: "https://a", PublicKey: "k"})
			return err
		}, `{}`,
			`POST /hub/ai-market/v2/federation/peers/repin {"url":"https://a","public_key":"k","trusted":null}`, map[string]string{"Authorization": "Bearer adm"}},
		{"crawl", func() error { _, err := hub.Crawl(ctx, "adm"); return err }, `{}`,
			"POST /hub/ai-market/v2/federation/crawl ", map[string]string{"Authorization": "Bearer adm"}},
		{"receipt", func() error { _, err := hub.Receipt(ctx, "../x"); return err }, `{}`,
			"GET /hub/ai-market/v2/receipts/..%2Fx ", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer = c.answer
			if err := c.call(); err != nil {
				t.Fatal(err)
			}
			line := got.method + " " + got.path
			if got.query != "" {
				line += "?" + got.query
			}
			if line += " " + got.body; line != c.want {
				t.Errorf("sent %s\nwant %s", line, c.want)
			}
			for name, value := range c.header {
				if got.header.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
				}
			}
		})
	}
}
