package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Bare is the floor to compare a World with: as many libp2p hosts on the same network
// and with the same degree that run gossipsub as it comes, one topic, no validator and
// nothing else.
type Bare struct {
	wire   *wire
	hosts  []host.Host
	topics []*pubsub.Topic
	subs   []*pubsub.Subscription
	stop   context.CancelFunc
	reads  sync.WaitGroup

	got []atomic.Int64 // messages per host
}

// NewBare builds it inside a bubble.
func NewBare(ctx context.Context, cfg Config) (_ *Bare, err error) {
	cfg = cfg.complete()
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))
	b := &Bare{wire: newWire(cfg.Latency, cfg.Loss, rand.New(rand.NewPCG(cfg.Seed, 2))), got: make([]atomic.Int64, cfg.Hubs)}
	ctx, b.stop = context.WithCancel(ctx)
	b.wire.net.Start()
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	for i := range cfg.Hubs {
		seed := sha256.Sum256(fmt.Appendf(nil, "bare %d %d", cfg.Seed, i))
		private, _, err := crypto.GenerateEd25519Key(&ones{seed: seed[:]})
		if err != nil {
			return nil, err
		}
		h, err := libp2p.New(append(append(b.wire.options(i), bareOptions()...), libp2p.Identity(private))...)
		if err != nil {
			return nil, err
		}
		b.hosts = append(b.hosts, h)
		ps, err := pubsub.NewGossipSub(ctx, h)
		if err != nil {
			return nil, err
		}
		topic, err := ps.Join("bare")
		if err != nil {
			return nil, err
		}
		sub, err := topic.Subscribe()
		if err != nil {
			return nil, err
		}
		b.topics, b.subs = append(b.topics, topic), append(b.subs, sub)
		b.reads.Go(func() { b.read(ctx, i, sub) })
		picked := map[int]bool{}
		for len(picked) < min(cfg.Degree, i) {
			if len(picked) == 0 {
				picked[i-1] = true
				continue
			}
			picked[rng.IntN(i)] = true
		}
		for j := range picked {
			if err := h.Connect(ctx, peer.AddrInfo{ID: b.hosts[j].ID(), Addrs: b.hosts[j].Addrs()}); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// ones repeats a seed: enough to make a key from.
type ones struct{ seed []byte }

func (o *ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = o.seed[i%len(o.seed)]
	}
	return len(p), nil
}

func (b *Bare) read(ctx context.Context, i int, sub *pubsub.Subscription) {
	for {
		if _, err := sub.Next(ctx); err != nil {
			return
		}
		b.got[i].Add(1)
	}
}

// Spread publishes size bytes at one host and returns how long each other took to have
// them, shortest first.
func (b *Bare) Spread(ctx context.Context, from, size int, within time.Duration) ([]time.Duration, error) {
	before := make([]int64, len(b.got))
	for i := range b.got {
		before[i] = b.got[i].Load()
	}
	start := time.Now()
	message := make([]byte, size)
	copy(message, fmt.Sprint(start.UnixNano()))
	if err := b.topics[from].Publish(ctx, message); err != nil {
		return nil, err
	}
	var took []time.Duration
	done := make([]bool, len(b.got))
	done[from] = true
	for n := 1; n < len(done) && time.Since(start) < within; time.Sleep(step) {
		for i := range done {
			if !done[i] && b.got[i].Load() > before[i] {
				done[i] = true
				n++
				took = append(took, time.Since(start))
			}
		}
	}
	slices.Sort(took)
	return took, nil
}

// Traffic is the bytes that all hosts sent and received.
func (b *Bare) Traffic() (sent, received int64) { return b.wire.traffic() }

// Close stops everything.
func (b *Bare) Close() error {
	var errs []error
	for _, s := range b.subs {
		s.Cancel()
	}
	b.reads.Wait()
	for _, t := range b.topics {
		errs = append(errs, t.Close())
	}
	b.stop()
	for _, h := range b.hosts {
		errs = append(errs, h.Close())
	}
	b.wire.net.Close()
	return errors.Join(errs...)
}

// Conns is how many connections a host has on average.
func (b *Bare) Conns() float64 {
	n := 0
	for _, h := range b.hosts {
		n += len(h.Network().Conns())
	}
	return float64(n) / float64(len(b.hosts))
}
