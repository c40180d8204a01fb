package routing

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/ledger"
)

var (
	nonces     = regexp.MustCompile(`rcpt_[0-9a-f]{32}`)
	signatures = regexp.MustCompile(`"value":"[A-Za-z0-9+/]{86}=="`)
)

// golden replaces what is random.
func golden(body []byte) string {
	s := nonces.ReplaceAllString(string(body), "rcpt_N")
	return signatures.ReplaceAllString(s, `"value":"S"`)
}

const goldenReceipt = `{"nonce":"rcpt_N","product_id":"hub","capability_id":"%s","price_usd":%s,"list_price_usd":%s,` +
	`"timestamp":"2026-05-21T12:00:00Z","success":true,"latency_ms":0%s,"signature":{"algorithm":"ed25519","value":"S"}%s}`

func TestAnswerBody(t *testing.T) {
	receipt := func(capability, price, list, extra string) string {
		return fmt.Sprintf(goldenReceipt, capability, price, list, extra, "")
	}
	safety := withPlugins(PluginConfig{Plugin: prePlugin{&scripted{name: "aimarket-safety"}, Verdict{}}, Required: true})
	for name, tc := range map[string]struct {
		options []option
		call    func(*hub) Call
		want    string
	}{
		"paid": {
			call: func(h *hub) Call { return h.paid() },
			want: `{"success":true,"result":{"text":"hello"},"output":{"text":"hello"},"receipt":` + receipt("echo@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
		"safety looked": {
			options: []option{safety},
			call:    func(h *hub) Call { return h.paid() },
			want: `{"success":true,"result":{"text":"hello"},"output":{"text":"hello"},"receipt":` + receipt("echo@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":true,"plugins_checked":1,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
		"the input's own bytes come back": {
			call: func(h *hub) Call {
				c := h.paid()
				c.Input = parse(`{"n":1.50, "big":123456789012345678901234567890,"html":"<&>"}`)
				return c
			},
			want: `{"success":true,"result":{"n":1.50, "big":123456789012345678901234567890,"html":"<&>"},"output":{"n":1.50, "big":123456789012345678901234567890,"html":"<&>"},"receipt":` +
				receipt("echo@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
		"free without channel": {
			call: func(*hub) Call { return call1("free@v1", `{}`) },
			want: `{"success":true,"result":{},"output":{},"receipt":` + receipt("free@v1", "0", "0", "") +
				`,"price_usd":0,"list_price_usd":0,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2"}`,
		},
		"free on a channel": {
			call: func(h *hub) Call { c := h.paid(); c.CapabilityID, c.Input = "free@v1", parse(`{}`); return c },
			want: `{"success":true,"result":{},"output":{},"receipt":` + receipt("free@v1", "0", "0", "") +
				`,"price_usd":0,"list_price_usd":0,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":5}`,
		},
		"a list becomes an object": {
			call: func(h *hub) Call { c := h.paid(); c.CapabilityID = "list@v1"; return c },
			want: `{"success":true,"result":{"value":[1,2.50,"three"]},"output":{"value":[1,2.50,"three"]},"receipt":` + receipt("list@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
		"trial": {
			call: func(*hub) Call { c := call1("echo@v1", `{}`); c.Visitor = "visitor-1"; return c },
			want: `{"success":true,"result":{},"output":{},"receipt":` + receipt("echo@v1", "0", "0.001", `,"sandbox":true`) +
				`,"price_usd":0,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","sandbox":true,"remaining":2,"used":1,"max_trials":3}`,
		},
		"money off": {
			options: []option{func(c *Config) { c.Mode = ledger.Off }},
			call: func(*hub) Call {
				c := call1("echo@v1", `{}`)
				c.ChannelID, c.Secret, c.Visitor = "ch_0123456789abcdef", "old", "visitor-1"
				return c
			},
			want: `{"success":true,"result":{},"output":{},"receipt":` + receipt("echo@v1", "0", "0.001", "") +
				`,"price_usd":0,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2"}`,
		},
		"guessed product": {
			call: func(h *hub) Call { c := h.paid(); c.ProductID, c.SourceHub = "echo", "http://hub.example/"; return c },
			want: `{"success":true,"result":{"text":"hello"},"output":{"text":"hello"},"receipt":` + receipt("echo@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
		"verification asked for": {
			call: func(h *hub) Call { c := h.paid(); c.Verify = parse(`{"intent":"greet","mode":"fast"}`); return c },
			want: `{"success":true,"result":{"text":"hello"},"output":{"text":"hello"},"receipt":` +
				fmt.Sprintf(goldenReceipt, "echo@v1", "0.001", "0.001", "", `,"verification":`+goldenVerification) +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"verification":` + goldenVerification + `,"money":"demo"}`,
		},
		"verification declined": {
			call: func(h *hub) Call { c := h.paid(); c.Verify = parse(`{"requested":false,"mode":7}`); return c },
			want: `{"success":true,"result":{"text":"hello"},"output":{"text":"hello"},"receipt":` + receipt("echo@v1", "0.001", "0.001", "") +
				`,"price_usd":0.001,"list_price_usd":0.001,"latency_ms":0,"safety_checked":false,"plugins_checked":0,"protocol_version":"v2","remaining_balance":4.999,"money":"demo"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, tc.options...)
			a, v := h.mustInvoke(tc.call(h))
			if got := golden(a.Body); got != tc.want {
				t.Errorf("body\n got %s\nwant %s", got, tc.want)
			}
			doc := checkReceipt(t, v.Get("receipt").Raw())
			if doc.Get("nonce").Str() != a.Nonce {
				t.Errorf("Nonce %q, receipt %s", a.Nonce, doc.Raw())
			}
			kept, err := h.ledger.Receipt(t.Context(), a.Nonce)
			if err != nil || string(kept) != string(doc.Raw()) {
				t.Errorf("kept receipt %s, error %v", kept, err)
			}
			if v.Get("error").Kind() != canon.Invalid {
				t.Error(`a successful answer has a member "error"`)
			}
		})
	}
}

const goldenVerification = `{"requested":true,"status":"skipped","performed":false,"verified":false,"verdict":"","threshold":0.7,"mode":"fast","settled":true,` +
	`"reason":"verifier_unavailable","timestamp":"2026-05-21T12:00:00Z","nonce":"rcpt_N","capability_id":"echo@v1"}`

// The call of a provider, byte for byte.
func TestProviderRequest(t *testing.T) {
	for _, trial := range []bool{false, true} {
		t.Run(fmt.Sprint("trial ", trial), func(t *testing.T) {
			var url, body string
			var header http.Header
			h := newHub(t, withProvider(providerFunc(func(_ context.Context, u string, hd http.Header, b []byte) (*safehttp.Response, error) {
				url, header, body = u, hd, string(b)
				return &safehttp.Response{Status: 200, Header: http.Header{}, Body: []byte(`{"success":true,"output":{"t":"salut"}}`)}, nil
			})))
			h.market.provider("http://provider.example/run?x=1")
			c := call1("translate@v1", `{"text":"hi <&>", "n":1.0}`)
			flag := ""
			if trial {
				c.Visitor, flag = "visitor-1", "1"
			} else {
				c.ChannelID, c.Secret = h.channel.ID, h.secret
			}
			_, v := h.mustInvoke(c)
			if want := `{"input":{"text":"hi <&>", "n":1.0},"product_id":"prod-x","capability_id":"translate@v1"}`; body != want {
				t.Errorf("body %s, want %s", body, want)
			}
			if url != "http://provider.example/run?x=1" || header.Get("Content-Type") != "application/json" || header.Get("X-AIMarket-Sandbox") != flag {
				t.Errorf("url %s, header %v", url, header)
			}
			for name, values := range header {
				if strings.Contains(strings.Join(values, " "), h.channel.ID) || strings.Contains(strings.ToLower(name), "payment") {
					t.Errorf("the provider learns of the buyer's channel: %s: %v", name, values)
				}
			}
			if got := string(v.Get("result").Raw()); got != `{"t":"salut"}` {
				t.Errorf("result %s", got)
			}
		})
	}
}

func TestResultOfAProviderAnswer(t *testing.T) {
	for body, want := range map[string]string{
		`{"result":{"a":1}}`:                         `{"a":1}`,
		`{"result":{"a":1},"output":{"b":1}}`:        `{"a":1}`,
		`{"output":"text"}`:                          `{"value":"text"}`,
		`{"result":null}`:                            `{"value":null}`,
		`{"a":1.0,"error":""}`:                       `{"a":1.0,"error":""}`,
		`{"success":true,"ok":true,"result":[1.00]}`: `{"value":[1.00]}`,
		`{"success":"false","result":{}}`:            `{}`, // only the boolean declines
		" {\n \"result\" : { \"x\" : 1e5 } }\n":      `{ "x" : 1e5 }`,
	} {
		h := newHub(t, withProvider(respond(200, body)))
		h.market.provider("http://provider.example/", func(c *catalog.Capability) { c.PriceMicros = 7 })
		c := h.paid()
		c.CapabilityID = "translate@v1"
		_, v := h.mustInvoke(c)
		if got := string(v.Get("result").Raw()); got != want {
			t.Errorf("%s became %s, want %s", body, got, want)
		}
		if got := h.balance(); got != deposit-7 {
			t.Errorf("balance %d after a call of 7 micro-USD", got)
		}
	}
}

// A peer's answer goes through the same stages as a provider's.
func TestPeerInvoker(t *testing.T) {
	h := newHub(t, func(c *Config) {
		c.Peers = peerFunc(func(row catalog.Capability, in canon.Value) (canon.Value, error) {
			return parse(`{"success":true,"output":{"from":"` + row.SourceHub + `"}}`), nil
		})
	})
	h.market.add(catalog.Capability{
		Key:         catalog.Key{ProductID: "far", CapabilityID: "far@v1", SourceHub: "https://peer"},
		PriceMicros: 1000, RoutedMicros: 1010, RoutingFeeBps: 100,
	})
	c := h.paid()
	c.ProductID, c.CapabilityID, c.SourceHub = "far", "far@v1", "https://peer"
	_, v := h.mustInvoke(c)
	if string(v.Get("result").Raw()) != `{"from":"https://peer"}` || v.Get("price_usd").Token() != "0.00101" {
		t.Errorf("answer %s", v.Raw())
	}
	if got := h.balance(); got != deposit-1010 {
		t.Errorf("balance %d", got)
	}
}

type peerFunc func(catalog.Capability, canon.Value) (canon.Value, error)

func (f peerFunc) InvokePeer(_ context.Context, row catalog.Capability, in canon.Value) (canon.Value, error) {
	return f(row, in)
}
