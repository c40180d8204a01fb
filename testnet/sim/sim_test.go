package sim

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// The size and seed of the scenarios. `make sim SEED=7 HUBS=100` runs them large.
var (
	hubs = flag.Int("sim.hubs", 12, "hubs in each scenario")
	seed = flag.Uint64("sim.seed", 0, "seed of the scenarios; 0: a new one")
)

// scenario builds a mesh in a bubble, waits until it is one market and hands it over.
func scenario(t *testing.T, cfg Config, play func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand)) {
	t.Helper()
	if cfg.Seed = *seed; cfg.Seed == 0 {
		cfg.Seed = uint64(time.Now().UnixNano())
	}
	if cfg.Hubs == 0 {
		cfg.Hubs = *hubs
	}
	t.Logf("seed %d: repeat with make sim SEED=%[1]d HUBS=%d RUN=%s", cfg.Seed, cfg.Hubs, t.Name())
	cfg.Log = t.Logf
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w, err := New(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		took, err := w.WaitEqual(2*time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d hubs are one market after %s", cfg.Hubs, took)
		play(t, ctx, w, rand.New(rand.NewPCG(cfg.Seed, 3)))
	})
}

func (w *World) mustEqual(t *testing.T, within time.Duration, among []int) time.Duration {
	t.Helper()
	took, err := w.WaitEqual(within, among)
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func TestAChangeReachesEveryHub(t *testing.T) {
	scenario(t, Config{}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		for i := range 5 {
			from := rng.IntN(len(w.Hubs))
			took, err := w.Spread(ctx, from, fmt.Sprintf("news-%d", i), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(took) != len(w.Hubs)-1 {
				t.Fatalf("%d of %d hubs got it", len(took), len(w.Hubs)-1)
			}
			t.Logf("first after %s, last after %s", took[0], took[len(took)-1])
			if last := took[len(took)-1]; last > time.Second {
				t.Errorf("the last hub got it after %s, over a second", last)
			}
		}
	})
}

func TestPriceAndRemovalSpreadAsFast(t *testing.T) {
	scenario(t, Config{}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		seller := w.Hubs[rng.IntN(len(w.Hubs))]
		for _, change := range []func() error{
			func() error { return seller.Publish(ctx, "thing", 1000) },
			func() error { return seller.Publish(ctx, "thing", 3000) },
			func() error { return seller.Unpublish(ctx, "thing") },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // the owner's own head must be out
			if took := w.mustEqual(t, 5*time.Second, nil); took > time.Second {
				t.Errorf("it took %s", took)
			}
		}
	})
}

// A burst larger than gossip's queues must arrive whole all the same.
func TestBurst(t *testing.T) {
	scenario(t, Config{}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		seller := w.Hubs[0]
		for i := range 300 {
			if err := seller.Publish(ctx, fmt.Sprintf("burst-%d", i), 1000); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Millisecond)
		}
		t.Logf("equal %s after the last of 300 changes", w.mustEqual(t, 10*time.Second, nil))
	})
}

func TestPartitionHeals(t *testing.T) {
	scenario(t, Config{}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		var left, right []int
		for i := range w.Hubs {
			if i%2 == 0 {
				left = append(left, i)
			} else {
				right = append(right, i)
			}
		}
		w.Cut(left, right)
		for i := range 60 { // ten minutes
			h := w.Hubs[rng.IntN(len(w.Hubs))]
			if err := h.Publish(ctx, fmt.Sprintf("cut-%d", i%7), int64(1000+i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		w.Heal()
		took := w.mustEqual(t, time.Minute, nil)
		t.Logf("equal %s after the cut healed", took)
		if took > 5*time.Second {
			t.Errorf("healing took %s, over 5 s", took)
		}
	})
}

func TestChurn(t *testing.T) {
	scenario(t, Config{}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		for round := range 10 {
			i := 1 + rng.IntN(len(w.Hubs)-1)
			if err := w.Kill(i); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if h := w.Hubs[rng.IntN(len(w.Hubs))]; h.Running() {
					if err := h.Publish(ctx, fmt.Sprintf("churn-%d", round), int64(1000+rng.IntN(100))); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Duration(1+rng.IntN(20)) * time.Second)
			if err := w.Restart(ctx, i); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(10)) * time.Second)
		}
		t.Logf("equal %s after the last restart", w.mustEqual(t, 90*time.Second, nil))
	})
}

func TestLossyLinks(t *testing.T) {
	scenario(t, Config{Loss: 0.03}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		for i := range 20 {
			if err := w.Hubs[rng.IntN(len(w.Hubs))].Publish(ctx, fmt.Sprintf("lossy-%d", i), 1000); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Logf("equal after %s", w.mustEqual(t, 90*time.Second, nil))
	})
}

// A hub that stops is stale first and away later, as the operator's guide says.
func TestSilentHubGoesStaleThenAway(t *testing.T) {
	scenario(t, Config{Hubs: min(6, *hubs), StaleAfter: 2 * time.Hour, AwayAfter: 5 * time.Hour}, func(t *testing.T, ctx context.Context, w *World, rng *rand.Rand) {
		gone := 1 + rng.IntN(len(w.Hubs)-1)
		others := make([]int, 0, len(w.Hubs))
		for i := range w.Hubs {
			if i != gone {
				others = append(others, i)
			}
		}
		if err := w.Kill(gone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Hour)
		if took := w.mustEqual(t, 2*time.Hour, others); took > 0 {
			t.Logf("its rows were gone another %s later", took)
		}
		if err := w.Restart(ctx, gone); err != nil {
			t.Fatal(err)
		}
		t.Logf("back everywhere after %s", w.mustEqual(t, 2*time.Minute, nil))
	})
}
