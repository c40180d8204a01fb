package p2p

import (
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func TestRankDials(t *testing.T) {
	relay := "/ip4/127.0.0.1/tcp/5/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit"
	for _, c := range []struct {
		name   string
		addrs  []string
		want   []string // in this order
		second time.Duration
	}{
		{"TCP on loopback leads", []string{"/ip4/127.0.0.1/udp/4/quic-v1", "/ip4/127.0.0.1/tcp/4"}, []string{"/ip4/127.0.0.1/tcp/4", "/ip4/127.0.0.1/udp/4/quic-v1"}, loopbackLead},
		{"IPv6 too", []string{"/ip6/::1/udp/4/quic-v1", "/ip6/::1/tcp/4"}, []string{"/ip6/::1/tcp/4", "/ip6/::1/udp/4/quic-v1"}, loopbackLead},
		{"QUIC alone does not wait", []string{"/ip4/127.0.0.1/udp/4/quic-v1"}, []string{"/ip4/127.0.0.1/udp/4/quic-v1"}, 0},
		{"elsewhere QUIC leads", []string{"/ip4/10.1.2.3/tcp/4", "/ip4/10.1.2.3/udp/4/quic-v1"}, []string{"/ip4/10.1.2.3/udp/4/quic-v1", "/ip4/10.1.2.3/tcp/4"}, 30 * time.Millisecond},
		{"a relay on loopback is no way to this machine", []string{relay, "/ip4/10.1.2.3/tcp/4"}, []string{"/ip4/10.1.2.3/tcp/4", relay}, 0},
		{"nothing", nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var addrs []ma.Multiaddr
			for _, a := range c.addrs {
				addrs = append(addrs, ma.StringCast(a))
			}
			got := rankDials(addrs)
			if len(got) != len(c.want) {
				t.Fatalf("%d of %d addresses", len(got), len(c.want))
			}
			for i, r := range got {
				if r.Addr.String() != c.want[i] {
					t.Errorf("place %d: %s after %s", i, r.Addr, r.Delay)
				}
			}
			if len(got) == 2 && c.second > 0 && got[1].Delay != c.second {
				t.Errorf("the second waits %s, want %s", got[1].Delay, c.second)
			}
			if len(got) > 0 && got[0].Delay != 0 {
				t.Errorf("the first waits %s", got[0].Delay)
			}
		})
	}
}
