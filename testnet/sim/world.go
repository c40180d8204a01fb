// Package sim runs the mesh in virtual time: many hubs with the real libp2p stack, the
// real gossip and real catalogues over a simulated network, in one process and inside
// one synctest bubble. Hours of churn, partition and loss pass in seconds.
//
// It promises that whatever goes wrong in a run is described with its seed. A run is not
// repeatable to the bit: goroutines are scheduled as they are, so its figures are
// bounds and its failures are tendencies.
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// Config describes a mesh.
type Config struct {
	Hubs         int
	Seed         uint64
	Latency      time.Duration // one way, 0: 50 ms
	Loss         float64       // share of packets lost
	Capabilities int           // per hub at the start, 0: 1
	Degree       int           // others that a hub joins by, 0: 6
	DHT          bool
	ConnLow      int           // 0: 12
	ConnHigh     int           // 0: 24
	StaleAfter   time.Duration // 0: as in the catalogue
	AwayAfter    time.Duration
	Refresh      time.Duration                    // between heads of an unchanged listing; 0: gossip's
	Compare      time.Duration                    // between comparisons of catalogues; 0: gossip's
	Admission    catalog.Admission                // "": open. With another one the hubs are pinned at each other
	Public       bool                             // the rules of the public internet for addresses and connections
	URLs         catalog.URLChecker               // nil: every URL passes
	Log          func(format string, args ...any) // progress; may be nil
}

// World is a mesh in a bubble.
type World struct {
	Hubs []*Hub

	cfg  Config
	rng  *rand.Rand
	wire *wire
}

// New builds and joins the hubs. It must be called inside a bubble, and Close before the
// bubble ends.
func New(ctx context.Context, cfg Config) (_ *World, err error) {
	cfg = cfg.complete()
	w := &World{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 1))}
	w.wire = newWire(cfg.Latency, cfg.Loss, rand.New(rand.NewPCG(cfg.Seed, 2)))
	for range cfg.Hubs {
		if err := w.add(); err != nil {
			return nil, err
		}
	}
	w.wire.net.Start()
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	for i, h := range w.Hubs {
		if err := h.start(ctx, w.bootstrap(i)); err != nil {
			return nil, err
		}
		for c := range cfg.Capabilities {
			if err := h.Publish(ctx, fmt.Sprintf("start-%d", c), 1000); err != nil {
				return nil, err
			}
		}
		if n := i + 1; n%hubsPerSteps == 0 {
			cfg.Log("%s", w.progress(w.Hubs[:n]))
		}
	}
	return w, nil
}

// add makes one more hub, which is not started.
func (w *World) add() error {
	var seed [32]byte
	for j := range seed {
		seed[j] = byte(w.rng.Uint32())
	}
	key, err := identity.FromSeed(seed[:])
	if err != nil {
		return err
	}
	w.Hubs = append(w.Hubs, &Hub{Index: len(w.Hubs), Key: key, w: w, disk: vfs.NewMem()})
	return nil
}

func (c Config) complete() Config {
	if c.Latency == 0 {
		c.Latency = 50 * time.Millisecond
	}
	if c.Capabilities == 0 {
		c.Capabilities = 1
	}
	if c.Degree == 0 {
		c.Degree = 6
	}
	if c.ConnLow == 0 {
		c.ConnLow = 12
	}
	if c.ConnHigh == 0 {
		c.ConnHigh = 24
	}
	if c.Admission == "" {
		c.Admission = catalog.AdmitAll
	}
	if c.URLs == nil {
		c.URLs = anywhere{}
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// bootstrap picks Degree hubs that started before hub i, its predecessor among them, so
// that the mesh is connected.
func (w *World) bootstrap(i int) []string {
	if i == 0 {
		return nil
	}
	picked := map[int]bool{i - 1: true}
	for len(picked) < min(w.cfg.Degree, i) {
		picked[w.rng.IntN(i)] = true
	}
	var out []string
	for j := range picked {
		out = append(out, w.Hubs[j].addr())
	}
	return out
}

// entropy is a hub's source of randomness.
func (w *World) entropy(i int) io.Reader {
	var seed [32]byte
	seed[0], seed[1], seed[2], seed[3] = byte(w.cfg.Seed), byte(w.cfg.Seed>>8), byte(i), byte(i>>8)
	return rand.NewChaCha8(seed)
}

// Close stops every hub and the network.
func (w *World) Close() error {
	var errs []error
	for _, h := range w.Hubs {
		errs = append(errs, h.stop())
	}
	w.wire.net.Close()
	return errors.Join(errs...)
}

// Kill stops a hub without a word to the others; Restart brings it back on its disk.
func (w *World) Kill(i int) error { return w.Hubs[i].stop() }

// Restart starts a killed hub again; it joins by what it remembers and two others.
func (w *World) Restart(ctx context.Context, i int) error {
	var known []string
	for len(known) < 2 {
		if j := w.rng.IntN(len(w.Hubs)); j != i && w.Hubs[j].Running() {
			known = append(known, w.Hubs[j].addr())
		}
	}
	return w.Hubs[i].start(ctx, known)
}

// Cut lets only hubs of one side hear each other; hubs that no side names are a side of
// their own. Heal undoes it.
func (w *World) Cut(sides ...[]int) { w.wire.split(sides...) }

// Heal lets everybody hear everybody.
func (w *World) Heal() { w.wire.split() }

// SetLoss changes the share of packets lost, Slow adds to the latency of one hub's packets.
func (w *World) SetLoss(p float64)              { w.wire.setLoss(p) }
func (w *World) Slow(i int, more time.Duration) { w.wire.setSlow(i, more) }

// Conns is how many connections a hub has on average.
func (w *World) Conns() float64 {
	n, hubs := 0, w.running(nil)
	for _, h := range hubs {
		n += len(h.Host.LibP2P().Network().Conns())
	}
	return float64(n) / float64(len(hubs))
}

// Traffic is the bytes that all hubs together sent and received so far.
func (w *World) Traffic() (sent, received int64) { return w.wire.traffic() }
