package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// Everybody does everything at once; afterwards the catalogue agrees with itself.
func TestConcurrentUse(t *testing.T) {
	h := newHub(t, func(c *Config) { c.PublishPerHr = 0 })
	ctx := context.Background()
	const workers, rounds, products = 8, 40, 5
	h.stake("alice", 10)
	h.stake("bob", 10)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				product := fmt.Sprintf("prod-%d", (w+i)%products)
				r := row(product, "tool@v1")
				r.PriceMicros = int64(i)
				var err error
				switch (w + i) % 6 {
				case 0:
					err = h.Put(ctx, []Capability{r})
				case 1:
					err = h.Remove(ctx, r.Key)
				case 2:
					_, err = h.Register(ctx, registration([]string{"alice", "bob"}[w%2], product))
				case 3:
					_, err = h.Lookup(ctx, product, "tool@v1", Local)
					h.Observe(r.Key, true, time.Millisecond)
					h.clock.add(time.Second)
				case 4:
					_, err = h.Search(ctx, Query{Intent: "tool"})
				case 5:
					var doc Document
					if doc, err = h.Manifest(ctx); err == nil {
						_, err = canon.Parse(doc.Body)
					}
				}
				var gate *GateError
				if err != nil && !errors.Is(err, ErrUnknown) && !errors.As(err, &gate) {
					t.Errorf("worker %d, round %d: %v", w, i, err)
				}
			}
		})
	}
	wg.Wait()
	h.folds.Wait()
	consistent(t, h.Catalog)
	h.reopen(t)
	consistent(t, h.Catalog)
}

// Of two publishers that want the same product at the same time, one gets it.
func TestRegisterRace(t *testing.T) {
	h := newHub(t, func(c *Config) { c.PublishPerHr = 0 })
	ctx := context.Background()
	const rivals = 8
	for i := range rivals {
		h.stake(fmt.Sprintf("rival-%d", i), 10)
	}
	for round := range 20 {
		var wg sync.WaitGroup
		errs := make([]error, rivals)
		for i := range rivals {
			wg.Go(func() {
				_, errs[i] = h.Register(ctx, registration(fmt.Sprintf("rival-%d", i), fmt.Sprintf("prize-%d", round)))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if gateOf(err) != GateProduct {
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d publishers own prize-%d", won, round)
		}
	}
}
