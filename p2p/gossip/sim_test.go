package gossip

// The one file that knows go-libp2p's simulated network (its x/ packages are not stable).

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"github.com/aimarket/aimarket/internal/identity"
)

// simulation is a network in virtual time; everything runs inside one bubble.
type simulation struct {
	t       *testing.T
	net     *simnet.Simnet
	latency atomic.Int64
	hosts   []host.Host
	meshes  []*Mesh
	closers []func()
}

const simBandwidth = 100 * simlibp2p.OneMbps

// inVirtualTime runs a test in a bubble with a network of the given one-way latency.
func inVirtualTime(t *testing.T, latency time.Duration, test func(t *testing.T, s *simulation)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{t: t}
		s.latency.Store(int64(latency))
		s.net = &simnet.Simnet{LatencyFunc: func(*simnet.Packet) time.Duration { return time.Duration(s.latency.Load()) }}
		s.net.Start()
		defer func() {
			for _, m := range s.meshes {
				_ = m.Close()
			}
			for _, f := range s.closers {
				f()
			}
			for _, h := range s.hosts {
				_ = h.Close()
			}
			s.net.Close()
			time.Sleep(5 * time.Minute) // virtual: what libp2p and pubsub still wait for
		}()
		test(t, s)
	})
}

// host starts one with a key.
func (s *simulation) host(key *identity.Key) host.Host {
	s.t.Helper()
	private, err := crypto.UnmarshalEd25519PrivateKey(key.Private())
	if err != nil {
		s.t.Fatal(err)
	}
	link := simnet.LinkSettings{BitsPerSecond: simBandwidth}
	h, err := libp2p.New(
		libp2p.Identity(private),
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simnet.IntToPublicIPv4(len(s.hosts)))),
		simlibp2p.QUICSimnet(s.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics(),
		libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hosts = append(s.hosts, h)
	return h
}

func (s *simulation) connect(a, b host.Host) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		s.t.Fatal(err)
	}
}

// cut closes every connection between two hosts.
func (s *simulation) cut(a, b host.Host) {
	_ = a.Network().ClosePeer(b.ID())
	_ = b.Network().ClosePeer(a.ID())
}

// eventually waits in virtual time.
func (s *simulation) eventually(what string, within time.Duration, ok func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > within {
			s.t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}
