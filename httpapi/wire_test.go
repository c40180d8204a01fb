package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/limit"
)

// Every answer may be read by any page, refusals too, and a preflight succeeds on
// any path (consumer contract §3, Browsers).
func TestCORS(t *testing.T) {
	h := newHub(t)
	for _, path := range []string{"/search", "/sandbox/quota", "/channel/open", "/channel/close", "/invoke", "/no/such/route", "/reputation/https://x"} {
		r := h.do(http.MethodOptions, prefix+path, "", "Origin: https://page.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-payment-channel").want(http.StatusNoContent)
		if len(r.body) > 0 {
			t.Errorf("%s: a 204 with a body", path)
		}
		allowed := strings.ToLower(r.header.Get("Access-Control-Allow-Headers"))
		for _, name := range []string{"Content-Type", "X-AIMarket-Affiliate", "X-AIMarket-Sandbox-Visitor", "X-AIMarket-Route-Ok", "X-Payment-Channel",
			"X-Payment-Channel-Secret", "X-Market-Signature", "X-API-Key", "X-AIMarket-Mandate", "X-AIMarket-Mandate-Proof", "X-AIMarket-Job", "X-AIMarket-Job-Grant"} {
			if !strings.Contains(allowed+",", strings.ToLower(name)+",") {
				t.Errorf("%s: a page may not send %s", path, name)
			}
		}
		if got, want := r.header.Get("Allow"), map[string]string{"/search": "GET, HEAD, OPTIONS", "/invoke": "POST, OPTIONS", "/no/such/route": ""}; want[path] != "" && got != want[path] {
			t.Errorf("%s: Allow %q", path, got)
		}
		if methods := r.header.Get("Access-Control-Allow-Methods"); !strings.Contains(methods, "POST") || !strings.Contains(methods, "GET") {
			t.Errorf("%s allows %q", path, methods)
		}
	}
	id, secret := h.open("1")
	for name, r := range map[string]*response{
		"200": h.get(prefix + "/search"), "402": h.post(prefix+"/invoke", `{"capability_id":"echo@v1"}`),
		"403": h.post(prefix+"/invoke", `{"capability_id":"echo@v1","input":{"t":"block-me"}}`, on(id, secret)...),
		"404": h.get(prefix + "/nothing"), "405": h.do("PUT", prefix+"/invoke", ""), "413": h.post(prefix+"/channel/open", huge(MaxBody)),
		"422": h.post(prefix+"/invoke", `{}`), "500": h.get(prefix + "/p/aimarket-gate/panic"), "plugin": h.get(prefix + "/p/aimarket-gate/hello"),
	} {
		if got := r.header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s: Access-Control-Allow-Origin %q", name, got)
		}
	}
}

// A configured list narrows who may read.
func TestCORSList(t *testing.T) {
	h := newHub(t, func(s *setup) { s.http.CORSOrigins = []string{"https://ours.example"} })
	r := h.get("/healthz", "Origin: https://ours.example")
	if got := r.header.Get("Access-Control-Allow-Origin"); got != "https://ours.example" || r.header.Get("Vary") != "Origin" {
		t.Errorf("our own page: %q, Vary %q", got, r.header.Get("Vary"))
	}
	r = h.get("/healthz", "Origin: https://theirs.example")
	if got := r.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign page: %q", got)
	}
}

// No route answers with a redirect: a trailing slash and the hub's base path name
// the same route (consumer contract §6.7).
func TestPathSpellings(t *testing.T) {
	h := newHub(t, func(s *setup) { s.http.HubURL = hubURL + "/hub" })
	for _, path := range []string{prefix + "/search", "/healthz", "/.well-known/ai-market.json", "/live", "/"} {
		for _, spelling := range []string{path, strings.TrimSuffix(path, "/") + "/", "/hub" + path, "/hub" + strings.TrimSuffix(path, "/") + "/"} {
			h.get(spelling).want(http.StatusOK)
		}
	}
	h.get("/hubsearch").want(http.StatusNotFound)
	h.get("/hub"+prefix+"/reputation/https://x.example").want(http.StatusOK).is("hub_url", `"https://x.example"`)
}

// A path of its own is not also an id.
func TestLiteralPaths(t *testing.T) {
	h := newHub(t)
	for _, path := range []string{"/channel/close", "/channel/open", "/channel/recover", "/receipts/verify", "/receipts/verify/"} {
		r := h.get(prefix + path).want(http.StatusMethodNotAllowed)
		if got := r.header.Get("Allow"); got != "POST, OPTIONS" {
			t.Errorf("%s: Allow %q", path, got)
		}
	}
	h.do("DELETE", prefix+"/channel/obligations", "").want(http.StatusMethodNotAllowed)
	h.get(prefix + "/channel/closed").want(http.StatusNotFound)
}

func TestHead(t *testing.T) {
	h := newHub(t)
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	for _, path := range []string{"/.well-known/ai-market.json", prefix + "/search", prefix + "/plugins/none", "/", "/openapi.json"} {
		get, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(get.Body)
		get.Body.Close()
		head, err := server.Client().Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		if head.StatusCode != get.StatusCode || head.ContentLength != int64(len(body)) || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d, %d bytes; GET: %d, %d bytes", path, head.StatusCode, head.ContentLength, get.StatusCode, len(body))
		}
	}
	server.Client().CloseIdleConnections()
}

// The whole tail of the path is the hub's URL, encoded or not.
func TestReputationTail(t *testing.T) {
	h := newHub(t)
	for tail, hub := range map[string]string{
		"https://host.example":         "https://host.example",
		"https://host.example/":        "https://host.example/",
		"https://host.example//a/b":    "https://host.example//a/b",
		"https%3A%2F%2Fhost.example":   "https://host.example",
		"https:%2F%2Fhost.example%2Fh": "https://host.example/h",
		"local":                        "local",
		"%ff":                          "\uFFFD",
		"100%25":                       "100%",
	} {
		r := h.get(prefix + "/reputation/" + tail).want(http.StatusOK)
		if got := r.str("hub_url"); got != hub {
			t.Errorf("%s names %q, want %q", tail, got, hub)
		}
	}
	h.get(prefix+"/reputation/"+hubURL).is("trust_score", "1")
	id, secret := h.open("1")
	h.post(prefix+"/invoke", `{"capability_id":"echo@v1"}`, on(id, secret)...).want(200)
	h.get(prefix+"/reputation/"+hubURL).is("recent_events.0.type", `"invoke_success"`).is("recent_events.0.price_usd", "0.001")
	h.get(prefix+"/reputation/https://else.example").is("recent_events", "[]")
}

// endless is a body that never ends; reading much of it fails the test.
type endless struct {
	t    *testing.T
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	if e.read > MaxInvokeBody+1<<20 {
		e.t.Error("the hub reads on and on")
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A body that is too large is refused, at once where its length is known, and
// never read to its end.
func TestLargeBodies(t *testing.T) {
	h := newHub(t)
	for name, length := range map[string]int64{"announced": 10 << 20, "chunked": -1} {
		body := &endless{t: t}
		r := httptest.NewRequest(http.MethodPost, prefix+"/invoke", body)
		r.ContentLength = length
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "body_too_large") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if name == "announced" && body.read > 0 {
			t.Errorf("read %d bytes of a body that says it is too large", body.read)
		}
	}
	// The same over a real connection: the client must get to see the answer.
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	res, err := server.Client().Post(server.URL+prefix+"/invoke", "application/json", strings.NewReader(strings.Repeat("x", 10<<20)))
	if err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	server.Client().CloseIdleConnections()
}

// What a body of exactly the bound and one byte more does.
func TestBodyBound(t *testing.T) {
	pad := func(n int) string {
		head, tail := `{"receipt":{},"x":"`, `"}`
		return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
	}
	h := newHub(t)
	h.post(prefix+"/receipts/verify", pad(MaxReceiptBody)).want(http.StatusOK)
	h.post(prefix+"/receipts/verify", pad(MaxReceiptBody+1)).want(http.StatusRequestEntityTooLarge)
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "203.0.113.7:1", []string{"198.51.100.1"}, "203.0.113.7"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"the client lies", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"split over headers", "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage at the right", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
		{"mapped IPv4", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"no address", "@", []string{"198.51.100.1"}, "@"},
		{"nothing", "", nil, ""},
		{"IPv6 without a port", "2001:db8::9", nil, "2001:db8::9"},
		{"IPv6 in brackets without a port", "[2001:db8::9]", nil, "2001:db8::9"},
		{"a zone", "[fe80::1%eth0]:1", nil, "fe80::1%eth0"},
		{"a hub's peer ID", "12D3KooWAbc", []string{"198.51.100.1"}, "12D3KooWAbc"},
		{"a hub's peer ID with a port", "12D3KooWAbc:0", nil, "12D3KooWAbc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Server{cfg: Config{TrustedProxies: proxies}}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.remote
			r.Header["X-Forwarded-For"] = c.forwarded
			if got := s.clientAddress(r); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Hubs that call over streams have no address but their key, in whatever form it comes:
// each has an allowance of its own, also behind one relay, and none can claim another's.
func TestClientAddressOfHubs(t *testing.T) {
	relay := "/ip4/203.0.113.7/udp/50000/quic-v1/p2p/" + peerID(testKey("relay").PublicBase64()) + "/p2p-circuit/p2p/"
	forms := map[string]func(name string) string{
		"key URL":          func(n string) string { return catalog.KeyURL(testKey(n).Public()) },
		"peer ID":          func(n string) string { return peerID(testKey(n).PublicBase64()) },
		"peer ID and port": func(n string) string { return peerID(testKey(n).PublicBase64()) + ":0" },
		"behind a relay":   func(n string) string { return relay + peerID(testKey(n).PublicBase64()) },
		"IPv6 multiaddr":   func(n string) string { return "/ip6/2001:db8::1/tcp/9084/p2p/" + peerID(testKey(n).PublicBase64()) },
		"base64":           func(n string) string { return testKey(n).PublicBase64() },
	}
	s := &Server{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, hub := range []string{"a", "b", "c"} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr = form(hub)
				r.Header.Set("X-Forwarded-For", "198.51.100.1")
				key := limit.AddressKey(s.clientAddress(r))
				if seen[key] {
					t.Fatalf("%s shares the allowance of another hub: %q", r.RemoteAddr, key)
				}
				seen[key] = true
			}
		})
	}
	for _, odd := range []string{":", "::", "[", "]", "[]", "[]:", ":0", "[:1", "a:b:c", "\x00", strings.Repeat("[", 1000), strings.Repeat("x", 1000) + ":1"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = odd
		if key := limit.AddressKey(s.clientAddress(r)); len(key) > 64 {
			t.Errorf("%q makes a key of %d bytes", odd, len(key))
		}
	}
}

// A visitor whose id nobody can have had has every trial left.
func TestQuotaOfNobody(t *testing.T) {
	h := newHub(t)
	for _, query := range []string{"", "?visitor_id=", "?visitor_id=ab", "?visitor_id=with+space"} {
		h.get(prefix+"/sandbox/quota"+query).want(200).is("visitor_id", `""`).is("remaining", "3").is("used", "0").is("enabled", "true")
	}
}

// Limits are kept per address, and a 429 says when to come back.
func TestRateLimits(t *testing.T) {
	h := newHub(t, func(s *setup) {
		s.http.ChannelRatePerMin, s.http.InvokeRatePerMin, s.routing.RatePerMin = 2, 3, 3
	})
	for range 2 {
		h.post(prefix+"/channel/open", `{"deposit_usd":1}`).want(200)
	}
	r := h.post(prefix+"/channel/open", `{"deposit_usd":1}`).want(http.StatusTooManyRequests)
	r.is("error", `"rate_limited"`).is("success", "false").is("protocol_version", `"v2"`)
	for name, want := range map[string]string{"Retry-After": "60", "RateLimit-Reset": "60", "RateLimit-Remaining": "0", "RateLimit-Limit": "2"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	h.post(prefix+"/channel/close", `{"channel_id":"ch_0000000000000000"}`).want(http.StatusTooManyRequests)
	for range 3 {
		h.post(prefix+"/invoke", `{"capability_id":"free@v1"}`).want(200)
	}
	r = h.post(prefix+"/invoke", `{"capability_id":"free@v1"}`).want(http.StatusTooManyRequests)
	if r.header.Get("Retry-After") == "" || r.header.Get("RateLimit-Limit") != "3" {
		t.Errorf("headers %v", r.header)
	}
	h.client = "203.0.113.8:1" // somebody else
	h.post(prefix+"/invoke", `{"capability_id":"free@v1"}`).want(200)
	h.client = stranger
	h.clock.advance(time.Minute)
	h.post(prefix+"/channel/open", `{"deposit_usd":1}`).want(200)
}

// The body is judged before the operator's token (HTTP API notes §0).
func TestAdminOrder(t *testing.T) {
	h := newHub(t)
	at := prefix + "/channel/obligations/ch_1/paid"
	h.post(at, `{}`).want(http.StatusUnprocessableEntity)
	h.post(at, `{"payout_tx_hash":"0x1"}`).want(http.StatusUnauthorized)
	h.post(at, `{"payout_tx_hash":"0x1"}`, "Authorization: Basic YTpi").want(http.StatusUnauthorized)
	h.post(at, `{"payout_tx_hash":"0x1"}`, "Authorization: Bearer ").want(http.StatusUnauthorized)
	h.post(at, `{"payout_tx_hash":"0x1"}`, "Authorization: Bearer x").want(http.StatusForbidden)
	h.post(at, `{"payout_tx_hash":"0x1"}`, "Authorization: bearer "+adminSecret).want(http.StatusNotFound)
}

func TestPublisherAuth(t *testing.T) {
	stake := `{"publisher_id":"pub-1","amount_usd":12}`
	for _, c := range []struct {
		name   string
		change func(*setup)
		token  string
		want   int
	}{
		{"own token", nil, publisherSecret, 200},
		{"operator for anybody", nil, adminSecret, 200},
		{"no token", nil, "", 401},
		{"wrong token", nil, "x", 403},
		{"open for trying", noTokens, "", 200},
		{"open takes any token", noTokens, "x", 200},
		{"shared", func(s *setup) { noTokens(s); s.http.PublishToken = "shared" }, "shared", 200},
		{"shared, none sent", func(s *setup) { noTokens(s); s.http.PublishToken = "shared" }, "", 401},
		{"shared, wrong", func(s *setup) { noTokens(s); s.http.PublishToken = "shared" }, "x", 403},
		{"shared is nothing in production", func(s *setup) { noTokens(s); production(s); s.http.PublishToken = "shared" }, "shared", 503},
		{"shared beside an operator", func(s *setup) { s.http.PublisherTokens = nil; s.http.PublishToken = "shared" }, "shared", 200},
		{"operator only", func(s *setup) { s.http.PublisherTokens = nil }, "", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			var options []func(*setup)
			if c.change != nil {
				options = append(options, c.change)
			}
			h := newHub(t, options...)
			var headers []string
			if c.token != "" {
				headers = append(headers, bearerHeader(c.token))
			}
			h.post(prefix+"/supply/stake", stake, headers...).want(c.want)
		})
	}
}

// A published capability is found by a paraphrase, called at the provider, billed
// once, and not billed when the provider is gone.
func TestPublishAndCall(t *testing.T) {
	var got []byte
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"result":{"greeting":"hello Ada"}}`)
	}))
	h := newHub(t)
	pub := bearerHeader(publisherSecret)
	h.post(prefix+"/supply/stake", `{"amount_usd":25}`, pub).want(200).is("publisher_id", `"pub-1"`).is("stake_usd", "25")
	r := h.post(prefix+"/supply/register", fmt.Sprintf(`{"product_id":"prod-x","capability_id":"greet@v1","name":"Greeting","description":"Greets a person politely by their first name",
		"invoke_url":%q,"price_per_call_usd":0.002,"input_schema":{"type":"object"},"unknown_member":1}`, provider.URL+"/greet"), pub).want(200)
	r.is("published", "true").is("publisher_id", `"pub-1"`).is("price_per_call_usd", "0.002")
	if !strings.Contains(r.str("search_hint"), "/ai-market/v2/search?intent=") {
		t.Errorf("search_hint %q", r.str("search_hint"))
	}
	h.get(prefix+"/search?intent=greet+people+by+name").want(200).is("matches.0.capability_id", `"greet@v1"`)
	id, secret := h.open("1")
	call := `{"capability_id":"greet@v1","input":{"name":"Ada"}}`
	h.post(prefix+"/invoke", call, on(id, secret)...).want(200).is("result", `{"greeting":"hello Ada"}`).is("remaining_balance", "0.998")
	v, err := canon.Parse(got)
	if err != nil || v.Get("capability_id").Str() != "greet@v1" || string(v.Get("input").Raw()) != `{"name":"Ada"}` {
		t.Errorf("the provider got %s (%v)", got, err)
	}
	provider.Close()
	h.post(prefix+"/invoke", call, on(id, secret)...).want(http.StatusBadGateway)
	h.get(prefix+"/channel/"+id).is("balance_usd", "0.998").is("held_usd", "0")
}

// The hub's page of plugins knows of routes that only this package can see.
func TestPluginRoutes(t *testing.T) {
	h := newHub(t)
	h.get(prefix+"/p/aimarket-gate/hello").want(200).is("hello", `"plugin"`)
	r := h.get(prefix + "/plugins").want(200)
	r.is("plugins.0.hooks.0", `"register_routes"`).is("plugins.0.hooks.1", `"on_invoke_pre_check"`).is("count", "1")
	h.get(prefix + "/p/aimarket-gate/none").want(http.StatusNotFound)
	h.get(prefix+"/plugins/none").is("detail", `"Plugin 'none' not loaded"`)
}

func TestRequestID(t *testing.T) {
	h := newHub(t)
	for given, kept := range map[string]bool{"abc-123": true, "with space": false, strings.Repeat("x", 65): false} {
		got := h.get("/healthz", "X-Request-Id: "+given).header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("%q became %q", given, got)
		}
	}
	if a, b := h.get("/healthz").header.Get("X-Request-Id"), h.get("/healthz").header.Get("X-Request-Id"); a == b {
		t.Errorf("two requests got the id %q", a)
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := newHub(t)
	for _, key := range []string{"", "two words", strings.Repeat("k", 129), "ümlaut"} {
		h.post(prefix+"/invoke", `{"capability_id":"free@v1"}`, "Idempotency-Key: "+key).want(http.StatusBadRequest).is("error", `"invalid_idempotency_key"`)
	}
	h.post(prefix+"/invoke", `{"capability_id":"free@v1"}`, "Idempotency-Key: "+strings.Repeat("k", 128)).want(http.StatusOK)
	// An open that is repeated is the same channel with the same secret.
	key := "Idempotency-Key: 0b5a1d8e-6f2c-4a52-a0f4-1f4b3a9c7d11"
	a, b := h.post(prefix+"/channel/open", `{"deposit_usd":1}`, key).want(200), h.post(prefix+"/channel/open", `{"deposit_usd":1}`, key).want(200)
	if a.str("channel.channel_secret") != b.str("channel.channel_secret") || a.str("channel.channel_id") != b.str("channel.channel_id") {
		t.Error("a repeated open made another channel")
	}
	h.post(prefix+"/channel/open", `{"deposit_usd":2}`, key).want(http.StatusBadRequest)
}

// Metrics name routes by pattern, so that a stranger makes no label values.
func TestMetricsLabels(t *testing.T) {
	h := newHub(t, func(s *setup) { s.http.MetricsToken = metricsSecret })
	id, secret := h.open("1")
	h.post(prefix+"/invoke", `{"capability_id":"echo@v1"}`, on(id, secret)...).want(200)
	h.post(prefix+"/invoke", `{"capability_id":"made-up@v1"}`).want(404)
	h.get(prefix + "/plugins/made-up").want(404)
	h.get("/made-up").want(404)
	r := h.get("/metrics", bearerHeader(metricsSecret)).want(200)
	text := string(r.body)
	for _, want := range []string{"aimarket_hub_up 1", `aimarket_hub_invokes_total{capability="echo@v1",result="ok"} 1`,
		`aimarket_hub_invokes_total{capability="",result="unknown_capability"} 1`, `route="/ai-market/v2/plugins/{name}",status="404"`, `route="unmatched",status="404"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "made-up") {
		t.Error("a path or id that a stranger made up is a label")
	}
}

// A call is finished and billed once even if the caller goes away meanwhile.
func TestCallerGoesAway(t *testing.T) {
	h := newHub(t)
	id, secret := h.open("1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, prefix+"/invoke", strings.NewReader(`{"capability_id":"echo@v1"}`))
	r.RemoteAddr = h.client
	r.Header["X-Payment-Channel"], r.Header["X-Payment-Channel-Secret"] = []string{id}, []string{secret}
	h.Handler().ServeHTTP(httptest.NewRecorder(), r)
	got := h.get(prefix + "/channel/" + id)
	if b := got.num("balance_usd"); b != "1" && b != "0.999" || got.num("held_usd") != "0" {
		t.Errorf("after the caller left: %s", got.body)
	}
}

// Clients read any 403 of invoke as a safety block, so a capability that is not
// trusted enough is refused with another status (consumer contract §4).
func TestUntrustedIsNoSafetyBlock(t *testing.T) {
	h := newHub(t)
	id, secret := h.open("1")
	h.post(prefix+"/invoke", `{"capability_id":"weak@v1"}`, on(id, secret)...).want(http.StatusServiceUnavailable).is("error", `"untrusted_capability"`)
	h.get(prefix+"/channel/"+id).is("balance_usd", "1").is("held_usd", "0")
}

// A secret that is not configured is no secret that can be guessed.
func TestNoSecretEqualsNothing(t *testing.T) {
	for _, c := range []struct {
		given, secret string
		want          bool
	}{{"", "", false}, {"x", "", false}, {"", "x", false}, {"x", "x", true}, {"x", "y", false}} {
		if got := equalSecret(c.given, c.secret); got != c.want {
			t.Errorf("%q against %q: %v", c.given, c.secret, got)
		}
	}
}
