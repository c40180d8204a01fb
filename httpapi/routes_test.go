package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog"
)

// probe provokes one documented status of one operation.
type probe struct {
	operation string // "GET /path" as documented
	status    int
	hub       string // key of probeHubs; "" is "plain"
	do        func(h *hub) *response
}

// probeHubs are the hubs that the probes need.
var probeHubs = map[string][]func(*setup){
	"plain":          nil,
	"chatty":         nil,
	"remembering":    nil,
	"no tokens":      {noTokens},
	"production":     {noTokens, production},
	"money off":      {moneyOff},
	"limited":        {func(s *setup) { s.http.ChannelRatePerMin, s.routing.RatePerMin = 1, 1; s.http.InvokeRatePerMin = 1 }},
	"public metrics": {func(s *setup) { s.http.MetricsPublic = true }},
	"token metrics":  {func(s *setup) { s.http.MetricsToken = metricsSecret }},
	"not ready":      {func(s *setup) { s.http.Ready = func() []string { return []string{"the ledger is still loading"} } }},
	"small":          {func(s *setup) { s.catalog.MaxPending = 1 }},
	"crawler":        {func(s *setup) { s.http.Crawl = fixedCrawl(nil) }},
	"broken crawler": {func(s *setup) { s.http.Crawl = fixedCrawl(errors.New("the store is closed")) }},
	"full":           {func(s *setup) { s.catalog.MaxRows = len(s.rows) }},
}

func bearerHeader(token string) string { return "Authorization: Bearer " + token }

// ask makes a probe of one request.
func ask(method, target, body string, headers ...string) func(*hub) *response {
	return func(h *hub) *response { return h.do(method, target, body, headers...) }
}

// again sends the same request twice and gives the second answer.
func again(method, target, body string, headers ...string) func(*hub) *response {
	return func(h *hub) *response {
		h.do(method, target, body, headers...)
		return h.do(method, target, body, headers...)
	}
}

// conditional repeats a GET with the ETag of its answer.
func conditional(target string) func(*hub) *response {
	return func(h *hub) *response {
		return h.get(target, "If-None-Match: "+h.get(target).want(http.StatusOK).header.Get("ETag"))
	}
}

// fixedCrawl is a crawler that always reports the same, or fails.
func fixedCrawl(err error) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		return map[string]any{"discovered": 2, "indexed": 7, "errors": 1, "peers_found": 3, "truncated": true,
			"hubs": []map[string]any{{"url": "https://a.example", "outcome": "indexed", "indexed": 7}}}, err
	}
}

// listed has publisher pub-1 list the registration.
func (h *hub) listed() {
	h.t.Helper()
	pub := bearerHeader(publisherSecret)
	h.post(prefix+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`, pub).want(200)
	h.post(prefix+"/supply/register", registration, pub).want(200)
}

func huge(n int) string { return `{"x":"` + strings.Repeat("x", n) + `"}` }

// cutShort is a body whose sender stops before its end.
func cutShort(target string, headers ...string) func(*hub) *response {
	return func(h *hub) *response { return h.broken(target, headers...) }
}

const registration = `{"product_id":"prod-x","capability_id":"greet@v1","name":"Greeting","description":"Greets by name","invoke_url":"https://provider.example/greet","publisher_id":"pub-1"}`

func probes() []probe {
	pub := bearerHeader(publisherSecret)
	adm := bearerHeader(adminSecret)
	wrong := bearerHeader("wrong")
	v := prefix
	invoke := "POST " + v + "/invoke"
	unpublish, row := "DELETE "+v+"/supply/{product_id}/{capability_id}", v+"/supply/prod-x/greet@v1"
	reject, repin := v+"/federation/peers/reject", v+"/federation/peers/repin"
	known := func(h *hub, name string) string {
		u := "https://" + name + ".example"
		h.post(v+"/federation/announce", `{"hub_url":"`+u+`"}`).want(200)
		return u
	}
	paid := func(capability, input string) func(h *hub) *response {
		return func(h *hub) *response {
			id, secret := h.open("5")
			return h.post(v+"/invoke", `{"capability_id":"`+capability+`","input":`+input+`}`, on(id, secret)...)
		}
	}
	closed := func(h *hub) string {
		id, _ := h.open("1")
		h.post(v+"/channel/close", `{"channel_id":"`+id+`"}`).want(http.StatusOK)
		return id
	}
	out := []probe{
		{"GET /.well-known/ai-market.json", 200, "", ask("GET", "/.well-known/ai-market.json", "")},
		{"GET /.well-known/ai-market.json", 304, "", conditional("/.well-known/ai-market.json")},
		{"GET " + v + "/manifest", 200, "", ask("GET", v+"/manifest", "")},
		{"GET " + v + "/manifest", 304, "", conditional(v + "/manifest")},
		{"GET " + v + "/prices", 200, "", ask("GET", v+"/prices", "")},
		{"GET " + v + "/prices", 304, "", conditional(v + "/prices")},
		{"GET /openapi.json", 200, "", ask("GET", "/openapi.json", "")},
		{"GET /openapi.json", 304, "", conditional("/openapi.json")},
		{"GET " + v + "/search", 200, "", ask("GET", v+"/search?intent=echo", "")},
		{"GET " + v + "/search", 422, "", ask("GET", v+"/search?budget=nan", "")},

		{invoke, 200, "", paid("echo@v1", `{"text":"hi"}`)},
		{invoke, 400, "", ask("POST", v+"/invoke", `{"capability_id":"../etc@v1"}`)},
		{invoke, 401, "", ask("POST", v+"/invoke", `{"capability_id":"echo@v1"}`, "X-API-Key: aimk_1")},
		{invoke, 402, "", ask("POST", v+"/invoke", `{"capability_id":"echo@v1"}`)},
		{invoke, 403, "", paid("echo@v1", `{"text":"block-me"}`)},
		{invoke, 404, "", ask("POST", v+"/invoke", `{"capability_id":"nothing@v1"}`)},
		{invoke, 409, "", ask("POST", v+"/invoke", `{"capability_id":"echo@v1","max_price_usd":0.0001}`)},
		{invoke, 413, "", ask("POST", v+"/invoke", huge(MaxInvokeBody))},
		{invoke, 422, "", ask("POST", v+"/invoke", `{"capability_id":7}`)},
		{invoke, 429, "limited", again("POST", v+"/invoke", `{"capability_id":"echo@v1"}`)},
		{invoke, 502, "", paid("fail@v1", `{}`)},
		{invoke, 503, "", paid("idle@v1", `{}`)},

		{"GET " + v + "/sandbox/quota", 200, "", ask("GET", v+"/sandbox/quota?visitor_id=visitor-1", "")},
		{"GET " + v + "/sandbox/quota", 422, "", ask("GET", v+"/sandbox/quota?visitor_id="+strings.Repeat("x", 300), "")},
		{"POST " + v + "/receipts/verify", 200, "", ask("POST", v+"/receipts/verify", `{"receipt":{}}`)},
		{"POST " + v + "/receipts/verify", 400, "", cutShort(v + "/receipts/verify")},
		{"POST " + v + "/receipts/verify", 413, "", ask("POST", v+"/receipts/verify", huge(MaxReceiptBody))},
		{"POST " + v + "/receipts/verify", 422, "", ask("POST", v+"/receipts/verify", `{"receipt":[]}`)},
		{"GET " + v + "/receipts/{nonce}", 200, "", func(h *hub) *response {
			return h.get(v + "/receipts/" + paid("echo@v1", `{}`)(h).want(200).str("receipt.nonce"))
		}},
		{"GET " + v + "/receipts/{nonce}", 404, "", ask("GET", v+"/receipts/rcpt_none", "")},
		{"GET " + v + "/verification/{nonce}", 404, "", ask("GET", v+"/verification/rcpt_none", "")},

		{"POST " + v + "/channel/open", 200, "", ask("POST", v+"/channel/open", `{"deposit_usd":5,"tx_hash":"agent-1"}`)},
		{"POST " + v + "/channel/open", 400, "", ask("POST", v+"/channel/open", `{"deposit_usd":5}`, "Idempotency-Key: short")},
		{"POST " + v + "/channel/open", 413, "", ask("POST", v+"/channel/open", huge(MaxBody))},
		{"POST " + v + "/channel/open", 422, "", ask("POST", v+"/channel/open", `{"deposit_usd":"5"}`)},
		{"POST " + v + "/channel/open", 429, "limited", again("POST", v+"/channel/open", `{"deposit_usd":5}`)},
		{"POST " + v + "/channel/open", 503, "money off", ask("POST", v+"/channel/open", `{"deposit_usd":5}`)},
		{"POST " + v + "/channel/close", 200, "", func(h *hub) *response {
			id, _ := h.open("1")
			return h.post(v+"/channel/close", `{"channel_id":"`+id+`"}`)
		}},
		{"POST " + v + "/channel/close", 400, "", func(h *hub) *response {
			return h.post(v+"/channel/close", `{"channel_id":"`+closed(h)+`"}`)
		}},
		{"POST " + v + "/channel/close", 404, "", ask("POST", v+"/channel/close", `{"channel_id":"ch_0000000000000000"}`)},
		{"POST " + v + "/channel/close", 413, "", ask("POST", v+"/channel/close", huge(MaxBody))},
		{"POST " + v + "/channel/close", 422, "", ask("POST", v+"/channel/close", `{}`)},
		{"POST " + v + "/channel/close", 429, "limited", again("POST", v+"/channel/close", `{"channel_id":"ch_0000000000000000"}`)},
		{"POST " + v + "/channel/close", 503, "money off", ask("POST", v+"/channel/close", `{"channel_id":"ch_0000000000000000"}`)},
		{"POST " + v + "/channel/recover", 200, "", func(h *hub) *response { return h.recovered() }},
		{"POST " + v + "/channel/recover", 400, "", func(h *hub) *response {
			id, _ := h.open("1")
			return h.post(v+"/channel/recover", `{"channel_id":"`+id+`","timestamp":"2026-05-21T12:00:00Z","signature":"AA=="}`)
		}},
		{"POST " + v + "/channel/recover", 404, "", ask("POST", v+"/channel/recover", `{"channel_id":"ch_0000000000000000","timestamp":"2026-05-21T12:00:00Z","signature":"AA=="}`)},
		{"POST " + v + "/channel/recover", 413, "", ask("POST", v+"/channel/recover", huge(MaxBody))},
		{"POST " + v + "/channel/recover", 422, "", ask("POST", v+"/channel/recover", `{"channel_id":"ch_0000000000000000","timestamp":"yesterday","signature":"AA=="}`)},
		{"POST " + v + "/channel/recover", 429, "limited", again("POST", v+"/channel/recover", `{"channel_id":"ch_0000000000000000"}`)},
		{"POST " + v + "/channel/recover", 503, "money off", ask("POST", v+"/channel/recover", `{}`)},
		{"GET " + v + "/channel/{id}", 200, "", func(h *hub) *response { id, _ := h.open("1"); return h.get(v + "/channel/" + id) }},
		{"GET " + v + "/channel/{id}", 404, "", ask("GET", v+"/channel/ch_0000000000000000", "")},
		{"GET " + v + "/channel/{id}", 503, "money off", ask("GET", v+"/channel/ch_0000000000000000", "")},

		{"GET " + v + "/channel/obligations", 200, "", ask("GET", v+"/channel/obligations", "", adm)},
		{"GET " + v + "/channel/obligations", 401, "", ask("GET", v+"/channel/obligations", "")},
		{"GET " + v + "/channel/obligations", 403, "", ask("GET", v+"/channel/obligations", "", wrong)},
		{"GET " + v + "/channel/obligations", 422, "", ask("GET", v+"/channel/obligations?status=maybe", "")},
		{"GET " + v + "/channel/obligations", 503, "no tokens", ask("GET", v+"/channel/obligations", "", adm)},
		{"POST " + v + "/channel/obligations/{id}/paid", 200, "", func(h *hub) *response {
			return h.post(v+"/channel/obligations/"+closed(h)+"/paid", `{"payout_tx_hash":"0x1"}`, adm)
		}},
		{"POST " + v + "/channel/obligations/{id}/paid", 401, "", ask("POST", v+"/channel/obligations/ch_1/paid", `{"payout_tx_hash":"0x1"}`)},
		{"POST " + v + "/channel/obligations/{id}/paid", 403, "", ask("POST", v+"/channel/obligations/ch_1/paid", `{"payout_tx_hash":"0x1"}`, wrong)},
		{"POST " + v + "/channel/obligations/{id}/paid", 400, "", ask("POST", v+"/channel/obligations/ch_1/paid", `{"payout_tx_hash":"0x\u0001"}`, adm)},
		{"POST " + v + "/channel/obligations/{id}/paid", 404, "", ask("POST", v+"/channel/obligations/ch_1/paid", `{"payout_tx_hash":"0x1"}`, adm)},
		{"POST " + v + "/channel/obligations/{id}/paid", 409, "", func(h *hub) *response {
			at := v + "/channel/obligations/" + closed(h) + "/paid"
			h.post(at, `{"payout_tx_hash":"0x1"}`, adm).want(200)
			return h.post(at, `{"payout_tx_hash":"0x2"}`, adm)
		}},
		{"POST " + v + "/channel/obligations/{id}/paid", 413, "", ask("POST", v+"/channel/obligations/ch_1/paid", huge(MaxBody))},
		{"POST " + v + "/channel/obligations/{id}/paid", 422, "", ask("POST", v+"/channel/obligations/ch_1/paid", `{}`)},
		{"POST " + v + "/channel/obligations/{id}/paid", 503, "no tokens", ask("POST", v+"/channel/obligations/ch_1/paid", `{"payout_tx_hash":"0x1"}`)},

		{"POST " + v + "/supply/stake", 200, "", ask("POST", v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`, pub)},
		{"POST " + v + "/supply/stake", 400, "", ask("POST", v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":0}`, pub)},
		{"POST " + v + "/supply/stake", 401, "", ask("POST", v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`)},
		{"POST " + v + "/supply/stake", 403, "", ask("POST", v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`, wrong)},
		{"POST " + v + "/supply/stake", 413, "", ask("POST", v+"/supply/stake", huge(MaxBody), pub)},
		{"POST " + v + "/supply/stake", 422, "", ask("POST", v+"/supply/stake", `{"amount_usd":"inf"}`, pub)},
		{"POST " + v + "/supply/stake", 503, "production", ask("POST", v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`)},
		{"POST " + v + "/supply/register", 200, "", func(h *hub) *response {
			h.post(v+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`, pub).want(200)
			return h.post(v+"/supply/register", registration, pub)
		}},
		{"POST " + v + "/supply/register", 400, "no tokens", ask("POST", v+"/supply/register", registration)},
		{"POST " + v + "/supply/register", 401, "", ask("POST", v+"/supply/register", registration)},
		{"POST " + v + "/supply/register", 403, "", ask("POST", v+"/supply/register", strings.Replace(registration, "pub-1", "pub-2", 1), pub)},
		{"POST " + v + "/supply/register", 413, "", ask("POST", v+"/supply/register", huge(maxRegisterBody), pub)},
		{"POST " + v + "/supply/register", 422, "", ask("POST", v+"/supply/register", `{}`, pub)},
		{"POST " + v + "/supply/register", 503, "production", ask("POST", v+"/supply/register", registration)},

		{unpublish, 200, "", func(h *hub) *response { h.listed(); return h.do("DELETE", row, "", pub) }},
		{unpublish, 400, "", func(h *hub) *response { return h.cut("DELETE", row, pub) }},
		{unpublish, 401, "", ask("DELETE", row, "")},
		{unpublish, 403, "", ask("DELETE", row+"?publisher_id=pub-2", "", pub)},
		{unpublish, 404, "", ask("DELETE", v+"/supply/prod-x/none@v1", "", pub)},
		{unpublish, 413, "", ask("DELETE", row, huge(MaxBody), pub)},
		{unpublish, 422, "", ask("DELETE", row, `{"publisher_id":7}`, pub)},
		{unpublish, 503, "production", ask("DELETE", row, "")},

		{"POST " + v + "/federation/announce", 200, "", ask("POST", v+"/federation/announce", `{"hub_url":"https://other.example"}`)},
		{"POST " + v + "/federation/announce", 400, "", ask("POST", v+"/federation/announce", `{"hub_url":"https://other.example/\nx"}`)},
		{"POST " + v + "/federation/announce", 401, "", ask("POST", v+"/federation/announce", `{"hub_url":"https://other.example"}`, "Authorization: Basic eDp5")},
		{"POST " + v + "/federation/announce", 403, "", ask("POST", v+"/federation/announce", `{"hub_url":"https://other.example"}`, wrong)},
		{"POST " + v + "/federation/announce", 413, "", ask("POST", v+"/federation/announce", huge(MaxBody))},
		{"POST " + v + "/federation/announce", 422, "", ask("POST", v+"/federation/announce", `{}`)},
		{"POST " + v + "/federation/announce", 429, "small", func(h *hub) *response {
			h.post(v+"/federation/announce", `{"hub_url":"https://one.example"}`).want(200)
			return h.post(v+"/federation/announce", `{"hub_url":"https://two.example"}`)
		}},
		{"POST " + v + "/federation/announce", 503, "no tokens", ask("POST", v+"/federation/announce", `{"hub_url":"https://other.example"}`, wrong)},
		{"GET " + v + "/federation/peers", 200, "", func(h *hub) *response {
			h.post(v+"/federation/announce", `{"hub_url":"https://listed.example"}`).want(200)
			return h.get(v + "/federation/peers")
		}},
		{"POST " + v + "/federation/peers/approve", 200, "", func(h *hub) *response {
			h.post(v+"/federation/announce", `{"hub_url":"https://third.example"}`).want(200)
			return h.post(v+"/federation/peers/approve", `{"url":"https://third.example"}`, adm)
		}},
		{"POST " + v + "/federation/peers/approve", 401, "", ask("POST", v+"/federation/peers/approve", `{"url":"https://x.example"}`)},
		{"POST " + v + "/federation/peers/approve", 403, "", ask("POST", v+"/federation/peers/approve", `{"url":"https://x.example"}`, wrong)},
		{"POST " + v + "/federation/peers/approve", 404, "", ask("POST", v+"/federation/peers/approve", `{"url":"https://x.example"}`, adm)},
		{"POST " + v + "/federation/peers/approve", 409, "", func(h *hub) *response {
			for _, name := range []string{"twin-a", "twin-b"} {
				h.post(v+"/federation/announce", `{"hub_url":"https://`+name+`.example","signer_public_key":"`+h.Server.key+`"}`, adm).want(200)
			}
			h.post(v+"/federation/peers/approve", `{"url":"https://twin-a.example"}`, adm).want(200)
			return h.post(v+"/federation/peers/approve", `{"url":"https://twin-b.example"}`, adm)
		}},
		{"POST " + v + "/federation/peers/approve", 413, "", ask("POST", v+"/federation/peers/approve", huge(MaxBody))},
		{"POST " + v + "/federation/peers/approve", 422, "", ask("POST", v+"/federation/peers/approve", `{"url":""}`)},
		{"POST " + v + "/federation/peers/approve", 503, "no tokens", ask("POST", v+"/federation/peers/approve", `{"url":"https://x.example"}`)},
		{"DELETE " + v + "/federation/peers", 200, "", func(h *hub) *response {
			h.post(v+"/federation/announce", `{"hub_url":"https://fourth.example"}`).want(200)
			return h.do("DELETE", v+"/federation/peers?url=https://fourth.example", "", adm)
		}},
		{"DELETE " + v + "/federation/peers", 401, "", ask("DELETE", v+"/federation/peers?url=https://x.example", "")},
		{"DELETE " + v + "/federation/peers", 403, "", ask("DELETE", v+"/federation/peers?url=https://x.example", "", wrong)},
		{"DELETE " + v + "/federation/peers", 404, "", ask("DELETE", v+"/federation/peers?url=https://x.example", "", adm)},
		{"DELETE " + v + "/federation/peers", 422, "", ask("DELETE", v+"/federation/peers", "")},
		{"DELETE " + v + "/federation/peers", 503, "no tokens", ask("DELETE", v+"/federation/peers?url=https://x.example", "")},
		{"GET " + v + "/federation/preview", 200, "", ask("GET", v+"/federation/preview?url=https://x.example&limit=999", "")},
		{"GET " + v + "/federation/preview", 422, "", ask("GET", v+"/federation/preview", "")},
		{"POST " + reject, 200, "", func(h *hub) *response { return h.post(reject, `{"url":"`+known(h, "fifth")+`"}`, adm) }},
		{"POST " + reject, 401, "", ask("POST", reject, `{"url":"https://x.example"}`)},
		{"POST " + reject, 403, "", ask("POST", reject, `{"url":"https://x.example"}`, wrong)},
		{"POST " + reject, 404, "", ask("POST", reject, `{"url":"https://x.example"}`, adm)},
		{"POST " + reject, 409, "remembering", func(h *hub) *response {
			for i := range catalog.MaxRejected {
				h.quick("POST", v+"/federation/announce", fmt.Sprintf(`{"hub_url":"https://no-%d.example"}`, i), adm)
				h.quick("POST", reject, fmt.Sprintf(`{"url":"https://no-%d.example"}`, i), adm)
			}
			return h.post(reject, `{"url":"`+known(h, "one-too-many")+`"}`, adm)
		}},
		{"POST " + reject, 413, "", ask("POST", reject, huge(MaxBody))},
		{"POST " + reject, 422, "", ask("POST", reject, `{}`)},
		{"POST " + reject, 503, "no tokens", ask("POST", reject, `{"url":"https://x.example"}`)},
		{"POST " + repin, 200, "", func(h *hub) *response {
			return h.post(repin, `{"url":"`+known(h, "sixth")+`","public_key":"`+testKey("sixth").PublicBase64()+`","trusted":null}`, adm)
		}},
		{"POST " + repin, 400, "", ask("POST", repin, `{"url":"https://x.example","pq_public_key":"AAAA"}`, adm)},
		{"POST " + repin, 401, "", ask("POST", repin, `{"url":"https://x.example"}`)},
		{"POST " + repin, 403, "", ask("POST", repin, `{"url":"https://x.example"}`, wrong)},
		{"POST " + repin, 404, "", ask("POST", repin, `{"url":"https://x.example","public_key":"`+testKey("x").PublicBase64()+`"}`, adm)},
		{"POST " + repin, 409, "", func(h *hub) *response {
			key := testKey("pinned twice").PublicBase64()
			h.post(repin, `{"url":"`+known(h, "seventh")+`","public_key":"`+key+`"}`, adm).want(200)
			return h.post(repin, `{"url":"`+known(h, "eighth")+`","public_key":"`+key+`"}`, adm)
		}},
		{"POST " + repin, 413, "", ask("POST", repin, huge(MaxBody))},
		{"POST " + repin, 422, "", ask("POST", repin, `{"url":"https://x.example","trusted":"yes"}`)},
		{"POST " + repin, 503, "no tokens", ask("POST", repin, `{"url":"https://x.example"}`)},
		{"POST " + v + "/federation/crawl", 200, "crawler", ask("POST", v+"/federation/crawl", "", adm)},
		{"POST " + v + "/federation/crawl", 401, "", ask("POST", v+"/federation/crawl", "")},
		{"POST " + v + "/federation/crawl", 403, "", ask("POST", v+"/federation/crawl", "", wrong)},
		{"POST " + v + "/federation/crawl", 501, "", ask("POST", v+"/federation/crawl", "", adm)},
		{"POST " + v + "/federation/crawl", 503, "broken crawler", ask("POST", v+"/federation/crawl", "", adm)},
		{"POST " + v + "/reputation/events", 200, "", ask("POST", v+"/reputation/events", `{"events":[{},7]}`)},
		{"POST " + v + "/reputation/events", 413, "", ask("POST", v+"/reputation/events", huge(maxReportsBody))},
		{"POST " + v + "/reputation/events", 422, "", ask("POST", v+"/reputation/events", `{"events":[]}`)},
		{"POST " + v + "/reputation/events", 429, "chatty", func(h *hub) *response {
			for range reportsPerMin {
				h.post(v+"/reputation/events", `{"events":[{}]}`).want(200)
			}
			return h.post(v+"/reputation/events", `{"events":[{}]}`)
		}},
		{"GET " + v + "/reputation/slashes", 200, "", ask("GET", v+"/reputation/slashes", "")},
		{"GET " + v + "/reputation/{hub_url}", 200, "", ask("GET", v+"/reputation/https://host.example", "")},
		{"GET " + v + "/reputation/{hub_url}", 404, "", ask("GET", v+"/reputation/", "")},

		{"GET " + v + "/health", 200, "", ask("GET", v+"/health", "")},
		{"GET /health", 200, "", ask("GET", "/health", "")},
		{"GET /healthz", 200, "", ask("GET", "/healthz", "")},
		{"GET /readyz", 200, "", ask("GET", "/readyz", "")},
		{"GET /readyz", 503, "not ready", ask("GET", "/readyz", "")},
		{"GET /metrics", 200, "public metrics", ask("GET", "/metrics", "")},
		{"GET /metrics", 401, "token metrics", ask("GET", "/metrics", "")},
		{"GET /metrics", 403, "token metrics", ask("GET", "/metrics", "", wrong)},
		{"GET /metrics", 404, "", ask("GET", "/metrics", "")},
		{"GET " + v + "/stats/live", 200, "", ask("GET", v+"/stats/live?limit=80", "")},
		{"GET " + v + "/stats/live", 422, "", ask("GET", v+"/stats/live?limit=many", "")},
		{"GET " + v + "/plugins", 200, "", ask("GET", v+"/plugins", "")},
		{"GET " + v + "/plugins/registry", 200, "", ask("GET", v+"/plugins/registry", "")},
		{"GET " + v + "/plugins/{name}", 200, "", ask("GET", v+"/plugins/aimarket-gate", "")},
		{"GET " + v + "/plugins/{name}", 404, "", ask("GET", v+"/plugins/none", "")},
	}
	for _, path := range []string{"/invoke", "/channel/open", "/channel/close", "/channel/recover", "/supply/stake", "/supply/register",
		"/federation/announce", "/federation/peers/approve", "/federation/peers/reject", "/federation/peers/repin", "/reputation/events", "/channel/obligations/{id}/paid"} {
		out = append(out, probe{"POST " + v + path, 400, "", cutShort(v + strings.Replace(path, "{id}", "ch_1", 1))})
	}
	for _, path := range []string{"/", "/live", "/mesh", "/developers", "/plugins/demo", "/widget/demo", "/docs"} {
		out = append(out, probe{"GET " + path, 200, "", ask("GET", path, "")})
	}
	return out
}

// Every documented status of every route is provoked, and every answer fits the
// document: hub_test's do checks that on the way. 500 is left to TestPanic, since
// no request causes one.
func TestEveryRouteEveryStatus(t *testing.T) {
	hubs := map[string]*hub{}
	seen := map[string]bool{}
	for _, p := range probes() {
		name := p.hub
		if name == "" {
			name = "plain"
		}
		key := name
		if name == "limited" || name == "small" {
			key = p.operation // its allowance is used up by one probe
		}
		if hubs[key] == nil {
			hubs[key] = newHub(t, probeHubs[name]...)
		}
		h := hubs[key]
		t.Run(fmt.Sprintf("%s %d", p.operation, p.status), func(t *testing.T) {
			was := h.t
			h.t = t
			defer func() { h.t = was }()
			r := p.do(h).want(p.status)
			seen[p.operation+" "+strconv.Itoa(p.status)] = true
			if p.status < 400 {
				return
			}
			if r.value.Get("error").Str() == "" {
				t.Errorf("a refusal without a string error: %s", r.body)
			}
			for _, name := range []string{"result", "output"} {
				if r.value.Get(name).Exists() {
					t.Errorf("a refusal with a %s: %s", name, r.body)
				}
			}
		})
	}
	var missing []string
	for _, rt := range hubs["plain"].table {
		for _, a := range rt.answers {
			name := rt.method + " " + documentedPath(rt.path) + " " + strconv.Itoa(a.status)
			if a.status != http.StatusInternalServerError && !seen[name] {
				missing = append(missing, name)
			}
		}
	}
	sort.Strings(missing)
	for _, m := range missing {
		t.Errorf("documented and never provoked: %s", m)
	}
	if t.Failed() {
		return
	}
	for name := range seen {
		method, rest, _ := strings.Cut(name, " ")
		path, status, _ := strings.Cut(rest, " ")
		documented := false
		for _, rt := range hubs["plain"].table {
			documented = documented || rt.method == method && documentedPath(rt.path) == path && rt.documents(atoi(status))
		}
		if !documented {
			t.Errorf("provoked and not documented: %s", name)
		}
	}
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n }

// A handler that panics costs one request and is answered like every other refusal.
func TestPanic(t *testing.T) {
	h := newHub(t)
	r := h.get(prefix + "/p/aimarket-gate/panic").want(http.StatusInternalServerError)
	r.is("error", `"internal_error"`).is("success", "false")
	h.get("/healthz").want(http.StatusOK)
	if got := metric(t, h, "aimarket_http_panics_total"); got != 1 {
		t.Errorf("%v panics counted, want 1", got)
	}
}

// The catalogue is full: 503, with the bound named.
func TestRegisterWithoutRoom(t *testing.T) {
	h := newHub(t, probeHubs["full"]...)
	pub := bearerHeader(publisherSecret)
	h.post(prefix+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`, pub).want(200)
	r := h.post(prefix+"/supply/register", registration, pub)
	if r.status != http.StatusBadRequest && r.status != http.StatusServiceUnavailable {
		t.Errorf("status %d\n%s", r.status, r.body)
	}
	if !bytes.Contains(r.body, []byte("full")) && r.str("error") != string(catalog.GateCapacity) {
		t.Errorf("nothing says that the catalogue is full: %s", r.body)
	}
}
