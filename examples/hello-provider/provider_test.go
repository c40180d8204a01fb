package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t *testing.T) (*httptest.Server, *identity.Key) {
	t.Helper()
	key, err := identity.FromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(provider{key}.routes())
	t.Cleanup(s.Close)
	return s, key
}

func post(t *testing.T, s *httptest.Server, body string) (*http.Response, string) {
	t.Helper()
	resp, err := s.Client().Post(s.URL+"/invoke", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// The signed bytes are written out by hand here, so that the test does not
// depend on the code that it checks.
func TestAnswerIsSigned(t *testing.T) {
	s, key := newServer(t)
	resp, body := post(t, s, `{"input": {"name": "Ada <&> é", "language":"en", "n": 1.50}, "product_id":"hello","capability_id":"hello.greet@v1"}`)
	if want := `{"success":true,"result":{"greeting":"Hello, Ada <&> é!"}}`; resp.StatusCode != 200 || body != want {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	digest := sha256.Sum256([]byte(`{"language":"en","n":1.5,"name":"Ada <&> é"}`))
	message := `{"capability_id":"hello.greet@v1","input_sha256":"` + hex.EncodeToString(digest[:]) +
		`","product_id":"hello","result":{"greeting":"Hello, Ada <&> é!"}}`
	sig, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Provider-Signature"))
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public()
	if !ed25519.Verify(public[:], []byte(message), sig) {
		t.Error("the signature does not cover the answer as the protocol says")
	}
	if ed25519.Verify(public[:], []byte(strings.Replace(message, "Ada", "Eve", 1)), sig) {
		t.Error("the signature covers anything")
	}
}

func TestRefusals(t *testing.T) {
	s, _ := newServer(t)
	const ids = `"product_id":"hello","capability_id":"hello.greet@v1"`
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"German":           {`{` + ids + `,"input":{"name":"Ada","language":"de"}}`, 200},
		"other product":    {`{"product_id":"x","capability_id":"hello.greet@v1","input":{"name":"a"}}`, 400},
		"other capability": {`{"product_id":"hello","capability_id":"x@v1","input":{"name":"a"}}`, 400},
		"no ids":           {`{"input":{"name":"a"}}`, 400},
		"not JSON":         {`{`, 422},
		"an array":         {`[]`, 422},
		"no input":         {`{` + ids + `}`, 422},
		"input no object":  {`{` + ids + `,"input":"Ada"}`, 422},
		"no name":          {`{` + ids + `,"input":{}}`, 422},
		"name no string":   {`{` + ids + `,"input":{"name":5}}`, 422},
		"blank name":       {`{` + ids + `,"input":{"name":" "}}`, 422},
		"long name":        {`{` + ids + `,"input":{"name":"` + strings.Repeat("a", maxName+1) + `"}}`, 422},
		"other language":   {`{` + ids + `,"input":{"name":"a","language":"xx"}}`, 422},
		"duplicate key":    {`{` + ids + `,"input":{"name":"a","name":"b"}}`, 422},
		"too large":        {`{"input":"` + strings.Repeat("a", maxBody) + `"}`, 413},
	} {
		resp, body := post(t, s, c.body)
		if resp.StatusCode != c.status {
			t.Errorf("%s: got %d %s, want %d", name, resp.StatusCode, body, c.status)
		}
		var refusal struct {
			Detail string `json:"detail"`
		}
		if c.status != 200 && (json.Unmarshal([]byte(body), &refusal) != nil || refusal.Detail == "" || resp.Header.Get("X-Provider-Signature") != "") {
			t.Errorf("%s: %s", name, body)
		}
	}
	resp, err := s.Client().Get(s.URL + "/invoke")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

// TestRun starts the program as a user does, twice with the same key, and calls
// what its listing says.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "listing.json")
	keys := map[string]bool{}
	for range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-key", filepath.Join(dir, "sub", "k"), "-write-capability", file}, w)
			w.Close()
		}()
		var said strings.Builder
		buf := make([]byte, 256)
		for !strings.Contains(said.String(), "answering") {
			n, err := r.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q: %v", err, said.String(), <-done)
			}
			said.Write(buf[:n])
		}
		go io.Copy(io.Discard, r)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Product    string  `json:"product_id"`
			Capability string  `json:"capability_id"`
			URL        string  `json:"invoke_url"`
			Key        string  `json:"provider_pubkey"`
			Price      float64 `json:"price_per_call_usd"`
			Publisher  string  `json:"publisher_id"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Product != productID || doc.Capability != capabilityID || doc.Price != 0.002 || doc.Publisher == "" {
			t.Errorf("%s", raw)
		}
		if _, err := identity.ParsePublicKey(doc.Key); err != nil {
			t.Error(err)
		}
		keys[doc.Key] = true
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
		resp, err := client.Post(doc.URL, "application/json", strings.NewReader(`{"product_id":"hello","capability_id":"hello.greet@v1","input":{"name":"Ada"}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(keys) != 1 {
		t.Errorf("the key changed between starts: %v", keys)
	}
}

func FuzzInvoke(f *testing.F) {
	key, err := identity.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	h := provider{key}.routes()
	f.Add(`{"product_id":"hello","capability_id":"hello.greet@v1","input":{"name":"Ada"}}`)
	f.Add(`{"input":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/invoke", strings.NewReader(body)))
		if w.Code == 200 != (w.Header().Get("X-Provider-Signature") != "") || w.Code >= 500 {
			t.Errorf("%q: %d", body, w.Code)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %s", body, w.Body)
		}
	})
}
