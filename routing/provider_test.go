package routing

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
)

const providerKey = testKey(9)

func signAnswer(input, result string) string {
	msg := canon.ProviderMessage("prod-x", "translate@v1", parse(input), parse(result))
	return base64.StdEncoding.EncodeToString(ed25519.Sign(providerKey.private(), msg))
}

// Providers over real HTTP, through the client that the hub uses.
func TestProvidersOverHTTP(t *testing.T) {
	const input = `{"text":"hi","n":1.0}`
	const result = `{"text":"salut","n":1.50,"html":"<&>"}`
	signed := func(c *catalog.Capability) { c.ProviderKey = providerKey.PublicBase64() }
	unsigned := func(*catalog.Capability) {}
	write := func(w http.ResponseWriter, signature, body string) {
		if signature != "" {
			w.Header().Set("X-Provider-Signature", signature)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
	for name, tc := range map[string]struct {
		serve  http.HandlerFunc
		row    func(*catalog.Capability)
		want   string // the result, or
		detail string // what the refusal says
	}{
		"plain": {
			serve: func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.ContentLength != int64(len(body)) || len(r.TransferEncoding) > 0 {
					t.Errorf("Content-Length %d, %d bytes, encoding %v", r.ContentLength, len(body), r.TransferEncoding)
				}
				write(w, "", `{"success":true,"result":`+result+`}`)
			}, row: unsigned, want: result,
		},
		"signed": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				write(w, signAnswer(input, result), `{"success":true,"result":`+result+`}`)
			}, row: signed, want: result,
		},
		"signed text": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				write(w, signAnswer(input, `"salut"`), `{"output":"salut"}`)
			}, row: signed, want: `{"value":"salut"}`,
		},
		"signed another number spelling": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				write(w, signAnswer(input, `{"n":1}`), `{"result":{"n":1.0}}`)
			}, row: signed, detail: "does not verify",
		},
		"signed another input": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				write(w, signAnswer(`{"text":"hi","n":1}`, result), `{"result":`+result+`}`)
			}, row: signed, detail: "does not verify",
		},
		"garbage signature": {
			serve: func(w http.ResponseWriter, _ *http.Request) { write(w, "%%%", `{"result":`+result+`}`) }, row: signed, detail: "does not verify",
		},
		"chunked": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				for _, part := range []string{`{"result":`, result, `}`} {
					io.WriteString(w, part)
					w.(http.Flusher).Flush()
				}
			}, row: unsigned, want: result,
		},
		"redirect": {
			serve: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/run" {
					t.Error("the redirect was followed")
				}
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}, row: unsigned, detail: "did not deliver",
		},
		"huge": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, `{"result":{"a":"`)
				for range 64 {
					io.WriteString(w, strings.Repeat("x", 1<<16))
				}
				io.WriteString(w, `"}}`)
			}, row: unsigned, detail: "did not deliver",
		},
		"cut off": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, `{"result":`)
			}, row: unsigned, detail: "did not deliver",
		},
		"duplicate keys": {
			serve: func(w http.ResponseWriter, _ *http.Request) { write(w, "", `{"result":{"a":1},"result":{"a":2}}`) }, row: unsigned, detail: "not JSON",
		},
		"deep": {
			serve: func(w http.ResponseWriter, _ *http.Request) {
				write(w, "", `{"result":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`}`)
			}, row: unsigned, detail: "not JSON",
		},
		"empty": {
			serve: func(http.ResponseWriter, *http.Request) {}, row: unsigned, detail: "not JSON",
		},
		"no content": {
			serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, row: unsigned, detail: "not JSON",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			client := safehttp.New(safehttp.Options{AllowLocal: true, MaxBody: maxProviderBody})
			defer client.Close()
			h := newHub(t, withProvider(client))
			h.market.provider(server.URL+"/run", tc.row)
			c := h.paid()
			c.ProductID, c.CapabilityID, c.Input = "prod-x", "translate@v1", parse(input)
			if tc.want != "" {
				_, v := h.mustInvoke(c)
				if got := string(v.Get("result").Raw()); got != tc.want {
					t.Errorf("result %s, want %s", got, tc.want)
				}
				return
			}
			r := h.mustRefuse(c, ProviderFailed)
			if !strings.Contains(r.Detail, tc.detail) || !strings.Contains(r.Detail, server.URL) {
				t.Errorf("detail %q does not say %q and %q", r.Detail, tc.detail, server.URL)
			}
			if h.balance() != deposit {
				t.Errorf("balance %d", h.balance())
			}
		})
	}
}

func TestUnreachableProvider(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	client := safehttp.New(safehttp.Options{AllowLocal: true})
	defer client.Close()
	h := newHub(t, withProvider(client))
	h.market.provider(url)
	c := h.paid()
	c.CapabilityID = "translate@v1"
	if r := h.mustRefuse(c, ProviderFailed); !strings.Contains(r.Detail, "could not be reached") {
		t.Errorf("detail %q", r.Detail)
	}
	if _, bad := h.market.seen(); bad != 1 {
		t.Errorf("the catalogue saw %d failures", bad)
	}
}

func TestUnsignedProvidersCanBeRefused(t *testing.T) {
	h := newHub(t, withProvider(respond(200, `{}`)), func(c *Config) { c.RequireProviderSignature = true })
	h.market.provider("http://provider.example/")
	c := h.paid()
	c.CapabilityID = "translate@v1"
	h.mustRefuse(c, Untrusted)
}

// After some failures in a row an origin is left alone, then tried once.
func TestBreakerOpensAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		status := http.StatusBadGateway
		h := newHub(t, withProvider(providerFunc(func(context.Context, string, http.Header, []byte) (*safehttp.Response, error) {
			calls.Add(1)
			return &safehttp.Response{Status: status, Header: http.Header{}, Body: []byte(`{}`)}, nil
		})))
		h.market.provider("http://provider.example/a")
		c := h.paid()
		c.CapabilityID = "translate@v1"
		for range breakerTrips {
			h.mustRefuse(c, ProviderFailed)
		}
		r := h.mustRefuse(c, ProviderFailed)
		if calls.Load() != breakerTrips || r.RetryAfter != breakerPause {
			t.Errorf("%d calls reached the provider, retry after %s", calls.Load(), r.RetryAfter)
		}
		if n := h.Metrics().Breakers["open"]; n != 1 {
			t.Errorf("%d breakers open", n)
		}
		if _, bad := h.market.seen(); bad != breakerTrips {
			t.Errorf("a call that was not made counts against the provider: %d", bad)
		}
		status = http.StatusOK
		time.Sleep(breakerPause + time.Second) // of the bubble's time
		h.mustInvoke(c)
		if n := h.Metrics().Breakers["closed"]; n != 1 {
			t.Errorf("%d breakers closed", n)
		}
	})
}

// What a buyer's input provokes must not cut the provider off from other buyers.
func TestInputFaultsDoNotOpenTheBreaker(t *testing.T) {
	for _, answer := range []providerFunc{respond(422, `{}`), respond(400, ``), respond(200, `{"success":false}`)} {
		h := newHub(t, withProvider(answer))
		h.market.provider("http://provider.example/")
		c := h.paid()
		c.CapabilityID = "translate@v1"
		for range breakerTrips * 2 {
			h.mustRefuse(c, ProviderFailed)
		}
		if n := h.Metrics().Breakers["open"]; n != 0 {
			t.Error("the breaker opened")
		}
		if _, bad := h.market.seen(); bad != 0 {
			t.Errorf("%d of the buyer's faults count against the provider", bad)
		}
	}
}

func TestBreakersAreBounded(t *testing.T) {
	b := newBreakers()
	for i := range maxBreakers + 100 {
		done, err := b.enter(fmt.Sprint("http://", i))
		if err != nil {
			t.Fatal(err)
		}
		done(nil)
	}
	if n := b.byOrigin.Len(); n != maxBreakers {
		t.Errorf("%d breakers are kept", n)
	}
	var dones []func(error)
	for range maxPerOrigin {
		done, err := b.enter("http://slow")
		if err != nil {
			t.Fatal(err)
		}
		dones = append(dones, done)
	}
	if _, err := b.enter("http://slow"); err != errBusy {
		t.Errorf("call %d to one origin: %v", maxPerOrigin+1, err)
	}
	for _, done := range dones {
		done(nil)
	}
	if done, err := b.enter("http://slow"); err != nil {
		t.Error(err)
	} else {
		done(nil)
	}
}

func FuzzProviderAnswer(f *testing.F) {
	for _, s := range []string{`{"result":{"a":1}}`, `{"output":[1.50]}`, `{"success":false}`, `[]`, `{"result":null}`, "{\"a\":\"\u2028\"}", ``, `{"ok":0,"result":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := parseAnswer(body)
		if err != nil {
			return
		}
		result, err := resultOf(answer)
		if err != nil {
			return
		}
		object, err := asObject(result)
		if err != nil {
			return // one level too deep
		}
		if object.Kind() != canon.Object {
			t.Fatalf("%s became %s", body, object.Raw())
		}
		// Spliced into an answer it is still one JSON text.
		if _, err := canon.Parse(append(append([]byte(`{"result":`), object.Raw()...), '}')); err != nil {
			if !strings.Contains(err.Error(), "deep") {
				t.Fatalf("%s does not splice: %v", object.Raw(), err)
			}
		}
		for key := range object.Members {
			forbiddenIn(key)
		}
	})
}

func TestForbiddenKeys(t *testing.T) {
	for key, want := range map[string]string{
		"password": "password", "userPassword": "password", "API_KEY": "api_key", "apiKey": "api_key", "api-key": "api_key",
		"PrivateKey": "private_key", "mnemonic_phrase": "mnemonic", "seed": "seed", "access_token": "token", "ssn": "ssn",
		"credit_card": "credit", "text": "", "language": "", "key": "", "": "",
	} {
		if got := forbiddenIn(key); got != want {
			t.Errorf("%q is taken for %q, want %q", key, got, want)
		}
	}
}
