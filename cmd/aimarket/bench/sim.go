package bench

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/aimarket/aimarket/testnet/sim"
)

// simSeed makes the topologies of two runs the same; the schedules are not.
const simSeed = 20261

// maxHeap is where garbage is collected before the heap has doubled. Every hub keeps every
// listing, so that a mesh in one process takes memory by the square of its hubs: a thousand
// live in 10 GiB, and some 3 more are stacks and what is not Go's.
const maxHeap = 16 << 30

// spread is what one mesh did with some changes.
type spread struct {
	took      []time.Duration // every delivery
	want      int             // deliveries that should be
	heapMiB   float64
	sentPerKB float64 // KiB that each hub sent per change
}

func (s spread) delivered() float64 { return 100 * float64(len(s.took)) / float64(max(1, s.want)) }

// spreadHubs lets changes of different hubs spread through a mesh of hubs.
func spreadHubs(o Options, cfg sim.Config, changes int) (s spread, err error) {
	err = sim.Bubble("hubs", func(ctx context.Context) error {
		w, err := sim.New(ctx, cfg)
		if err != nil {
			return err
		}
		defer w.Close()
		joined, err := w.WaitEqual(10*time.Minute, nil)
		if err != nil {
			return err
		}
		time.Sleep(30 * time.Second) // the gossip mesh settles
		o.Say(fmt.Sprintf("%d hubs are one market after %s of virtual time", cfg.Hubs, joined.Round(time.Millisecond)))
		before, _ := w.Traffic()
		for i := range changes {
			took, err := w.Spread(ctx, (i*37)%cfg.Hubs, fmt.Sprintf("news-%d", i), 20*time.Second)
			if err != nil {
				return err
			}
			s.took = append(s.took, took...)
			s.want += cfg.Hubs - 1
			time.Sleep(2 * time.Second)
		}
		after, _ := w.Traffic()
		s.sentPerKB = float64(after-before) / float64(cfg.Hubs*changes) / 1024
		s.heapMiB = heapMiB()
		return nil
	})
	return s, err
}

func spreadBare(cfg sim.Config, changes int) (s spread, err error) {
	err = sim.Bubble("bare", func(ctx context.Context) error {
		b, err := sim.NewBare(ctx, cfg)
		if err != nil {
			return err
		}
		defer b.Close()
		time.Sleep(time.Minute)
		for i := range changes {
			took, err := b.Spread(ctx, (i*37)%cfg.Hubs, 4<<10, 20*time.Second)
			if err != nil {
				return err
			}
			s.took = append(s.took, took...)
			s.want += cfg.Hubs - 1
			time.Sleep(2 * time.Second)
		}
		s.heapMiB = heapMiB()
		return nil
	})
	return s, err
}

func heapMiB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse+m.StackInuse) / (1 << 20)
}

func gossipSim(name string, hubs, changes int, latency time.Duration, reachMS float64) func(context.Context, Options) ([]Result, error) {
	return func(_ context.Context, o Options) ([]Result, error) {
		cfg := sim.Config{Hubs: hubs, Seed: simSeed, Latency: latency, Log: func(format string, args ...any) { o.Say(fmt.Sprintf(format, args...)) }}
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(maxHeap))
		bare, err := spreadBare(cfg, changes)
		if err != nil {
			return nil, fmt.Errorf("bare gossipsub: %w", err)
		}
		runtime.GC()
		got, err := spreadHubs(o, cfg, changes)
		if err != nil {
			return nil, err
		}
		p99 := quantile(got.took, 0.99)
		r := atMost(name, ms(p99), reachMS, "ms", 1, fmt.Sprintf(
			"p99 in virtual time, seed %d; p50 %.0f, last %.0f, delivered %.2f %%; bare gossipsub p99 %.0f, delivered %.2f %%; %.1f MiB and %.1f KiB sent per hub and change (bare %.1f MiB)",
			simSeed, ms(quantile(got.took, 0.5)), ms(quantile(got.took, 1)), got.delivered(), ms(quantile(bare.took, 0.99)), bare.delivered(),
			got.heapMiB/float64(hubs), got.sentPerKB, bare.heapMiB/float64(hubs)))
		r.Reached = r.Reached && len(got.took) == got.want
		r.Reach += ", 100 % delivered"
		return []Result{r}, nil
	}
}

// heal measures how long two halves of a mesh take to agree after ten minutes of
// changes on both sides.
func heal(_ context.Context, o Options) ([]Result, error) {
	const hubs, rounds = 20, 3
	var took []time.Duration
	for round := range rounds {
		err := sim.Bubble("heal", func(ctx context.Context) error {
			w, err := sim.New(ctx, sim.Config{Hubs: hubs, Seed: simSeed + uint64(round)})
			if err != nil {
				return err
			}
			defer w.Close()
			if _, err := w.WaitEqual(5*time.Minute, nil); err != nil {
				return err
			}
			var left, right []int
			for i := range hubs {
				if i%2 == 0 {
					left = append(left, i)
				} else {
					right = append(right, i)
				}
			}
			w.Cut(left, right)
			for i := range 120 {
				if err := w.Hubs[(i*7)%hubs].Publish(ctx, fmt.Sprintf("cut-%d", i%11), int64(1000+i)); err != nil {
					return err
				}
				time.Sleep(5 * time.Second)
			}
			w.Heal()
			d, err := w.WaitEqual(5*time.Minute, nil)
			took = append(took, d)
			return err
		})
		if err != nil {
			return nil, err
		}
		o.Say(fmt.Sprintf("round %d: equal %s after the cut healed", round+1, took[len(took)-1]))
	}
	worst := quantile(took, 1)
	return []Result{atMost("heal", worst.Seconds(), 5, "s", 1,
		fmt.Sprintf("worst of %d cuts of %d hubs into halves for 10 min with 120 changes, virtual time", rounds, hubs))}, nil
}

// idleBytes measures what a quiet mesh sends, beside bare gossipsub on the same network
// with as many connections.
func idleBytes(_ context.Context, o Options) ([]Result, error) {
	const hubs, watch = 100, time.Hour
	var bare, ours, conns, bareConns float64
	err := sim.Bubble("hubs", func(ctx context.Context) error {
		w, err := sim.New(ctx, sim.Config{Hubs: hubs, Seed: simSeed, DHT: true})
		if err != nil {
			return err
		}
		defer w.Close()
		if _, err := w.WaitEqual(5*time.Minute, nil); err != nil {
			return err
		}
		time.Sleep(15 * time.Minute)
		before, _ := w.Traffic()
		time.Sleep(watch)
		after, _ := w.Traffic()
		ours, conns = float64(after-before)/hubs/1024, w.Conns()
		return nil
	})
	if err != nil {
		return nil, err
	}
	o.Say(fmt.Sprintf("%.0f KiB per hub with %.1f connections", ours, conns))
	err = sim.Bubble("bare", func(ctx context.Context) error {
		b, err := sim.NewBare(ctx, sim.Config{Hubs: hubs, Seed: simSeed, Degree: int(conns/2 + 0.5)})
		if err != nil {
			return err
		}
		defer b.Close()
		time.Sleep(15 * time.Minute)
		before, _ := b.Traffic()
		time.Sleep(watch)
		after, _ := b.Traffic()
		bare, bareConns = float64(after-before)/hubs/1024, b.Conns()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bare gossipsub: %w", err)
	}
	return []Result{atMost("idle_bytes", ours, bare, "KiB", 2, fmt.Sprintf(
		"sent per hub and hour in a quiet mesh of 100 that list one capability each, DHT on, %.1f connections (bare gossipsub %.1f): "+
			"keep-alives, heads every 3 h, comparisons every minute, the DHT's refresh", conns, bareConns))}, nil
}
