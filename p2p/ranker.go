package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// loopbackLead is how long a hub on this machine is tried over TCP alone. There the
// kernel moves TCP's bytes, while QUIC would encrypt, pace and acknowledge packets in
// both processes; and a second handshake, begun because the machine is busy, would make
// it busier.
const loopbackLead = 5 * time.Second

// rankDials is libp2p's order of trying a hub's addresses, but TCP on loopback first.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var ranked []network.AddrDelay
	var others []ma.Multiaddr
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil && manet.IsIPLoopback(a) && isDirect(a) {
			ranked = append(ranked, network.AddrDelay{Addr: a})
			continue
		}
		others = append(others, a)
	}
	var lead time.Duration
	if len(ranked) > 0 {
		lead = loopbackLead
	}
	for _, r := range swarm.DefaultDialRanker(others) {
		r.Delay += lead
		ranked = append(ranked, r)
	}
	return ranked
}
