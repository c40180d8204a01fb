package admit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/p2p/crawl"
)

const base = "https://hub.example"

func refuse(status int, body string) func(canon.Value) (int, any) {
	return func(canon.Value) (int, any) { return status, rawJSON(body) }
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// What passes a trial and what does not.
func TestTrial(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*hub, *catalog.Peer)
		passed bool
		broken bool
		detail string
		calls  int
	}{
		"honest":      {func(*hub, *catalog.Peer) {}, true, false, "receipt that verifies", 1},
		"no key yet":  {func(_ *hub, p *catalog.Peer) { p.PublicKey = "" }, false, false, "key is not known yet", 0},
		"useless key": {func(_ *hub, p *catalog.Peer) { p.PublicKey = "AAAA" }, false, true, "of no use", 0},
		"nothing for sale": {func(h *hub, _ *catalog.Peer) {
			h.tools = []map[string]any{}
		}, true, false, "lists nothing of its own", 0},
		"only re-exports": {func(h *hub, _ *catalog.Peer) {
			h.tools[0]["source_hub"] = "https://other.example"
		}, true, false, "lists nothing of its own", 0},
		"rows under its own URL": {func(h *hub, _ *catalog.Peer) { h.tools[0]["source_hub"] = "http://HUB.example/" }, true, false, "receipt", 1},

		"another key":        {func(_ *hub, p *catalog.Peer) { p.PublicKey = testKey("pinned").PublicBase64() }, false, true, "another key", 0},
		"unsigned discovery": {func(h *hub, _ *catalog.Peer) { h.unsigned = true }, false, true, "not signed", 0},
		"bad manifest signature": {func(h *hub, _ *catalog.Peer) {
			h.spoil = func(b []byte) []byte { return bytes.Replace(b, []byte(`"p1"`), []byte(`"p2"`), 1) }
		}, false, true, "does not verify", 0},
		"old manifest":      {func(h *hub, _ *catalog.Peer) { h.generated = time.Now().Add(-8 * 24 * time.Hour) }, false, true, "7 days", 0},
		"future manifest":   {func(h *hub, _ *catalog.Peer) { h.generated = time.Now().Add(2 * time.Hour) }, false, true, "future", 0},
		"tool without text": {func(h *hub, _ *catalog.Peer) { delete(h.tools[0], "description") }, false, true, "lacks", 0},
		"tool without schema": {func(h *hub, _ *catalog.Peer) {
			h.tools = append(h.tools, tool("p2", "c2", 0))
			delete(h.tools[1], "input_schema")
		}, false, true, "tool 1", 0},
		"manifest is no JSON": {func(h *hub, _ *catalog.Peer) { h.spoil = func([]byte) []byte { return []byte("{") } }, false, true, "not JSON", 0},

		"forged receipt":       {func(h *hub, _ *catalog.Peer) { h.signsWith = testKey("other") }, false, true, "does not verify", 1},
		"receipt of another":   {func(h *hub, _ *catalog.Peer) { h.change = func(r map[string]any) { r["capability_id"] = "c2" } }, false, true, "receipt for p1/c2", 1},
		"charged":              {func(h *hub, _ *catalog.Peer) { h.change = func(r map[string]any) { r["price_usd"] = 0.01 } }, false, true, "charged 0.01", 1},
		"receipt of a failure": {func(h *hub, _ *catalog.Peer) { h.change = func(r map[string]any) { r["success"] = false } }, false, true, "says it failed", 1},
		"free in floats":       {func(h *hub, _ *catalog.Peer) { h.change = func(r map[string]any) { r["price_usd"] = rawJSON("0.0") } }, true, false, "receipt", 1},
		"no receipt":           {func(h *hub, _ *catalog.Peer) { h.reply = refuse(200, `{"success":true}`) }, false, true, "without a receipt", 1},
		"no success":           {func(h *hub, _ *catalog.Peer) { h.reply = refuse(200, `{"success":false}`) }, false, false, "no success", 1},
		"server error":         {func(h *hub, _ *catalog.Peer) { h.reply = refuse(503, `{}`) }, false, false, "503", 1},
		"no trial to spare":    {func(h *hub, _ *catalog.Peer) { h.reply = refuse(429, `{}`) }, false, false, "429", 1},
		"too much":             {func(h *hub, _ *catalog.Peer) { h.reply = refuse(200, `"`+strings.Repeat("x", MaxAnswer)+`"`) }, false, true, "262144", 1},

		"free but paid": {func(h *hub, _ *catalog.Peer) { h.reply = refuse(402, `{"needed":0.1}`) }, false, true, "listed as free", 1},
		"quotes its price": {func(h *hub, _ *catalog.Peer) {
			h.tools, h.reply = []map[string]any{tool("p1", "c1", 0.4)}, refuse(402, `{"error":"payment_required","needed":0.4}`)
		}, true, false, "asks the price that is listed", 1},
		"quotes within tolerance": {func(h *hub, _ *catalog.Peer) {
			h.tools, h.reply = []map[string]any{tool("p1", "c1", 0.001)}, refuse(402, `{"needed":0.01,"price_usd":0.001}`)
		}, true, false, "asks the price", 1},
		"default price": {func(h *hub, _ *catalog.Peer) {
			delete(h.tools[0], "price_per_call_usd")
			h.reply = refuse(402, `{"needed":0.35}`)
		}, true, false, "asks the price", 1},
		"quotes another": {func(h *hub, _ *catalog.Peer) {
			h.tools, h.reply = []map[string]any{tool("p1", "c1", 0.4)}, refuse(402, `{"needed":0.41}`)
		}, false, true, "asks 0.41 USD and is listed for 0.4", 1},
		"quotes nothing": {func(h *hub, _ *catalog.Peer) {
			h.tools, h.reply = []map[string]any{tool("p1", "c1", 0.4)}, refuse(402, `{}`)
		}, false, true, "names no price", 1},
		"free one broken, priced one quotes": {func(h *hub, _ *catalog.Peer) {
			h.tools = []map[string]any{tool("p1", "c1", 0), tool("p2", "c2", 0.4)}
			h.reply = func(v canon.Value) (int, any) {
				if v.Get("product_id").Str() == "p1" {
					return 500, rawJSON(`{}`)
				}
				return 402, rawJSON(`{"needed":0.4}`)
			}
		}, false, false, "no trial call succeeded", 2},
		"third one works": {func(h *hub, _ *catalog.Peer) {
			h.tools = []map[string]any{tool("p3", "c3", 0.3), tool("p1", "c1", 0.1), tool("p2", "c2", 0.2)}
			h.reply = func(v canon.Value) (int, any) {
				if v.Get("product_id").Str() != "p3" {
					return 500, rawJSON(`{}`)
				}
				return 200, h.serve(v)
			}
		}, true, false, "p3/c3", 3},
		"fourth one would": {func(h *hub, _ *catalog.Peer) {
			h.tools = []map[string]any{tool("p4", "c4", 0.4), tool("p3", "c3", 0.3), tool("p1", "c1", 0.1), tool("p2", "c2", 0.2)}
			h.reply = func(v canon.Value) (int, any) {
				if v.Get("product_id").Str() != "p4" {
					return 500, rawJSON(`{}`)
				}
				return 200, h.serve(v)
			}
		}, false, false, "500", 3},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHub(base)
			p := h.peer()
			c.change(h, &p)
			m, o := newMarket(h), newOffice()
			a := newAdmitter(t, m, o)
			got := a.Try(t.Context(), p)
			if got.Passed != c.passed || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("passed %v: %s", got.Passed, got.Detail)
			}
			if got.URLConfirmed != c.passed {
				t.Errorf("%+v", got)
			}
			if v := a.judge(t.Context(), p); v.broken != c.broken {
				t.Errorf("broken %v, want %v", v.broken, c.broken)
			}
			if len(m.calls) != 2*c.calls {
				t.Errorf("calls %v", m.calls)
			}
			for _, call := range m.calls {
				if !visitorForm.MatchString(call.visitor) {
					t.Errorf("visitor %q", call.visitor)
				}
			}
			if len(o.noted[p.URL]) != 1 || o.noted[p.URL][0] != got {
				t.Errorf("noted %+v", o.noted)
			}
			served := c.passed && strings.Contains(got.Detail, "came back")
			if (len(o.reports) == 1) != served {
				t.Errorf("reports %+v", o.reports)
			}
		})
	}
}

func TestTrialCallsWhatItCanMakeAnInputFor(t *testing.T) {
	h := newHub(base)
	h.tools = []map[string]any{
		needs(tool("p1", "c1", 0), `{"type":"object","required":["x"],"properties":{"x":{"pattern":"^a+$"}}}`),
		needs(tool("p2", "c2", 0.5), `{"type":"object","required":["text","n"],"properties":{"text":{"type":"string"},"n":{"type":"integer","minimum":4}}}`),
	}
	m := newMarket(h)
	got := newAdmitter(t, m, newOffice()).Try(t.Context(), h.peer())
	if !got.Passed || got.Capability != (catalog.Key{ProductID: "p2", CapabilityID: "c2", SourceHub: base}) {
		t.Errorf("%+v", got)
	}
	if len(m.calls) != 1 || m.calls[0].input != `{"text":"Hello, world.","n":4}` {
		t.Errorf("%+v", m.calls)
	}
}

// Where a peer is tried, and what that confirms.
func TestTrialDoors(t *testing.T) {
	const claimed = "https://claimed.example"
	unsafe := &safehttp.Error{Kind: safehttp.ErrUnsafeURL, Host: "claimed.example", Reason: "it does not lead to public addresses only"}
	for what, c := range map[string]struct {
		change    func(m *market, h *hub, p *catalog.Peer)
		passed    bool
		confirmed bool
		doors     []string
		unreached bool
	}{
		"claims its address": {func(*market, *hub, *catalog.Peer) {}, true, true, []string{claimed}, false},
		"address unsafe":     {func(m *market, _ *hub, _ *catalog.Peer) { m.fail[claimed] = unsafe }, true, false, []string{"key"}, false},
		"address dead":       {func(m *market, _ *hub, _ *catalog.Peer) { delete(m.hubs, claimed) }, true, false, []string{"key"}, false},
		"another hub lives there": {func(m *market, _ *hub, _ *catalog.Peer) {
			x := newHub(claimed)
			x.key = testKey("x")
			m.hubs[claimed] = x
		}, true, false, []string{"key"}, false},
		"claims none": {func(_ *market, _ *hub, p *catalog.Peer) { p.ClaimedURL = "" }, true, false, []string{"key"}, false},
		"not in the mesh": {func(m *market, _ *hub, p *catalog.Peer) {
			*p = catalog.Peer{URL: claimed, PublicKey: p.PublicKey}
			m.fail[claimed] = unsafe
		}, false, false, nil, false},
		"no trial by HTTP": {func(m *market, h *hub, _ *catalog.Peer) {
			x := newHub(claimed)
			x.reply = refuse(429, `{}`)
			m.hubs[claimed] = x
		}, true, true, []string{claimed, "key"}, false},
		"gone": {func(m *market, _ *hub, _ *catalog.Peer) { clear(m.hubs) }, false, false, nil, true},
		"gone, its address unsafe": {func(m *market, _ *hub, _ *catalog.Peer) {
			clear(m.hubs)
			m.fail[claimed] = unsafe
		}, false, false, nil, true},
		"turns us away": {func(m *market, _ *hub, _ *catalog.Peer) {
			clear(m.hubs)
			m.fail[claimed] = &crawl.StatusError{Status: 429}
		}, false, false, nil, false},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHub(claimed)
			byKey := catalog.KeyURL(h.key.Public())
			m := newMarket(h)
			m.hubs[byKey] = h
			p := catalog.Peer{URL: byKey, ClaimedURL: claimed, Sequence: 3, PublicKey: h.key.PublicBase64()}
			c.change(m, h, &p)
			got := newAdmitter(t, m, newOffice()).Try(t.Context(), p)
			if got.Passed != c.passed || got.URLConfirmed != c.confirmed || got.Unreached != c.unreached {
				t.Errorf("%+v", got)
			}
			var doors []string
			for _, call := range m.calls {
				doors = append(doors, strings.Replace(call.base, byKey, "key", 1))
			}
			if !slices.Equal(doors, c.doors) {
				t.Errorf("called at %v, want %v (%s)", doors, c.doors, got.Detail)
			}
		})
	}
}

func TestTrialOfManyIsBounded(t *testing.T) {
	h := newHub(base)
	for i := range 3000 {
		h.tools = append(h.tools, tool(fmt.Sprintf("q%d", i), "c1", 0.1))
	}
	offers, p := checkManifest(h.manifest(), base, h.key.Public(), time.Now())
	if p != nil || len(offers) != catalog.MaxListed {
		t.Errorf("%d offers, %v", len(offers), p)
	}
	if n := len(pick(offers)); n != MaxCalls {
		t.Errorf("%d calls", n)
	}
}

func FuzzCheckManifest(f *testing.F) {
	h := newHub(base)
	f.Add(h.manifest())
	f.Add([]byte(`{"tools":[{}],"signature":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		offers, p := checkManifest(raw, base, h.key.Public(), h.generated)
		if p == nil {
			for _, o := range offers {
				if _, err := canon.Parse(callBody(o)); err != nil {
					t.Errorf("the call body is no JSON: %v", err)
				}
			}
		}
	})
}

func FuzzCheckAnswer(f *testing.F) {
	h := newHub(base)
	o := offer{product: "p1", capability: "c1", input: emptyInput}
	call, _ := canon.Parse(callBody(o))
	good := encode(h.serve(call))
	if p := checkAnswer(good, o, h.key.Public()); p != nil {
		f.Fatal(p.text)
	}
	f.Add(good)
	f.Add([]byte(`{"success":true,"receipt":{"signature":{"algorithm":"ed25519","value":""}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p := checkAnswer(raw, o, h.key.Public()); p == nil && !bytes.Contains(raw, []byte("signature")) {
			t.Error("passed without a signature")
		}
		checkQuote(raw, o)
	})
}
