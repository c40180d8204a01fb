package catalog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// BenchmarkTakeManifest is the whole way of a manifest of 1000 tools from its bytes to
// searchable rows: all new, none changed, one price changed.
func BenchmarkTakeManifest(b *testing.B) {
	for _, mode := range []string{"new", "unchanged", "one"} {
		b.Run(mode, func(b *testing.B) {
			h := newHub(b)
			ctx := context.Background()
			s := newStranger(h, "https://a.example.org")
			h.admit(s)
			made := 0
			manifest := func() []byte {
				tools := make([]any, MaxForeignTools)
				for i := range tools {
					price := 0.02
					if mode == "one" && i == 500 {
						price = float64(made%1000) / 1000
					}
					product := "prod"
					if mode == "new" {
						product = fmt.Sprintf("prod-%d", made)
					}
					tools[i] = tool(product, fmt.Sprintf("do.%d@v1", i), members{"price_per_call_usd": price})
				}
				made++
				return s.signed(s.manifestDoc(nil, tools...), canon.ManifestMessage)
			}
			h.TakeManifest(ctx, s.url, manifest())
			for b.Loop() {
				b.StopTimer()
				h.clock.add(time.Second)
				raw := manifest()
				b.StartTimer()
				if in := h.TakeManifest(ctx, s.url, raw); in.Verdict != Accept || in.Changed == (mode == "unchanged") {
					b.Fatal(show(in))
				}
			}
		})
	}
}
