package node

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// factoryHub is a hub whose factory is a stub on this machine.
type factoryHub struct {
	t      *testing.T
	config Config
	log    logText
	url    string
	stop   func()
}

// logText is a log that can be read while the hub writes it.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (h *factoryHub) start() {
	h.t.Helper()
	h.log.mu.Lock()
	h.log.buf.Reset()
	h.log.mu.Unlock()
	h.config.Logger = slog.New(slog.NewTextHandler(&h.log, nil))
	n, err := New(context.Background(), h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.url = "http://" + n.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			h.t.Errorf("run: %v", err)
		}
		h.stop = func() {}
	}
}

func (h *factoryHub) restart() { h.stop(); h.start() }

// call sends JSON and reads JSON.
func (h *factoryHub) call(method, path, body string, header map[string]string, status int) map[string]any {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url+"/ai-market/v2/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		h.t.Fatalf("%s %s: HTTP %d, want %d: %s (%v)", method, path, resp.StatusCode, status, raw, err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *factoryHub) matches(intent string) int {
	h.t.Helper()
	found := h.call("GET", "search?intent="+intent, "", nil, http.StatusOK)
	n := 0
	for _, m := range found["matches"].([]any) {
		if m.(map[string]any)["source_hub_name"] == "AI-Factory" {
			n++
		}
	}
	return n
}

func factoryDatabase(t *testing.T, root string, statements ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(root, "state", "pipeline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func newFactoryHub(t *testing.T, factoryURL string) *factoryHub {
	t.Helper()
	h := &factoryHub{t: t, config: Config{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", HubName: "Test Hub", Version: "test", Money: ledger.Demo,
		HubURL: "http://localhost:9083", MinTrust: 0.3, MinTrustInvoke: 0.35, RequestTimeout: 5 * time.Second,
		MaxOpenChannels: 100, FactoryURL: factoryURL, FactoryRoot: t.TempDir(),
	}}
	factoryDatabase(t, h.config.FactoryRoot,
		`CREATE TABLE products(id TEXT PRIMARY KEY, idea TEXT, state TEXT, category TEXT, spec TEXT, tags TEXT, error TEXT, created_at TEXT, updated_at TEXT)`,
		`INSERT INTO products(id, idea, state) VALUES('prod-zither', 'zither tuning api', 'COMPLETED')`)
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func TestFactoryProductIsFoundCalledBilledAndTakenOff(t *testing.T) {
	const path = "/capabilities/prod-zither/zither-tuning-api.api@v1/invoke"
	var calls atomic.Int32
	var fails atomic.Bool
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Input struct {
				Text string `json:"text"`
			} `json:"input"`
		}
		if r.URL.Path != path || r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&body) != nil || fails.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		calls.Add(1)
		fmt.Fprintf(w, `{"result":{"tuned":%q}}`, body.Input.Text)
	}))
	defer stub.Close()
	h := newFactoryHub(t, stub.URL)
	if log := h.log.String(); !strings.Contains(log, "1 products with 1 capabilities") {
		t.Errorf("the start says nothing of it: %s", log)
	}
	if n := h.matches("zither"); n != 1 {
		t.Fatalf("search finds %d", n)
	}

	channel := h.call("POST", "channel/open", `{"deposit_usd":5}`, nil, http.StatusOK)["channel"].(map[string]any)
	pay := map[string]string{"X-Payment-Channel": channel["channel_id"].(string), "X-Payment-Channel-Secret": channel["channel_secret"].(string)}
	invoke := `{"product_id":"prod-zither","capability_id":"zither-tuning-api.api@v1","input":{"text":"A4"}}`
	answer := h.call("POST", "invoke", invoke, pay, http.StatusOK)
	if result := answer["result"].(map[string]any); result["tuned"] != "A4" || calls.Load() != 1 || answer["receipt"] == nil {
		t.Fatalf("%v after %d calls", answer, calls.Load())
	}
	fails.Store(true)
	h.call("POST", "invoke", invoke, pay, http.StatusBadGateway)
	closing := `{"channel_id":"` + pay["X-Payment-Channel"] + `"}`
	settled := h.call("POST", "channel/close", closing, pay, http.StatusOK)["settlement"].(map[string]any)
	if settled["used_usd"] != 0.1 || settled["refund_usd"] != 4.9 {
		t.Fatalf("billed %v", settled)
	}

	// Nobody else may make the hub call addresses on this machine.
	h.call("POST", "supply/stake", `{"publisher_id":"factory","amount_usd":50}`, nil, http.StatusOK)
	for _, url := range []string{stub.URL + "/admin", stub.URL + "/capabilities/x/y/invoke"} {
		h.call("POST", "supply/register", `{"publisher_id":"factory","product_id":"mine","capability_id":"mine@v1","name":"n","invoke_url":"`+url+`"}`, nil, http.StatusBadRequest)
	}

	factoryDatabase(t, h.config.FactoryRoot, `UPDATE products SET state='FAILED'`)
	h.restart()
	if n := h.matches("zither"); n != 0 || !strings.Contains(h.log.String(), "taken_off=1") {
		t.Fatalf("search finds %d after the product went; log %s", n, h.log.String())
	}
	h.call("POST", "invoke", invoke, nil, http.StatusNotFound)
}

func TestFactoryWithoutAddressListsNothing(t *testing.T) {
	h := newFactoryHub(t, "http://factory.example")
	if n := h.matches("zither"); n != 1 {
		t.Fatalf("search finds %d", n)
	}
	h.config.FactoryURL = ""
	h.restart()
	if n := h.matches("zither"); n != 0 || !strings.Contains(h.log.String(), "AIFACTORY_PUBLIC_URL") {
		t.Fatalf("search finds %d; log %s", n, h.log.String())
	}
	h.config.FactoryURL = "factory:8000"
	h.stop()
	if _, err := New(context.Background(), h.config); err == nil || !strings.Contains(err.Error(), "factory address") {
		t.Fatalf("an address that cannot be called: %v", err)
	}
}
