package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// bareMessage is the size of what the floor spreads: a small signed document.
const bareMessage = 4 << 10

// bareMesh is the floor of everything that gossips: libp2p hosts on loopback with
// gossipsub as it comes, one topic, no validator and nothing behind it.
type bareMesh struct {
	hosts  []host.Host
	topics []*pubsub.Topic
	subs   []*pubsub.Subscription
	stop   context.CancelFunc
	reads  sync.WaitGroup
	got    chan arrival // every delivery to a host that did not send it
}

// arrival is one message at one host.
type arrival struct {
	number uint64
	at     time.Time
}

// startBare starts the hosts, each connected to degree others at least, and waits
// until a message reaches all.
func startBare(ctx context.Context, hosts, degree int) (*bareMesh, error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b := &bareMesh{stop: stop, got: make(chan arrival, 1<<16)}
	for range hosts {
		if err := b.add(run); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	if err := b.connect(ctx, degree); err != nil {
		return nil, errors.Join(err, b.close())
	}
	// The overlay takes some heartbeats to form; it is there when a message arrives everywhere.
	for number := uint64(1) << 32; ; number++ {
		if _, missed, err := b.spread(ctx, 0, number, time.Second); err != nil || missed == 0 {
			return b, err
		}
	}
}

func (b *bareMesh) add(ctx context.Context) error {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return fmt.Errorf("starting a bare host: %w", err)
	}
	b.hosts = append(b.hosts, h)
	ps, err := pubsub.NewGossipSub(ctx, h)
	if err != nil {
		return fmt.Errorf("starting bare gossip: %w", err)
	}
	topic, err := ps.Join("bench")
	if err != nil {
		return fmt.Errorf("joining bare gossip: %w", err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		return fmt.Errorf("joining bare gossip: %w", err)
	}
	b.topics, b.subs = append(b.topics, topic), append(b.subs, sub)
	b.reads.Go(func() {
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				return
			}
			if m.ReceivedFrom != h.ID() && len(m.Data) >= 8 {
				select {
				case b.got <- arrival{binary.BigEndian.Uint64(m.Data), time.Now()}:
				default: // nobody counts this one
				}
			}
		}
	})
	return nil
}

// connect makes a ring, which leaves nobody out, and random links up to the degree.
func (b *bareMesh) connect(ctx context.Context, degree int) error {
	random := mrand.New(mrand.NewPCG(1, uint64(len(b.hosts))))
	dial := func(i, j int) error {
		if i == j {
			return nil
		}
		return b.hosts[i].Connect(ctx, *host.InfoFromHost(b.hosts[j]))
	}
	for i := range b.hosts {
		if err := dial(i, (i+1)%len(b.hosts)); err != nil {
			return fmt.Errorf("connecting bare hosts: %w", err)
		}
	}
	for i, h := range b.hosts {
		for tries := 0; len(h.Network().Peers()) < degree && tries < 10*degree; tries++ {
			if err := dial(i, random.IntN(len(b.hosts))); err != nil {
				return fmt.Errorf("connecting bare hosts: %w", err)
			}
		}
	}
	return nil
}

// message is 4 KiB that begin with a number, newly made: gossip keeps the slice.
func bareData(number uint64) []byte {
	data := make([]byte, bareMessage)
	_, _ = rand.Read(data)
	binary.BigEndian.PutUint64(data, number)
	return data
}

// spread publishes one message and returns when it reached the last host, and how many
// it did not reach within patience.
func (b *bareMesh) spread(ctx context.Context, from int, number uint64, patience time.Duration) (took time.Duration, missed int, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	data := bareData(number)
	began := time.Now()
	if err := b.topics[from].Publish(ctx, data); err != nil {
		return 0, 0, fmt.Errorf("publishing on bare gossip: %w", err)
	}
	for left := len(b.hosts) - 1; left > 0; {
		select {
		case a := <-b.got:
			if a.number == number {
				left--
				took = max(took, a.at.Sub(began))
			}
		case <-timer.C:
			return took, left, nil
		case <-ctx.Done():
			return 0, left, ctx.Err()
		}
	}
	return took, 0, nil
}

// burst publishes n messages within window on one host and returns the share of
// deliveries that arrived until nothing did for a second.
func (b *bareMesh) burst(ctx context.Context, from, n int, first uint64, window time.Duration) (float64, error) {
	var arrived atomic.Int64
	counting, stop := context.WithCancel(ctx)
	var counter sync.WaitGroup
	last := make(chan struct{}, 1)
	counter.Go(func() {
		for {
			select {
			case a := <-b.got:
				if a.number >= first && a.number < first+uint64(n) {
					arrived.Add(1)
					select {
					case last <- struct{}{}:
					default:
					}
				}
			case <-counting.Done():
				return
			}
		}
	})
	defer counter.Wait()
	defer stop()
	pace := time.NewTicker(window / time.Duration(n))
	defer pace.Stop()
	for i := range n {
		if err := b.topics[from].Publish(ctx, bareData(first+uint64(i))); err != nil {
			return 0, fmt.Errorf("publishing on bare gossip: %w", err)
		}
		<-pace.C
	}
	all := int64(n) * int64(len(b.hosts)-1)
	for arrived.Load() < all {
		select {
		case <-last:
		case <-time.After(time.Second):
			return float64(arrived.Load()) / float64(all), nil
		}
	}
	return 1, nil
}

func (b *bareMesh) close() error {
	var errs []error
	for i := range b.subs {
		b.subs[i].Cancel()
		errs = append(errs, b.topics[i].Close())
	}
	b.stop()
	b.reads.Wait()
	for _, h := range b.hosts {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}
