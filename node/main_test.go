package node

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is a hub with demo money on a free port and without limits.
func testConfig(dir string) Config {
	return Config{
		DataDir: dir, Listen: "127.0.0.1:0", HubName: "test", Version: "test", Money: ledger.Demo, AllowLocal: true,
		MaxOpenChannels: 1000, ReapHoldsAfter: 24 * time.Hour, RequestTimeout: 28 * time.Second,
		RoutingFeeBps: 100, MinTrust: 0.3, MinTrustInvoke: 0.35, SandboxTrials: 3, CrawlInterval: time.Hour,
		Chains: []string{"base"}, Tokens: []string{"USDC"},
	}
}

// hub is a node that runs.
type hub struct {
	*Node
	t      *testing.T
	client *client.Client
	cancel context.CancelFunc
	done   chan error
	once   sync.Once
	err    error
}

func start(t *testing.T, c Config) *hub {
	t.Helper()
	n, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{Node: n, t: t, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.done <- n.Run(ctx) }()
	if h.client, err = client.New("http://"+n.Addr().String(), client.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.stop() })
	return h
}

// stop asks the node to end and returns what Run returned.
func (h *hub) stop() error {
	h.once.Do(func() {
		h.cancel()
		h.client.Close()
		h.err = <-h.done
	})
	return h.err
}

func (h *hub) mustStop() {
	h.t.Helper()
	if err := h.stop(); err != nil {
		h.t.Fatalf("stopping: %v", err)
	}
}

func (h *hub) open(usd string) client.Channel {
	h.t.Helper()
	ch, err := h.client.OpenChannel(context.Background(), client.OpenRequest{DepositUSD: json.Number(usd)})
	if err != nil {
		h.t.Fatal(err)
	}
	return ch
}

func (h *hub) invoke(ch client.Channel, product, capability, id string) (client.Outcome, error) {
	return h.client.Invoke(context.Background(), client.Invocation{
		ProductID: product, CapabilityID: capability, Input: json.RawMessage(`{"text":"hi"}`),
		Channel: ch.ID, Secret: ch.Secret, RequestID: id,
	})
}

func (h *hub) echo(ch client.Channel, id string) client.Outcome {
	h.t.Helper()
	o, err := h.invoke(ch, "aimarket.text", "echo@v1", id)
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *hub) balance(ch client.Channel) string {
	h.t.Helper()
	got, err := h.client.Channel(context.Background(), ch.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return got.Balance.String()
}

// get asks a server and returns status and body.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// sell lists a provider's endpoint as "sold"/"slow@v1" for 0.01 USD.
func (h *hub) sell(url string) {
	h.t.Helper()
	err := h.catalog.Put(context.Background(), []catalog.Capability{{
		Key:  catalog.Key{ProductID: "sold", CapabilityID: "slow@v1", SourceHub: catalog.Local},
		Name: "slow", Version: "v1", Description: "Answers when the test lets it.",
		InputSchema: []byte(`{}`), OutputSchema: []byte(`{}`), PriceMicros: 10_000, TrustScore: 0.9, SuccessRate30d: 1,
		InvokeURL: url, PublisherID: "somebody",
	}})
	if err != nil {
		h.t.Fatal(err)
	}
}

// slowProvider tells when a call has arrived and answers when it is released.
type slowProvider struct {
	*httptest.Server
	arrived chan struct{}
	release chan struct{}
}

func newSlowProvider(t *testing.T) *slowProvider {
	p := &slowProvider{arrived: make(chan struct{}, 16), release: make(chan struct{})}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.arrived <- struct{}{}
		<-p.release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"result":{"done":true}}`)
	}))
	t.Cleanup(p.Close)
	t.Cleanup(sync.OnceFunc(func() {
		select {
		case <-p.release:
		default:
			close(p.release)
		}
	}))
	return p
}

// lockedBuffer collects log lines of many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func logTo(b *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// checkFolder holds a stopped hub's folder to every invariant.
func checkFolder(t *testing.T, dir string) ledger.Report {
	t.Helper()
	report, err := Check(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Errorf("%s: %s", filepath.Base(dir), v)
	}
	return report
}

// logOnce closes said at the first line that holds text.
func logOnce(said chan struct{}, text string) *slog.Logger {
	once := sync.OnceFunc(func() { close(said) })
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte(text)) {
			once()
		}
		return len(p), nil
	}), nil))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
