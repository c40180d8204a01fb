package routing

import (
	"context"
	"fmt"
	"testing"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
	"pgregory.net/rapid"
)

// Whatever is called, the receipts of a channel add up to what it used, to the
// millionth, and every refusal costs nothing.
func TestReceiptsAddUpToTheChannel(t *testing.T) {
	capabilities := []string{"echo@v1", "free@v1", "list@v1", "picky@v1", "broken@v1", "panics@v1", "gone@v1", "nope@v1"}
	rapid.Check(t, func(rt *rapid.T) {
		h := newHub(rapidTB{t, rt})
		defer h.Close(context.Background())
		for _, id := range capabilities {
			price := rapid.Int64Range(0, 700_000).Draw(rt, "price of "+id)
			h.market.set(id, func(c *catalog.Capability) { c.PriceMicros = price })
		}
		var sum ledger.Money
		answers := map[string]string{}
		for i := range rapid.IntRange(1, 25).Draw(rt, "calls") {
			c := h.paid()
			c.CapabilityID = rapid.SampledFrom(capabilities).Draw(rt, "capability")
			if rapid.IntRange(0, 9).Draw(rt, "secret") == 0 {
				c.Secret = "guess"
			}
			if rapid.Bool().Draw(rt, "limited") {
				c.HasMaxPrice, c.MaxPrice = true, ledger.Money(rapid.Int64Range(0, 700_000).Draw(rt, "limit"))
			}
			repeated := rapid.Bool().Draw(rt, "repeatable")
			if repeated {
				c.RequestID = fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "id"), c.CapabilityID, c.HasMaxPrice, c.MaxPrice)
			}
			a, err := h.Invoke(context.Background(), c)
			if err != nil {
				continue
			}
			if a.Replayed {
				if answers[c.RequestID] != string(a.Body) {
					rt.Fatalf("call %d got another answer than the first one", i)
				}
				continue
			}
			answers[c.RequestID] = string(a.Body)
			v := parse(string(a.Body))
			micros, err := canon.ParseMicros(checkReceipt(rapidTB{t, rt}, v.Get("receipt").Raw()).Get("price_usd").Token())
			if err != nil {
				rt.Fatal(err)
			}
			sum += ledger.Money(micros)
			if got := v.Get("remaining_balance").Token(); got != string(canon.AppendMicros(nil, int64(deposit-sum))) {
				rt.Fatalf("remaining_balance %s after spending %s", got, sum)
			}
		}
		ch, err := h.ledger.Channel(context.Background(), h.channel.ID)
		if err != nil {
			rt.Fatal(err)
		}
		if ch.Used != sum || ch.Balance != deposit-sum || ch.Held != 0 {
			rt.Fatalf("the receipts say %s, the channel used %s, holds %s, has %s", sum, ch.Used, ch.Held, ch.Balance)
		}
		h.checkBooks()
	})
}

// rapidTB gives newHub a testing.TB whose failures shrink.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (r rapidTB) Fatal(args ...any)                 { r.rt.Fatal(args...) }
func (r rapidTB) Fatalf(format string, args ...any) { r.rt.Fatalf(format, args...) }
func (r rapidTB) Errorf(format string, args ...any) { r.rt.Errorf(format, args...) }
func (r rapidTB) Error(args ...any)                 { r.rt.Error(args...) }
func (r rapidTB) Cleanup(func())                    {} // the property closes its own hub
