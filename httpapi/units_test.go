package httpapi

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/internal/canon"
)

// Odd query values: what is a number is read as one, what is not is 422.
func TestSearchQueryValues(t *testing.T) {
	h := newHub(t)
	for query, want := range map[string]int{
		"": 200, "category=": 200, "limit=50&category=&unknown=1": 200, "budget=5": 200, "budget=5.0": 200, "budget=3.0": 200,
		"budget=1e-05": 200, "budget=1E5": 200, "budget=.5": 200, "budget=%2B5": 200, "budget=0": 200, "budget=1e300": 200,
		"budget_usd=0.5": 200, "max_latency_ms=10000": 200, "max_latency_ms=10000.0": 200, "limit=0": 200, "limit=1000000": 200,
		"limit=99999999999999999999999": 200, "offset=99999999999": 200, "include_demo=true": 200, "include_demo=1": 200, "hub=any": 200,
		"hub=https://nowhere.example": 200, "intent=%zz": 200, "intent=%ff": 200, "intent=a;b": 200, "min_trust=0.3": 200, "min_trust=7": 200,
		"budget=": 422, "budget=nan": 422, "budget=NaN": 422, "budget=inf": 422, "budget=-inf": 422, "budget=-1": 422, "budget=abc": 422,
		"budget=0x10": 422, "budget=1_000": 422, "budget=1e999": 422, "budget=5,0": 422, "budget=1.2.3": 422, "budget=e": 422, "budget=--1": 422,
		"max_latency_ms=1.5": 422, "max_latency_ms=-1": 422, "limit=-1": 422, "limit=ten": 422, "offset=-1": 422, "min_trust=-0.1": 422,
		"min_trust=high": 422, "include_demo=maybe": 422, "include_demo=": 422, "budget_usd=nan": 422, "hub=" + strings.Repeat("h", 300): 422,
		"intent=" + strings.Repeat("%C3%BC", maxIntent): 200, "intent=" + strings.Repeat("x", maxIntent+1): 422,
	} {
		if r := h.get(prefix + "/search?" + query); r.status != want {
			t.Errorf("?%.60s: status %d, want %d\n%.300s", query, r.status, want, r.body)
		}
	}
}

// The budget of an old client's name still holds, and counts the routed price.
func TestSearchBudget(t *testing.T) {
	h := newHub(t)
	for query, found := range map[string]bool{
		"budget=0.001": true, "budget=0.000999": false, "budget_usd=0.001": true, "budget_usd=0.0009": false,
		"budget=1&budget_usd=0.0001": true, "budget=1e-3": true,
	} {
		r := h.get(prefix + "/search?intent=echo@v1&" + query).want(200)
		got := strings.Contains(string(r.body), `"capability_id":"echo@v1"`)
		if got != found {
			t.Errorf("%s: found %v, want %v", query, got, found)
		}
	}
	r := h.get(prefix + "/search?limit=2&offset=1").want(200)
	r.is("limit", "2").is("offset", "1").is("has_more", "true")
	if n := r.at("matches").Len(); n != 2 {
		t.Errorf("%d matches on a page of 2", n)
	}
}

func TestMicrosFloor(t *testing.T) {
	for budget, want := range map[float64]int64{0: 0, 0.001: 1000, 0.000057: 57, 0.0000019: 1, 0.29: 290000, 1.1e-5: 11, 1e300: math.MaxInt64} {
		if got := microsFloor(budget); got != want {
			t.Errorf("%v: %d, want %d", budget, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(0, 1e12).Draw(t, "micros")
		token := string(canon.AppendMicros(nil, micros))
		if got := microsFloor(arguments{"b": token}.float("b")); got != micros {
			t.Fatalf("%s is %d micro-USD, not %d", token, micros, got)
		}
	})
}

// What the request schemas say is what is enforced, with the reference's words.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		takes      *schema
		body, want string // first fault's type, "" none
	}{
		{invokeRequest, `{"capability_id":"c@v1"}`, ""},
		{invokeRequest, `{"capability_id":"c@v1","product_id":""}`, ""},
		{invokeRequest, `{"capability_id":"c@v1","product_id":"p"}`, "string_pattern_mismatch"},
		{invokeRequest, `{"capability_id":"c"}`, "string_too_short"},
		{invokeRequest, `{"capability_id":"` + strings.Repeat("c", 81) + `"}`, "string_too_long"},
		{invokeRequest, `{"capability_id":"` + strings.Repeat("ü", 80) + `"}`, ""},
		{invokeRequest, `{"capability_id":null}`, "string_type"},
		{invokeRequest, `{"capability_id":"c@v1","input":null}`, ""},
		{invokeRequest, `{"capability_id":"c@v1","input":"x"}`, "dict_type"},
		{invokeRequest, `{"capability_id":"c@v1","max_price_usd":"1"}`, "float_type"},
		{invokeRequest, `{"capability_id":"c@v1","max_price_usd":true}`, "float_type"},
		{invokeRequest, `{"capability_id":"c@v1","max_price_usd":-1}`, "greater_than_equal"},
		{invokeRequest, `{"capability_id":"c@v1","max_price_usd":1000001}`, "less_than_equal"},
		{invokeRequest, `{"capability_id":"c@v1","verify":{"mode":"slow"}}`, "literal_error"},
		{invokeRequest, `{"capability_id":"c@v1","verify":{"wait":"yes"}}`, "bool_type"},
		{invokeRequest, `{"capability_id":"c@v1","verify":[]}`, "dict_type"},
		{openRequest, `{"deposit_usd":0.000001}`, ""},
		{openRequest, `{"deposit_usd":0}`, "greater_than"},
		{openRequest, `{"deposit_usd":-0.0}`, "greater_than"},
		{openRequest, `{"deposit_usd":10000}`, ""},
		{openRequest, `{"deposit_usd":10000.01}`, "less_than_equal"},
		{openRequest, `{"deposit_usd":1e400}`, "json_invalid"},
		{openRequest, `{"deposit_usd":Infinity}`, "json_invalid"},
		{openRequest, `{}`, "missing"},
		{openRequest, ``, "missing"},
		{openRequest, `null`, "model_attributes_type"},
		{openRequest, `{"deposit_usd":1}{}`, "json_invalid"},
		{openRequest, "{\"deposit_usd\":1,\"a\":\"\xff\"}", "json_invalid"},
		{registerRequest, strings.Replace(registration, "greet@v1", "greet", 1), "string_pattern_mismatch"},
		{registerRequest, strings.Replace(registration, "prod-x", "../x", 1), "string_pattern_mismatch"},
		{registerRequest, strings.Replace(registration, `"name"`, `"p50_latency_ms":1.5,"name"`, 1), "int_from_float"},
		{registerRequest, strings.Replace(registration, `"name"`, `"p50_latency_ms":2.0,"name"`, 1), ""},
		{registerRequest, strings.Replace(registration, `"name"`, `"success_rate_30d":1.1,"name"`, 1), "less_than_equal"},
	} {
		_, bad := decodeBody([]byte(c.body), c.takes)
		got := ""
		if len(bad) > 0 {
			got = bad[0].kind
		}
		if got != c.want {
			t.Errorf("%.80q: %q, want %q (%v)", c.body, got, c.want, bad)
		}
	}
}

// A refused value is shown to its sender only while it is short, and a body with
// many faults lists a bounded number of them.
func TestFaultsAreBounded(t *testing.T) {
	h := newHub(t)
	r := h.post(prefix+"/invoke", `{"capability_id":"`+strings.Repeat("c", 5000)+`"}`).want(422)
	if len(r.body) > 1000 {
		t.Errorf("a 422 of %d bytes", len(r.body))
	}
	many := object()
	body := `{`
	for i := range 100 {
		many.props = append(many.props, req("m"+itoa(i), text()))
		body += `"m` + itoa(i) + `":1,`
	}
	if _, bad := decodeBody([]byte(strings.TrimSuffix(body, ",")+"}"), many); len(bad) != maxViolations {
		t.Errorf("%d faults listed", len(bad))
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{"a+b": "a b", "a%20b": "a b", "%": "%", "%4": "%4", "%zz": "%zz", "%41%4a": "AJ", "%ff": "\uFFFD", "\xff": "\uFFFD"} {
		if got := unescape(in, true); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := unescape(rapid.String().Draw(t, "s"), rapid.Bool().Draw(t, "plus")); !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
	})
}

func TestNoneMatch(t *testing.T) {
	for header, want := range map[string]bool{``: false, `"a"`: true, `W/"a"`: true, `"b"`: false, `"b", "a"`: true, `*`: true, `a`: false} {
		if got := noneMatch(header, `"a"`); got != want {
			t.Errorf("If-None-Match %s: %v", header, got)
		}
	}
}

// The pages run nothing but their own script, load nothing from anywhere, and say
// what the money is worth.
func TestPages(t *testing.T) {
	h := newHub(t, func(s *setup) { s.http.HubName = `<b>"Hub" & Söhne</b>` })
	for _, path := range []string{"/", "/live", "/mesh", "/developers", "/plugins/demo", "/widget/demo", "/docs", "/nothing"} {
		r := h.get(path, "Accept: text/html")
		page := string(r.body)
		csp := r.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %s", path, csp, want)
			}
		}
		for _, tag := range []string{"script", "style"} {
			_, rest, _ := strings.Cut(page, "<"+tag+">")
			inline, _, _ := strings.Cut(rest, "</"+tag+">")
			if !strings.Contains(csp, hashOf(inline)) {
				t.Errorf("%s: the policy does not admit the page's own %s", path, tag)
			}
		}
		if !strings.Contains(page, "Demo money.") {
			t.Errorf("%s does not say that money is demo money", path)
		}
		if strings.Contains(page, "<b>\"Hub\"") || !strings.Contains(page, "&lt;b&gt;") {
			t.Errorf("%s shows the hub's name as markup", path)
		}
		if strings.Contains(page, "{{") {
			t.Errorf("%s has an unfilled place", path)
		}
		for _, outside := range []string{` src="`, ` href="http`, "@import", "url(", " on" + "click=", " style=\""} {
			if strings.Contains(page, outside) {
				t.Errorf("%s contains %q", path, outside)
			}
		}
	}
	h.get("/nothing", "Accept: text/html").want(404)
	if got := h.get("/nothing", "Accept: application/json").want(404).str("error"); got != "not_found" {
		t.Errorf("error %q", got)
	}
	h.get(prefix+"/nothing").want(404).is("error", `"not_found"`)
	free := newHub(t, moneyOff)
	if !strings.Contains(string(free.get("/").body), "Free hub.") {
		t.Error("a hub without money does not say so")
	}
}

// The operator's listener serves what the public one does not, and no browser.
func TestAdminHandler(t *testing.T) {
	var saved string
	h := newHub(t, func(s *setup) {
		s.http.Backup = func(_ context.Context, dir string) error { saved = dir; return nil }
	})
	ask := func(method, target, body string, headers ...string) *response {
		r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
		for _, line := range headers {
			k, v, _ := strings.Cut(line, ": ")
			if k == "Host" {
				r.Host = v
			}
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.AdminHandler().ServeHTTP(w, r)
		v, _ := canon.Parse(w.Body.Bytes())
		return &response{t: t, status: w.Code, header: w.Header(), body: w.Body.Bytes(), value: v}
	}
	ask("GET", "/debug/pprof/", "").want(200)
	ask("GET", "/metrics", "").want(200)
	ask("GET", "/debug/state", "").want(200).is("money", `"demo"`)
	ask("POST", "/backup", `{"dir":"/var/backup/1"}`).want(200).is("status", `"complete"`)
	if saved != "/var/backup/1" {
		t.Errorf("backup went to %q", saved)
	}
	ask("POST", "/backup", `{"dir":"relative"}`).want(400)
	ask("POST", "/backup", `{}`).want(422)
	ask("POST", "/backup", huge(MaxBody)).want(413)
	for _, header := range []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Host: rebound.example"} {
		ask("POST", "/backup", `{"dir":"/x"}`, header).want(http.StatusForbidden)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/state", "/backup"} {
		h.get(path, "Accept: application/json").want(404)
	}
	bare := newHub(t)
	w := httptest.NewRecorder()
	bare.AdminHandler().ServeHTTP(w, httptest.NewRequest("POST", "http://127.0.0.1/backup", strings.NewReader(`{"dir":"/x"}`)))
	if w.Code != http.StatusNotImplemented {
		t.Errorf("backup without a way to: %d", w.Code)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no catalogue, ledger and router")
	}
	h := newHub(t)
	for name, change := range map[string]func(*Config){
		"mode":    func(c *Config) { c.Mode = "gold" },
		"hub URL": func(c *Config) { c.HubURL = "hub" },
		"metrics": func(c *Config) {}, // registered twice in one registry
	} {
		c := h.cfg
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
