package node

import (
	"math/rand/v2"
	"net"
	"testing"
)

// Whatever order the addresses come in, the best one is chosen, and always the same.
func TestJoinAddress(t *testing.T) {
	const id = "/p2p/12D3KooWDGp1PqnaKsKPAXV2z3PmV8bMxPtC4rbyQWERYYdTcu4X"
	var interfaces []net.Addr
	for _, ip := range []string{"127.0.0.1", "::1", "192.168.1.5", "8.8.4.5", "fe80::1", "172.17.0.1"} {
		interfaces = append(interfaces, &net.IPNet{IP: net.ParseIP(ip)})
	}
	for name, addrs := range map[string][]string{ // the first is wanted
		"nothing":                        {""},
		"TCP before QUIC":                {"/ip4/127.0.0.1/tcp/9084", "/ip4/127.0.0.1/udp/9084/quic-v1"},
		"reach before TCP":               {"/ip4/8.8.4.4/udp/9084/quic-v1", "/ip4/192.168.1.5/tcp/9084", "/ip4/127.0.0.1/tcp/9084"},
		"IPv4 before IPv6":               {"/ip4/127.0.0.1/tcp/9084", "/ip6/::1/tcp/9084", "/ip6/::1/udp/9084/quic-v1"},
		"the first interface":            {"/ip4/192.168.1.5/tcp/9084", "/ip4/172.17.0.1/tcp/9084", "/ip6/fe80::1/tcp/9084"},
		"announced before own":           {"/ip4/9.9.9.9/tcp/9084", "/ip4/8.8.4.5/tcp/9084"},
		"a name":                         {"/dns4/hub.example.com/tcp/9084", "/ip4/8.8.4.5/tcp/9084", "/ip4/192.168.1.5/tcp/9084"},
		"direct before relayed":          {"/ip4/8.8.4.4/udp/9084/quic-v1", "/ip4/8.8.8.8/tcp/9084" + id + "/p2p-circuit"},
		"a relay before a local network": {"/ip4/8.8.8.8/tcp/9084" + id + "/p2p-circuit", "/ip4/192.168.1.5/tcp/9084"},
		"two ports":                      {"/ip4/192.168.1.5/tcp/9084", "/ip4/192.168.1.5/tcp/9085"},
		"what is no address comes last":  {"/ip4/127.0.0.1/tcp/9084", "nonsense"},
	} {
		want := addrs[0]
		if want == "" {
			addrs = nil
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			r.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
			if got := joinAddress(addrs, interfaces); got != want {
				t.Errorf("%s: %s, want %s of %q", name, got, want, addrs)
			}
		}
	}
}
