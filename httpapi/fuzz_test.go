package httpapi

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// FuzzDecodeBody: no body breaks the decoder, and what it lets through fits the
// schema of every member that handlers read.
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{`{"capability_id":"echo@v1","input":{"text":"x"}}`, `{"deposit_usd":5}`, registration, `[]`, `{`, `{"deposit_usd":1e400}`, `{"verify":{"mode":"fast","wait_timeout_s":300}}`} {
		f.Add([]byte(seed))
	}
	schemas := []*schema{invokeRequest, openRequest, closeRequest, recoverRequest, registerRequest}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, takes := range schemas {
			v, bad := decodeBody(raw, takes)
			if len(bad) > 0 {
				for _, b := range bad {
					if b.input == "" {
						continue
					}
					if _, err := canon.Parse([]byte(b.input)); err != nil {
						t.Fatalf("the 422 would not be JSON: %q", b.input)
					}
				}
				continue
			}
			for _, p := range takes.props {
				m, ok := given(v, p.name)
				if !ok {
					if p.required {
						t.Fatalf("%q without %s was let through", raw, p.name)
					}
					continue
				}
				if kind := m.Kind().String(); !p.allows(kind) && !(kind == "number" && p.allows("integer")) && !(kind == "boolean" && p.allows("boolean")) {
					t.Fatalf("%s is a %s in %q", p.name, kind, raw)
				}
			}
		}
	})
}

// FuzzQuery: no query string breaks the reader, and a number it accepts is finite
// and not negative where the schema says so.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"intent=a&budget=1", "budget=nan", "limit=-1", "a=%zz&&=;", "budget=1e309", "limit=0&offset=5"} {
		f.Add(seed)
	}
	s := &Server{}
	params := s.marketRoutes()[3].params
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest("GET", "/x", nil)
		r.URL.RawQuery = raw
		args, bad := readQuery(r, params)
		if len(bad) > 0 {
			return
		}
		if args.float("budget") < 0 || microsFloor(args.float("budget")) < 0 || args.integer("limit", 0) < 0 || args.integer("offset", 0) < 0 {
			t.Fatalf("%q was let through", raw)
		}
	})
}

// FuzzJudgeReceipt: no receipt breaks the verdict, and only a receipt with the
// seed's signed fields is valid.
func FuzzJudgeReceipt(f *testing.F) {
	key, err := identity.FromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	signed := "nonce:n|product_id:p|capability_id:c|price_usd:1|timestamp:t|success:1|latency_ms:2"
	good := `{"nonce":"n","product_id":"p","capability_id":"c","price_usd":1,"timestamp":"t","success":true,"latency_ms":2,"signature":{"algorithm":"ed25519","value":"` + key.SignBase64([]byte(signed)) + `"}}`
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `:1,`, `:1.0,`, 1)))
	f.Add([]byte(`{"signature":{"version":2,"value":""}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := canon.Parse(raw)
		if err != nil || v.Kind() != canon.Object {
			return
		}
		verdict := judgeReceipt(v, key.Public())
		if verdict.ours && (v.Get("nonce").Str() != "n" || v.Get("product_id").Str() != "p" || v.Get("capability_id").Str() != "c" || v.Get("timestamp").Str() != "t") {
			t.Fatalf("valid: %s", raw)
		}
	})
}

// FuzzRoute: no path or header breaks a route, and every refusal stays JSON with a
// string error, or is a page.
func FuzzRoute(f *testing.F) {
	h := newHub(f)
	for _, seed := range []string{"/", prefix + "/search?budget=1", prefix + "/reputation/https://x//%2f", prefix + "/channel/%00", prefix + "/p/aimarket-gate/hello", "//", "/%zz"} {
		f.Add("GET", seed, "k")
	}
	f.Fuzz(func(t *testing.T, method, target, key string) {
		if !visible(method, 20) || !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \r\n#") || strings.Contains(target, "/panic") {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse("http://hub.example" + target)
		if err != nil {
			return
		}
		r.URL, r.Method = u, method
		r.Header["Idempotency-Key"], r.Header["X-Payment-Channel"] = []string{key}, []string{key}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != 503 {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if w.Code >= 400 && strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			v, err := canon.Parse(w.Body.Bytes())
			if err != nil || v.Get("error").Kind() != canon.String {
				t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
			}
		}
	})
}
