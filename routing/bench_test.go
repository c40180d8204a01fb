package routing

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/ledger"
)

// quickLedger costs nothing, so that what remains is the pipeline itself.
type quickLedger struct{ h ledger.Hold }

func (q *quickLedger) Authorize(context.Context, string, string) (ledger.Channel, error) {
	return ledger.Channel{}, nil
}
func (q *quickLedger) Hold(_ context.Context, r ledger.HoldRequest) (*ledger.Hold, error) {
	return &ledger.Hold{ChannelID: r.ChannelID, ReceiptID: r.ReceiptID, Amount: r.Amount, Balance: deposit}, nil
}
func (q *quickLedger) Capture(context.Context, *ledger.Hold, ledger.Delivery) error { return nil }
func (q *quickLedger) Release(context.Context, *ledger.Hold) error                  { return nil }
func (q *quickLedger) Deliver(context.Context, ledger.Delivery, bool) error         { return nil }
func (q *quickLedger) Answered(context.Context, string, [32]byte) ([]byte, bool, error) {
	return nil, false, nil
}

// quickMarket finds one row without a lock.
type quickMarket struct{ row catalog.Capability }

func (q *quickMarket) Lookup(context.Context, string, string, string) (catalog.Capability, error) {
	return q.row, nil
}
func (q *quickMarket) Observe(catalog.Key, bool, time.Duration) {}

// quickKey signs for nothing; the signature's cost is measured beside it.
type quickKey struct{ testKey }

var fixedSignature = testKey(1).SignBase64(nil)

func (quickKey) SignBase64([]byte) string { return fixedSignature }

// BenchmarkInvoke is what routing adds to ledger and signature on the paid path
// in process with a plugin that checks input and output: the aim is ≤ 25 µs.
func BenchmarkInvoke(b *testing.B) {
	look := &scripted{name: "aimarket-safety"}
	p := funcPlugin{scripted: look,
		pre:  func(_ context.Context, in *Payload) (Verdict, error) { _ = in.Text(); return Verdict{}, nil },
		post: func(_ context.Context, out *Payload) (Verdict, error) { _ = out.Text(); return Verdict{}, nil },
	}
	type both struct {
		PluginInfoer
		PreChecker
		PostChecker
	}
	r, err := New(b.Context(), Config{
		Catalog: &quickMarket{catalog.Capability{Key: catalog.Key{ProductID: "hub", CapabilityID: "echo@v1", SourceHub: "local"}, PriceMicros: echoPrice, Builtin: true}},
		Ledger:  &quickLedger{}, Signer: quickKey{}, Now: time.Now, Rand: rand.Reader,
		Mode: ledger.Demo, Builtins: builtins(), HubURL: "http://hub.example",
		Plugins: []PluginConfig{{Plugin: both{p, p, p}, Required: true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close(context.Background())
	c := call1("echo@v1", `{"text":"the quick brown fox jumps over the lazy dog","lang":"en","n":12}`)
	c.ChannelID, c.Secret = "ch_0123456789abcdef", "secret"
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Invoke(context.Background(), c); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// PluginInfoer is the part of a Plugin that is not a hook.
type PluginInfoer interface{ Info() PluginInfo }

// BenchmarkStatsAdd is what one call costs the statistics: the aim is ≤ 1 µs.
func BenchmarkStatsAdd(b *testing.B) {
	s, err := openStats(nil, time.Now, nil)
	if err != nil {
		b.Fatal(err)
	}
	e := Event{CapabilityID: "echo@v1", Success: true, Price: echoPrice, Latency: 7 * time.Millisecond, Time: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		s.add(e)
	}
}
