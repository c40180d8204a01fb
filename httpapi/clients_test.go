package httpapi

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// Each test below is one published client of the consumer contract (§1): it sends
// what that client sends and reads what it reads, as strictly as that client does.

// kinds asserts the JSON type of members: "name:kind", with "?" for may be absent.
func (r *response) kinds(t *testing.T, at string, members ...string) {
	t.Helper()
	base := r.value
	if at != "" {
		base = r.at(at)
	}
	if base.Kind() != canon.Object {
		t.Fatalf("%q is %s, want an object\n%s", at, base.Kind(), r.body)
	}
	for _, m := range members {
		name, kind, _ := strings.Cut(m, ":")
		name, optional := strings.CutSuffix(name, "?")
		v := base.Get(name)
		if !v.Exists() && optional {
			continue
		}
		if v.Kind().String() != kind {
			t.Errorf("%s.%s is %s, the client needs a %s\n%s", at, name, v.Kind(), kind, r.body)
		}
	}
}

// sdk is what the TypeScript (T), Rust (R) and Dart (D) SDKs do with a hub.
func sdk(t *testing.T, h *hub) {
	affiliate := []string{"X-AIMarket-Affiliate: sdk"}
	r := h.get("/.well-known/ai-market.json").want(http.StatusOK)
	r.kinds(t, "", "name:string", "manifest_url:string", "signer_public_key:string", "protocol_versions:array")
	h.get("/.well-known/trusted-code-hashes.json").want(http.StatusNotFound) // allowed

	r = h.get(prefix+"/search?intent=gives+back+the+text&budget=5.0&limit=5", affiliate...).want(http.StatusOK)
	r.kinds(t, "", "query:string", "matches:array", "protocol_version:string")
	r.kinds(t, "matches.0", "capability_id:string", "product_id:string", "price_per_call_usd:number", "routed_price_usd:number",
		"trust_score:number", "p50_latency_ms:number", "score:number", "name:string", "description:string", "version:string",
		"source_hub:string", "source_hub_name:string", "status_label?:string", "product_display_name?:string")
	if got := r.str("matches.0.source_hub"); got != "local" {
		t.Errorf("own capability has source_hub %q", got)
	}

	// T, R and D name token and chain, never a wallet; X opens as small as one call.
	r = h.post(prefix+"/channel/open", `{"deposit_usd":0.003,"token":"USDT","chain":"base"}`, affiliate...).want(http.StatusOK)
	r.kinds(t, "channel", "channel_id:string", "deposit_usd:number", "balance_usd:number", "token:string", "chain:string", "expires_at:string", "channel_secret:string")
	if r.num("channel.balance_usd") != "0.003" || r.num("channel.deposit_usd") != "0.003" {
		t.Errorf("deposit of 0.003 shows as %s", r.body)
	}
	expires, err := time.Parse(time.RFC3339, r.str("channel.expires_at"))
	if err != nil || !strings.HasSuffix(r.str("channel.expires_at"), "Z") || expires.Sub(h.clock.Now()) != 24*time.Hour {
		t.Errorf("expires_at %q", r.str("channel.expires_at"))
	}
	id, secret := r.str("channel.channel_id"), r.str("channel.channel_secret")

	sig := "X-Market-Signature: ed25519:" + base64.StdEncoding.EncodeToString(make([]byte, 64))
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"hi"}}`, append(on(id, secret), affiliate[0], sig)...).want(http.StatusOK)
	r.kinds(t, "", "success:boolean", "price_usd:number", "latency_ms:number", "receipt:object", "result:object", "output?:object",
		"safety_blocked?:boolean", "tee_verified?:boolean", "list_price_usd?:number", "remaining_balance:number")
	if r.at("error").Exists() {
		t.Error("a success with an error member: D takes it for a failure")
	}
	if r.at("tee_verified").Bool() {
		t.Error("tee_verified makes the VS Code extension abort")
	}
	r.is("result", `{"text":"hi"}`).is("output", `{"text":"hi"}`).is("price_usd", "0.001").is("remaining_balance", "0.002")

	r = h.get(prefix + "/channel/" + id).want(http.StatusOK)
	r.kinds(t, "", "balance_usd:number")
	for _, hidden := range []string{"channel_secret", "wallet", secret} {
		if strings.Contains(string(r.body), hidden) {
			t.Errorf("GET /channel shows %q", hidden)
		}
	}

	// The SDKs close with nothing but the id, and read flat totals.
	r = h.post(prefix+"/channel/close", `{"channel_id":"`+id+`"}`, affiliate...).want(http.StatusOK)
	r.kinds(t, "", "channel_id:string", "total_spent_usd:number", "refund_usd:number", "invocations:number")
	if strings.ContainsAny(r.num("invocations"), ".eE") {
		t.Errorf("invocations must be an integer: %s", r.num("invocations"))
	}
	r.is("total_spent_usd", "0.001").is("refund_usd", "0.002").is("invocations", "1")
	r.is("settlement.used_usd", "0.001").is("settlement.refund_usd", "0.002")
	h.post(prefix+"/channel/close", `{"channel_id":"ch_ffffffffffffffff"}`).want(http.StatusNotFound)
}

func TestClientSDKs(t *testing.T) { sdk(t, newHub(t)) }

// R sends null for options that are not set.
func TestClientRustNulls(t *testing.T) {
	h := newHub(t)
	id, secret := h.open("1")
	h.post(prefix+"/invoke", `{"capability_id":"echo@v1","product_id":null,"source_hub":null,"input":{"text":"x"},"verify":null,"max_price_usd":null}`, on(id, secret)...).want(http.StatusOK)
	h.post(prefix+"/channel/close", `{"channel_id":"`+id+`","wallet":null,"settle_tx_hash":null}`).want(http.StatusOK)
}

// M is the one-call market.run: it takes the first match in the hub's order that
// fits, pays, and verifies the receipt at the hub.
func TestClientMarketRun(t *testing.T) {
	h := newHub(t)
	r := h.get(prefix+"/search?intent=echo&limit=10&budget=0.25&min_trust=0.3&max_latency_ms=10000", "X-AIMarket-Affiliate: m").want(http.StatusOK)
	r.kinds(t, "matches.0", "price_per_call_usd:number", "trust_score:number", "p50_latency_ms:number")
	id, secret := h.open("1")
	body := `{"capability_id":"echo@v1","product_id":"hub","source_hub":"local","input":{"text":"x"},"max_price_usd":0.25}`
	r = h.post(prefix+"/invoke", body, append(on(id, secret), "X-AIMarket-Route-Ok: 1")...).want(http.StatusOK)
	// M parses the receipt and prints it again: 1.0 becomes 1, members keep their order.
	v := h.post(prefix+"/receipts/verify", `{"receipt":`+string(r.at("receipt").Raw())+`}`).want(http.StatusOK)
	v.kinds(t, "", "valid:boolean", "classical_valid:boolean", "pq_present:boolean", "pq_valid:null", "algorithm:string",
		"signature_version:number", "signer_matches_live_key:boolean", "policy_requires_pq:boolean")
	v.is("valid", "true").is("signer_matches_live_key", "true").is("policy_requires_pq", "false").is("pq_present", "false")

	r = h.post(prefix+"/invoke", strings.Replace(body, "0.25", "0.0005", 1), on(id, secret)...).want(http.StatusConflict)
	r.is("error", `"price_limit_exceeded"`).is("maximum_price_usd", "0.0005").is("current_price_usd", "0.001")
}

// P is the Python agent: placeholder deposits, the envelope on close, JSON always.
func TestClientPython(t *testing.T) {
	h := newHub(t)
	doc := h.get("/.well-known/ai-market.json").want(http.StatusOK)
	key, err := base64.StdEncoding.DecodeString(doc.str("signer_public_key"))
	if err != nil || len(key) != 32 {
		t.Errorf("signer_public_key is not the standard base64 of 32 bytes: %v", err)
	}
	if s := doc.at("signing"); s.Exists() && s.Get("algorithm").Str() != "ed25519" {
		t.Error("P refuses every receipt of a hub whose signing.algorithm is not ed25519")
	}
	for _, m := range h.get(prefix + "/search?intent=&limit=8").want(http.StatusOK).prices() {
		if m.Kind() != canon.Number {
			t.Error("P sums prices and dies on anything but a number")
		}
	}
	r := h.post(prefix+"/channel/open", `{"deposit_usd":1,"tx_hash":"agent-1768000000"}`).want(http.StatusOK)
	r.kinds(t, "channel", "channel_id:string", "channel_secret:string")
	id, secret := r.str("channel.channel_id"), r.str("channel.channel_secret")
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"p"}}`, on(id, secret)...).want(http.StatusOK)
	r.kinds(t, "", "receipt:object", "result:object", "success:boolean")
	r = h.post(prefix+"/channel/close", `{"channel_id":"`+id+`","settle_tx_hash":"settle-1"}`, "X-Payment-Channel-Secret: "+secret).want(http.StatusOK)
	r.kinds(t, "settlement", "used_usd:number", "refund_usd:number", "status:string", "original_deposit_usd:number", "refund_executed_usd:number", "refund_owed_usd:number")
	r.is("settlement.refund_status", `"owed"`).is("settlement.status", `"settled"`).is("settlement.settle_tx_hash", `"settle-1"`)

	r = h.get(prefix + "/verification/rcpt_00").want(http.StatusNotFound)
	r.is("error", `"verification_not_found"`).is("success", "false")

	// invoke_single of P 2.5 sends no secret.
	id, _ = h.open("1")
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{}}`, "X-Payment-Channel: "+id).want(http.StatusPaymentRequired)
	r.kinds(t, "", "error:string", "needed:number", "balance:number", "detail:string")
}

func (r *response) prices() []canon.Value {
	var all []canon.Value
	for m := range r.at("matches").Elements {
		all = append(all, m.Get("price_per_call_usd"), m.Get("routed_price_usd"), m.Get("trust_score"), m.Get("p50_latency_ms"))
	}
	return all
}

// B joins search and manifest, sends a visitor on every request, and tells success
// from refusal by the body alone.
func TestClientBridges(t *testing.T) {
	h := newHub(t)
	visitor := "X-AIMarket-Sandbox-Visitor: bridge-visitor-1"
	listed := map[string]bool{}
	m := h.get(prefix + "/manifest").want(http.StatusOK)
	for tool := range m.at("tools").Elements {
		listed[tool.Get("capability_id").Str()] = true
		for name, kind := range map[string]canon.Kind{"product_id": canon.String, "description": canon.String, "name": canon.String, "source_hub": canon.String,
			"price_per_call_usd": canon.Number, "routed_price_usd": canon.Number, "input_schema": canon.Object, "output_schema": canon.Object} {
			if tool.Get(name).Kind() != kind {
				t.Errorf("tool %s: %s is %s", tool.Get("capability_id").Str(), name, tool.Get(name).Kind())
			}
		}
	}
	for match := range h.get(prefix + "/search?intent=&limit=50&category=").want(http.StatusOK).at("matches").Elements {
		if id := match.Get("capability_id").Str(); !listed[id] {
			t.Errorf("%s is found but not in the manifest: B drops it", id)
		}
	}
	for i := range 3 {
		r := h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"b"}}`, visitor).want(http.StatusOK)
		r.is("sandbox", "true").is("price_usd", "0").is("remaining", itoa(2-i)).is("receipt.capability_id", `"echo@v1"`).is("receipt.price_usd", "0")
	}
	r := h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"b"}}`, visitor).want(http.StatusTooManyRequests)
	r.is("error", `"trial_quota_exhausted"`).is("sandbox.used", "3").is("sandbox.max_trials", "3").is("sandbox.remaining", "0")

	id, secret := h.open("1")
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{}}`, append(on(id, secret), visitor)...).want(http.StatusBadRequest)
	r.is("error", `"sandbox_conflict"`)
}

// B wraps P, which first tries to open a channel on a made-up deposit and calls
// without one if that is refused. Granting it would make every call a conflict.
func TestClientBridgesOnTrialGetNoChannel(t *testing.T) {
	h := newHub(t)
	visitor := "X-AIMarket-Sandbox-Visitor: bridge-visitor-1"
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"made-up deposit of a visitor": {`{"deposit_usd":1,"tx_hash":"agent-1768000000"}`, []string{visitor}, http.StatusBadRequest},
		"made-up deposit":              {`{"deposit_usd":1,"tx_hash":"agent-1768000000"}`, nil, http.StatusOK},
		"visitor without a deposit":    {`{"deposit_usd":1,"token":"USDT","chain":"base"}`, []string{visitor}, http.StatusOK},
		"visitor with a transaction":   {`{"deposit_usd":1,"tx_hash":"0x` + strings.Repeat("ab", 32) + `"}`, []string{visitor}, http.StatusOK},
		"a visitor no trial would take": {
			`{"deposit_usd":1,"tx_hash":"agent-1768000000"}`, []string{"X-AIMarket-Sandbox-Visitor: v"}, http.StatusOK,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.post(prefix+"/channel/open", c.body, c.headers...)
			if r.status != c.status {
				t.Fatalf("status %d, want %d\n%s", r.status, c.status, r.body)
			}
			if c.status == http.StatusBadRequest {
				r.is("code", `"sandbox_conflict"`).kinds(t, "", "error:string")
			}
		})
	}
	// Its calls then spend the trial, and go on telling it apart from a payment.
	for range 3 {
		h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"b"}}`, visitor).want(http.StatusOK)
	}
	h.post(prefix+"/channel/open", `{"deposit_usd":1,"tx_hash":"agent-1768000000"}`, visitor).want(http.StatusBadRequest)
	h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"text":"b"}}`, visitor).want(http.StatusTooManyRequests)
}

// A (A2A in P) posts to a path that this hub may not have, accepting anything.
func TestClientPostsGetJSON(t *testing.T) {
	h := newHub(t)
	r := h.do(http.MethodPost, "/a2a", `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}`, "Accept: */*", "Content-Type: application/json")
	r.want(http.StatusNotFound)
	r.is("error", `"not_found"`)
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

// G is the MCP gateway: it sends an API key or a visitor, and guesses the product.
func TestClientGateway(t *testing.T) {
	h := newHub(t)
	body := `{"capability_id":"echo@v1","product_id":"echo","source_hub":"local","input":{"text":"g"}}`
	r := h.post(prefix+"/invoke", body, "X-API-Key: aimk_x").want(http.StatusUnauthorized)
	r.is("error", `"invalid_api_key"`).is("needed", "0.001")
	if r.header.Get("WWW-Authenticate") == "" {
		t.Error("a 401 without WWW-Authenticate")
	}
	// A key sent out of habit harms neither a trial, nor a channel, nor a free call.
	h.post(prefix+"/invoke", body, "X-API-Key: aimk_x", "X-AIMarket-Sandbox-Visitor: gateway-1").want(http.StatusOK)
	id, secret := h.open("1")
	h.post(prefix+"/invoke", body, append(on(id, secret), "X-API-Key: aimk_x")...).want(http.StatusOK)
	h.post(prefix+"/invoke", strings.Replace(body, "echo@v1", "free@v1", 1), "X-API-Key: aimk_x").want(http.StatusOK)

	r = h.post(prefix+"/invoke", strings.Replace(body, `"local"`, `"https://unknown.example"`, 1)).want(http.StatusNotFound)
	r.kinds(t, "", "error:string", "detail:string")
}

// W is the widget: it reads matches, the channel, the result, trials and refusals.
func TestClientWidget(t *testing.T) {
	h := newHub(t)
	r := h.get(prefix + "/search?intent=zzzqqqxxx&limit=6").want(http.StatusOK)
	r.kinds(t, "", "matches:array", "empty_hint:string")
	r = h.get(prefix + "/sandbox/quota?visitor_id=widget-visitor").want(http.StatusOK)
	r.kinds(t, "", "remaining:number", "max_trials:number", "enabled:boolean")
	r = h.post(prefix+"/channel/open", `{"deposit_usd":1,"tx_hash":"widget-1768000000000"}`).want(http.StatusOK)
	id, secret := r.str("channel.channel_id"), r.str("channel.channel_secret")
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","product_id":"hub","input":{"text":"block-me"}}`, on(id, secret)...).want(http.StatusForbidden)
	r.kinds(t, "", "error:string", "category:string", "reason:string", "rejection_receipt:object")
	r.is("error", `"safety_blocked"`).is("refund.refunded", "true").is("rejection_receipt.signature.version", "2")
	r = h.post(prefix+"/invoke", `{"capability_id":"echo@v1","product_id":"hub","input":{"text":"block-answer"}}`, on(id, secret)...).want(http.StatusForbidden)
	r.is("error", `"plugin_blocked_response"`).is("refund.refunded", "true")
	h.get(prefix+"/channel/"+id).is("balance_usd", "1")
}

// L polls the statistics; a string where it expects a number shows it as offline.
func TestClientLivePage(t *testing.T) {
	h := newHub(t)
	h.get(prefix+"/stats/live?limit=80").want(http.StatusOK).kinds(t, "summary", "total_invocations:number", "success_rate:number", "avg_price_usd:number",
		"revenue_per_hour_usd:number", "peers_count:number", "capabilities_count:number", "federated_capabilities_count:number")
	id, secret := h.open("1")
	h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{}}`, on(id, secret)...).want(http.StatusOK)
	h.post(prefix+"/invoke", `{"capability_id":"fail@v1","input":{}}`, on(id, secret)...).want(http.StatusBadGateway)
	r := h.get(prefix + "/stats/live?limit=999").want(http.StatusOK)
	r.kinds(t, "events.0", "capability_id:string", "source_hub:string", "price_usd:number", "latency_ms:number", "success:number")
	r.is("events.0.capability_id", `"fail@v1"`).is("events.0.success", "0").is("events.1.success", "1").is("events.1.price_usd", "0.001")
	r.is("summary.total_invocations", "2").is("summary.success_rate", "0.5").is("summary.open_channels", "1")
}

// A receipt that some client reprinted still verifies; a changed one does not.
func TestReceiptSpellings(t *testing.T) {
	key, err := identity.FromSeed([]byte("a hub key of exactly 32 bytes..."))
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.FromSeed([]byte("another key of exactly 32 bytes."))
	if err != nil {
		t.Fatal(err)
	}
	receipt := func(price, latency, named string) string {
		signed := "nonce:rcpt_1|product_id:p|capability_id:c@v1|price_usd:1.0|timestamp:2026-05-21T12:00:00Z|success:1|latency_ms:12"
		return `{"nonce":"rcpt_1","product_id":"p","capability_id":"c@v1","price_usd":` + price + `,"timestamp":"2026-05-21T12:00:00Z","success":true,"latency_ms":` + latency +
			`,"signature":{"algorithm":"ed25519"` + named + `,"value":"` + key.SignBase64([]byte(signed)) + `"}}`
	}
	for _, c := range []struct {
		name, receipt string
		live          identity.PublicKey
		valid, ours   bool
	}{
		{"as signed", receipt("1.0", "12", ""), key.Public(), true, true},
		{"reprinted price", receipt("1", "12", ""), key.Public(), true, true},
		{"reprinted price and latency", receipt("1", "12.0", ""), key.Public(), true, true},
		{"other price", receipt("2", "12", ""), key.Public(), false, false},
		{"other hub's, unnamed", receipt("1.0", "12", ""), other.Public(), false, false},
		{"other hub's, named", receipt("1.0", "12", `,"public_key":"`+key.PublicBase64()+`"`), other.Public(), true, false},
		{"named falsely", receipt("1.0", "12", `,"public_key":"`+other.PublicBase64()+`"`), other.Public(), false, false},
		{"named with garbage", receipt("1.0", "12", `,"public_key":"AAAA"`), key.Public(), false, false},
		{"no signature", `{"nonce":"rcpt_1"}`, key.Public(), false, false},
		{"other algorithm", strings.Replace(receipt("1.0", "12", ""), "ed25519", "rsa", 1), key.Public(), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := canon.Parse([]byte(c.receipt))
			if err != nil {
				t.Fatal(err)
			}
			got := judgeReceipt(v, c.live)
			if got.valid != c.valid || got.ours != c.ours {
				t.Errorf("valid %v ours %v, want %v %v (%s)", got.valid, got.ours, c.valid, c.ours, got.reason)
			}
			if got.valid == (got.reason != "") {
				t.Errorf("valid %v with reason %q", got.valid, got.reason)
			}
		})
	}
}
